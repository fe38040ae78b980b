//! The demo for people: plays that run side by side are shown one after the other, then the table. Gives text; prints
//! nothing.

use super::paint::Paint;
use crate::demo::{Report, Row, Side, Step, Title, Told};
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
            let failed = self.folded(&what_failed(row), 10);
            format!("  {}  {failed}", self.paint.bad("FAILED"))
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

    /// One line a behaviour, with the phones inside and outside side by side, or below each other where there is no room. What is
    /// expected stands above each play; below a line that failed once more.
    pub(super) fn table(&self, report: &Report) -> String {
        let lines = Line::all(report);
        let cell = |side: usize| {
            let cells = lines.iter().filter_map(|line| line.cells[side]);
            widest(cells.map(seen).chain([Side::Outside.name()]))
        };
        let name = widest(lines.iter().map(Line::name));
        let (inside, outside) = (cell(0), cell(1));
        let all = NAMES + name + GAP + inside + GAP + outside;
        let has_room = self.columns.is_none_or(|it| all <= it);
        let headings = if has_room {
            format!(
                "{:NAMES$}{:name$}  {:inside$}  OUTSIDE",
                "", "BEHAVIOUR", "INSIDE"
            )
        } else {
            format!("{:NAMES$}{:name$}  SEEN", "", "BEHAVIOUR")
        };
        let mut text = vec![String::new(), self.paint.dim(&headings)];
        let mut subject = None;
        for line in &lines {
            text.extend(line.begins(&mut subject).map(|new| self.paint.bold(new)));
            if has_room {
                text.push(self.side_by_side(line, name, inside));
            } else {
                text.extend(self.below_each_other(line, name));
            }
            let failed = line.rows().filter(|row| !row.ok);
            let why = failed.map(|row| self.folded(&what_failed(row), NAMES));
            text.extend(why.map(|why| format!("{:NAMES$}{why}", "")));
        }
        text.extend([String::new(), self.sum(report)]);
        text.join("\n")
    }

    fn side_by_side(&self, line: &Line<'_>, name: usize, inside: usize) -> String {
        let cell = |side: usize, width: usize| {
            let row = line.cells[side];
            let text = format!("{:width$}", row.map_or("", seen));
            self.judged(row, &text)
        };
        let cells = format!("{}  {}", cell(0, inside), cell(1, 0));
        let text = format!("{}  {:name$}  {cells}", self.status(line), line.name());
        text.trim_end().to_owned()
    }

    fn below_each_other(&self, line: &Line<'_>, name: usize) -> Vec<String> {
        let sides = NAMES + name + GAP;
        let side = Side::Outside.name().len();
        let mut before = format!("{}  {:name$}  ", self.status(line), line.name());
        let mut text = Vec::new();
        for row in line.rows() {
            let of = row.name.side.map_or("", Side::name);
            let cell = self.folded(seen(row), sides + side + GAP);
            let cell = self.judged(Some(row), &cell);
            text.push(format!("{before}{of:side$}  {cell}"));
            before = " ".repeat(sides);
        }
        text
    }

    fn status(&self, line: &Line<'_>) -> String {
        if line.rows().all(|row| row.ok) {
            self.paint.good("    ok")
        } else {
            self.paint.bad("FAILED")
        }
    }

    fn judged(&self, row: Option<&Row>, text: &str) -> String {
        match row {
            Some(row) if !row.ok => self.paint.bad(text),
            _ => text.to_owned(),
        }
    }

    fn sum(&self, report: &Report) -> String {
        let good = report.rows.iter().filter(|row| row.ok).count();
        let seconds = format!("{}.{}", report.ms / 1000, report.ms % 1000 / 100);
        let sum = format!("{good} of {} ok in {seconds} s", report.rows.len());
        if report.ok {
            self.paint.good(&sum)
        } else {
            self.paint.bad(&sum)
        }
    }
}

/// Where names begin in the table, and the characters between columns.
const NAMES: usize = 8;
const GAP: usize = 2;

/// A line of the table: a behaviour, inside and outside. What is about all stands in the first cell.
struct Line<'a> {
    name: &'a Title,
    cells: [Option<&'a Row>; 2],
}

