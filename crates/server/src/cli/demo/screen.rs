//! The demo for people: plays that run side by side are shown one after the other, then the table. Gives text; prints
//! nothing.

use super::paint::Paint;
use crate::demo::{Report, Row, Step, Title, Told};
use std::{collections::BTreeMap, fmt::Write};

/// See the module.
pub(super) struct Screen {
    paint: Paint,
    titles: Vec<(Title, String)>,
    /// The play that is shown as it happens; what happens in later ones waits for their turn.
    turn: usize,
    steps: BTreeMap<usize, Vec<Step>>,
    rows: BTreeMap<usize, Row>,
}

impl Screen {
    pub(super) fn new(paint: Paint, titles: Vec<(Title, String)>) -> Self {
        Self {
            paint,
            titles,
            turn: 0,
            steps: BTreeMap::new(),
            rows: BTreeMap::new(),
        }
    }

    /// What stands above all.
    pub(super) fn opening(&self) -> String {
        let about = format!(
            "{} plays, simulated phones and clouds, real sockets; times in seconds",
            self.titles.len()
        );
        format!(
            "{} {}\n{}",
            self.paint.bold("reveille demo"),
            self.paint.dim(&about),
            self.heading()
        )
    }

    /// What there is to show now; may be nothing.
    pub(super) fn show(&mut self, news: Told) -> String {
        match news {
            Told::Step { play, step } if play == self.turn => return self.step(&step),
            Told::Step { play, step } => self.steps.entry(play).or_default().push(step),
            Told::Row { play, row } => {
                self.rows.insert(play, row);
            }
        }
        let mut lines = Vec::new();
        while let Some(row) = self.rows.remove(&self.turn) {
            lines.push(self.verdict(&row));
            self.turn += 1;
            if self.turn < self.titles.len() {
                lines.push(self.heading());
                let waited = self.steps.remove(&self.turn).unwrap_or_default();
                lines.extend(waited.iter().map(|step| self.step(step)));
            }
        }
        lines.join("\n")
    }

    fn heading(&self) -> String {
        let Some((title, expected)) = self.titles.get(self.turn) else {
            return String::new();
        };
        let title = self.paint.bold(&title.to_string());
        format!("\n{title} {}", self.paint.dim(&format!("({expected})")))
    }

    fn step(&self, step: &Step) -> String {
        let time = format!("{:>4}.{:03}", step.ms / 1000, step.ms % 1000);
        let who = format!("{:<7}", step.who);
        format!(
            "{}  {}  {}",
            self.paint.dim(&time),
            self.paint.name(step.who, &who),
            step.what
        )
    }

    fn verdict(&self, row: &Row) -> String {
        if row.ok {
            format!("      {}  {}", self.paint.good("ok"), row.seen)
        } else {
            format!("  {}  {}", self.paint.bad("FAILED"), row.seen)
        }
    }

    /// One row a behaviour.
    pub(super) fn table(&self, report: &Report) -> String {
        let width = |of: fn(&Row) -> &str| {
            let widths = report.rows.iter().map(|row| of(row).chars().count());
            widths.max().unwrap_or_default()
        };
        let client = report.rows.iter().filter(|row| !row.name.what.is_empty());
        let subject = client
            .map(|row| row.name.subject.chars().count())
            .max()
            .unwrap_or_default();
        let what = width(|row| &row.name.what);
        let name = (subject + 2 + what).max(width(|row| &row.name.subject));
        let expected = width(|row| &row.expected);

        let headings = format!(
            "{:8}{:name$}  {:expected$}  SEEN",
            "", "BEHAVIOUR", "EXPECTED"
        );
        let mut table = format!("\n{}\n", self.paint.dim(&headings));
        let mut rules = false;
        for row in &report.rows {
            let title = match row.name.what.as_str() {
                "" => row.name.subject.clone(),
                what => format!("{:subject$}  {what}", row.name.subject),
            };
            if row.name.what.is_empty() && !std::mem::replace(&mut rules, true) {
                table.push('\n');
            }
            let status = if row.ok {
                self.paint.good("    ok")
            } else {
                self.paint.bad("FAILED")
            };
            let seen = if row.ok {
                row.seen.clone()
            } else {
                self.paint.bad(&row.seen)
            };
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "{status}  {title:name$}  {}  {seen}",
                self.paint.dim(&format!("{:expected$}", row.expected))
            );
        }
        let good = report.rows.iter().filter(|row| row.ok).count();
        let seconds = format!("{}.{}", report.ms / 1000, report.ms % 1000 / 100);
        let sum = format!("{good} of {} ok in {seconds} s", report.rows.len());
        let sum = if report.ok {
            self.paint.good(&sum)
        } else {
            self.paint.bad(&sum)
        };
        format!("{table}\n{sum}")
    }
}
