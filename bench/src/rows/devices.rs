//! What many devices cost: a REGISTER by how many there are, memory, start-up; and what calls leave behind.

use super::{Options, measured, progress, reveille_with_users};
use crate::{
    load::{Calls, Pace, Registers, contact, run as play},
    process::ONE_CORE,
    reveille::{Reveille, Store},
    row::{Measure, Row, Verdict, grouped},
    socket::Phones,
    stats::float,
    usage::{self, Memory},
};
use anyhow::{Context, Result};
use std::{thread, time::Duration};

const REQUESTS: u32 = 50_000;
/// Calls of which the memory is looked at, twice.
const CALLS: u32 = 20_000;
/// A transaction ends 32 s after its last answer (RFC 3261 §17.2.2), other records of a call soon after.
const FORGETTING: Duration = Duration::from_secs(45);
/// Phones that register a second at first, with two transactions of 32 s each: well below the 200,000 that a server
/// keeps, since what was held up is made up for.
const FILL: u32 = 2_000;
const MEGABYTE: f64 = 1e6;

/// What is found for one number of devices.
struct Found {
    devices: u32,
    /// CPU of a REGISTER.
    micros: f64,
    counts: String,
    /// Memory of a device beyond its contact's own bytes, while it is live and after a restart.
    live: f64,
    stored: f64,
    /// After a restart.
    memory: Memory,
    start: Duration,
    /// Its share of a processor.
    start_used: Duration,
    /// Bytes of the database.
    database: u64,
}

pub(super) fn run(options: &Options) -> Result<Row> {
    // One round: it is as long as it is, and what it asks for is no small difference.
    let count = u32::try_from(options.devices.len())?;
    let mut found = Vec::new();
    for (at, devices) in (1..).zip(&options.devices) {
        let of = look(options, *devices).with_context(|| format!("devices, {devices}"))?;
        let told = format!(
            "{} devices: {:.1} µs a REGISTER, {:.0} bytes each, ready after {:.2?}",
            grouped(&devices.to_string()),
            of.micros,
            of.live,
            of.start
        );
        progress("devices", at, count, &told);
        found.push(of);
    }
    let left = memory_of_calls(options).context("devices, memory of calls")?;
    let mut measures: Vec<_> = found.iter().flat_map(measures).collect();
    measures.extend(left);
    Ok(Row {
        name: "devices",
        title: "A million devices, and what calls leave behind",
        how: format!(
            "Reveille on SQLite, one phone a user, each at an address of its own; {} REGISTERs with digest in scattered \
             order, {} under way at once.",
            grouped(&options.requests(REQUESTS).to_string()),
            options.window
        ),
        verdicts: verdicts(&found, &measures),
        measures,
        notes: vec![
            "Each size is a server of its own, filled through its admin API and by REGISTERs. \"Live\" is memory once all \
             have registered and their transactions are over, less that with their users alone; \"stored\" the same \
             after a restart. What the Contact header field says is not counted. One round."
                .to_owned(),
            "Start-up is from the start of the process until `/readyz` says 200, and takes longer than its CPU where others \
             work on the machine; the peak is that of start-up."
                .to_owned(),
        ],
    })
}

fn look(options: &Options, devices: u32) -> Result<Found> {
    let size = grouped(&devices.to_string());
    eprintln!("devices: adding {size} users");
    let setup = options.reveille(Store::Sqlite, ONE_CORE)?;
    let mut server = reveille_with_users(setup, devices)?;
    eprintln!("devices: {size} phones register, then {FORGETTING:?} for their transactions to end");
    server.restart()?;
    let empty = resident(&server)?;
    let mut phones = Phones::of(server.sip())?;
    let mut registers = Registers::new(devices, true);
    let fill = Pace::rate(FILL, options.window);
    play(&mut registers, &mut phones, 0, devices, fill).context("registering all")?;
    thread::sleep(FORGETTING);
    let live = resident(&server)?;
    let run = (devices, options.requests(REQUESTS));
    let sample = measured(
        &mut registers,
        &mut phones,
        server.pid()?,
        run,
        options.window(),
        1,
    )?;
    let start = server.restart()?;
    let start_used = usage::processor_time(server.pid()?)?;
    let memory = usage::memory(server.pid()?)?;
    let own = float(contact(devices - 1, phones.port(), phones.parameter(), true).len() as u64);
    let each = |with: u64| (float(with) - float(empty)) / f64::from(devices) - own;
    Ok(Found {
        devices,
        micros: sample.micros(),
        counts: super::counts(&[sample]),
        live: each(live),
        stored: each(memory.resident),
        memory,
        start,
        start_used,
        database: server.database(),
    })
}

