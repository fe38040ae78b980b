//! What strangers and one bad user can do: each attack runs while honest phones register and are woken for calls, and what became
//! of them is judged beside what it was undisturbed, with what the server's memory, log, metrics and alarms said.

mod attacker;
mod attacks;
mod honest;
mod messages;
pub(crate) mod outside;
mod server;
mod table;
mod times;

use crate::{machine::Machine, process, sink};
use anyhow::{Context, Result, bail};
use attacker::{Done, Target};
use attacks::{ATTACKS, Attack};
use honest::{Honest, Seen};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use server::Attacked;
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Users `u0` and up: honest ones, then the one who is called by the last, who is bad.
const USERS: u32 = 102;
/// Those that are honest, and do something.
const BUSY: usize = 100;
/// The attack is under way when so much time has passed.
const BEGINS: Duration = Duration::from_millis(500);
/// So long until the server has judged what was refused (its alarms are looked at every 5 s).
const JUDGED: Duration = Duration::from_secs(6);

/// What is to be tried.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Seconds that each attack lasts in a round, and the honest phones are watched before it
    #[arg(long, default_value_t = 5, value_name = "N")]
    seconds: u64,
    /// Only attacks with this in their name
    #[arg(long, default_value = "", value_name = "WORD")]
    only: String,
}

/// One attack, round by round.
pub(crate) struct Tried {
    attack: &'static Attack,
    rounds: Vec<Round>,
}

/// Each against a server of its own: the one before has bans and alarms.
struct Round {
    before: Seen,
    during: Seen,
    done: Done,
    server: server::Changes,
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
        let mut tried = Tried {
            attack,
            rounds: Vec::new(),
        };
        for _ in 0..rounds {
            let round = round(attack, binary, time);
            tried
                .rounds
                .push(round.with_context(|| attack.name.to_owned())?);
        }
        let row = table::Row::of(&tried);
        println!("{row}");
        if !row.is_good() {
            failed.push(attack.name);
        }
    }
    ended(&machine, &failed)
}

/// Makes ready for attacks: many open files, a core of our own; says on what machine.
fn prepare(binary: &Path) -> Result<Machine> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raising the limit on open files")?;
    process::pin_load()?;
    let machine = Machine::look(binary, String::new())?;
    if let Some(warning) = machine.warning() {
        eprintln!("{warning}");
    }
    Ok(machine)
}

/// Says where it was tried, below the table. An error says what failed.
fn ended(machine: &Machine, failed: &[&str]) -> Result<()> {
    println!("\n{}", machine.line());
    if !failed.is_empty() {
        bail!("failed: {}", failed.join("; "));
    }
    Ok(())
}

fn round(attack: &Attack, binary: &Path, time: Duration) -> Result<Round> {
    let began = Instant::now();
    let mut honest = Honest::new(USERS - 1, BUSY)?;
    let folder = tempfile::TempDir::with_prefix("reveille-abuse-")?;
    let identity = sink::Identity::put_into(folder.path())?;
    let teller = sink::Teller::new(honest.port()?, began)?;
    let cloud = sink::Apns::start(&identity, sink::Manner::Tell(teller))?;
    let server = Attacked::start(folder, cloud.address, USERS, binary)?;
    honest.join(server.sip())?;
    server.put_to_sleep(USERS - 1)?;
    // What is slow only the first time.
    honest.go_on(Duration::from_secs(1))?;
    let before = honest.go_on(time)?;
    let at_first = server.look()?;
    let (at, tls) = server.xmpp()?;
    let target = Target {
        sip: server.sip(),
        admin: server.admin(),
        doors: server.doors()?,
        xmpp: at,
        tls,
        bad_user: USERS - 1,
        victim: USERS - 2,
        stop: AtomicBool::new(false),
    };
    let (during, done) = thread::scope(|scope| -> Result<_> {
        let attacker = scope.spawn(|| attack.run(&target));
        thread::sleep(BEGINS);
        let during = honest.go_on(time);
        target.stop.store(true, Ordering::Relaxed);
        let done = attacker.join();
        let done = done.map_err(|_| anyhow::anyhow!("the attacker panicked"))?;
        Ok((during?, done?))
    })?;
    thread::sleep(JUDGED);
    Ok(Round {
        before,
        during,
        done,
        server: server.look()?.since(&at_first),
    })
}
