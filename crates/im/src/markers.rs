//! What a user has read (XEP-0333; IMDN, RFC 5438), by the id that its writer gave to it.

use crate::{
    letters,
    phones::{self, PHONES_ID},
};
use domain::{Address, DeviceId, Message};
use hub::Directory;
use xmpp::{ns, xml::Element};

/// A user has read a message, and all before it that is of its writer (XEP-0333).
#[derive(Debug)]
pub(crate) struct Marker {
    pub(crate) user: Address,
    /// On which device, if that is known.
    pub(crate) device: Option<DeviceId>,
    pub(crate) writer: Address,
    /// As its writer named it.
    id: String,
}

impl Marker {
    /// What a client says with a message to this writer.
    pub(crate) fn of_client(
        user: &Address,
        device: &DeviceId,
        writer: &Address,
        message: &Element,
    ) -> Option<Self> {
        Some(Self {
            user: user.clone(),
            device: Some(device.clone()),
            writer: writer.clone(),
            id: marked(message)?.to_owned(),
        })
    }

    /// What a phone says with a message.
    pub(crate) fn of_phone(user: &Address, message: &Message) -> Option<Self> {
        let said = phones::read(message)?;
        let is_marker = |it: &&Element| it.is(ns::CHAT_MARKERS, "displayed");
        let marker = said.payloads.iter().find(is_marker)?;
        Some(Self {
            user: user.clone(),
            device: None,
            writer: message.to.clone(),
            id: marker.attr("id")?.to_owned(),
        })
    }

    /// Whether anything waits for another device of the reader's.
    pub(crate) fn is_news(&self, directory: &Directory) -> bool {
        let mut devices = directory.of(&self.user);
        devices.any(|it| it.queued > 0 && self.device.as_ref() != Some(&it.device.id))
    }

    /// Whether it names this message.
    pub(crate) fn names(&self, message: &Message) -> bool {
        if message.from != self.writer.as_str() {
            return false;
        }
        let stanza = letters::archived(message, &self.user);
        let stanza = stanza.as_ref().and_then(|it| it.attr("id"));
        // A phone names a phone's message without what we put before it.
        stanza.is_some_and(|id| id == self.id || id.strip_prefix(PHONES_ID) == Some(&*self.id))
    }
}

/// What a message says that its writer has read.
pub(crate) fn marked(message: &Element) -> Option<&str> {
    message.child(ns::CHAT_MARKERS, "displayed")?.attr("id")
}
