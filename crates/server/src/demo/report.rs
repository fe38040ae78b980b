//! What the demo tells: steps while it plays, rows when a play is over, a report in the end.

use anyhow::Result;
use serde::Serialize;
use std::{fmt, time::Duration};

/// What a row is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Title {
    /// A client, as `Jabber iOS 13+`, or a rule.
    pub subject: String,
    /// What happens to the client, as `suspended call`; empty for a rule.
    pub what: String,
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what.as_str() {
            "" => f.write_str(&self.subject),
            what => write!(f, "{}: {what}", self.subject),
        }
    }
}

impl Serialize for Title {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Something that a phone did, or that a cloud was asked.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Step {
    /// Milliseconds since the play began.
    pub ms: u64,
    /// A person, a phone, a cloud.
    pub who: &'static str,
    /// In words.
    pub what: String,
}

/// The outcome of a play.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What it is about.
    pub name: Title,
    /// Everything was as expected.
    pub ok: bool,
    /// What should happen.
    pub expected: String,
    /// What happened, with a figure if all is well, else what went wrong.
    pub seen: String,
    /// Step by step.
    pub steps: Vec<Step>,
}

impl Row {
    pub(super) fn new(
        name: Title,
        expected: String,
        outcome: Result<String>,
        steps: Vec<Step>,
    ) -> Self {
        Self {
            name,
            ok: outcome.is_ok(),
            expected,
            seen: outcome.unwrap_or_else(|error| format!("{error:#}")),
            steps,
        }
    }
}

/// All rows.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Every row is ok.
    pub ok: bool,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// One a behaviour.
    pub rows: Vec<Row>,
}

impl Report {
    pub(super) fn new(rows: Vec<Row>, took: Duration) -> Self {
        Self {
            ok: rows.iter().all(|row| row.ok),
            ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            rows,
        }
    }
}

/// News of the plays, which run side by side: `play` is the number of the row.
#[derive(Clone, Debug)]
pub enum Told {
    /// Something happened.
    Step {
        /// In which play.
        play: usize,
        /// What.
        step: Step,
    },
    /// A play is over.
    Row {
        /// Which.
        play: usize,
        /// How it went.
        row: Row,
    },
}
