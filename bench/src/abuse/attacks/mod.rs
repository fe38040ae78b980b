//! The attacks, each with the least that brings it about.

mod chat;
pub(super) mod connections;
mod datagrams;
mod user;

use super::attacker::{Done, Target, goes_last};
use anyhow::Result;

/// Sources of a distributed attack.
const MANY: u32 = 1_000;
/// An attack, and what the server is to say of it.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    run: fn(&Target) -> Result<Done>,
    /// The alarms of which one is raised.
    pub(crate) alarms: &'static [&'static str],
    /// What is counted: at least one of these reasons.
    pub(crate) reasons: &'static [&'static str],
}

/// Alarms, and reasons for which something was refused.
type Said = (&'static [&'static str], &'static [&'static str]);

const STRANGERS: Said = (&["strangers_flood"], &["challenged", "unanswered", "shed"]);
const GUESSES: Said = (&["guessing"], &["password", "waiting", "banned"]);
/// Whoever guesses so fast that nobody looks at it is a flood like any other.
const SHED_GUESSES: Said = (
    &["guessing", "strangers_flood"],
    &["password", "waiting", "banned", "shed"],
);
const CROWD: Said = (&["limits_reached"], &["connections"]);
const SILENT: Said = (&["silent_connections"], &["silent"]);
/// The few that are let in are silent, and the many that are not a crowd.
const SILENT_CROWD: Said = (
    &["silent_connections", "limits_reached"],
    &["silent", "connections"],
);

const fn attack(
    name: &'static str,
    run: fn(&Target) -> Result<Done>,
    (alarms, reasons): Said,
) -> Attack {
    Attack {
        name,
        run,
        alarms,
        reasons,
    }
}

/// All of them, by the points of what was found.
pub(crate) const ATTACKS: [Attack; 15] = [
    attack(
        "1 INVITEs without ACK, one TCP connection",
        connections::invites,
        STRANGERS,
    ),
    attack(
        "1 REGISTERs over UDP, one source",
        |target| datagrams::requests(target, 1),
        STRANGERS,
    ),
    attack(
        "1 REGISTERs over UDP, 1,000 sources",
        |target| datagrams::requests(target, MANY),
        STRANGERS,
    ),
    attack(
        "2 small INVITEs over UDP, one source",
        |target| datagrams::small(target, 1),
        STRANGERS,
    ),
    attack(
        "2 small INVITEs over UDP, 1,000 sources",
        |target| datagrams::small(target, MANY),
        STRANGERS,
    ),
    attack(
        "3 passwords over three TCP connections",
        connections::guesses,
        GUESSES,
    ),
    attack(
        "3 passwords over UDP, one source",
        |target| datagrams::guesses(target, 1),
        SHED_GUESSES,
    ),
    attack(
        "3 passwords over UDP, 1,000 sources",
        |target| datagrams::guesses(target, MANY),
        SHED_GUESSES,
    ),
    attack(
        "3 passwords over XMPP, three at a time",
        |target| Ok(chat::guesses(target)),
        GUESSES,
    ),
    attack(
        "4 one user calls another, and gives up",
        user::calls,
        (&["user_floods"], &["caller", "callee", "requests"]),
    ),
    attack(
        "5 idle connections, one source",
        |target| Ok(connections::idle(target)),
        CROWD,
    ),
    attack(
        "5 half-sent HTTP requests",
        |target| Ok(connections::half_sent(target)),
        SILENT_CROWD,
    ),
    attack(
        "5 TLS handshakes, one source",
        |target| connections::handshakes(target, 1),
        SILENT,
    ),
    attack(
        "5 TLS handshakes, 250 sources",
        |target| connections::handshakes(target, 250),
        SILENT,
    ),
    attack(
        "5 half-open streams of XMPP",
        |target| Ok(chat::half_open(target)),
        CROWD,
    ),
];

impl Attack {
    /// Attacks until it is told to stop, last of all on its processor.
    pub(crate) fn run(&self, target: &Target) -> Result<Done> {
        goes_last()?;
        (self.run)(target)
    }
}
