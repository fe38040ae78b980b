//! Stories.

use super::{
    backend::{MemoryStore, rows},
    state::{State, under},
};
use crate::{Answer, Stories, Story, Told, limits};
use domain::{Timestamp, TraceEvent, TrackingId, trace::Named};
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

    fn story_names(&self, beginning: &str, limit: usize) -> Answer<Vec<String>> {
        self.read(|state| {
            let own = state.story_numbers.range(TrackingId::from(beginning)..);
            let own = own.map(|(id, _)| id.as_str());
            let called = state.aliases.range((beginning.to_owned(), 0)..);
            let called = called.map(|((alias, _), ())| alias.as_str());
            let begins = |name: &&str| name.starts_with(beginning);
            let names = own.take_while(begins).chain(called.take_while(begins));
            let mut names: Vec<String> = names.map(str::to_owned).collect();
            names.dedup();
            names.truncate(rows(limit));
            names
        })
    }

    fn stories_of(&self, who: &Named, after: u64) -> Answer<Told> {
        self.told_of(who, after)
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

impl MemoryStore {
    /// See [`Stories::stories_of`].
    fn told_of(&self, who: &Named, after: u64) -> Answer<Told> {
        self.read(|state| {
            let numbers = state.stories.range(after + 1..).map(|(number, _)| *number);
            let numbers: Vec<u64> = numbers.take(limits::LOOK).collect();
            let told = |number: &u64| -> Vec<TraceEvent> {
                let events = state.events.range(under(number));
                events.map(|(_, event)| event.clone()).collect()
            };
            let is_in = |story: &Vec<TraceEvent>| story.iter().any(|it| who.is_in(it));
            Told {
                stories: numbers.iter().map(told).filter(is_in).collect(),
                next: numbers.last().copied(),
            }
        })
    }
}

impl State {
    /// The stories that somebody is named in go.
    pub(super) fn forget_stories(&mut self, who: &Named) -> u64 {
        let is_in = |number: &u64| {
            let mut events = self.events.range(under(number));
            events.any(|(_, event)| who.is_in(event))
        };
        let numbers = self.stories.iter().map(|(number, _)| *number);
        let theirs: Vec<u64> = numbers.filter(is_in).collect();
        for story in &theirs {
            self.remove_story(*story);
        }
        theirs.len() as u64
    }

    /// The story of a message goes with it.
    pub(super) fn forget_story(&mut self, tracking: &TrackingId) {
        if let Some(&story) = self.story_numbers.get(tracking) {
            self.remove_story(story);
        }
    }

    fn remove_story(&mut self, story: u64) {
        for key in self.keys_of(story) {
            let alias = self.events.remove(&key).and_then(|event| event.alias);
            if let Some(alias) = alias {
                self.aliases.remove(&(alias, story));
            }
        }
        if let Some(tracking) = self.stories.remove(&story) {
            self.story_numbers.remove(&tracking);
        }
    }

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
            self.remove_story(*story);
        }
        old.len() as u64
    }

    fn keys_of(&self, story: u64) -> Vec<(u64, u64)> {
        let events = self.events.range(under(&story));
        events.map(|(key, _)| *key).collect()
    }
}
