//! What an operator can see, made of the tables that the code itself works with: alarms, metrics, events of the log. It is
//! docs/operations/catalogue.md, and a test says so if that page is another one.

mod events;

pub use events::{EVENTS, Event};

use crate::{
    alarms::{Alarm, STORE_CAUSES},
    metrics::{Door, METRICS},
};
use domain::Refusal;
use serde_json::{Value, json};
use std::fmt::Write;

/// How the page begins.
const HEAD: &str = "\
# Alarms, metrics, log

Made by `reveille catalogue` of the tables in the code: change those, and not this page.

What stands now is shown by `reveille alarms`, by `GET /api/v1/alarms`, and by `reveille_alarm_active{name}`. An alarm is logged in one line when it begins, when it
gets worse or something else helps, and when it is over.
";

/// The catalogue as a page.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    section(&mut page, "Alarms", "");
    let alarms = Alarm::ALL.iter().map(|alarm| {
        [
            code(alarm.name()),
            alarm.severity().name().to_owned(),
            alarm.meaning(),
            alarm.remedy().to_owned(),
        ]
    });
    table(
        &mut page,
        ["Name", "Severity", "It means", "What to do"],
        alarms,
    );
    let about =
        "A store that cannot be written says why, and what helps is another thing each time:";
    section(&mut page, "Why `store_failed` stands", about);
    let causes = STORE_CAUSES
        .iter()
        .map(|cause| [cause.name.to_owned(), cause.remedy.to_owned()]);
    table(&mut page, ["It is", "What to do"], causes);
    let about = "Prometheus text at `/metrics` of `listen.health`. Labels have few values.";
    section(&mut page, "Metrics", about);
    let metrics = METRICS.iter().map(|row| {
        [
            code(&labelled(row.name, row.labels)),
            row.kind.name().to_owned(),
            row.meaning.to_owned(),
            row.act.to_owned(),
        ]
    });
    table(
        &mut page,
        ["Name", "Kind", "It means", "What to look at"],
        metrics,
    );
    let doors = Door::ALL.map(|door| code(door.name())).join(", ");
    let reasons = Refusal::ALL.map(|why| code(why.name())).join(", ");
    section(&mut page, "Values of labels", "");
    let labels = [[code("door"), doors], [code("reason"), reasons]];
    table(&mut page, ["Label", "Values"], labels.into_iter());
    let about = "At the levels that `observe.log` shows unless it is changed. What is in braces is filled in; fields beside the text say which user, device or file it is about.";
    section(&mut page, "Log events", about);
    let events = EVENTS.iter().map(|event| {
        [
            event.level.to_owned(),
            event.says.to_owned(),
            event.act.to_owned(),
        ]
    });
    table(&mut page, ["Level", "It says", "What to do"], events);
    page
}

/// The same for machines.
pub fn json() -> Value {
    let alarms = Alarm::ALL.iter().map(|alarm| {
        json!({
            "name": alarm.name(), "severity": alarm.severity(), "meaning": alarm.meaning(), "remedy": alarm.remedy(),
        })
    });
    let metrics = METRICS.iter().map(|row| {
        json!({
            "name": row.name, "kind": row.kind.name(), "unit": row.unit, "labels": row.labels, "meaning": row.meaning,
            "act": row.act,
        })
    });
    let events = EVENTS
        .iter()
        .map(|event| json!({ "level": event.level, "says": event.says, "act": event.act }));
    json!({
        "alarms": alarms.collect::<Vec<_>>(),
        "metrics": metrics.collect::<Vec<_>>(),
        "events": events.collect::<Vec<_>>(),
    })
}

fn labelled(name: &str, labels: &[&str]) -> String {
    if labels.is_empty() {
        name.to_owned()
    } else {
        format!("{name}{{{}}}", labels.join(","))
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn section(page: &mut String, title: &str, about: &str) {
    let about = if about.is_empty() {
        String::new()
    } else {
        format!("{about}\n\n")
    };
    // Writing to a string does not fail.
    let _ = write!(page, "\n## {title}\n\n{about}");
}

fn table<const N: usize>(
    page: &mut String,
    heads: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    line(page, &heads.map(str::to_owned));
    line(page, &heads.map(|_| "---".to_owned()));
    for row in rows {
        line(page, &row);
    }
}

fn line(page: &mut String, cells: &[String]) {
    for cell in cells {
        let cell = cell.replace('|', "\\|");
        let _ = write!(page, "| {cell} ");
    }
    page.push_str("|\n");
}
