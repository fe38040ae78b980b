//! A row of the benchmarks: what was measured, how often, against whom, and what must be known to read it.

use crate::stats::{median, range};
use serde::Serialize;

/// A row.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// As on the command line.
    pub(crate) name: &'static str,
    /// What it is about.
    pub(crate) title: &'static str,
    /// How it was run: requests, users, window.
    pub(crate) how: String,
    /// What came out.
    pub(crate) measures: Vec<Measure>,
    /// The same, one against the other, and what was to be reached.
    pub(crate) verdicts: Vec<Verdict>,
    /// What must be known to read it.
    pub(crate) notes: Vec<String>,
}

/// A figure, once for each round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measure {
    /// Of whom or of what.
    pub(crate) what: String,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// Round by round.
    pub(crate) values: Vec<f64>,
    /// The value in the middle.
    pub(crate) median: f64,
    /// Whether every request was answered, and what came twice.
    pub(crate) counts: String,
}

/// A figure that was to be reached.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    /// What is compared.
    pub(crate) what: String,
    /// How much it is.
    pub(crate) value: f64,
    /// How much it may be, or must be, and what comes after.
    pub(crate) goal: &'static str,
}

impl Measure {
    /// From the values of all rounds.
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, values: Vec<f64>) -> Self {
        Self {
            what: what.into(),
            unit,
            median: median(&values),
            values,
            counts: String::new(),
        }
    }

    /// With what was counted.
    pub(crate) fn counted(mut self, counts: String) -> Self {
        self.counts = counts;
        self
    }

    /// Smallest and largest, as text.
    pub(crate) fn range(&self) -> String {
        let (least, most) = range(&self.values);
        format!("{} – {}", figure(least), figure(most))
    }
}

impl Verdict {
    /// The medians of two measures, one over the other.
    pub(crate) fn ratio(of: &Measure, to: &Measure, goal: &'static str) -> Self {
        Self {
            what: format!("{} / {}", of.what, to.what),
            value: of.median / to.median,
            goal,
        }
    }

    /// A median as it is.
    pub(crate) fn plain(of: &Measure, goal: &'static str) -> Self {
        Self {
            what: format!("{}, {}", of.what, of.unit),
            value: of.median,
            goal,
        }
    }
}

/// A number for people: three digits that matter, more for what is large.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        small if small < 10.0 => format!("{value:.2}"),
        middling if middling < 100.0 => format!("{value:.1}"),
        _ => grouped(&format!("{value:.0}")),
    }
}

/// Digits in groups of three.
pub(crate) fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_as_many_digits_as_they_are_worth() {
        let shown = [0.456, 15.55, 130.4, 12_345.6, -1_234.0].map(figure);
        assert_eq!(shown, ["0.46", "15.6", "130", "12,346", "-1,234"]);
    }
}
