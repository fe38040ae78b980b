//! What an edge costs beside a Kamailio that ends TLS in front of another one, and the time that it adds.

use super::{Options, Sample, counts, measured, progress, register_all};
use crate::{
    edge::Edge,
    first::First,
    front::{Front, Manner},
    kamailio::{self, Kamailio, Script, Wire},
    load::{self, Calls, Crowd, DOMAIN, Pace, Registers},
    process::{Cores, ONE_CORE},
    reveille::{Store, Straight},
    row::{Measure, Row, Verdict, grouped},
    socket::Phones,
    stats::percentile,
    streams::Streams,
};
use anyhow::{Context, Result};

const REGISTERS: u32 = 10_000;
const CALLS: u32 = 5_000;
/// Phones register so many times as often as they call.
const REGISTERS_A_CALL: u32 = 4;
/// Of the inside: that of the load generator, so that the edge has one for itself.
pub(super) const WITHIN: Cores = Cores("0");

/// The peers, in the order of the table, with how each hands on: in the clear, and encrypted as ours does.
const PEERS: [(&str, Manner); 4] = [
    ("Kamailio, forward", Manner::new("forward", Wire::Tcp)),
    ("Kamailio, t_relay", Manner::new("t_relay", Wire::Tcp)),
    (
        "Kamailio, forward over TLS",
        Manner::new("forward", Wire::Tls),
    ),
    (
        "Kamailio, t_relay over TLS",
        Manner::new("t_relay", Wire::Tls),
    ),
];
pub(super) const PEER: &str = PEERS[0].0;
pub(super) const OURS: &str = "Reveille";
/// What is behind them, with phones that go straight there.
const STRAIGHT: &str = "Reveille, straight";
const PEER_STRAIGHT: &str = "Kamailio, straight";

/// An edge, with what is behind it.
pub(super) enum Running {
    Peer(Front),
    /// What is behind it.
    PeerStraight(Kamailio),
    Edge(Box<Edge>),
    /// The same, but phones go straight to the inside.
    Straight(Box<Edge>),
}

/// One round of one of them.
struct Round {
    register: Sample,
    call: Sample,
    /// Milliseconds from INVITE to INVITE.
    arrivals: Vec<f64>,
}

impl Running {
    /// One of [`PEERS`], ours, or what is behind either.
    pub(super) fn start(name: &str, options: &Options, users: u32) -> Result<Self> {
        if let Some((_, manner)) = PEERS.iter().find(|(peer, _)| *peer == name) {
            return Ok(Self::Peer(Front::start(*manner, ONE_CORE, WITHIN)?));
        }
        if name == PEER_STRAIGHT {
            let inside = Kamailio::start(Script::Inside(Wire::Tls), WITHIN)?;
            return Ok(Self::PeerStraight(inside));
        }
        let edge = Edge::start(options.reveille(Store::Memory, WITHIN)?, ONE_CORE)?;
        edge.inside.add_users(users).context("adding users")?;
        let edge = Box::new(edge);
        Ok(if name == STRAIGHT {
            Self::Straight(edge)
        } else {
            Self::Edge(edge)
        })
    }

    fn outside(&self) -> Result<Straight> {
        match self {
            Self::Peer(front) => Ok(front.outside()),
            Self::PeerStraight(inside) => inside.straight(),
            Self::Edge(edge) => Ok(edge.outside()),
            Self::Straight(edge) => edge.inside.straight(),
        }
    }

    /// Phones of whoever it is.
    pub(super) fn phones(&self) -> Result<Phones> {
        let (at, tls) = self.outside()?;
        Ok(Phones::over(Streams::to(at, tls, DOMAIN)?))
    }

    /// Whose cost is counted.
    pub(super) fn pid(&self) -> Result<u32> {
        match self {
            Self::Peer(front) => Ok(front.pid()),
            Self::PeerStraight(inside) => Ok(inside.pid()),
            Self::Edge(edge) => Ok(edge.pid()),
            Self::Straight(edge) => edge.inside.pid(),
        }
    }

    /// All of its servers, by their first processes.
    fn pids(&self) -> Result<Vec<u32>> {
        Ok(match self {
            Self::Peer(front) => vec![front.pid(), front.inside().pid()],
            Self::PeerStraight(inside) => vec![inside.pid()],
            Self::Edge(edge) | Self::Straight(edge) => vec![edge.pid(), edge.inside.pid()?],
        })
    }

    pub(super) fn words(&self) -> String {
        match self {
            Self::Peer(front) => front.words(),
            Self::PeerStraight(inside) => inside.words(),
            Self::Edge(edge) | Self::Straight(edge) => edge.words(),
        }
    }
}

pub(super) fn run(options: &Options) -> Result<Row> {
    kamailio::PACKAGES.install()?;
    Crowd::make_room(options.users)?;
    let all = all();
    let mut rounds: Vec<Vec<Round>> = all.iter().map(|_| Vec::new()).collect();
    for round in 1..=options.rounds {
        for (name, rounds) in all.iter().zip(&mut rounds) {
            let played = play(name, options);
            let played = played.with_context(|| format!("edge, round {round}, {name}"))?;
            let told = format!(
                "{name}: a REGISTER {:.1} µs, a call {:.1} µs, INVITE to INVITE {:.2} ms (p99)",
                played.register.micros(),
                played.call.micros(),
                percentile(&played.arrivals, 99)
            );
            progress("edge", round, options.rounds, &told);
            rounds.push(played);
        }
    }
    Ok(row(options, &rounds))
}

