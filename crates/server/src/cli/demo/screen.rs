//! The demo for people: plays that run side by side are shown one after the other, then the table. Gives text; prints
//! nothing.

use super::paint::Paint;
use crate::demo::{Report, Row, Step, Title, Told};
use std::{collections::BTreeMap, fmt::Write};

/// See the module.
pub(super) struct Screen {
    paint: Paint,
    /// Characters a line, if there is a limit.
    columns: Option<usize>,
    titles: Vec<(Title, String)>,
    /// The play that is shown as it happens; what happens in later ones waits for their turn.
    turn: usize,
    steps: BTreeMap<usize, Vec<Step>>,
    rows: BTreeMap<usize, Row>,
}

impl Screen {
    pub(super) fn new(paint: Paint, columns: Option<usize>, titles: Vec<(Title, String)>) -> Self {
        Self {
            paint,
            columns,
            titles,
            turn: 0,
            steps: BTreeMap::new(),
            rows: BTreeMap::new(),
        }
    }

    /// What stands above all.
    pub(super) fn opening(&self) -> String {
        let about = format!(
            "{} plays, simulated phones and clouds, real sockets; in seconds",
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
            self.folded(&step.what, 19)
        )
    }

    fn verdict(&self, row: &Row) -> String {
        if row.ok {
            format!("      {}  {}", self.paint.good("ok"), row.seen)
        } else {
            let seen = self.folded(&row.seen, 10);
            format!("  {}  {seen}", self.paint.bad("FAILED"))
        }
    }

    /// A text that begins at this column, with line breaks between its words where it would not fit.
    fn folded(&self, text: &str, column: usize) -> String {
        let Some(room) = self.columns.and_then(|it| it.checked_sub(column)) else {
            return text.to_owned();
        };
        let (mut folded, mut used) = (String::new(), 0);
        for word in text.split(' ') {
            let length = word.chars().count();
            if used > 0 && used + 1 + length > room {
                // Writing to a string does not fail.
                let _ = write!(folded, "\n{:column$}", "");
                used = 0;
            } else if used > 0 {
                folded.push(' ');
                used += 1;
            }
            folded.push_str(word);
            used += length;
        }
        folded
    }

    /// One row a behaviour. What is expected stands above each play as well: where there is no room for it, it stands there
    /// alone.
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
        let (expected, seen) = (width(|row| &row.expected), width(|row| &row.seen));
        let has_room = self
            .columns
            .is_none_or(|it| 8 + name + 2 + expected + 2 + seen <= it);
        let headings = if has_room {
            format!(
                "{:8}{:name$}  {:expected$}  SEEN",
                "", "BEHAVIOUR", "EXPECTED"
            )
        } else {
            format!("{:8}{:name$}  SEEN", "", "BEHAVIOUR")
        };
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
            let expected = if has_room {
                self.paint.dim(&format!("{:expected$}  ", row.expected))
            } else {
                String::new()
            };
            let seen = if has_room {
                row.seen.clone()
            } else {
                self.folded(&row.seen, 8 + name + 2)
            };
            let seen = if row.ok { seen } else { self.paint.bad(&seen) };
            // Writing to a string does not fail.
            let _ = writeln!(table, "{status}  {title:name$}  {expected}{seen}");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let row = |what: &str, seen: &str| Row {
            name: Title {
                subject: "Jabber iOS 13+".to_owned(),
                what: what.to_owned(),
            },
            ok: true,
            expected: "CallKit rings by push, then by stream".to_owned(),
            seen: seen.to_owned(),
            steps: Vec::new(),
        };
        Report {
            ok: true,
            ms: 1_000,
            rows: vec![
                row("foreground XMPP message", "delivered after 19 ms"),
                row(
                    "suspended XMPP call",
                    "CallKit 113 ms, XMPP 665 ms, and everything else late",
                ),
            ],
        }
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        let screen = |columns| Screen::new(Paint::none(), columns, Vec::new());
        let widest = |text: &str| text.lines().map(|it| it.chars().count()).max();
        let table = screen(Some(80)).table(&report());
        assert!(widest(&table) <= Some(80), "{table}");
        assert!(
            !table.contains("EXPECTED") && table.contains("else late"),
            "{table}"
        );
        let table = screen(None).table(&report());
        assert!(
            widest(&table) > Some(80) && table.contains("EXPECTED"),
            "{table}"
        );
        let step = Step {
            ms: 104,
            who: "iPhone",
            what: "shown: message from Alice Archer (4103@localhost): Are you there? (1 unread)"
                .to_owned(),
        };
        let step = screen(Some(80)).step(&step);
        assert!(
            widest(&step) <= Some(80) && step.lines().count() == 2,
            "{step}"
        );
    }
}
