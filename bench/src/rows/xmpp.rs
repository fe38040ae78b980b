//! What the rows of XMPP share: the three servers, and that each is run in turn.

use super::{Options, progress};
use crate::{
    debian::Peer,
    ejabberd,
    load::At,
    process::ONE_CORE,
    prosody,
    reveille::{Reveille, Setup, Store},
    row::{Measure, Verdict},
};
use anyhow::{Context, Result};

/// Names of the servers, in the order in which [`Running::start`] counts them.
const NAMES: [&str; 3] = ["Prosody", "ejabberd", "Reveille"];

/// How the peers are run.
pub(super) const PEERS: &str = "All have archive, stream management, carbons, client state, push, blocking and rosters, and \
     limit no rates; the configurations are in `bench/`. Prosody: files, as it comes, written without waiting for the disk; \
     epoll. ejabberd: Mnesia, as it comes, written without waiting for the disk; one scheduler without busy waiting; epoll. \
     Reveille: SQLite, on disk before a message is acknowledged.";

/// Measures of each server: those of a kind beside each other.
pub(super) struct Contest {
    /// For each kind, Prosody, ejabberd and Reveille.
    pub(super) measures: Vec<[Measure; 3]>,
}

/// A running server.
pub(super) enum Running {
    Peer(Peer),
    Reveille(Box<Reveille>),
}

impl Running {
    fn start(which: usize, options: &Options, users: u32) -> Result<Self> {
        Ok(match which {
            0 => Self::Peer(prosody::start(users, ONE_CORE)?),
            1 => Self::Peer(ejabberd::start(users, ONE_CORE)?),
            _ => {
                let setup = Setup {
                    xmpp: true,
                    ..options.reveille(Store::Sqlite, ONE_CORE)?
                };
                Self::Reveille(Box::new(super::reveille_with_users(setup, users)?))
            }
        })
    }

    /// Where it is, how it is trusted, and its process.
    pub(super) fn reach(&self) -> Result<At> {
        match self {
            Self::Peer(server) => Ok(server.reach()),
            Self::Reveille(server) => server.reach(),
        }
    }

    /// Whether clients may sign in by SASL2, bind with it, and come back with a token (XEP-0388, XEP-0386, XEP-0484).
    pub(super) fn has_sasl2(&self) -> bool {
        matches!(self, Self::Reveille(_))
    }

    fn words(&self) -> String {
        match self {
            Self::Peer(server) => server.words(),
            Self::Reveille(server) => server.words(),
        }
    }
}

/// What the rows need that is installed.
pub(super) fn install() -> Result<()> {
    prosody::PACKAGES.install()?;
    ejabberd::PACKAGES.install()
}

/// The peers' versions.
pub(super) fn versions() -> String {
    format!(
        "{}, {}",
        prosody::PACKAGES.version(),
        ejabberd::PACKAGES.version()
    )
}

/// Runs all servers in turn, round by round, each anew with so many users. `play` gives a value for each of `kinds`, with
/// its unit.
pub(super) fn contest(
    row: &str,
    options: &Options,
    users: u32,
    kinds: &[(&str, &'static str)],
    play: impl Fn(&Running) -> Result<Vec<f64>>,
) -> Result<Contest> {
    let mut values = vec![[const { Vec::new() }; 3]; kinds.len()];
    for round in 1..=options.rounds {
        for (which, name) in NAMES.iter().enumerate() {
            let server = Running::start(which, options, users)
                .with_context(|| format!("{row}, round {round}, starting {name}"))?;
            let found = play(&server).with_context(|| {
                format!(
                    "{row}, round {round}, {name}, which said: {}",
                    server.words()
                )
            })?;
            let told = kinds.iter().zip(&found);
            let told: Vec<_> = told
                .map(|((kind, unit), value)| {
                    format!("{kind} {value:.2} {unit}").trim_start().to_owned()
                })
                .collect();
            progress(
                row,
                round,
                options.rounds,
                &format!("{name}: {}", told.join("; ")),
            );
            for (values, value) in values.iter_mut().zip(found) {
                values[which].push(value);
            }
        }
    }
    let measures = kinds.iter().zip(values).map(|((kind, unit), values)| {
        let mut names = NAMES.iter();
        values.map(|values| {
            let name = names.next().copied().unwrap_or_default();
            let what = if kind.is_empty() {
                name.to_owned()
            } else {
                format!("{name}, {kind}")
            };
            Measure::new(what, unit, values)
        })
    });
    Ok(Contest {
        measures: measures.collect(),
    })
}

/// Ours over the better peer.
pub(super) fn over_the_better(
    [prosody, ejabberd, ours]: &[Measure; 3],
    goal: &'static str,
) -> Verdict {
    let better = if prosody.median <= ejabberd.median {
        prosody
    } else {
        ejabberd
    };
    Verdict::ratio(ours, better, goal)
}
