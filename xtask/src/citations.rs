//! Every protocol rule in the code cites its source; this knows that the source exists. It checks each
//! `RFC NNNN §x.y` against the text of that RFC, where `../shared/reference/rfc` has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

const LIBRARY: &str = "../shared/reference/rfc";
const FOLDERS: [&str; 4] = ["crates", "e2e", "docs", "scenarios"];
const ENDINGS: [&str; 3] = [".rs", ".md", ".py"];

/// Fails with every citation of a section that its RFC does not have.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let library = workspace.root.join(LIBRARY);
    if !library.is_dir() {
        println!("{LIBRARY} is not here: nothing to check against");
        return Ok(());
    }
    let mut sections: BTreeMap<u32, Option<BTreeSet<String>>> = BTreeMap::new();
    let (mut checked, mut wrong) = (0, Vec::new());
    for folder in FOLDERS {
        for path in workspace.files(folder, &ENDINGS)? {
            let source = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            for citation in citations(&source) {
                let known = sections
                    .entry(citation.rfc)
                    .or_insert_with(|| read_sections(&library, citation.rfc));
                let Some(known) = known else { continue };
                checked += 1;
                if !known.contains(&citation.section) {
                    let file = path
                        .strip_prefix(&workspace.root)
                        .unwrap_or(&path)
                        .display();
                    wrong.push(format!(
                        "{file}:{}: RFC {} has no §{}",
                        citation.line, citation.rfc, citation.section
                    ));
                }
            }
        }
    }
    let missing: Vec<String> = sections
        .iter()
        .filter(|(_, known)| known.is_none())
        .map(|(rfc, _)| rfc.to_string())
        .collect();
    println!(
        "{checked} citations checked; no text here of RFC {}",
        if missing.is_empty() {
            "(none)".to_owned()
        } else {
            missing.join(", ")
        }
    );
    if wrong.is_empty() {
        return Ok(());
    }
    for line in &wrong {
        println!("{line}");
    }
    bail!("{} citation(s) of sections that do not exist", wrong.len());
}

#[derive(Debug, PartialEq)]
struct Citation {
    line: usize,
    rfc: u32,
    section: String,
}

/// Finds `RFC 3261 §16.7`, and the further sections of `RFC 3261 §8.1.1, §8.1.2 and §9`.
fn citations(source: &str) -> Vec<Citation> {
    let mut found = Vec::new();
    for (index, line) in source.lines().enumerate() {
        for (at, _) in line.match_indices("RFC ") {
            let digits_end = line[at + 4..]
                .find(|c: char| !c.is_ascii_digit())
                .map_or(line.len(), |end| at + 4 + end);
            let Ok(rfc) = line[at + 4..digits_end].parse() else {
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

fn read_sections(library: &Path, rfc: u32) -> Option<BTreeSet<String>> {
    fs::read_to_string(library.join(format!("rfc{rfc}.txt")))
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
}
