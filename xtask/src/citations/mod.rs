//! Every rule in the code cites its source; this knows that the source exists, be it a section of an RFC, of an extension
//! of XMPP, or of a page of the project's own. What cannot be looked up is wrong.

mod pages;
mod rfc;
mod xep;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// The sections of the RFCs that are cited.
const RFCS: &str = "xtask/rfc-sections.txt";
/// The sections of the extensions of XMPP that are cited.
const XEPS: &str = "xtask/xep-sections.txt";
/// Where the pages are that are cited by their name alone.
const PAGES: &str = "docs";
const FOLDERS: [&str; 5] = ["crates", "e2e", "bench", "docs", "fuzz"];
const ENDINGS: [&str; 4] = [".rs", ".md", ".py", ".toml"];

/// Fails with every citation of what is not there.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let known = rfc::parse(&fs::read_to_string(workspace.root.join(RFCS)).context(RFCS)?)?;
    let xeps = rfc::parse(&fs::read_to_string(workspace.root.join(XEPS)).context(XEPS)?)?;
    let mut library = Library {
        root: &workspace.root,
        rfcs: &known,
        xeps: &xeps,
        pages: BTreeMap::new(),
    };
    let (mut checked, mut wrong) = (0, Vec::new());
    for (file, source) in sources(workspace)? {
        for citation in rfc::citations(&source) {
            checked += 1;
            if let Some(problem) = library.rfc_problem(&citation) {
                wrong.push(format!("{file}:{}: {problem}", citation.line));
            }
        }
        for citation in xep::citations(&source) {
            checked += 1;
            if let Some(problem) = library.xep_problem(&citation) {
                wrong.push(format!("{file}:{}: {problem}", citation.line));
            }
        }
        for citation in pages::citations(&source) {
            checked += 1;
            if let Some(problem) = library.page_problem(&citation) {
                wrong.push(format!("{file}:{}: {problem}", citation.line));
            }
        }
    }
    if wrong.is_empty() {
        println!("{checked} citations lead somewhere");
        return Ok(());
    }
    for line in &wrong {
        println!("{line}");
    }
    bail!("{} citation(s) lead nowhere", wrong.len());
}

/// What is there to be cited.
struct Library<'a> {
    root: &'a Path,
    rfcs: &'a rfc::Sections,
    xeps: &'a rfc::Sections,
    /// Pages that were asked for, with their sections.
    pages: BTreeMap<String, Option<BTreeSet<String>>>,
}

impl Library<'_> {
    fn rfc_problem(&self, citation: &rfc::Citation) -> Option<String> {
        let rfc::Citation { rfc, section, .. } = citation;
        match self.rfcs.get(rfc) {
            None => Some(format!("RFC {rfc} is not in {RFCS}")),
            Some(known) if !known.contains(section) => Some(format!("RFC {rfc} has no §{section}")),
            Some(_) => None,
        }
    }

    fn xep_problem(&self, citation: &rfc::Citation) -> Option<String> {
        let rfc::Citation {
            rfc: xep, section, ..
        } = citation;
        match self.xeps.get(xep) {
            None => Some(format!("XEP-{xep:04} is not in {XEPS}")),
            Some(known) if !known.contains(section) => {
                Some(format!("XEP-{xep:04} has no §{section}"))
            }
            Some(_) => None,
        }
    }

    fn page_problem(&mut self, citation: &pages::Citation) -> Option<String> {
        let page = &citation.page;
        let path = if page.contains('/') {
            self.root.join(page)
        } else {
            self.root.join(PAGES).join(page)
        };
        let known = self.pages.entry(page.clone()).or_insert_with(|| {
            let text = fs::read_to_string(path).ok()?;
            Some(pages::sections(&text))
        });
        match (known, &citation.number) {
            (None, _) => Some(format!("there is no {page}")),
            (Some(known), Some(number)) if !known.contains(number) => {
                Some(format!("{page} has no {number}"))
            }
            _ => None,
        }
    }
}

/// `cargo xtask rfc-sections FOLDER`: reads the sections of all RFCs that are cited out of their texts. Those whose text
/// is not in the folder stay as they are.
pub(crate) fn list_rfc_sections(folder: &Path) -> Result<()> {
    list(RFCS, &rfc::citations, &|rfc| rfc::read(folder, rfc))
}

/// `cargo xtask xep-sections FOLDER`: the same for the extensions of XMPP.
pub(crate) fn list_xep_sections(folder: &Path) -> Result<()> {
    list(XEPS, &xep::citations, &|xep| xep::read(folder, xep))
}

fn list(
    name: &str,
    citations: &dyn Fn(&str) -> Vec<rfc::Citation>,
    read: &dyn Fn(u32) -> Option<BTreeSet<String>>,
) -> Result<()> {
    let workspace = Workspace::load()?;
    let file = workspace.root.join(name);
    let old = fs::read_to_string(&file).unwrap_or_default();
    let known = rfc::parse(&old)?;
    let mut cited = BTreeSet::new();
    for (_, source) in sources(&workspace)? {
        cited.extend(citations(&source).into_iter().map(|found| found.rfc));
    }
    let mut listed = rfc::Sections::new();
    for number in cited {
        match read(number).or_else(|| known.get(&number).cloned()) {
            Some(sections) => {
                listed.insert(number, sections);
            }
            None => println!("{number} is cited, and its text is not there"),
        }
    }
    let comments = old.lines().filter(|line| line.starts_with('#'));
    let comments: String = comments.flat_map(|line| [line, "\n"]).collect();
    fs::write(&file, comments + &rfc::print(&listed))?;
    println!("{name}: {} documents", listed.len());
    Ok(())
}

/// All files that may cite, by their names in the project.
fn sources(workspace: &Workspace) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        for path in workspace.files(folder, &ENDINGS)? {
            let source = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let file = path.strip_prefix(&workspace.root).unwrap_or(&path);
            found.push((file.display().to_string(), source));
        }
    }
    Ok(found)
}
