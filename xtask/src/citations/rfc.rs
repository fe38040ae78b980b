//! Sections of RFCs: which ones are cited, and which there are. The numbers of all sections of the RFCs that are cited
//! stand in a file of the project, so that the check needs no RFC at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};

/// Beyond this a line of the file is continued on the next.
const WIDTH: usize = 120;

/// The sections of each RFC.
pub(super) type Sections = BTreeMap<u32, BTreeSet<String>>;

/// Reads the file: an RFC's number and those of its sections on each line, and comments.
pub(super) fn parse(text: &str) -> Result<Sections> {
    let mut known = Sections::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let Some(rfc) = words.next() else { continue };
        let rfc = rfc.parse().with_context(|| format!("{rfc:?} is no RFC"))?;
        known
            .entry(rfc)
            .or_default()
            .extend(words.map(str::to_owned));
    }
    Ok(known)
}

/// The file's lines, sections in the order of the RFC.
pub(super) fn print(known: &Sections) -> String {
    let mut text = String::new();
    for (rfc, sections) in known {
        let mut sections: Vec<&String> = sections.iter().collect();
        sections.sort_by_key(|section| in_order(section));
        let mut width = WIDTH;
        for section in sections {
            if width + section.len() >= WIDTH {
                // Writing to a string does not fail.
                let _ = write!(text, "\n{rfc}");
                width = 4;
            }
            let _ = write!(text, " {section}");
            width += section.len() + 1;
        }
    }
    text.trim_start().to_owned() + "\n"
}

/// Numbers by their value, appendices behind them.
fn in_order(section: &str) -> Vec<(u32, String)> {
    let parts = section.split('.');
    parts
        .map(|part| {
            part.parse().map_or((u32::MAX, part.to_owned()), |number| {
                (number, String::new())
            })
        })
        .collect()
}

/// Reads the sections of an RFC out of its text in a folder of `rfcNNNN.txt`, if it is there.
pub(super) fn read(folder: &Path, rfc: u32) -> Option<BTreeSet<String>> {
    std::fs::read_to_string(folder.join(format!("rfc{rfc}.txt")))
        .ok()
        .map(|text| sections(&text))
}

/// The numbers of an RFC's headings: they begin a line, as nothing else with a number does.
fn sections(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| {
            let line = line.strip_prefix("Appendix ").unwrap_or(line);
            let (number, title) = line.split_once(' ')?;
            let number = number.trim_end_matches(['.', ':']);
            let numbered = number.split('.').all(|part| {
                !part.is_empty()
                    && (part.chars().all(|c| c.is_ascii_digit())
                        || matches!(part.as_bytes(), [b'A'..=b'Z']))
            });
            (numbered && !title.trim().is_empty()).then(|| number.to_owned())
        })
        .collect()
}

/// A section of an RFC, or of a document of another series.
#[derive(Debug, PartialEq)]
pub(super) struct Citation {
    pub(super) line: usize,
    pub(super) rfc: u32,
    pub(super) section: String,
}

/// Finds `RFC 3261 §16.7`, and the further sections of `RFC 3261 §8.1.1, §8.1.2 and §9`.
pub(super) fn citations(source: &str) -> Vec<Citation> {
    citations_of("RFC ", source)
}

/// The same for a series of documents that is cited by this before the number.
pub(super) fn citations_of(series: &str, source: &str) -> Vec<Citation> {
    let mut found = Vec::new();
    for (index, line) in source.lines().enumerate() {
        for (before, _) in line.match_indices(series) {
            let at = before + series.len();
            let digits_end = line[at..]
                .find(|c: char| !c.is_ascii_digit())
                .map_or(line.len(), |end| at + end);
            let Ok(rfc) = line[at..digits_end].parse() else {
                continue;
            };
            let mut rest = &line[digits_end..];
            while let Some(after) = section_sign(rest) {
                let end = after
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
                    .unwrap_or(after.len());
                let section = after[..end].trim_end_matches('.');
                if !section.is_empty() {
                    found.push(Citation {
                        line: index + 1,
                        rfc,
                        section: section.to_owned(),
                    });
                }
                rest = &after[end..];
            }
        }
    }
    found
}

/// What comes behind the next `§`, if nothing but an enumeration leads to it.
fn section_sign(rest: &str) -> Option<&str> {
    let (before, after) = rest.split_once('§')?;
    matches!(before.trim(), "" | "," | "and" | ", and" | "or" | "to").then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_are_found_alone_and_in_a_row() {
        let found: Vec<_> = citations(
            "// as RFC 3261 §16.7 says\n(RFC 8599 §5.6.1, §5.6.2 and §6; see §7)\nRFC 4475\n",
        )
        .into_iter()
        .map(|found| (found.line, found.rfc, found.section))
        .collect();
        let expected = [
            (1, 3261, "16.7"),
            (2, 8599, "5.6.1"),
            (2, 8599, "5.6.2"),
            (2, 8599, "6"),
        ];
        assert_eq!(
            found,
            expected.map(|(line, rfc, section)| (line, rfc, section.to_owned()))
        );
    }

    #[test]
    fn a_full_stop_is_not_part_of_the_number() {
        assert_eq!(
            citations("RFC 3261 §17.")
                .first()
                .map(|found| found.section.as_str()),
            Some("17")
        );
    }

    #[test]
    fn headings_are_told_from_the_table_of_contents_and_from_text() {
        let text = "   16.7       Response Processing ........  107\n16.7 Response Processing\n5.6.1.  REGISTER\n   3. a list item\nAppendix A. Notes\nA.1.  More\n";
        let expected = ["16.7", "5.6.1", "A", "A.1"].map(str::to_owned);
        assert_eq!(sections(text), BTreeSet::from(expected));
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let many: BTreeSet<String> = (1..200).map(|number| format!("2.{number}")).collect();
        let known = Sections::from([
            (3261, many),
            (8599, BTreeSet::from(["A".to_owned(), "5".to_owned()])),
        ]);
        let text = print(&known);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(text.starts_with("3261 2.1 2.2 "), "{text}");
        assert!(text.ends_with("8599 5 A\n"), "{text}");
        assert_eq!(parse(&text).expect("our own"), known);
        assert_eq!(parse("# a comment\n\n8599 5\n").expect("a line").len(), 1);
        assert!(parse("RFC 8599").is_err());
    }
}
