//! Messages from one protocol to another: the hub keeps them as they came.

use domain::{DoorId, Message};
use std::sync::Arc;

/// A message for what is behind a door. `None`: it has nothing that can be said there.
pub(crate) fn for_door(
    phones: &call::Role,
    door: &DoorId,
    message: &Arc<Message>,
) -> Option<Arc<Message>> {
    if door.number >= im::DOORS {
        return im::is_sayable(message).then(|| message.clone());
    }
    if message.content_type != im::STANZA {
        return Some(message.clone());
    }
    im::for_phone(message, phones.takes_envelopes(door)).map(Arc::new)
}
