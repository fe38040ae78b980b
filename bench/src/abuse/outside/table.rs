//! What is said of each attack on an edge, and whether it is good.

use super::Tried;
use crate::abuse::{
    table::{FLAT, GOOD, Shown},
    times::Times,
};
use std::{collections::BTreeMap, fmt};

/// Columns.
pub(super) const HEAD: &str = "\
| Attack | Attacker | Connect and REGISTER before, p50/p99 ms | during | within twice, % | Edge's memory before/peak/after, MiB | Refused at the edge | Reached the inside | |
|---|---|---|---|--:|---|---|--:|---|";

/// A row.
pub(super) struct Row {
    name: &'static str,
    done: Vec<String>,
    before: Times,
    during: Times,
    within: f64,
    memory: [u64; 3],
    refused: BTreeMap<String, u64>,
    reached: u64,
    faults: Vec<&'static str>,
}

impl Row {
    pub(super) fn of(tried: &Tried) -> Self {
        let mut row = Self {
            name: tried.attack.name,
            done: Vec::new(),
            before: Times::default(),
            during: Times::default(),
            within: 0.0,
            memory: [0; 3],
            refused: BTreeMap::new(),
            reached: 0,
            faults: Vec::new(),
        };
        for round in &tried.rounds {
            row.done.push(round.done.to_string());
            row.before.join(&round.before);
            row.during.join(&round.during);
            for (worst, now) in row.memory.iter_mut().zip(round.memory) {
                *worst = now.max(*worst);
            }
            for (reason, times) in &round.refused {
                *row.refused.entry(reason.clone()).or_default() += times;
            }
            row.reached = row.reached.max(round.reached);
        }
        let limit = row.before.percentile(99).unwrap_or_default() * 2;
        row.within = row.during.share(limit);
        let (reasons, [memory, peak, _]) = (tried.attack.reasons, row.memory);
        let is_counted = |reason: &&str| row.refused.contains_key(*reason);
        let rounds = &tried.rounds;
        let faults = [
            (row.within >= GOOD, "REGISTERs are slow"),
            (peak <= memory + FLAT, "memory grows"),
            (
                reasons.is_empty() || reasons.iter().any(is_counted),
                "nothing is counted",
            ),
            (
                row.reached <= tried.attack.may_reach,
                "it reaches the inside",
            ),
            (
                rounds.iter().all(|round| round.done.has_begun()),
                "there was no attack",
            ),
            (
                !rounds.iter().any(|round| round.done.floods_others()),
                "it is of use for flooding others",
            ),
        ];
        let faults = faults.into_iter().filter(|(is_good, _)| !is_good);
        row.faults = faults.map(|(_, fault)| fault).collect();
        row
    }

    pub(super) fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, during) = (Shown(&self.before), Shown(&self.during));
        let [at_first, peak, after] = self.memory.map(|bytes| bytes >> 20);
        let refused: Vec<_> = self
            .refused
            .iter()
            .map(|(reason, times)| format!("{reason} {times}"))
            .collect();
        write!(
            f,
            "| {} | {} | {before} | {during} | {:.1} | {at_first}/{peak}/{after} | {} | {} |",
            self.name,
            self.done.join("; "),
            self.within,
            refused.join(", "),
            self.reached
        )?;
        if self.is_good() {
            write!(f, " good |")
        } else {
            write!(f, " **{}** |", self.faults.join(", "))
        }
    }
}
