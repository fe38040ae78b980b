//! Instructions of a shard's hot paths, counted by callgrind, and what it keeps in memory, counted by DHAT: they hardly
//! depend on the machine or on what else it does, so a slow-down of a few percent is seen. What costs more than is
//! written down in `instructions.json` fails.

mod call;
mod chat;
mod device;
mod register;
mod wake;
mod world;

use crate::row::grouped;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, process::Command};

/// Runs of a hot path.
const TIMES: usize = 500;
/// Devices that register, and twice as many: with both, tables that double are nearly full.
const DEVICES: usize = 3_500;
/// Of more in a hundred we want to know. Hash tables are seeded anew in each run, which is worth less.
const TOLERANCE: f64 = 2.0;

/// What runs a hot path once, with the input of this number.
type Path = Box<dyn FnMut(usize) -> Result<()>>;

/// What is counted, and by which tool of valgrind's.
#[derive(Copy, Clone)]
enum Counted {
    /// Instructions, by callgrind.
    Instructions,
    /// Octets that stay on the heap, by DHAT.
    Octets,
}

/// A hot path.
struct Case {
    name: &'static str,
    about: &'static str,
    counted: Counted,
    /// It runs so often, and twice as often; the difference is free of start and preparation.
    times: usize,
    /// Makes the inputs of that many runs, and what runs the path with one of them.
    prepare: fn(usize) -> Result<Path>,
}

/// All of them. A new one costs a line here and a function.
const CASES: &[Case] = &[
    Case {
        name: "register",
        about: "a REGISTER with digest, from octets to octets, with a store that says yes at once",
        counted: Counted::Instructions,
        times: TIMES,
        prepare: register::prepare,
    },
    Case {
        name: "call",
        about: "a call of 13 messages, with its story",
        counted: Counted::Instructions,
        times: TIMES,
        prepare: call::prepare,
    },
    Case {
        name: "wake",
        about: "the same to a phone that sleeps: with its push and its REGISTER",
        counted: Counted::Instructions,
        times: TIMES,
        prepare: wake::prepare,
    },
    Case {
        name: "chat",
        about: "a message over XMPP, from one stream to the other, with a store that says yes at once",
        counted: Counted::Instructions,
        times: TIMES,
        prepare: chat::prepare,
    },
    Case {
        name: "left",
        about: "octets that a finished call leaves",
        counted: Counted::Octets,
        times: TIMES,
        prepare: call::prepare,
    },
    Case {
        name: "device",
        about: "octets that a registered device with a push token takes, those of its Contact included",
        counted: Counted::Octets,
        times: DEVICES,
        prepare: device::prepare,
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
    /// Octets that a run leaves, by case.
    #[serde(default)]
    octets: BTreeMap<String, u64>,
}

impl Known {
    fn of(&mut self, counted: Counted) -> &mut BTreeMap<String, u64> {
        match counted {
            Counted::Instructions => &mut self.instructions,
            Counted::Octets => &mut self.octets,
        }
    }
}

impl Counted {
    fn tool(self) -> [&'static str; 2] {
        match self {
            Self::Instructions => ["--tool=callgrind", "--callgrind-out-file=/dev/null"],
            Self::Octets => ["--tool=dhat", "--dhat-out-file=/dev/null"],
        }
    }

    /// What stands before the number in what the tool says.
    fn label(self) -> &'static str {
        match self {
            Self::Instructions => "Collected :",
            Self::Octets => "At t-end:",
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let (Some(case), Some(times)) = (&arguments.case, arguments.times) {
        return play(case, times);
    }
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json"));
    let mut known = read(&file)?;
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
        "case", "count", "before", "change"
    );
    let mut slower = Vec::new();
    for case in CASES {
        let count = count(case)?;
        let before = known.of(case.counted).get(case.name).copied();
        let change = before.map(|before| percent(before.max(1), count.max(1)));
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
        now.of(case.counted).insert(case.name.to_owned(), count);
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
    let mut path = (case.prepare)(2 * case.times)?;
    (0..times).try_for_each(&mut path)?;
    // What it keeps is there when the process ends.
    std::mem::forget(path);
    Ok(())
}

/// The count of one run.
fn count(case: &Case) -> Result<u64> {
    let times = case.times;
    let (once, twice) = (watch(case, times)?, watch(case, 2 * times)?);
    Ok(twice.saturating_sub(once) / u64::try_from(times)?)
}

/// That of a whole process.
fn watch(case: &Case, times: usize) -> Result<u64> {
    let name = case.name;
    let output = Command::new("valgrind")
        .args(case.counted.tool())
        .arg(std::env::current_exe()?)
        .args(["instructions", "--case", name, "--times"])
        .arg(times.to_string())
        .output()
        .context("valgrind: install the Debian package of that name")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{name} failed: {said}");
    let label = case.counted.label();
    let total = said.lines().find_map(|line| line.split(label).nth(1));
    let total = total.and_then(|total| total.split_ascii_whitespace().next());
    let total = total.and_then(|total| total.replace(',', "").parse().ok());
    total.with_context(|| format!("valgrind said no total: {said}"))
}

fn percent(before: u64, now: u64) -> f64 {
    100.0 * (crate::stats::float(now) / crate::stats::float(before) - 1.0)
}
