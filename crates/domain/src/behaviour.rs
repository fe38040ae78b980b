//! The behaviour table: what a call and a message do to a device in each mode. Data, and the only place that says so.

use serde::{Deserialize, Serialize};

/// What a device is doing, as far as we know.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// On screen and connected.
    Foreground,
    /// In the background, its connection still up: suspended in the table, but reached over the connection the moment
    /// that the client says it is back.
    Silent,
    /// Its connection is gone.
    Suspended,
    /// Nothing is known: its flow is treated as live, and it is pushed to as well.
    Unknown,
}

impl Mode {
    /// The name in traces and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Foreground => "foreground",
            Self::Silent => "silent",
            Self::Suspended => "suspended",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known about the way through a door.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum DoorState {
    /// A connection is up.
    Up,
    /// The connection is gone.
    Down,
    /// It takes no connection, or one that we can make: nobody can tell who is there.
    Connectionless,
}

/// The mode of whoever is behind a door, from what the client itself stated and from the door's state, in that order of
/// trust. A statement outlives nothing: with the connection gone the device is suspended whatever it said.
pub fn mode(stated: Option<Mode>, door: DoorState) -> Mode {
    match (stated, door) {
        (_, DoorState::Down) => Mode::Suspended,
        (Some(Mode::Suspended), DoorState::Up) => Mode::Silent,
        (Some(stated), _) => stated,
        (None, DoorState::Up) => Mode::Foreground,
        (None, DoorState::Connectionless) => Mode::Unknown,
    }
}

/// What happens to a user.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq)]
pub enum Incoming {
    /// Somebody calls.
    Call,
    /// Somebody writes.
    Message,
}

/// What to do about it, for one device.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Send it over the device's connection now.
    pub direct: bool,
    /// Push, on the channel that [`Device::push_target`](crate::Device::push_target) names.
    pub push: bool,
    /// Keep it until the device returns, and give it to it then: a call is held, a message is queued.
    pub keep: bool,
}

/// A row of the table.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// In this mode
    pub mode: Mode,
    /// when this happens
    pub incoming: Incoming,
    /// do this.
    pub rule: Rule,
}

/// The whole table. [`Behaviour::default`] is the product's; a test may take a rule away and see its row fail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Behaviour {
    rows: Vec<Row>,
}

const fn row(mode: Mode, incoming: Incoming, direct: bool, push: bool, keep: bool) -> Row {
    Row {
        mode,
        incoming,
        rule: Rule { direct, push, keep },
    }
}

const TABLE: [Row; 8] = [
    //                                      direct  push   keep
    row(Mode::Foreground, Incoming::Call, true, true, true),
    row(Mode::Foreground, Incoming::Message, true, false, true),
    row(Mode::Silent, Incoming::Call, true, true, true),
    row(Mode::Silent, Incoming::Message, false, true, true),
    row(Mode::Suspended, Incoming::Call, false, true, true),
    row(Mode::Suspended, Incoming::Message, false, true, true),
    row(Mode::Unknown, Incoming::Call, true, true, true),
    row(Mode::Unknown, Incoming::Message, true, true, true),
];

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            rows: TABLE.to_vec(),
        }
    }
}

impl Behaviour {
    /// The rule for a device in `mode` when `incoming`. Every pair has a row; a table without one does nothing.
    pub fn rule(&self, mode: Mode, incoming: Incoming) -> Rule {
        self.rows
            .iter()
            .find(|row| row.mode == mode && row.incoming == incoming)
            .map_or(
                Rule {
                    direct: false,
                    push: false,
                    keep: false,
                },
                |row| row.rule,
            )
    }

    /// The same table with every rule of `incoming` in `mode` changed: how a test takes a rule away.
    #[must_use]
    pub fn with(mut self, mode: Mode, incoming: Incoming, change: impl Fn(&mut Rule)) -> Self {
        for row in self
            .rows
            .iter_mut()
            .filter(|row| row.mode == mode && row.incoming == incoming)
        {
            change(&mut row.rule);
        }
        self
    }
}
