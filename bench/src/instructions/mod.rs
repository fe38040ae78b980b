//! Instructions of a shard's hot paths, counted by callgrind: they hardly depend on the machine or on what else it
//! does, so a slow-down of a few percent is seen. One that costs more than what is written down in `instructions.json`
//! fails.

mod call;
mod register;
mod wake;
mod world;

use crate::row::grouped;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, process::Command};

/// Each case runs so often, and twice as often; the difference is free of start and preparation.
const TIMES: usize = 500;
/// Of more in a hundred we want to know. Hash tables are seeded anew in each run, which is worth less.
const TOLERANCE: f64 = 2.0;

/// What runs a hot path once, with the input of this number.
type Path = Box<dyn FnMut(usize) -> Result<()>>;

/// A hot path.
struct Case {
    name: &'static str,
    about: &'static str,
    /// Makes the inputs of that many runs, and what runs the path with one of them.
    prepare: fn(usize) -> Result<Path>,
}

/// All of them. A new one costs a line here and a function.
const CASES: &[Case] = &[
    Case {
        name: "register",
        about: "a REGISTER with digest, from octets to octets, with a store that says yes at once",
        prepare: register::prepare,
    },
    Case {
        name: "call",
        about: "a call of 13 messages, with its story",
        prepare: call::prepare,
    },
    Case {
        name: "wake",
        about: "the same to a phone that sleeps: with its push and its REGISTER",
        prepare: wake::prepare,
    },
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Write the counts down, as what later ones are compared with
    #[arg(long)]
    save: bool,
    /// Only this case; by itself it is run without being counted
    #[arg(long, hide = true, requires = "times")]
    case: Option<String>,
    /// So often
    #[arg(long, hide = true)]
    times: Option<usize>,
}

/// What is written down.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Known {
    /// The compiler that it holds for.
    rustc: String,
    /// Instructions of a run, by case.
    instructions: BTreeMap<String, u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let (Some(case), Some(times)) = (&arguments.case, arguments.times) {
        return play(case, times);
    }
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json"));
    let known = read(&file)?;
    let rustc = Command::new("rustc").arg("--version").output()?;
    let mut now = Known {
        rustc: String::from_utf8_lossy(&rustc.stdout).trim().to_owned(),
        ..Known::default()
    };
    if !known.rustc.is_empty() && known.rustc != now.rustc {
        eprintln!(
            "what is written down holds for {}, this is {}",
            known.rustc, now.rustc
        );
    }
    println!(
        "{:<10} {:>12} {:>12} {:>8}",
        "case", "instructions", "before", "change"
    );
    let mut slower = Vec::new();
    for case in CASES {
        let count = count(case)?;
        let before = known.instructions.get(case.name).copied();
        let change = before.map(|before| percent(before, count));
        println!(
            "{:<10} {:>12} {:>12} {:>8}  {}",
            case.name,
            grouped(&count.to_string()),
            before.map_or_else(|| "–".to_owned(), |before| grouped(&before.to_string())),
            change.map_or_else(|| "–".to_owned(), |change| format!("{change:+.1} %")),
            case.about
        );
        if change.is_some_and(|change| change > TOLERANCE) {
            slower.push(case.name);
        }
        now.instructions.insert(case.name.to_owned(), count);
    }
    if arguments.save {
        let text = serde_json::to_string_pretty(&now)? + "\n";
        return std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()));
    }
    if !slower.is_empty() {
        bail!(
            "slower by more than {TOLERANCE} %: {}; if it must be, write it down with --save and say why in the commit",
            slower.join(", ")
        );
    }
    Ok(())
}

fn read(file: &PathBuf) -> Result<Known> {
    match std::fs::read(file) {
        Ok(text) => {
            serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Known::default()),
        Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
    }
}

/// Runs a case, in the process that callgrind watches.
fn play(name: &str, times: usize) -> Result<()> {
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.with_context(|| format!("there is no case {name}"))?;
    let mut path = (case.prepare)(2 * TIMES)?;
    (0..times).try_for_each(&mut path)
}

/// Instructions of one run.
fn count(case: &Case) -> Result<u64> {
    let (once, twice) = (watch(case.name, TIMES)?, watch(case.name, 2 * TIMES)?);
    Ok(twice.saturating_sub(once) / u64::try_from(TIMES)?)
}

/// Instructions of a whole process.
fn watch(name: &str, times: usize) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["instructions", "--case", name, "--times"])
        .arg(times.to_string())
        .output()
        .context("valgrind: install the Debian package of that name")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{name} failed: {said}");
    let total = said
        .lines()
        .find_map(|line| line.split("Collected :").nth(1));
    let total = total.and_then(|total| total.trim().parse().ok());
    total.with_context(|| format!("callgrind said no total: {said}"))
}

fn percent(before: u64, now: u64) -> f64 {
    100.0 * (crate::stats::float(now) / crate::stats::float(before) - 1.0)
}
