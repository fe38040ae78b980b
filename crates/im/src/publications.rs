//! Publications at app servers that are not answered yet, at the shard that has their component.

use crate::vocabulary::Publish;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long an app server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Publications that are not answered, of all components of a shard; one more is to be tried again later.
const MOST: usize = 10_000;
/// How their ids begin.
const ID: &str = "push-";

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Publications {
    /// In the order in which they were made, and so in that in which their time is over.
    all: BTreeMap<u64, (Instant, Box<str>, Box<Publish>)>,
    last: u64,
}

impl Publications {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// One goes to this component: its id, or itself, if there are too many.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        component: &str,
        publish: Box<Publish>,
    ) -> Result<String, Box<Publish>> {
        if self.all.len() >= MOST {
            return Err(publish);
        }
        self.last += 1;
        let row = (now + PATIENCE, component.into(), publish);
        self.all.insert(self.last, row);
        Ok(format!("{ID}{}", self.last))
    }

    /// The one that this component answers by this id.
    pub(crate) fn answered(&mut self, component: &str, id: &str) -> Option<Box<Publish>> {
        let number = id.strip_prefix(ID)?.parse().ok()?;
        let (_, of, _) = self.all.get(&number)?;
        if **of != *component {
            return None;
        }
        self.all.remove(&number).map(|(.., publish)| publish)
    }

    /// Those that this component cannot answer any more.
    pub(crate) fn lost(&mut self, component: &str) -> Vec<Publish> {
        let lost = self.all.extract_if(.., |_, (_, of, _)| **of == *component);
        lost.map(|(_, (.., publish))| *publish).collect()
    }

    /// When the time of the first is over.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.all.first_key_value().map(|(_, (due, ..))| *due)
    }

    /// One whose time is over.
    pub(crate) fn late(&mut self, now: Instant) -> Option<Box<Publish>> {
        self.next().filter(|due| *due <= now)?;
        self.all.pop_first().map(|(_, (.., publish))| publish)
    }
}
