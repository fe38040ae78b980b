//! The steps of `cargo xtask test`, in order, and their running: a heading and the time of each, and a table at
//! the end. A step that fails does not keep the others from being run.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{cargo, exists, output, run as execute};
use crate::workspace::Workspace;
use crate::{citations, corpora, deb, debian, layers, peers, structure};

/// Numbers of shards with which the binary is tried: one, one for each of two cores, and more than that.
const SHARDS: [&str; 3] = ["1", "2", "4"];

/// What sets them.
const SHARDS_KEY: &str = "REVEILLE_SERVER__SHARDS";

/// One check.
pub(crate) struct Step {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it is about.
    pub(crate) about: &'static str,
    /// What to do when it fails.
    remedy: &'static str,
    run: fn(&Workspace) -> Result<()>,
}

/// From the quickest to the slowest. The release build serves the demo and the peers alike.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the code is formatted",
        remedy: "run `cargo fmt --all`",
        run: |workspace| execute(cargo(&workspace.root).args(["fmt", "--all", "--check"])),
    },
    Step {
        name: "layers",
        about: "crates use only what lies below them, and the pure ones stay pure",
        remedy: "move the code to the layer that may do it; the rules are in docs/architecture.md",
        run: layers::check,
    },
    Step {
        name: "structure",
        about: "the parts of a crate use each other in one direction, and functions fit a screen",
        remedy: "move what is called to where it belongs; what must stay is argued in xtask/structure.toml",
        run: structure::check,
    },
    Step {
        name: "citations",
        about: "every cited section of an RFC or of a page in docs/ exists",
        remedy: "look the rule up and correct the number; for an RFC not cited before: `cargo xtask rfc-sections FOLDER` (`xep-sections` for an extension of XMPP)",
        run: citations::check,
    },
    Step {
        name: "corpora",
        about: "every fuzz corpus is replayed by a test, and property tests keep the seeds that failed",
        remedy: "let a test of the crate read the corpus, or keep proptest's own way of keeping failures",
        run: corpora::check,
    },
    Step {
        name: "fuzz",
        about: "the fuzz targets compile, as those who run them have them",
        remedy: "run `cargo check` in fuzz/",
        run: |workspace| {
            let mut check = cargo(&workspace.root);
            check.args(["check", "--manifest-path", "fuzz/Cargo.toml", "--locked"]);
            // Nothing is linked: libFuzzer, which takes half a minute, need not be there. Any file does for it.
            check.env(
                "CUSTOM_LIBFUZZER_PATH",
                workspace.root.join("fuzz/Cargo.toml"),
            );
            execute(check.env("CARGO_TARGET_DIR", workspace.target()))
        },
    },
    Step {
        name: "clippy",
        about: "no lint is broken, in any target",
        remedy: "run `cargo clippy --workspace --all-targets --all-features`",
        run: |workspace| {
            let flags = [
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--locked",
                "--",
                "-D",
                "warnings",
            ];
            execute(cargo(&workspace.root).args(flags))
        },
    },
    Step {
        name: "tests",
        about: "the tests that need nothing but Rust",
        remedy: "run the failing test alone: `cargo nextest run -p CRATE NAME`",
        run: |workspace| {
            cargo_test(workspace, &["--workspace"], &[])?;
            execute(cargo(&workspace.root).args(["test", "--workspace", "--locked", "--doc"]))
        },
    },
    Step {
        name: "build",
        about: "the release build",
        remedy: "run `cargo build --release`",
        run: |workspace| execute(cargo(&workspace.root).args(["build", "--release", "--locked"])),
    },
    Step {
        name: "sim",
        about: "a thousand simulated worlds, and nothing is wrong in any",
        remedy: "run the command under the first seed that failed: it says what happened in that world (docs/simulator.md)",
        run: |workspace| {
            let sim = [
                "run",
                "--release",
                "--locked",
                "-p",
                "reveille-lab",
                "--bin",
                "reveille-sim",
            ];
            execute(
                cargo(&workspace.root)
                    .args(sim)
                    .args(["--", "--seeds", "1000"]),
            )
        },
    },
    Step {
        name: "demo",
        about: "every row of the behaviour table is ok, for people and for machines",
        remedy: "run `cargo run --release -- demo` and read the row that says FAILED",
        run: demo,
    },
    Step {
        name: "peers",
        about: "Linphone, PJSUA2, sipp, slixmpp, go-sendxmpp, Profanity, Gajim, Chromium, sipvicious, sipsak, fail2ban, Prometheus and a clean Debian are there",
        remedy: "see the lines above; the packages are named in xtask/src/peers.rs",
        run: peers::install,
    },
    Step {
        name: "deb",
        about: "the Debian package is made",
        remedy: "run `cargo xtask deb`",
        run: |workspace| {
            println!("{}", deb::package(workspace)?.display());
            Ok(())
        },
    },
    Step {
        name: "e2e",
        about: "real peers are woken, ring, answer and get their messages",
        remedy: "run one alone: `cargo nextest run -p reveille-e2e --features peers NAME`; what the peers said is printed",
        run: e2e,
    },
];

