//! Tables for people.

use domain::Timestamp;
use serde_json::Value;
use std::fmt::Write;

/// What a peer may have sent, so that a terminal shows it and does nothing: control characters, and those that turn the
/// direction of what is written, are escaped.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Whether a terminal does something when it is written this.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Prints a document for machines; a terminal shows it and does nothing, either.
pub(super) fn json(document: &Value) {
    say!("{}", plain_json(&format!("{document:#}")));
}

/// A document with what a terminal would act upon escaped: such characters are in its strings alone, but for the ends of lines.
pub(super) fn plain_json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for c in document.chars() {
        if c != '\n' && acts(c) {
            // All of them are in the basic plane; writing to a string does not fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Prints rows in columns that are as wide as they must be; the first row is the heading.
pub(super) fn table(rows: &[Vec<String>]) {
    let plain_row = |row: &Vec<String>| row.iter().map(|cell| plain(cell)).collect::<Vec<_>>();
    let rows: Vec<_> = rows.iter().map(plain_row).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    for row in &rows {
        let line = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect::<Vec<_>>()
            .join("  ");
        say!("{}", line.trim_end());
    }
}

/// A heading.
pub(super) fn heading(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_uppercase()).collect()
}

/// How long until then, or since then, roughly: `5m`, `3h`, `2d`.
pub(super) fn roughly(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.since(from).as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_says_the_same_and_does_nothing_to_a_terminal() {
        let sent =
            serde_json::json!({ "a": ["\u{1b}]0;owned\u{7}\u{9b}2J\r\n\u{202e}evil \u{fc}"] });
        let shown = plain_json(&format!("{sent:#}"));
        assert!(shown.chars().all(|c| c == '\n' || !acts(c)), "{shown}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), sent);
    }

    #[test]
    fn what_a_peer_sent_does_nothing_to_a_terminal() {
        let sent = "call\u{1b}]0;owned\u{7}\u{9b}2J\r\n\u{202e}evil \u{fc} \u{4f60}";
        let shown = plain(sent);
        assert!(!shown.chars().any(char::is_control), "{shown}");
        assert_eq!(
            shown,
            r"call\u{1b}]0;owned\u{7}\u{9b}2J\r\n\u{202e}evil \u{fc} \u{4f60}"
                .replace(r"\u{fc}", "\u{fc}")
                .replace(r"\u{4f60}", "\u{4f60}")
        );
    }
}