/// Everybody, in the order of the table.
fn all() -> Vec<&'static str> {
    let peers = PEERS.iter().map(|(name, _)| *name);
    peers.chain([OURS, PEER_STRAIGHT, STRAIGHT]).collect()
}

fn play(name: &str, options: &Options) -> Result<Round> {
    let running = Running::start(name, options, options.users)?;
    played(&running, options).with_context(|| format!("it said: {}", running.words()))
}

fn played(running: &Running, options: &Options) -> Result<Round> {
    let (mut phones, pid, window) = (running.phones()?, running.pid()?, options.window());
    let mut registers: Registers = register_all(&mut phones, options.users, false, window)?;
    let _first = First::come(&running.pids()?)?;
    let pace = |rate| Pace::rate(rate, options.users / 2);
    let run = (options.users, options.requests(REGISTERS));
    let at = pace(REGISTERS_A_CALL * options.rate);
    let register = measured(&mut registers, &mut phones, pid, run, at, 1)?;
    let mut calls = Calls::among(registers.into_credentials())?;
    let requests = options.requests(CALLS);
    let (warm, at) = (requests / 10, pace(options.rate));
    load::run(&mut calls, &mut phones, 0, warm, at)?;
    calls.take_arrivals();
    let run = (warm, requests);
    let received = load::CALL_RECEIVED;
    let call = measured(&mut calls, &mut phones, pid, run, at, received)?;
    Ok(Round {
        register,
        call,
        arrivals: calls.take_arrivals(),
    })
}

fn row(options: &Options, rounds: &[Vec<Round>]) -> Row {
    let mut measures = Vec::new();
    let names = all();
    let (ours, straight) = (PEERS.len(), [PEERS.len() + 1, PEERS.len() + 2]);
    for (name, rounds) in names[..=ours].iter().zip(rounds) {
        let of = |sample: fn(&Round) -> Sample| -> Vec<_> { rounds.iter().map(sample).collect() };
        for (what, samples) in [
            ("a REGISTER", of(|round| round.register)),
            ("a call", of(|round| round.call)),
        ] {
            let values = samples.iter().map(Sample::micros).collect();
            let measure = Measure::new(format!("{name}, {what}"), "µs", values);
            measures.push(measure.counted(counts(&samples)));
        }
    }
    let late = |of: usize, percent| -> Vec<f64> {
        let arrivals = rounds[of].iter().map(|round| &round.arrivals);
        arrivals.map(|it| percentile(it, percent)).collect()
    };
    for (at, name) in names.iter().enumerate() {
        for percent in [50, 99] {
            let what = format!("{name}, INVITE to INVITE, p{percent}");
            measures.push(Measure::new(what, "ms", late(at, percent)));
        }
    }
    let added = |edge, straight| -> Vec<f64> {
        let both = late(edge, 99).into_iter().zip(late(straight, 99));
        both.map(|(edge, straight)| edge - straight).collect()
    };
    for (at, name) in names[..ours].iter().enumerate() {
        let what = format!("{name}, added at p99");
        measures.push(Measure::new(what, "ms", added(at, straight[0])));
    }
    let added = Measure::new("Reveille, added at p99", "ms", added(ours, straight[1]));
    // A REGISTER and a call of each, ours last.
    let of_ours = &measures[2 * ours..2 * ours + 2];
    let mut verdicts: Vec<_> = measures[..2 * ours]
        .iter()
        .zip(of_ours.iter().cycle())
        .map(|(theirs, ours)| Verdict::ratio(ours, theirs, "≤ 0.7"))
        .collect();
    verdicts.push(Verdict::plain(&added, "≤ 0.5"));
    measures.push(added);
    Row {
        name: "edge",
        title: "An edge: CPU a REGISTER and a call, and the time that it adds",
        how: format!(
            "{} users; {} REGISTERs, {} a second, then {} calls, {} a second. Latencies are from the INVITE that leaves a phone to the INVITE that comes to another.",
            grouped(&options.users.to_string()),
            grouped(&options.requests(REGISTERS).to_string()),
            grouped(&(REGISTERS_A_CALL * options.rate).to_string()),
            grouped(&options.requests(CALLS).to_string()),
            options.rate
        ),
        measures,
        verdicts,
        notes: notes(),
    }
}

fn notes() -> Vec<String> {
    vec![
        "The edge has core 1; the server inside shares core 0 with the phones, and is not counted. Each phone has an address and a \
         connection over TLS 1.3 of its own, all are outside, and so a call passes the edge twice. Kamailio in front ends TLS, adds Path and \
         Record-Route, and hands on to Kamailio inside over one connection, in the clear or over TLS, either keeping no state (`forward`), or as most set it up (`t_relay`); ours hands on \
         through its tunnel, which is encrypted, and lets nothing through from who has not signed in."
            .to_owned(),
        "Both get the same octets: REGISTER with digest, each nonce with its count going up; an INVITE that is signed, too, and is checked inside \
         by both; 13 messages as in the row of calls, of which those of the other party pass the edge again."
            .to_owned(),
        "At a fixed pace, the same for all: as fast as it goes, whoever has the faster server behind it would hear more at a time, and each wake-up \
         of a core counts here."
            .to_owned(),
        "The phones' thread goes first on its core, then all servers, ours and theirs (`SCHED_FIFO`, 2 and 1): what else the machine does waits \
         for them. Added at p99 is beside phones that go straight to the inside, by TLS as well."
            .to_owned(),
    ]
}
