//! Tables for people.

use domain::Timestamp;

/// What a peer may have sent, so that a terminal shows it and does nothing: control characters, and those that turn the
/// direction of what is written, are escaped.
pub(super) fn plain(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns(c) {
            shown.extend(c.escape_default());
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
