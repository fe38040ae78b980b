//! What strangers and one bad user can do: each attack runs while honest phones register and call, and what became of
//! them is told beside what it was undisturbed, with what the server's memory, log, metrics and alarms said.

mod attacks;
mod honest;
mod messages;

use crate::{
    http::Client,
    process::BOTH_CORES,
    reveille::{Reveille, Setup, Store},
    usage,
};
use anyhow::{Context, Result};
use attacks::{ATTACKS, Attack, Done, Target};
use honest::{Honest, Seen};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// Users `u0` and up: honest ones, and the last is the bad one.
const USERS: u32 = 52;
/// So long until the server has judged what was refused (its alarms are looked at every 5 s).
const JUDGED: Duration = Duration::from_secs(6);

/// What is to be tried.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Seconds that each attack lasts
    #[arg(long, default_value_t = 10, value_name = "N")]
    seconds: u64,
    /// Only attacks with this in their name
    #[arg(long, default_value = "", value_name = "WORD")]
    only: String,
}

/// Runs them all, and prints a table.
pub(crate) fn run(arguments: &Arguments, binary: &Path) -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raising the limit on open files")?;
    let time = Duration::from_secs(arguments.seconds);
    for attack in ATTACKS
        .iter()
        .filter(|it| it.name.contains(&arguments.only))
    {
        // Each against a server of its own: the one before has bans and alarms.
        let server = Reveille::start(Setup {
            store: Store::Memory,
            cores: BOTH_CORES,
            shards: None,
            push: None,
            xmpp: false,
            open: true,
            folder: TempDir::with_prefix("reveille-abuse-")?,
            binary,
        })?;
        server.add_users(USERS)?;
        one(attack, &server, time).with_context(|| attack.name.to_owned())?;
    }
    Ok(())
}

fn one(attack: &Attack, server: &Reveille, time: Duration) -> Result<()> {
    let mut honest = Honest::new(server.sip(), USERS - 2)?;
    // What is slow only the first time.
    honest.go_on(Duration::from_secs(1))?;
    let before = honest.go_on(time)?;
    let memory = usage::memory(server.pid()?)?.resident;
    let log = server.log()?;
    let target = Target {
        sip: server.sip(),
        admin: server.admin(),
        bad_user: USERS - 1,
    };
    let stop = AtomicBool::new(false);
    let (during, done) = thread::scope(|scope| -> Result<_> {
        let attacker = scope.spawn(|| (attack.run)(&target, &stop));
        // It is under way.
        thread::sleep(Duration::from_millis(500));
        let during = honest.go_on(time);
        stop.store(true, Ordering::Relaxed);
        let done = attacker.join();
        let done = done.map_err(|_| anyhow::anyhow!("the attacker panicked"))?;
        Ok((during?, done?))
    })?;
    let grown = usage::memory(server.pid()?)?.resident;
    thread::sleep(JUDGED);
    let said = server.log()?.split_off(log.len());
    print(attack.name, [&before, &during], &done);
    println!(
        "  memory {} MiB before, {} MiB after",
        memory >> 20,
        grown >> 20
    );
    println!("  log {} lines, {} bytes", said.lines().count(), said.len());
    for line in said.lines().take(4) {
        println!("    {line}");
    }
    for line in metrics(server)? {
        println!("  {line}");
    }
    Ok(())
}

fn print(name: &str, [before, during]: [&Seen; 2], done: &Done) {
    println!("{name}: {done}");
    for (what, before, during) in [
        ("registers", &before.registers, &during.registers),
        ("calls", &before.calls, &during.calls),
    ] {
        let limit = 2 * before.middle();
        println!(
            "  {what} undisturbed: {before}; attacked: {during}; within {:.1} ms: {} of {}",
            limit.as_secs_f64() * 1e3,
            during.within(limit),
            during.tried,
        );
    }
}

/// What was refused, and the alarms that stand.
fn metrics(server: &Reveille) -> Result<Vec<String>> {
    let answer = Client::connect(server.health())?.ask("GET", "/metrics", "", "")?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let tells = |line: &&str| {
        let named = ["reveille_refused_total", "reveille_alarm_active"];
        named.iter().any(|name| line.starts_with(name)) && !line.ends_with(" 0")
    };
    Ok(text.lines().filter(tells).map(str::to_owned).collect())
}