impl<'a> Line<'a> {
    /// The two rows of a behaviour follow one another.
    fn all(report: &'a Report) -> Vec<Self> {
        let mut lines: Vec<Self> = Vec::new();
        for row in &report.rows {
            let about = |line: &Self| (&line.name.subject, &line.name.what);
            let is_other = |line: &&mut Self| about(line) == (&row.name.subject, &row.name.what);
            match (row.name.side, lines.last_mut().filter(is_other)) {
                (Some(Side::Outside), Some(line)) => line.cells[1] = Some(row),
                (side, _) => {
                    let is_outside = side == Some(Side::Outside);
                    let cells = [!is_outside, is_outside].map(|here| here.then_some(row));
                    let name = &row.name;
                    lines.push(Self { name, cells });
                }
            }
        }
        lines
    }

    fn rows(&self) -> impl Iterator<Item = &'a Row> {
        self.cells.into_iter().flatten()
    }

    fn name(&self) -> &'a str {
        match self.name.what.as_str() {
            "" => &self.name.subject,
            what => what,
        }
    }

    /// What stands above it, if it is the first of its kind.
    fn begins(&self, last: &mut Option<&'a str>) -> Option<&'a str> {
        let subject = match self.name.what.as_str() {
            "" => "Rules",
            _ => &self.name.subject,
        };
        (last.replace(subject) != Some(subject)).then_some(subject)
    }
}

/// What a cell says: what went wrong has no room there.
fn seen(row: &Row) -> &str {
    if row.ok { &row.seen } else { "FAILED" }
}

fn what_failed(row: &Row) -> String {
    let side = row.name.side.map_or("all", Side::name);
    let edge = row.edge.map(|edge| format!(" by the edge {edge}"));
    format!(
        "{side}{}: expected \"{}\", and {}",
        edge.unwrap_or_default(),
        row.expected,
        row.seen
    )
}

fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|it| it.chars().count()).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(what: &str, side: Side, outcome: Result<&str, &str>) -> Row {
        Row {
            name: Title {
                subject: "Jabber iOS 13+".to_owned(),
                what: what.to_owned(),
                side: Some(side),
            },
            edge: (side == Side::Outside).then(|| "127.0.0.2:5061".parse().unwrap()),
            ok: outcome.is_ok(),
            expected: "CallKit rings by push, then by stream".to_owned(),
            seen: outcome.unwrap_or_else(|error| error).to_owned(),
            steps: Vec::new(),
        }
    }

    /// Two behaviours, one of which fails outside.
    fn report() -> Report {
        let late = "the order was push, proposal, CallKit, and everything else late";
        let call = "suspended XMPP call";
        Report {
            ok: false,
            ms: 1_000,
            rows: vec![
                row("foreground call", Side::Inside, Ok("rang after 6 ms")),
                row("foreground call", Side::Outside, Ok("rang after 9 ms")),
                row(call, Side::Inside, Ok("CallKit 113 ms, XMPP 665 ms")),
                row(call, Side::Outside, Err(late)),
            ],
        }
    }

    #[test]
    fn inside_and_outside_stand_side_by_side_and_below_each_other_where_there_is_no_room() {
        let table = |columns| Screen::new(Paint::none(), columns, Vec::new()).table(&report());
        let wide = table(Some(100));
        let has = |table: &str, line: &str| table.lines().any(|it| it == line);
        let both = "    ok  foreground call      rang after 6 ms              rang after 9 ms";
        assert!(has(&wide, both), "{wide}");
        let failed = "FAILED  suspended XMPP call  CallKit 113 ms, XMPP 665 ms  FAILED";
        assert!(has(&wide, failed), "{wide}");
        let why =
            "        outside by the edge 127.0.0.2:5061: expected \"CallKit rings by push, then by";
        assert!(wide.contains(why), "{wide}");
        assert!(wide.contains("3 of 4 ok in 1.0 s"), "{wide}");
        let narrow = table(Some(60));
        assert!(
            has(
                &narrow,
                "    ok  foreground call      inside   rang after 6 ms"
            ),
            "{narrow}"
        );
        assert!(
            has(
                &narrow,
                "                             outside  rang after 9 ms"
            ),
            "{narrow}"
        );
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        let screen = |columns| Screen::new(Paint::none(), columns, Vec::new());
        let widest = |text: &str| text.lines().map(|it| it.chars().count()).max();
        for columns in [80, 60] {
            let table = screen(Some(columns)).table(&report());
            assert!(widest(&table) <= Some(columns), "{table}");
        }
        assert!(widest(&screen(None).table(&report())) > Some(80));
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
