//! Messages from one protocol to another: the hub keeps them as they came.

use domain::{DoorId, Message};
use std::{borrow::Cow, sync::Arc};

/// What a role without stanzas writes a text as.
const TEXT: &str = "text/plain;charset=UTF-8";

/// A message for what is behind a door. `None`: it has nothing that can be said there (a receipt, a chat state).
pub(crate) fn for_door<'m>(
    door: &DoorId,
    message: &'m Arc<Message>,
) -> Option<Cow<'m, Arc<Message>>> {
    if door.number >= im::DOORS || message.content_type != im::STANZA {
        return Some(Cow::Borrowed(message));
    }
    let text = im::text(message)?;
    Some(Cow::Owned(Arc::new(Message {
        content_type: TEXT.to_owned(),
        body: text.into_bytes().into(),
        ..Message::clone(message)
    })))
}
