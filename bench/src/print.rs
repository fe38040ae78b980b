//! Rows for people: a table at the terminal, and the same in Markdown, put into its place in a document.

use crate::{
    machine::Machine,
    row::{Measure, Row, figure},
};
use anyhow::{Context, Result};
use std::{fmt::Write, path::Path};

/// A row as a table for the terminal.
pub(crate) fn text(row: &Row) -> String {
    let mut text = format!("\n{}: {}\n{}\n\n", row.name, row.title, row.how);
    let width = row
        .measures
        .iter()
        .map(|measure| measure.what.chars().count() + measure.unit.chars().count() + 2)
        .chain(
            row.verdicts
                .iter()
                .map(|verdict| verdict.what.chars().count()),
        )
        .max()
        .unwrap_or_default();
    for measure in &row.measures {
        let what = format!("{}, {}", measure.what, measure.unit);
        let (median, range) = (figure(measure.median), measure.range());
        // Writing to a string does not fail.
        let _ = writeln!(text, "{what:<width$}  {median:>10}   {range}");
    }
    text.push('\n');
    for verdict in &row.verdicts {
        let (what, value) = (&verdict.what, figure(verdict.value));
        let _ = writeln!(text, "{what:<width$}  {value:>10}   goal {}", verdict.goal);
    }
    for note in notes(row) {
        let _ = write!(text, "\n- {note}");
    }
    text.push('\n');
    text
}

/// A row in Markdown.
pub(crate) fn markdown(row: &Row, machine: &Machine) -> String {
    let mut text = format!(
        "## {}\n\n{}\n\n| | median | range |\n|---|--:|--:|\n",
        row.title, row.how
    );
    for measure in &row.measures {
        let (what, unit) = (&measure.what, measure.unit);
        let (median, range) = (figure(measure.median), measure.range());
        let _ = writeln!(text, "| {what}, {unit} | {median} | {range} |");
    }
    if !row.verdicts.is_empty() {
        text.push_str("\n| | measured | goal |\n|---|--:|--:|\n");
        for verdict in &row.verdicts {
            let value = figure(verdict.value);
            let _ = writeln!(
                text,
                "| {} | **{value}** | {} |",
                verdict.what, verdict.goal
            );
        }
    }
    text.push('\n');
    for note in notes(row) {
        let _ = writeln!(text, "- {note}");
    }
    let Machine {
        date,
        processor,
        system,
        disk,
        load,
        reveille,
        peers,
        command,
    } = machine;
    let rounds = row
        .measures
        .iter()
        .map(|measure| measure.values.len())
        .max();
    // A row without peers has no versions of them.
    let separator = if peers.is_empty() { "" } else { ", " };
    let _ = writeln!(
        text,
        "\n{date}, {} rounds, `{command}`: {reveille}{separator}{peers}; {processor}; {system}; databases on {disk}; load \
         before it {load:.2}.",
        rounds.unwrap_or_default()
    );
    text
}

fn notes(row: &Row) -> impl Iterator<Item = String> {
    let counted = row
        .measures
        .iter()
        .filter(|measure| !measure.counts.is_empty())
        .map(|Measure { what, counts, .. }| format!("{what}: {counts}."));
    counted.chain(row.notes.iter().cloned())
}

/// Fails unless a document has a place for the row of this name: to be asked before it is measured.
pub(crate) fn check_place(file: &Path, name: &str) -> Result<()> {
    replaced(&read(file)?, name, "")
        .with_context(|| format!("{} has no place for the row {name}", file.display()))?;
    Ok(())
}

/// Puts a row into a document, between the two lines that mark its place.
pub(crate) fn put_into(file: &Path, row: &Row, machine: &Machine) -> Result<()> {
    let changed = replaced(&read(file)?, row.name, &markdown(row, machine))?;
    std::fs::write(file, changed).with_context(|| format!("writing {}", file.display()))
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

fn replaced(document: &str, name: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let marks = || format!("the lines {} and {end}", begin.trim());
    let (before, rest) = document.split_once(&begin).with_context(marks)?;
    let (_, after) = rest.split_once(&end).with_context(marks)?;
    Ok(format!("{before}{begin}\n{text}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_goes_into_its_place_and_leaves_the_others() {
        let document =
            "top\n<!-- call -->\nold\n<!-- /call -->\nrest\n<!-- wake -->\n<!-- /wake -->\n";
        let changed = replaced(document, "call", "new\n").unwrap();
        assert_eq!(
            changed,
            "top\n<!-- call -->\n\nnew\n\n<!-- /call -->\nrest\n<!-- wake -->\n<!-- /wake -->\n"
        );
        assert!(replaced(document, "cores", "new").is_err());
    }
}
