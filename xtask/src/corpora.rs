//! What was found once stays found: fuzz corpora are replayed by the crates' ordinary tests, and property tests keep the
//! seeds that failed. This checks that none is forgotten.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

const CORPUS: &str = "fuzz/corpus-seed";

/// How a property test forgets its failures.
const FORGETFUL: &str = "failure_persistence: None";

/// Fails if a corpus is empty, or no test names it, or a property test forgets.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut sources = String::new();
    for path in workspace.files("crates", &[".rs"])? {
        let source = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        if source.contains(FORGETFUL) {
            bail!("{}: `{FORGETFUL}`", path.display());
        }
        sources += &source;
    }
    let folder = workspace.root.join(CORPUS);
    if !folder.is_dir() {
        println!("there is no {CORPUS}");
        return Ok(());
    }
    let mut forgotten = Vec::new();
    for entry in folder.read_dir().context(CORPUS)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let filled = path.is_dir() && path.read_dir()?.next().is_some();
        if filled && sources.contains(&format!("{CORPUS}/{name}")) {
            println!("{CORPUS}/{name} is replayed");
        } else {
            forgotten.push(name);
        }
    }
    if !forgotten.is_empty() {
        bail!(
            "empty, or named by no test in crates/: {}",
            forgotten.join(", ")
        );
    }
    Ok(())
}
