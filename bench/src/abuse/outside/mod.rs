//! What strangers outside can do to an edge: each attack runs while honest phones outside connect and register through it. It is to stay
//! up with flat memory, nothing of the attack is to reach the inside, and the honest are to take no more than twice their time.

mod attacks;
mod muted;
mod phone;
mod quic;
mod table;
mod target;

use super::{
    Arguments, BEGINS, JUDGED,
    attacker::{Done, goes_last},
    ended, prepare,
    server::{refused_since, values},
    times::Times,
};
use crate::{
    edge::Edge,
    http::Client,
    process::{Cores, ONE_CORE},
    reveille::{Setup, Store},
    usage::{self, Memory},
};
use anyhow::{Context, Result};
use attacks::{ATTACKS, Attack};
use phone::Phone;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};
use target::{Target, Tokens};
use tempfile::TempDir;

/// Users `u0` and up: the honest, then one who means ill.
const USERS: u32 = 101;
const HONEST: u32 = 100;
/// Of the inside: that of the phones, so that the edge has one for itself.
const WITHIN: Cores = Cores("0");
/// Between one phone and the next.
const PAUSE: Duration = Duration::from_millis(12);

/// One attack, round by round.
struct Tried {
    attack: &'static Attack,
    rounds: Vec<Round>,
}

/// Each against an edge of its own.
struct Round {
    before: Times,
    during: Times,
    done: Done,
    /// Bytes of the edge resident before; the most that it ever was; some seconds after.
    memory: [u64; 3],
    /// What the edge refused, by reason.
    refused: BTreeMap<String, u64>,
    /// Requests that the inside has heard and that are not of the honest.
    reached: u64,
}

/// Runs them all, and prints a table. An error says which fail.
pub(crate) fn run(arguments: &Arguments, rounds: u32, binary: &Path) -> Result<()> {
    let machine = prepare(binary)?;
    let time = Duration::from_secs(arguments.seconds);
    let chosen = ATTACKS
        .iter()
        .filter(|it| it.name.contains(&arguments.only));
    let mut failed = Vec::new();
    println!("{}", table::HEAD);
    for attack in chosen {
        let rounds = (0..rounds)
            .map(|_| round(attack, binary, time))
            .collect::<Result<_>>()
            .with_context(|| attack.name)?;
        let row = table::Row::of(&Tried { attack, rounds });
        println!("{row}");
        if !row.is_good() {
            failed.push(attack.name);
        }
    }
    ended(&machine, &failed)
}

fn round(attack: &Attack, binary: &Path, time: Duration) -> Result<Round> {
    let edge = Edge::start(
        Setup {
            store: Store::Memory,
            cores: WITHIN,
            shards: None,
            push: None,
            xmpp: false,
            open: false,
            edge: None,
            folder: TempDir::with_prefix("reveille-abuse-")?,
            binary,
        },
        ONE_CORE,
    )?;
    edge.inside.add_users(USERS).context("adding users")?;
    let (at, tls) = edge.outside();
    let target = Target {
        at,
        tls,
        tunnel: edge.tunnel(),
        tokens: Tokens::of(&edge.inside, USERS - 1)?,
        bad_user: USERS - 1,
        stop: AtomicBool::new(false),
    };
    let mut honest = Honest::of(&target);
    // What is slow only the first time.
    honest.go_on(Duration::from_secs(1));
    let before = honest.go_on(time);
    let at_first = Look::at(&edge, &honest)?;
    usage::forget_peak(edge.pid()).context("clearing the peak of memory")?;
    let (during, done) = thread::scope(|scope| -> Result<_> {
        let attacker = scope.spawn(|| -> Result<Done> {
            goes_last()?;
            (attack.run)(&target)
        });
        thread::sleep(BEGINS);
        let during = honest.go_on(time);
        target.stop.store(true, Ordering::Relaxed);
        let done = attacker.join();
        let done = done.map_err(|_| anyhow::anyhow!("the attacker panicked"))?;
        Ok((during, done?))
    })?;
    thread::sleep(JUDGED);
    let look = Look::at(&edge, &honest)?;
    let mut refused = look.refused;
    refused_since(&mut refused, &at_first.refused);
    Ok(Round {
        before,
        during,
        done,
        memory: [
            at_first.memory.resident,
            look.memory.peak,
            look.memory.resident,
        ],
        refused,
        reached: look.strange.saturating_sub(at_first.strange),
    })
}

/// What can be seen of an edge and what is behind it.
struct Look {
    memory: Memory,
    refused: BTreeMap<String, u64>,
    /// Requests that the inside has heard and that the honest have not sent.
    strange: u64,
}

impl Look {
    fn at(edge: &Edge, honest: &Honest<'_>) -> Result<Self> {
        let metrics = edge.metrics()?;
        let mut refused = BTreeMap::new();
        for name in ["reveille_edge_refused_total", "reveille_refused_total"] {
            for (labels, times) in values(&metrics, name) {
                *refused.entry(labels).or_default() += times;
            }
        }
        let answer = Client::connect(edge.inside.health())?.ask("GET", "/metrics", "", "")?;
        let inside = String::from_utf8_lossy(&answer.body).into_owned();
        let heard: u64 = values(&inside, "reveille_sip_requests_total")
            .map(|(_, times)| times)
            .sum();
        Ok(Self {
            memory: usage::memory(edge.pid())?,
            refused,
            strange: heard.saturating_sub(honest.sent),
        })
    }
}

/// Phones of the users `u0` and up, one of which connects and registers after the other.
struct Honest<'t> {
    target: &'t Target,
    turn: u32,
    /// Requests that they have sent, each once.
    sent: u64,
}

impl<'t> Honest<'t> {
    fn of(target: &'t Target) -> Self {
        Self {
            target,
            turn: 0,
            sent: 0,
        }
    }

    /// How long each takes from nothing to the 200 of a REGISTER that is challenged, for so long.
    fn go_on(&mut self, time: Duration) -> Times {
        let (mut times, began) = (Times::default(), Instant::now());
        while began.elapsed() < time {
            self.turn += 1;
            let (user, begun) = (self.turn % HONEST, Instant::now());
            let from = crate::socket::address(user);
            let Ok(mut phone) = Phone::connect(from, self.target) else {
                times.add(None);
                continue;
            };
            let is_in = phone.signs_in(user, self.turn);
            self.sent += phone.sent;
            times.add(is_in.then(|| begun.elapsed()));
            drop(phone);
            thread::sleep(PAUSE);
        }
        times
    }
}
