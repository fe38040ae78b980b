//! Stories, and the notes that tell them.

use super::{
    backend::{SqliteStore, rows},
    columns::{maybe_name, name, named, time, timestamp},
    database::Database,
    devices,
    sql::Sql,
};
use crate::{Answer, Stories, Story, Told, limits};
use domain::{
    DeviceId, Note, TraceEvent, TrackingId,
    trace::{Named, Step},
};
use rusqlite::{Result, Row, params};
use std::collections::{HashMap, hash_map::Entry};

impl Stories for SqliteStore {
    fn trace(&self, id: &str) -> Answer<Vec<TraceEvent>> {
        let params = (id.to_owned(), rows(usize::MAX));
        self.read_notes(move |database| database.all(Sql::Events, params, event))
    }

    fn story_names(&self, beginning: &str, limit: usize) -> Answer<Vec<String>> {
        // Text is in the order of its octets.
        let (from, to) = (beginning.to_owned(), format!("{beginning}{}", char::MAX));
        self.read_notes(move |database| {
            let params = params![from, to, rows(limit)];
            let mut names: Vec<String> =
                database.all(Sql::StoriesBeginning, params, |row| row.get(0))?;
            let params = params![from, to, rows(limit)];
            names.extend(database.all(Sql::CallsBeginning, params, |row| row.get::<_, String>(0))?);
            names.truncate(limit);
            Ok(names)
        })
    }

    fn stories_of(&self, who: &Named, after: u64) -> Answer<Told> {
        let (who, after) = (who.clone(), i64::try_from(after).unwrap_or(i64::MAX));
        self.read_notes(move |database| {
            let mut told = Told::default();
            for story in behind(database, after)? {
                told.next = u64::try_from(story).ok();
                let events = events(database, story)?;
                if events.iter().any(|event| who.is_in(event)) {
                    told.stories.push(events);
                }
            }
            Ok(told)
        })
    }

    fn recent_traces(&self, limit: usize) -> Answer<Vec<Story>> {
        self.read_notes(move |database| {
            database.all(Sql::RecentStories, [rows(limit)], |row| {
                Ok(Story {
                    tracking: name(row, 0)?,
                    began: timestamp(row, 1)?,
                    first: step(row, 2)?,
                    summary: name(row, 3)?,
                    last: step(row, 4)?,
                })
            })
        })
    }
}

/// The numbers of the stories behind this one: as many as are looked at at once.
pub(super) fn behind(database: &mut Database<'_>, after: i64) -> Result<Vec<i64>> {
    let params = params![after, rows(limits::LOOK)];
    database.all(Sql::StoriesBehind, params, |row| row.get(0))
}

/// A story.
pub(super) fn events(database: &mut Database<'_>, story: i64) -> Result<Vec<TraceEvent>> {
    let params = params![story, rows(usize::MAX)];
    database.all(Sql::EventsOfStory, params, event)
}

pub(super) fn event(row: &Row<'_>) -> Result<TraceEvent> {
    Ok(TraceEvent {
        tracking: name(row, 0)?,
        at: timestamp(row, 1)?,
        step: step(row, 2)?,
        alias: row.get(3)?,
        device: maybe_name(row, 4)?,
        detail: name(row, 5)?,
    })
}

fn step(row: &Row<'_>, column: usize) -> Result<Step> {
    named(row, column, Step::ALL, Step::name)
}

/// Writes notes; says how many were about a device that is gone.
pub(super) fn write(database: &mut Database<'_>, notes: &[Note]) -> Result<u64> {
    let mut dropped = 0;
    // A batch has most of a story's notes, among those of others.
    let mut stories: HashMap<&TrackingId, i64> = HashMap::new();
    for note in notes {
        match note {
            Note::Story(event) => {
                let story = match stories.entry(&event.tracking) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(first) => *first.insert(story(database, event)?),
                };
                add(database, story, event)?;
            }
            Note::History(entry) if devices::add_history(database, entry)? == 0 => dropped += 1,
            Note::History(_) => {}
        }
    }
    Ok(dropped)
}

/// The number of the story that an event belongs to. The first one begins it.
fn story(database: &mut Database<'_>, event: &TraceEvent) -> Result<i64> {
    let tracking = event.tracking.as_str();
    if let Some(number) = database.one(Sql::StoryNumber, [tracking], |row| row.get(0))? {
        return Ok(number);
    }
    database.run(Sql::BeginStory, params![tracking, time(event.at)])?;
    Ok(database.connection().last_insert_rowid())
}

fn add(database: &mut Database<'_>, story: i64, event: &TraceEvent) -> Result<usize> {
    let TraceEvent {
        tracking: _,
        at,
        step,
        alias,
        device,
        detail,
    } = event;
    let device = device.as_ref().map(DeviceId::as_str);
    database.run(
        Sql::AddEvent,
        params![story, time(*at), step.name(), alias, device, detail],
    )
}
