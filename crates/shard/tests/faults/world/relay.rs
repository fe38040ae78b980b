//! A media relay that is a table: it marks what it has seen, and may hold its answers back or be away.

use bytes::Bytes;
use call::{Description, MediaId, Relayed};
use std::sync::Arc;

/// What it made of a description.
type Answer = Result<Relayed, String>;

#[derive(Default)]
pub(crate) struct Relay {
    /// It does not answer.
    pub(crate) is_away: bool,
    /// Its answers wait for [`super::World::relay_answers`].
    pub(crate) is_slow: bool,
    /// What it was asked.
    pub(crate) asked: Vec<Description>,
    /// What it may forget.
    pub(crate) ended: Vec<Arc<str>>,
    /// The dialogs of that which ended with a BYE.
    pub(crate) hung_up: Vec<(String, String)>,
    held: Vec<(usize, MediaId, Answer)>,
}

impl Relay {
    pub(super) fn asked(
        &mut self,
        shard: usize,
        id: MediaId,
        description: Description,
    ) -> Option<Answer> {
        let answer = if self.is_away {
            Err("nobody answers".to_owned())
        } else {
            Ok(Relayed {
                sdp: Bytes::from([b"relayed ", &description.sdp[..]].concat()),
                by: "relay".into(),
            })
        };
        self.asked.push(description);
        if self.is_slow {
            self.held.push((shard, id, answer));
            return None;
        }
        Some(answer)
    }

    pub(super) fn answers(&mut self) -> Vec<(usize, MediaId, Answer)> {
        self.is_slow = false;
        std::mem::take(&mut self.held)
    }
}
