//! What waits for relays, and the messages that wait behind it: those of one dialog stay in their order.

use super::MediaId;
use crate::token::DialogId;
use domain::IdMap;
use sip::{Flow, Message};
use std::collections::{HashMap, VecDeque};

/// Questions to relays under way at once; one more is answered as if there were no relay.
const UNDER_WAY: usize = 10_000;
/// Messages of one dialog that wait for what goes before them; one more is lost, as datagrams are.
const HELD: usize = 32;

/// What waits in a dialog.
#[derive(Debug, Default)]
struct Held {
    /// For so many answers.
    asked: usize,
    messages: VecDeque<(Flow, Message)>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    asked: u64,
    /// With the dialog whose other messages wait for it.
    by_id: IdMap<MediaId, (T, Option<DialogId>)>,
    held: HashMap<DialogId, Held>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self {
            asked: 0,
            by_id: IdMap::default(),
            held: HashMap::default(),
        }
    }
}

impl<T> Waiting<T> {
    /// This waits for a relay, and what comes next in that dialog for this; handed back if too much does.
    pub(crate) fn ask(&mut self, what: T, dialog: Option<DialogId>) -> Result<MediaId, T> {
        if self.by_id.len() >= UNDER_WAY {
            return Err(what);
        }
        let id = MediaId(self.asked);
        self.asked += 1;
        if let Some(dialog) = dialog {
            self.held.entry(dialog).or_default().asked += 1;
        }
        self.by_id.insert(id, (what, dialog));
        Ok(id)
    }

    /// What waited, and the dialog that goes on when it is done ([`Self::next`]).
    pub(crate) fn take(&mut self, id: MediaId) -> Option<(T, Option<DialogId>)> {
        let (what, dialog) = self.by_id.remove(&id)?;
        if let Some(held) = dialog.and_then(|it| self.held.get_mut(&it)) {
            held.asked -= 1;
        }
        Some((what, dialog))
    }

    /// Keeps a message back while something that came before it in its dialog waits; hands it back if nothing does.
    pub(crate) fn hold(&mut self, flow: Flow, message: Message) -> Option<Message> {
        if self.held.is_empty() {
            return Some(message);
        }
        let dialog = DialogId::of(message.call_id().unwrap_or_default());
        let Some(held) = self.held.get_mut(&dialog) else {
            return Some(message);
        };
        if held.messages.len() < HELD {
            held.messages.push_back((flow, message));
        }
        None
    }

    /// The next message of a dialog in which nothing waits for a relay any more.
    pub(crate) fn next(&mut self, dialog: DialogId) -> Option<(Flow, Message)> {
        let held = self.held.get_mut(&dialog).filter(|it| it.asked == 0)?;
        let next = held.messages.pop_front();
        if next.is_none() {
            self.held.remove(&dialog);
        }
        next
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len() + self.held.len()
    }
}
