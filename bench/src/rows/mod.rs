//! The rows, one file each, and what they share: servers run in turn, round by round, and what each used is counted.

mod call;
mod chat;
mod clients;
mod comeback;
mod connect;
mod cores;
mod devices;
mod edge;
mod edge_idle;
mod idle;
mod isolation;
mod message;
mod register;
mod service;
mod wake;
mod woken;
mod xmpp;

use crate::{
    contestants, kamailio,
    load::{Load, Pace, Registers, Tally, run},
    process::Cores,
    reveille::{Reveille, Setup, Store},
    row::{Measure, Row, grouped},
    socket::Phones,
    stats::float,
    usage,
};
use anyhow::{Context, Result};
use std::{path::PathBuf, thread, time::Duration};
use tempfile::TempDir;

/// What a server does after its last answer (a story saved, a transaction ended) belongs to the request.
const SETTLE: Duration = Duration::from_millis(300);

/// Of less the kernel's count is too coarse.
const COARSE: Duration = Duration::from_millis(500);

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Times that each server is run.
    pub(crate) rounds: u32,
    /// Requests that are measured in each; each row has its own number otherwise.
    pub(crate) requests: Option<u32>,
    /// Users, each with one phone.
    pub(crate) users: u32,
    /// Requests under way at once.
    pub(crate) window: u32,
    /// Calls a second where latencies are taken.
    pub(crate) rate: u32,
    /// How many devices there are, one size after the other.
    pub(crate) devices: Vec<u32>,
    /// How many clients of XMPP are there, one size after the other.
    pub(crate) sessions: Vec<u32>,
    /// The server's binary.
    pub(crate) binary: PathBuf,
}

/// A row that can be run.
pub(crate) struct Entry {
    /// On the command line.
    pub(crate) name: &'static str,
    /// The versions of the peers that it has.
    pub(crate) peers: fn() -> String,
    /// Runs it.
    pub(crate) run: fn(&Options) -> Result<Row>,
}

/// All of them, in the order of the document.
pub(crate) const ROWS: [Entry; 17] = [
    Entry {
        name: "register",
        peers: kamailio::version,
        run: register::run,
    },
    Entry {
        name: "call",
        peers: kamailio::version,
        run: call::run,
    },
    Entry {
        name: "wake",
        peers: kamailio::version,
        run: wake::run,
    },
    Entry {
        name: "message",
        peers: kamailio::version,
        run: message::run,
    },
    Entry {
        name: "cores",
        peers: kamailio::version,
        run: cores::run,
    },
    Entry {
        name: "devices",
        peers: kamailio::version,
        run: devices::run,
    },
    Entry {
        name: "edge",
        peers: kamailio::version,
        run: edge::run,
    },
    Entry {
        name: "edge-idle",
        peers: kamailio::version,
        run: edge_idle::run,
    },
    Entry {
        name: "chat",
        peers: xmpp::versions,
        run: chat::run,
    },
    Entry {
        name: "xmpp-idle",
        peers: xmpp::versions,
        run: idle::run,
    },
    Entry {
        name: "xmpp-connect",
        peers: xmpp::versions,
        run: connect::run,
    },
    Entry {
        name: "xmpp-comeback",
        peers: xmpp::versions,
        run: comeback::run,
    },
    Entry {
        name: "xmpp-wake",
        peers: String::new,
        run: woken::run,
    },
    Entry {
        name: "push-clients",
        peers: contestants::versions,
        run: clients::run,
    },
    Entry {
        name: "push-service",
        peers: || contestants::H2LOAD.version(),
        run: service::speed,
    },
    Entry {
        name: "push-memory",
        peers: String::new,
        run: service::memory,
    },
    Entry {
        name: "push-isolation",
        peers: String::new,
        run: isolation::run,
    },
];

impl Options {
    fn requests(&self, usual: u32) -> u32 {
        self.requests.unwrap_or(usual)
    }

    fn window(&self) -> Pace {
        Pace::window(self.window)
    }

