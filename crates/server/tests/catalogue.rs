//! The catalogue is what the code says: the page in the docs, and the events of the log.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use reveille::catalogue::{EVENTS, markdown};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_page_in_the_docs_is_what_the_code_says() {
    let page = fs::read_to_string(root().join("docs/operations/catalogue.md")).unwrap_or_default();
    assert!(
        page == markdown(),
        "docs/operations/catalogue.md is out of date: `cargo run -- catalogue > docs/operations/catalogue.md`"
    );
}

#[test]
fn the_description_of_the_push_service_in_the_docs_is_that_of_the_code() {
    let page = fs::read_to_string(root().join("docs/operations/openapi.json")).unwrap_or_default();
    let page: serde_json::Value = serde_json::from_str(&page).unwrap_or_default();
    assert!(
        page == reveille::pushd::openapi(),
        "docs/operations/openapi.json is out of date: `cargo run -- openapi > docs/operations/openapi.json`"
    );
}

/// What the server is made of; the simulated clouds and phones have logs of their own.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|it| it.unwrap().path())
        .filter(|it| !it.ends_with("lab"))
        .map(|it| it.join("src"))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The arguments of a call, whose text begins behind its bracket.
fn arguments(text: &str) -> Vec<String> {
    let (mut all, mut now) = (Vec::new(), String::new());
    let (mut depth, mut is_quoted) = (0, false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if is_quoted => {
                now.push(c);
                now.extend(chars.next());
                continue;
            }
            '"' => is_quoted = !is_quoted,
            '(' | '[' | '{' if !is_quoted => depth += 1,
            ')' if !is_quoted && depth == 0 => break,
            ')' | ']' | '}' if !is_quoted => depth -= 1,
            ',' if !is_quoted && depth == 0 => {
                all.push(std::mem::take(&mut now));
                continue;
            }
            _ => {}
        }
        now.push(c);
    }
    all.push(now);
    all.iter().map(|it| it.trim().to_owned()).collect()
}

#[test]
fn every_event_of_the_log_is_in_the_table_and_the_table_has_no_others() {
    let mut logged = BTreeSet::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for level in ["error", "warn", "info"] {
            for (at, found) in text.match_indices(&format!("tracing::{level}!(")) {
                let all = arguments(&text[at + found.len()..]);
                let says = all.iter().find(|it| it.starts_with('"'));
                let says = says.unwrap_or_else(|| panic!("{}: {all:?}", path.display()));
                logged.insert((level, says.trim_matches('"').to_owned()));
            }
        }
    }
    let known = EVENTS
        .iter()
        .map(|it| (it.level, it.says.to_owned()))
        .collect();
    let missing: Vec<_> = logged.difference(&known).collect();
    let gone: Vec<_> = known.difference(&logged).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "crates/server/src/catalogue/events.rs lacks {missing:#?} and has {gone:#?}, which nothing logs"
    );
    assert!(logged.len() > 50, "the sources are not where they were");
}
