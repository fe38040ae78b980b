//! What the demo tells: steps while it plays, rows when a play is over, a report in the end.

use anyhow::Result;
use serde::Serialize;
use std::{fmt, net::SocketAddr, time::Duration};

/// Where a phone is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Within the network of the server.
    Inside,
    /// It comes through the edge.
    Outside,
}

impl Side {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Outside => "outside",
        }
    }

    /// Where a phone is that has moved.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Inside => Self::Outside,
            Self::Outside => Self::Inside,
        }
    }
}

/// What a row is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Title {
    /// A client, as `Jabber iOS 13+`, or a rule.
    pub subject: String,
    /// What happens to the client, as `suspended call`; empty for a rule.
    pub what: String,
    /// Where the phones of Bob are, who is called and written to; of one that moves: where it is at first. Nothing, if it is about all.
    pub side: Option<Side>,
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)?;
        if !self.what.is_empty() {
            write!(f, ": {}", self.what)?;
        }
        match self.side {
            Some(side) => write!(f, ", {}", side.name()),
            None => Ok(()),
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
    /// The edge by which the server was seen to reach one of Bob's phones, with the port at which that came in.
    pub edge: Option<SocketAddr>,
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
        (name, edge): (Title, Option<SocketAddr>),
        expected: String,
        outcome: Result<String>,
        steps: Vec<Step>,
    ) -> Self {
        Self {
            name,
            edge,
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
    /// One a behaviour and side.
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
