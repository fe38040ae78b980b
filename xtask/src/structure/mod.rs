//! The shape of each crate: its parts use each other in one direction, by calls as well as by imports, and a function
//! fits a screen. An `impl` that is spread over files whose methods call each other is a circle like any other.
//! Exceptions are argued in `xtask/structure.toml`.

mod arrows;
mod circles;
mod exceptions;
mod index;
mod known;
mod lengths;
#[cfg(test)]
mod tests;
mod uses;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::circles::{Circle, Graph};
use self::exceptions::Exceptions;
use self::index::Index;
use crate::source::Source;
use crate::workspace::Workspace;

const EXCEPTIONS: &str = "xtask/structure.toml";
/// Folders of the workspace that are one crate each.
const SINGLE: [&str; 3] = ["e2e", "bench", "xtask"];

/// Fails with every circle, every long function, and every exception that is not needed.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let root = &workspace.root;
    let written = fs::read_to_string(root.join(EXCEPTIONS)).context(EXCEPTIONS)?;
    let exceptions = Exceptions::parse(&written)?;
    let folders = crate_folders(root)?;
    let names: Vec<&str> = folders.iter().map(|folder| name(folder)).collect();
    let mut wrong: Vec<String> = exceptions
        .strangers(&names)
        .map(|name| format!("there is no crate `{name}`"))
        .collect();
    for folder in &folders {
        let read = |path: &Path| fs::read_to_string(root.join(path)).ok();
        let files = root_files(root, folder)?;
        let sources: Result<Vec<Source>> = files
            .iter()
            .map(|file| Source::parse(file, &read))
            .collect();
        wrong.extend(faults(name(folder), &sources?, &exceptions));
    }
    if wrong.is_empty() {
        println!("{} crates are in shape", folders.len());
        return Ok(());
    }
    for line in &wrong {
        println!("{line}");
    }
    bail!("{} fault(s)", wrong.len());
}

/// A crate goes by the last part of its folder.
fn name(folder: &str) -> &str {
    folder.rsplit('/').next().unwrap_or(folder)
}

/// What is wrong with one crate: its library and its programs together.
fn faults(name: &str, sources: &[Source], exceptions: &Exceptions) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut graph, mut long) = (Graph::default(), Vec::new());
    for source in sources {
        graph.add(source, &arrows::arrows(&Index::of(source)));
        long.extend(lengths::long_functions(source));
    }
    let argued = exceptions.arrows(name, &graph, &mut wrong);
    for circle in graph.without(&argued).circles() {
        wrong.push(format!("{name}: {}", chain(&circle)));
    }
    for long in exceptions.unargued(name, long, &mut wrong) {
        let file = long.file.display();
        wrong.push(format!(
            "{name}: {file}:{}: `{}` has {} lines",
            long.line, long.name, long.lines
        ));
    }
    wrong
}

/// `calls -> pushes (calls it at FILE:LINE) -> calls (names it at FILE:LINE)`.
fn chain(circle: &Circle) -> String {
    let steps = circle.edges.iter().map(|((_, to), place)| {
        let how = if place.is_call { "calls" } else { "names" };
        format!("{to} ({how} it at {}:{})", place.file.display(), place.line)
    });
    let first = circle.edges.first().map(|((from, _), _)| from.clone());
    first
        .into_iter()
        .chain(steps)
        .collect::<Vec<_>>()
        .join(" -> ")
}

fn crate_folders(root: &Path) -> Result<Vec<String>> {
    let mut folders = Vec::new();
    for entry in root.join("crates").read_dir().context("crates")? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            folders.push(format!("crates/{}", entry.file_name().to_string_lossy()));
        }
    }
    let single = SINGLE
        .iter()
        .filter(|name| root.join(name).join("Cargo.toml").is_file());
    folders.extend(single.map(|name| (*name).to_owned()));
    folders.sort();
    Ok(folders)
}

/// The files that a crate's libraries and programs begin with.
fn root_files(root: &Path, folder: &str) -> Result<Vec<PathBuf>> {
    let source = Path::new(folder).join("src");
    let mut files = vec![source.join("lib.rs"), source.join("main.rs")];
    let programs = root.join(&source).join("bin");
    if programs.is_dir() {
        for entry in programs.read_dir().context("src/bin")? {
            let name = entry?.file_name();
            files.push(source.join("bin").join(&name));
            files.push(source.join("bin").join(&name).join("main.rs"));
        }
    }
    files.retain(|file| root.join(file).is_file());
    Ok(files)
}
