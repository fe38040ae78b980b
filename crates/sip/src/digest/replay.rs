//! Which nonce counts were used. Kept only for nonces with which someone has authenticated, so that a flood of
//! strangers costs no memory; bounded, oldest nonces first out.

use std::collections::BTreeMap;

use super::nonce::Stamp;

/// Counts so far below the highest one are taken for used.
const WINDOW: u32 = 64;

/// Use of nonces.
#[derive(Debug)]
pub(super) struct Replay {
    most: usize,
    used: BTreeMap<Stamp, Counts>,
    /// Nonces up to this age were forgotten: one that is not known may have been used.
    floor: Option<Stamp>,
}

/// Counts that were used with one nonce: the highest, and the 64 up to it as bits (bit 0 is the highest).
#[derive(Debug, Clone, Copy)]
struct Counts {
    highest: u32,
    recent: u64,
}

/// What is known of a nonce and count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// First time.
    Fresh,
    /// Used before.
    Again,
    /// Nobody knows any more.
    Forgotten,
}

impl Replay {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            used: BTreeMap::new(),
            floor: None,
        }
    }

    /// Notes the use of `count` with this nonce.
    pub(super) fn note(&mut self, stamp: Stamp, count: u32) -> Use {
        if let Some(counts) = self.used.get_mut(&stamp) {
            return if counts.take(count) {
                Use::Fresh
            } else {
                Use::Again
            };
        }
        if self.floor.is_some_and(|floor| stamp <= floor) {
            return Use::Forgotten;
        }
        if self.used.len() == self.most
            && let Some((oldest, _)) = self.used.pop_first()
        {
            self.floor = Some(oldest);
            if stamp < oldest {
                return Use::Forgotten;
            }
        }
        self.used.insert(
            stamp,
            Counts {
                highest: count,
                recent: 1,
            },
        );
        Use::Fresh
    }

    /// Drops what is older than `seconds`: such nonces are stale anyhow.
    pub(super) fn forget_before(&mut self, seconds: u64) {
        while let Some(entry) = self.used.first_entry()
            && entry.key().seconds < seconds
        {
            entry.remove();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.used.len()
    }
}

impl Counts {
    /// Was this count free? It is not any more.
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let step = count - self.highest;
            self.recent = if step < WINDOW {
                self.recent << step | 1
            } else {
                1
            };
            self.highest = count;
            return true;
        }
        let below = self.highest - count;
        if below >= WINDOW || self.recent >> below & 1 == 1 {
            return false;
        }
        self.recent |= 1 << below;
        true
    }
}
