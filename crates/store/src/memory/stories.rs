//! Stories.

use super::{
    backend::{MemoryStore, rows},
    state::{State, under},
};
use crate::{Answer, Stories, Story, limits};
use domain::{Timestamp, TraceEvent};
use std::collections::BTreeSet;

impl Stories for MemoryStore {
    fn trace(&self, id: &str) -> Answer<Vec<TraceEvent>> {
        self.read(|state| {
            let own = state.story_numbers.get(&id.into());
            let called = state.aliases.range(under(&id.to_owned()));
            let called = called.map(|((_, story), ())| story);
            let stories: BTreeSet<&u64> = own.into_iter().chain(called).collect();
            stories
                .into_iter()
                .flat_map(|story| state.events.range(under(story)))
                .map(|(_, event)| event.clone())
                .take(limits::READ_ROWS)
                .collect()
        })
    }

    fn recent_traces(&self, limit: usize) -> Answer<Vec<Story>> {
        self.read(|state| {
            let newest_first = state.stories.iter().rev();
            newest_first
                .filter_map(|(number, tracking)| {
                    let mut events = state.events.range(under(number)).map(|(_, event)| event);
                    let first = events.next()?;
                    Some(Story {
                        tracking: tracking.clone(),
                        began: first.at,
                        first: first.step,
                        summary: first.detail.clone(),
                        last: events.next_back().unwrap_or(first).step,
                    })
                })
                .take(rows(limit))
                .collect()
        })
    }
}

impl State {
    /// The next step of a story.
    pub(super) fn tell(&mut self, event: TraceEvent) {
        let number = self.number();
        let begun = self.story_numbers.get(&event.tracking).copied();
        let story = begun.unwrap_or(number);
        if begun.is_none() {
            self.story_numbers.put(event.tracking.clone(), story);
            self.stories.put(story, event.tracking.clone());
        }
        if let Some(alias) = &event.alias {
            self.aliases.put((alias.clone(), story), ());
        }
        self.events.put((story, number), event);
    }

    pub(super) fn prune_stories(&mut self, before: Timestamp) -> u64 {
        let began = |story: &u64| {
            let first = self.events.range(under(story)).next();
            first.is_some_and(|(_, event)| event.at < before)
        };
        let numbers = self.stories.iter().map(|(number, _)| *number);
        let old: Vec<u64> = numbers.take_while(began).collect();
        for story in &old {
            for key in self.keys_of(*story) {
                let alias = self.events.remove(&key).and_then(|event| event.alias);
                if let Some(alias) = alias {
                    self.aliases.remove(&(alias, *story));
                }
            }
            if let Some(tracking) = self.stories.remove(story) {
                self.story_numbers.remove(&tracking);
            }
        }
        old.len() as u64
    }

    fn keys_of(&self, story: u64) -> Vec<(u64, u64)> {
        let events = self.events.range(under(&story));
        events.map(|(key, _)| *key).collect()
    }
}
