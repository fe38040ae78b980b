//! Who has how many requests that are not over: nobody takes the places of others, and strangers together leave some free
//! for those who are known. Whose a request is, its owner says.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::branch::Secret;
use super::matching::AlreadyHashed;

/// Whose a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder<'n> {
    /// What tells this one from others.
    pub name: &'n [u8],
    /// Whether it is one of ours: strangers have a part of all places only.
    pub is_known: bool,
    /// So many of theirs may be under way at once.
    pub most: u32,
}

/// Why a request has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowded {
    /// Its holder has as many as they may.
    Holder {
        /// For the first time since they had none: worth a line in the log.
        first: bool,
    },
    /// Strangers have all that is for them.
    Strangers,
}

/// A place that was taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// A hash of the holder's name.
    holder: u64,
    is_known: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Held {
    count: u32,
    told: bool,
}

/// Counts by holder. There are no more entries than requests under way.
#[derive(Debug)]
pub(crate) struct Holders {
    held: HashMap<u64, Held, BuildHasherDefault<AlreadyHashed>>,
    strangers: usize,
    most_strangers: usize,
}

impl Holders {
    pub(crate) fn new(most_strangers: usize) -> Self {
        Self {
            held: HashMap::default(),
            strangers: 0,
            most_strangers,
        }
    }

    /// One more.
    pub(crate) fn take(&mut self, secret: Secret, holder: Holder<'_>) -> Result<Place, Crowded> {
        if !holder.is_known && self.strangers >= self.most_strangers {
            return Err(Crowded::Strangers);
        }
        let place = Place {
            holder: secret.hash("holder", [holder.name]),
            is_known: holder.is_known,
        };
        let held = self.held.entry(place.holder).or_default();
        if held.count >= holder.most.max(1) {
            let first = !std::mem::replace(&mut held.told, true);
            return Err(Crowded::Holder { first });
        }
        held.count += 1;
        self.strangers += usize::from(!place.is_known);
        Ok(place)
    }

    /// One less.
    pub(crate) fn give_back(&mut self, place: Place) {
        if let Some(held) = self.held.get_mut(&place.holder) {
            held.count -= 1;
            if held.count == 0 {
                self.held.remove(&place.holder);
            }
        }
        self.strangers -= usize::from(!place.is_known);
    }

    /// How many have any.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}
