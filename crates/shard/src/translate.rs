//! Messages from one protocol to another: the hub keeps them as they came.

use domain::{DoorId, Message};
use std::sync::Arc;

/// What a role without stanzas writes a text as.
const TEXT: &str = "text/plain;charset=UTF-8";

/// A message for what is behind a door. `None`: it has nothing that can be said there (a receipt, a chat state).
pub(crate) fn for_door(door: &DoorId, message: &Arc<Message>) -> Option<Arc<Message>> {
    if door.number >= im::DOORS || message.content_type != im::STANZA {
        return Some(message.clone());
    }
    let text = im::text(message)?;
    Some(Arc::new(Message {
        content_type: TEXT.to_owned(),
        body: text.into_bytes().into(),
        ..Message::clone(message)
    }))
}