    fn reveille(&self, store: Store, cores: Cores) -> Result<Setup<'_>> {
        Ok(Setup {
            store,
            cores,
            shards: None,
            push: None,
            xmpp: false,
            open: false,
            edge: None,
            folder: TempDir::with_prefix("reveille-bench-")?,
            binary: &self.binary,
        })
    }

    /// How rows are run, in words.
    fn in_words(&self, requests: u32, what: &str) -> String {
        format!(
            "{} {what} a round by {} users, {} under way at once.",
            grouped(&requests.to_string()),
            grouped(&self.users.to_string()),
            self.window
        )
    }
}

/// What a run cost the server.
#[derive(Copy, Clone, Debug)]
struct Sample {
    tally: Tally,
    used: Duration,
}

impl Sample {
    /// Processor time of the server for one request.
    fn micros(&self) -> f64 {
        self.used.as_secs_f64() * 1e6 / f64::from(self.tally.finished)
    }
}

/// Runs requests and counts what they cost the process `pid` and its children. `received` datagrams come back for each
/// when nothing is sent twice.
fn measured(
    load: &mut impl Load,
    phones: &mut Phones,
    pid: u32,
    (first, requests): (u32, u32),
    pace: Pace,
    received: u64,
) -> Result<Sample> {
    let before = usage::processor_time(pid)?;
    let tally = run(load, phones, first, requests, pace)?;
    thread::sleep(SETTLE);
    let used = usage::processor_time(pid)?.saturating_sub(before);
    let expected = u64::from(requests) * received + tally.challenged + tally.again;
    anyhow::ensure!(
        tally.received == expected,
        "the counts do not add up: {} datagrams came where {expected} should have",
        tally.received
    );
    if used < COARSE {
        eprintln!("{used:?} of CPU were used, counted in steps of 10 ms: more --requests say more");
    }
    Ok(Sample { tally, used })
}

/// Registers each user's phone once.
fn register_all(phones: &mut Phones, users: u32, wakeable: bool, pace: Pace) -> Result<Registers> {
    let mut registers = Registers::new(users, wakeable);
    run(&mut registers, phones, 0, users, pace).context("registering all")?;
    Ok(registers)
}

/// A Reveille with its users.
fn reveille_with_users(setup: Setup<'_>, users: u32) -> Result<Reveille> {
    let server = Reveille::start(setup)?;
    server.add_users(users).context("adding users")?;
    Ok(server)
}

/// Who takes part in a row, and one round of it.
type Contestant<'c> = (&'static str, &'c dyn Fn() -> Result<Sample>);

/// Runs all in turn, round by round, and makes one measure of each.
fn contest(row: &str, rounds: u32, contestants: &[Contestant<'_>]) -> Result<Vec<Measure>> {
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); contestants.len()];
    for round in 1..=rounds {
        for ((name, play), samples) in contestants.iter().zip(&mut samples) {
            let sample = play().with_context(|| format!("{row}, round {round}, {name}"))?;
            progress(
                row,
                round,
                rounds,
                &format!("{name}: {:.1} µs", sample.micros()),
            );
            samples.push(sample);
        }
    }
    let measures = contestants
        .iter()
        .zip(&samples)
        .map(|((name, _), samples)| {
            let values = samples.iter().map(Sample::micros).collect();
            Measure::new(*name, "µs", values).counted(counts(samples))
        });
    Ok(measures.collect())
}

/// What all rounds together sent and heard.
fn counts(samples: &[Sample]) -> String {
    let sum = |of: fn(&Tally) -> u64| {
        let total: u64 = samples.iter().map(|sample| of(&sample.tally)).sum();
        grouped(&total.to_string())
    };
    format!(
        "{} requests, all answered; {} datagrams sent, {} received, of them {} challenges and {} that were sent twice",
        sum(|tally| tally.finished.into()),
        sum(|tally| tally.sent),
        sum(|tally| tally.received),
        sum(|tally| tally.challenged),
        sum(|tally| tally.again)
    )
}

/// A line on standard error, so that results stay one document.
fn progress(row: &str, round: u32, rounds: u32, what: &str) {
    eprintln!("{row}: round {round} of {rounds}, {what}");
}

/// Requests a second of a run.
fn per_second(count: u32, took: Duration) -> f64 {
    float(count.into()) / took.as_secs_f64()
}