/// Eight of each.
fn measures(found: &Found) -> Vec<Measure> {
    let devices = grouped(&found.devices.to_string());
    let figures = [
        ("a REGISTER", "µs", found.micros),
        ("live, each", "bytes", found.live),
        ("stored, each", "bytes", found.stored),
        ("start-up", "s", found.start.as_secs_f64()),
        (
            "resident after it",
            "MB",
            float(found.memory.resident) / MEGABYTE,
        ),
        ("peak of it", "MB", float(found.memory.peak) / MEGABYTE),
        ("database", "MB", float(found.database) / MEGABYTE),
        ("start-up, CPU", "s", found.start_used.as_secs_f64()),
    ];
    let mut measures: Vec<_> = figures
        .into_iter()
        .map(|(what, unit, value)| {
            Measure::new(format!("{devices} devices, {what}"), unit, vec![value])
        })
        .collect();
    measures[0].counts.clone_from(&found.counts);
    measures
}

fn verdicts(found: &[Found], measures: &[Measure]) -> Vec<Verdict> {
    let each = measures
        .len()
        .checked_sub(2)
        .map_or(0, |all| all / found.len().max(1));
    let (Some(most), Some(least)) = (found.last(), found.first()) else {
        return Vec::new();
    };
    let at = (found.len() - 1) * each;
    let peak = Verdict {
        what: "peak of start-up / resident after it".to_owned(),
        value: float(most.memory.peak) / float(most.memory.resident),
        goal: "≤ 1.2",
    };
    let mut verdicts = vec![
        Verdict::plain(&measures[at + 1], "≤ 1,200"),
        Verdict::plain(&measures[at + 3], "≤ 10"),
        peak,
    ];
    if most.devices > least.devices {
        verdicts.insert(0, Verdict::ratio(&measures[at], &measures[0], "≤ 1.3"));
    }
    if let Some(left) = measures.last() {
        verdicts.push(Verdict::plain(left, "about 0"));
    }
    verdicts
}

/// What finished calls leave: of the first many, which make tables grow once, and of as many after them.
fn memory_of_calls(options: &Options) -> Result<[Measure; 2]> {
    let setup = options.reveille(Store::Sqlite, ONE_CORE)?;
    let server = reveille_with_users(setup, options.users)?;
    let mut phones = Phones::of(server.sip())?;
    super::register_all(&mut phones, options.users, false, options.window())?;
    let mut calls = Calls::new(options.users);
    let mut before = resident(&server)?;
    let mut left = Vec::new();
    for batch in 0..2 {
        eprintln!("devices: {CALLS} calls, then {FORGETTING:?} for the server to forget them");
        let first = batch * CALLS;
        play(&mut calls, &mut phones, first, CALLS, options.window())?;
        thread::sleep(FORGETTING);
        let now = resident(&server)?;
        left.push((float(now) - float(before)) / f64::from(CALLS));
        before = now;
    }
    let measure = |what, at: usize| Measure::new(what, "bytes", vec![left[at]]);
    Ok([
        measure("a finished call, of the first 20,000", 0),
        measure("a finished call, of the next 20,000", 1),
    ])
}

fn resident(server: &Reveille) -> Result<u64> {
    Ok(usage::memory(server.pid()?)?.resident)
}
