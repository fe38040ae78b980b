//! Two cores over one: the same load on a server with one shard on one core, and with two on two.

use super::{Options, Sample, measured, per_second, progress, register_all, reveille_with_users};
use crate::{
    load::{self, Calls},
    process::{BOTH_CORES, Cores, ONE_CORE, pin_load, unpin_load},
    reveille::{Reveille, Setup, Store},
    row::{Measure, Row, Verdict},
    socket::Phones,
    usage,
};
use anyhow::{Context, Result};

const REGISTERS: u32 = 100_000;
const CALLS: u32 = 20_000;
const HOW_RECKONED: &str = "The machine has two cores. With one shard the server has one of them and the load generator \
    the other; with two they share both. What two cores would take without the load generator is reckoned: twice the \
    requests for a second of the server's CPU. It holds as far as no core was idle meanwhile, since waiting for one \
    another takes no CPU: the idle part stands beside it. The rate by the clock includes the load generator.";

/// A layout of the server on the machine.
struct Layout {
    name: &'static str,
    shards: Option<u32>,
    cores: Cores,
    /// How many of them.
    count: f64,
}

/// A run, and how much of the machine was idle meanwhile.
struct Run {
    sample: Sample,
    idle: f64,
}

impl Run {
    /// Requests a second of so many cores if they did nothing else: the load generator's part is left out.
    fn capacity(&self, cores: f64) -> f64 {
        cores * per_second(self.sample.tally.finished, self.sample.used)
    }

    fn wall(&self) -> f64 {
        per_second(self.sample.tally.finished, self.sample.tally.took)
    }
}

pub(super) fn run(options: &Options) -> Result<Row> {
    let knows_shards = knows_shards(options)?;
    let mut layouts = vec![Layout {
        name: "one shard on one core",
        shards: knows_shards.then_some(1),
        cores: ONE_CORE,
        count: 1.0,
    }];
    let mut notes = Vec::new();
    if knows_shards {
        layouts.push(Layout {
            name: "two shards on two cores",
            shards: Some(2),
            cores: BOTH_CORES,
            count: 2.0,
        });
        notes.push(HOW_RECKONED.to_owned());
    } else {
        notes.push(
            "This server does not know `server.shards` yet: only one shard was measured."
                .to_owned(),
        );
    }
    let mut runs: Vec<Vec<[Run; 2]>> = layouts.iter().map(|_| Vec::new()).collect();
    for round in 1..=options.rounds {
        for (layout, runs) in layouts.iter().zip(&mut runs) {
            let both = play(options, layout)
                .with_context(|| format!("cores, round {round}, {}", layout.name))?;
            let told = format!(
                "{}: {:.0} REGISTERs/s, {:.0} calls/s reckoned",
                layout.name,
                both[0].capacity(layout.count),
                both[1].capacity(layout.count)
            );
            progress("cores", round, options.rounds, &told);
            runs.push(both);
        }
    }
    let mut measures = Vec::new();
    for (layout, runs) in layouts.iter().zip(&runs) {
        for (at, what) in ["REGISTER", "call"].into_iter().enumerate() {
            measures.extend(measured_as(what, layout, runs, at));
        }
    }
    let verdicts = if knows_shards {
        vec![
            Verdict::ratio(&measures[6], &measures[0], "≥ 1.7"),
            Verdict::ratio(&measures[9], &measures[3], "≥ 1.7"),
        ]
    } else {
        Vec::new()
    };
    Ok(Row {
        name: "cores",
        title: "Two cores over one",
        how: format!(
            "Reveille on SQLite. {} {}",
            options.in_words(options.requests(REGISTERS), "REGISTERs"),
            options.in_words(options.requests(CALLS), "calls")
        ),
        measures,
        verdicts,
        notes,
    })
}

/// Three of each: what the cores would take, what they took with the load generator, and how idle they were.
fn measured_as(what: &str, layout: &Layout, runs: &[[Run; 2]], at: usize) -> [Measure; 3] {
    let name = |detail: &str| format!("{what}, {}{detail}", layout.name);
    let values = |of: &dyn Fn(&Run) -> f64| runs.iter().map(|runs| of(&runs[at])).collect();
    let samples: Vec<_> = runs.iter().map(|runs| runs[at].sample).collect();
    [
        Measure::new(name(""), "1/s", values(&|run| run.capacity(layout.count)))
            .counted(super::counts(&samples)),
        Measure::new(name(", by the clock"), "1/s", values(&Run::wall)),
        Measure::new(name(", machine idle"), "%", values(&|run| run.idle)),
    ]
}

fn play(options: &Options, layout: &Layout) -> Result<[Run; 2]> {
    if layout.count > 1.0 {
        unpin_load()?;
    }
    let played = play_pinned(options, layout);
    pin_load()?;
    played
}

fn play_pinned(options: &Options, layout: &Layout) -> Result<[Run; 2]> {
    let setup = Setup {
        shards: layout.shards,
        ..options.reveille(Store::Sqlite, layout.cores)?
    };
    let server = reveille_with_users(setup, options.users)?;
    let mut phones = Phones::of(server.sip())?;
    let mut registers = register_all(&mut phones, options.users, false, options.window())?;
    let pid = server.pid()?;
    let run = (options.users, options.requests(REGISTERS));
    let registered =
        with_idle(|| measured(&mut registers, &mut phones, pid, run, options.window(), 1))?;
    let mut calls = Calls::new(options.users);
    let warm = options.requests(CALLS) / 10;
    load::run(&mut calls, &mut phones, 0, warm, options.window())?;
    let run = (warm, options.requests(CALLS));
    let called = with_idle(|| {
        let received = load::CALL_RECEIVED;
        measured(
            &mut calls,
            &mut phones,
            pid,
            run,
            options.window(),
            received,
        )
    })?;
    Ok([registered, called])
}

/// How idle the machine was while the requests ran.
fn with_idle(measure: impl FnOnce() -> Result<Sample>) -> Result<Run> {
    let before = usage::idle_time()?;
    let sample = measure()?;
    let idle = usage::idle_time()?.saturating_sub(before);
    // Both cores are idle while the server settles.
    let idle = idle.saturating_sub(super::SETTLE * 2);
    let cores = usage::processors()?;
    Ok(Run {
        sample,
        idle: 100.0 * idle.as_secs_f64() / (sample.tally.took.as_secs_f64() * cores),
    })
}

/// Whether the configuration may say `server.shards`: a server that does not know the key refuses to start.
fn knows_shards(options: &Options) -> Result<bool> {
    let setup = Setup {
        shards: Some(1),
        ..options.reveille(Store::Memory, ONE_CORE)?
    };
    match Reveille::start(setup) {
        Ok(_) => Ok(true),
        Err(error) => {
            let said = format!("{error:#}");
            let unknown = said.contains("unknown") && said.contains("shards");
            if unknown { Ok(false) } else { Err(error) }
        }
    }
}
