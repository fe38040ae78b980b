//! What is said of each attack, and whether it is good.

use super::{Tried, honest::Seen, times::Times};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

/// So many of a hundred are to be within twice their undisturbed time.
pub(super) const GOOD: f64 = 99.0;
/// Memory is flat if it never takes more than so many bytes more than before.
pub(super) const FLAT: u64 = 24 << 20;
/// A log in which there is more than that cannot be read: the server's own limit is a hundred a minute, and alarms.
const LINES: usize = 120;

/// Columns.
pub(crate) const HEAD: &str = "\
| Attack | Attacker | REGISTER before, p50/p99 ms | during | within twice, % | Wake before | during | within twice, % | Memory before/peak/after, MiB | Log, lines | Refused | Alarms | |
|---|---|---|---|--:|---|---|--:|---|--:|---|---|---|";

/// A row.
pub(crate) struct Row<'t> {
    tried: &'t Tried,
    registers: Judged,
    wakes: Judged,
    memory: [u64; 3],
    lines: usize,
    refused: BTreeMap<String, u64>,
    alarms: BTreeSet<String>,
    faults: Vec<String>,
}

/// The same of the honest, before and during.
struct Judged {
    before: Times,
    during: Times,
    /// Of a hundred.
    within: f64,
}

impl Judged {
    fn of(tried: &Tried, which: fn(&Seen) -> &Times) -> Self {
        let (mut before, mut during) = (Times::default(), Times::default());
        for round in &tried.rounds {
            before.join(which(&round.before));
            during.join(which(&round.during));
        }
        let limit = before.percentile(99).unwrap_or_default() * 2;
        Self {
            within: during.share(limit),
            before,
            during,
        }
    }
}

impl<'t> Row<'t> {
    pub(crate) fn of(tried: &'t Tried) -> Self {
        let mut row = Self {
            tried,
            registers: Judged::of(tried, |seen| &seen.registers),
            wakes: Judged::of(tried, |seen| &seen.wakes),
            memory: [0; 3],
            lines: 0,
            refused: BTreeMap::new(),
            alarms: BTreeSet::new(),
            faults: Vec::new(),
        };
        for round in &tried.rounds {
            let server = &round.server;
            for (worst, now) in
                row.memory
                    .iter_mut()
                    .zip([server.before, server.peak, server.after])
            {
                *worst = now.max(*worst);
            }
            row.lines = row.lines.max(server.lines.len());
            for (reason, times) in &server.refused {
                *row.refused.entry(reason.clone()).or_default() += times;
            }
            row.alarms.extend(server.alarms.iter().cloned());
        }
        row.faults = row.faults();
        row
    }

    pub(crate) fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    fn faults(&self) -> Vec<String> {
        let (attack, rounds) = (self.tried.attack, &self.tried.rounds);
        let is_counted = |reason: &&str| self.refused.contains_key(*reason);
        let all = |said: &dyn Fn(&super::Round) -> bool| rounds.iter().all(said);
        let one_of = |stands: &dyn Fn(&str) -> bool| attack.alarms.iter().any(|it| stands(it));
        let [memory, peak, _] = self.memory;
        [
            (self.registers.within >= GOOD, "REGISTERs are slow"),
            (self.wakes.within >= GOOD, "wakes are slow"),
            (peak <= memory + FLAT, "memory grows"),
            (self.lines <= LINES, "the log is flooded"),
            (
                all(&|round| {
                    let lines = &round.server.lines;
                    one_of(&|alarm| lines.iter().any(|line| line.contains(alarm)))
                }),
                "the log does not say it",
            ),
            (attack.reasons.iter().any(is_counted), "nothing is counted"),
            (
                all(&|round| one_of(&|alarm| round.server.alarms.contains(alarm))),
                "the alarm is missing",
            ),
            (
                !rounds.iter().any(|round| round.done.floods_others()),
                "it is of use for flooding others",
            ),
        ]
        .into_iter()
        .filter(|(is_good, _)| !is_good)
        .map(|(_, fault)| fault.to_owned())
        .collect()
    }
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} |", self.tried.attack.name)?;
        let done: Vec<_> = self
            .tried
            .rounds
            .iter()
            .map(|round| round.done.to_string())
            .collect();
        write!(f, " {} |", done.join("; "))?;
        for judged in [&self.registers, &self.wakes] {
            let (before, during) = (Shown(&judged.before), Shown(&judged.during));
            write!(f, " {before} | {during} | {:.1} |", judged.within)?;
        }
        let [before, peak, after] = self.memory.map(|bytes| bytes >> 20);
        write!(f, " {before}/{peak}/{after} | {} |", self.lines)?;
        let refused: Vec<_> = self
            .refused
            .iter()
            .map(|(reason, times)| format!("{reason} {times}"))
            .collect();
        let alarms: Vec<_> = self.alarms.iter().map(String::as_str).collect();
        write!(f, " {} | {} |", refused.join(", "), alarms.join(", "))?;
        if self.is_good() {
            write!(f, " good |")
        } else {
            write!(f, " **{}** |", self.faults.join(", "))
        }
    }
}

/// Median and 99th percentile, in milliseconds.
pub(super) struct Shown<'t>(pub(super) &'t Times);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |percent| {
            let time: Option<Duration> = self.0.percentile(percent);
            time.map_or_else(
                || "lost".to_owned(),
                |time| format!("{:.2}", time.as_secs_f64() * 1e3),
            )
        };
        write!(
            f,
            "{}/{} of {}",
            milliseconds(50),
            milliseconds(99),
            self.0.tried()
        )
    }
}
