//! `cargo xtask picture`: the README's picture, made of what the demo really prints. A few of its steps and its table,
//! in a terminal window drawn as SVG.

use anyhow::{Context, Result, ensure};
use std::{fmt::Write, process::Command};

/// Where the README looks for it.
const FILE: &str = "docs/images/demo.svg";
/// The play whose steps are shown above the table.
const SHOWN: &str = "Jabber iOS 13+: suspended call, outside";

/// Pixels a character and a line take in 13 px of a monospaced font.
const CHARACTER: f64 = 7.8;
const LINE: usize = 18;
const MARGIN: usize = 18;
/// Height of the window's title bar.
const BAR: usize = 34;

/// Background, text, and the colours of the ANSI codes that the demo uses.
const PAPER: &str = "#1b1f2a";
const INK: &str = "#d6dbe8";
const COLOURS: [(&str, &str); 8] = [
    ("1", "font-weight=\"bold\""),
    ("2", "fill=\"#7f879b\""),
    ("31", "fill=\"#ff6b6b\""),
    ("32", "fill=\"#7bd88f\""),
    ("33", "fill=\"#ffd166\""),
    ("34", "fill=\"#78b7ff\""),
    ("35", "fill=\"#d3a4ff\""),
    ("36", "fill=\"#6fd6d6\""),
];

/// Plays the demo and draws it.
pub(crate) fn draw() -> Result<()> {
    let output = demo()
        .env("CLICOLOR_FORCE", "1")
        .output()
        .context("the demo did not start")?;
    ensure!(output.status.success(), "the demo failed: run it by hand");
    let printed = String::from_utf8(output.stdout)?;
    let lines = chosen(&printed)?;
    std::fs::create_dir_all("docs/images")?;
    std::fs::write(FILE, svg(&lines))?;
    println!("{FILE}: {} lines", lines.len());
    Ok(())
}

/// The demo of the release build; of the one that `REVEILLE_BIN` names, if it is there already.
fn demo() -> Command {
    let built = || {
        let mut cargo = Command::new("cargo");
        cargo.args(["run", "--quiet", "--release", "--"]);
        cargo
    };
    let binary = std::env::var_os("REVEILLE_BIN");
    let mut demo = binary.map_or_else(built, Command::new);
    demo.arg("demo");
    demo
}

/// The steps of one play, and everything from the table on.
fn chosen(printed: &str) -> Result<Vec<&str>> {
    let mut blocks = printed.split("\n\n");
    let play = blocks.find(|block| plain(block).trim_start().starts_with(SHOWN));
    let play = play.with_context(|| format!("the demo no longer plays {SHOWN:?}"))?;
    let heading = printed
        .lines()
        .position(|line| plain(line).trim_start().starts_with("BEHAVIOUR"));
    let heading = heading.context("the demo no longer prints a table")?;
    let mut lines = vec!["$ cargo run --release -- demo", "…", ""];
    lines.extend(play.lines());
    lines.extend(["", "…", ""]);
    lines.extend(printed.lines().skip(heading));
    Ok(lines)
}

/// A line without its colours.
fn plain(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    text
}

fn svg(lines: &[&str]) -> String {
    let longest = lines.iter().map(|line| plain(line).chars().count()).max();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a line has some hundred characters"
    )]
    let width = (longest.unwrap_or_default() as f64 * CHARACTER).ceil() + 2.0 * MARGIN as f64;
    let height = BAR + lines.len() * LINE + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"13\" fill=\"{INK}\">\n\
         <title>What reveille demo prints</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"10\" fill=\"{PAPER}\"/>\n"
    );
    for (at, colour) in ["#ff5f57", "#febc2e", "#28c840"].iter().enumerate() {
        let x = MARGIN + 6 + at * 20;
        // Writing to a string does not fail.
        let _ = writeln!(
            svg,
            "<circle cx=\"{x}\" cy=\"17\" r=\"6\" fill=\"{colour}\"/>"
        );
    }
    for (number, line) in lines.iter().enumerate() {
        let y = BAR + (number + 1) * LINE - 4;
        let _ = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\">{}</text>",
            spans(line)
        );
    }
    svg + "</svg>\n"
}

/// A line with its colours as spans.
fn spans(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut text = escaped(parts.next().unwrap_or_default());
    for part in parts {
        let (code, rest) = part.split_once('m').unwrap_or(("", part));
        let code = code.trim_start_matches('[');
        match COLOURS.iter().find(|(known, _)| *known == code) {
            Some((_, style)) => {
                let _ = write!(text, "<tspan {style}>{}</tspan>", escaped(rest));
            }
            None => text.push_str(&escaped(rest)),
        }
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_spans_and_text_stays_text() {
        let line = "\u{1b}[32mok\u{1b}[0m  a <b> & c";
        assert_eq!(plain(line), "ok  a <b> & c");
        assert_eq!(
            spans(line),
            "<tspan fill=\"#7bd88f\">ok</tspan>  a &lt;b&gt; &amp; c"
        );
    }
}