/// Runs the steps named, or all of them.
pub(crate) fn run(only: &[String]) -> ExitCode {
    let workspace = match Workspace::load() {
        Ok(workspace) => workspace,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    let mut results: Vec<(&Step, Duration, Result<()>)> = Vec::new();
    for step in STEPS
        .iter()
        .filter(|step| only.is_empty() || only.iter().any(|name| name == step.name))
    {
        println!("\n==> {}: {}", step.name, step.about);
        let started = Instant::now();
        let result = (step.run)(&workspace);
        if let Err(error) = &result {
            println!("FAILED: {error:#}\n  {}", step.remedy);
        }
        results.push((step, started.elapsed(), result));
    }
    println!("\n{:<12}{:>9}  result", "step", "seconds");
    for (step, took, result) in &results {
        let told = if result.is_ok() {
            "ok".to_owned()
        } else {
            format!("FAILED: {}", step.remedy)
        };
        println!("{:<12}{:>9.1}  {told}", step.name, took.as_secs_f64());
    }
    if results.iter().all(|(_, _, result)| result.is_ok()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Tests by nextest, or by cargo itself on a machine without it.
fn cargo_test(workspace: &Workspace, chosen: &[&str], settings: &[(&str, PathBuf)]) -> Result<()> {
    let mut command = cargo(&workspace.root);
    if exists("cargo-nextest") {
        command.args(["nextest", "run", "--locked", "--no-fail-fast"]);
    } else {
        println!("cargo-nextest is not installed: `cargo test` does it, more slowly");
        command.args(["test", "--locked", "--no-fail-fast"]);
    }
    execute(
        command
            .args(chosen)
            .envs(settings.iter().map(|(name, value)| (name, value))),
    )
}

/// The demo as the README has it, and its output for machines.
fn demo(workspace: &Workspace) -> Result<()> {
    execute(cargo(&workspace.root).args([
        "run",
        "--quiet",
        "--release",
        "--locked",
        "--",
        "demo",
    ]))?;
    let binary = workspace.target().join("release/reveille");
    for shards in SHARDS {
        let mut demo = Command::new(&binary);
        demo.args(["demo", "--json"]).env(SHARDS_KEY, shards);
        let said = output(&mut demo).with_context(|| format!("with {shards} shards"))?;
        let rows = json_rows(&said).context("`demo --json` prints JSON")?;
        if rows == 0 {
            bail!("`demo --json` printed nothing");
        }
        println!("`demo --json` with {shards} shards printed {rows} JSON value(s)");
    }
    let mut split = Command::new(&binary);
    let said = output(split.args(["demo", "--json", "--split"]));
    said.context("with the push service as a process of its own")?;
    println!("`demo --split` passes");
    Ok(())
}

/// Tests of what knows no shards: they are run once.
const ONCE: [&str; 11] = [
    "deb",
    "edge_document",
    "edge_networks",
    "edge_once",
    "install",
    "lab_clients",
    "prometheus",
    "push_component",
    "push_disk",
    "push_matrix",
    "push_openapi",
];

/// The real peers, with each number of shards.
fn e2e(workspace: &Workspace) -> Result<()> {
    let tests = e2e_tests(workspace)?;
    for shards in SHARDS {
        println!("with {shards} shards");
        let settings = [
            ("REVEILLE_BIN", workspace.target().join("release/reveille")),
            ("REVEILLE_E2E_PYTHON", peers::python(workspace)),
            ("REVEILLE_E2E_NPM", peers::scripts(workspace)),
            ("REVEILLE_PROMETHEUS", peers::prometheus(workspace)),
            ("REVEILLE_FAKETIME", peers::faketime()?),
            ("REVEILLE_DEBIAN", debian::base()?),
            ("REVEILLE_DEB", deb::file(workspace)?),
            (SHARDS_KEY, shards.into()),
        ];
        let mut chosen = vec!["-p", "reveille-e2e", "--features", "peers"];
        for test in &tests {
            if shards == SHARDS[0] || !ONCE.contains(&test.as_str()) {
                chosen.extend(["--test", test]);
            }
        }
        cargo_test(workspace, &chosen, &settings)?;
    }
    Ok(())
}

/// The names of all of its tests, which are files.
fn e2e_tests(workspace: &Workspace) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in std::fs::read_dir(workspace.root.join("e2e/tests"))? {
        let file = PathBuf::from(file?.file_name());
        if file.extension().is_some_and(|it| it == "rs") {
            names.extend(file.file_stem().map(|it| it.to_string_lossy().into_owned()));
        }
    }
    names.sort_unstable();
    if let Some(gone) = ONCE.iter().find(|it| !names.iter().any(|name| name == *it)) {
        bail!("there is no test {gone} in e2e/tests");
    }
    Ok(names)
}

/// How many JSON values one behind the other make up the text.
fn json_rows(text: &str) -> serde_json::Result<usize> {
    serde_json::Deserializer::from_str(text)
        .into_iter::<serde_json::Value>()
        .try_fold(0, |count, value| value.map(|_| count + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_counted_as_one_document_or_as_lines() {
        assert_eq!(json_rows("{\"a\": [1, 2]}\n").ok(), Some(1));
        assert_eq!(json_rows("{}\n{}\n").ok(), Some(2));
        assert!(json_rows("ok: all\n").is_err());
    }
}
