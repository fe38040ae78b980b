//! What waits while nobody looks, or nobody is there: of each sender the last presence, and the last chat state.

use super::{Kind, Written};
use std::collections::BTreeMap;

/// Senders of whom something is held back: more than a user has contacts. For one more the oldest is forgotten.
const MOST: usize = 2_000;
/// Octets that are held back; for more the oldest are forgotten.
const OCTETS: usize = 256 * 1024;

/// See above.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// By when it came.
    rows: BTreeMap<u64, Written>,
    /// When that of a sender came: presence, and then chat states.
    presence: BTreeMap<Box<str>, u64>,
    states: BTreeMap<Box<str>, u64>,
    octets: usize,
    next: u64,
}

impl Held {
    /// Holds it back, in place of what its sender said before. If there is no room and the rest could go now, it is given
    /// back; else what came first is forgotten.
    pub(super) fn put(&mut self, written: Written, could_go: bool) -> Option<Written> {
        if let Some(before) = self.index(&written.kind).and_then(|it| it.0.remove(it.1)) {
            self.forget(before);
        }
        let is_full = self.rows.len() >= MOST || self.octets + written.octets.len() > OCTETS;
        if is_full && could_go {
            return Some(written);
        }
        while (self.rows.len() >= MOST || self.octets + written.octets.len() > OCTETS)
            && let Some((_, oldest)) = self.rows.pop_first()
        {
            self.octets -= oldest.octets.len();
            if let Some((index, sender)) = self.index(&oldest.kind) {
                index.remove(sender);
            }
        }
        self.next += 1;
        let at = self.next;
        self.octets += written.octets.len();
        if let Some((index, sender)) = self.index(&written.kind) {
            index.insert(sender.into(), at);
        }
        self.rows.insert(at, written);
        None
    }

    /// All that is held back, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Written> {
        self.rows.values()
    }

    /// All that was held back, in order.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Written> + use<> {
        let all = std::mem::take(self);
        all.rows.into_values()
    }

    /// Chat states are worth nothing later.
    pub(super) fn forget_states(&mut self) {
        for at in std::mem::take(&mut self.states).into_values() {
            self.forget(at);
        }
    }

    fn forget(&mut self, at: u64) {
        if let Some(row) = self.rows.remove(&at) {
            self.octets -= row.octets.len();
        }
    }

    fn index<'k>(&mut self, kind: &'k Kind) -> Option<(&mut BTreeMap<Box<str>, u64>, &'k str)> {
        match kind {
            Kind::Presence(sender) => Some((&mut self.presence, sender)),
            Kind::State(sender) => Some((&mut self.states, sender)),
            _ => None,
        }
    }
}
