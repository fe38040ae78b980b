//! `cargo xtask deb`: the Debian package. What is generated from the code is made here, by the binary itself; what the package is
//! made of, and how, stands in `crates/server/Cargo.toml`, for cargo-deb. Why that one: `docs/adr/0016-packages.md`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{cargo, output, run};
use crate::workspace::Workspace;

/// The version of cargo-deb that was seen working.
const CARGO_DEB: &str = "3.8.0";

/// What is printed by the binary, and the name under which the package takes it.
const PRINTED: [(&str, &[&str]); 5] = [
    ("reveille.service", &["config", "unit"]),
    ("reveille.toml", &["config", "example"]),
    ("reveille.bash", &["completions", "bash"]),
    ("_reveille", &["completions", "zsh"]),
    ("reveille.fish", &["completions", "fish"]),
];

/// Builds the release and the package of it, and says where that is.
pub(crate) fn make() -> Result<()> {
    let workspace = Workspace::load()?;
    run(cargo(&workspace.root).args(["build", "--release", "--locked"]))?;
    println!("{}", package(&workspace)?.display());
    Ok(())
}

/// The package of the release that has been built.
pub(crate) fn package(workspace: &Workspace) -> Result<PathBuf> {
    the_changelog_is_of_this_version(workspace)?;
    let release = workspace.target().join("release");
    let reveille = release.join("reveille");
    let made = release.join("package");
    if made.exists() {
        // A command that is gone leaves no page behind.
        fs::remove_dir_all(&made)?;
    }
    fs::create_dir_all(&made)?;
    for (name, arguments) in PRINTED {
        let text = output(Command::new(&reveille).args(arguments))?;
        fs::write(made.join(name), text)?;
    }
    run(Command::new(&reveille)
        .args(["man", "--out"])
        .arg(made.join("man")))?;
    // cargo-deb compresses pages only where they are no products of a build.
    run(Command::new("gzip").args(["-9nr"]).arg(made.join("man")))?;
    let path = file(workspace)?;
    run(Command::new(cargo_deb(workspace)?)
        .current_dir(&workspace.root)
        .args([
            "--no-build",
            "--locked",
            "--package",
            "reveille",
            "--output",
        ])
        .arg(&path))?;
    Ok(path)
}

/// Where the package is once it is made.
pub(crate) fn file(workspace: &Workspace) -> Result<PathBuf> {
    let architecture = output(Command::new("dpkg").arg("--print-architecture"))
        .context("packages of Debian are made on Debian")?;
    let name = format!(
        "reveille_{}_{}.deb",
        version(workspace)?,
        architecture.trim()
    );
    Ok(workspace.target().join("debian").join(name))
}

fn version(workspace: &Workspace) -> Result<&str> {
    let packages = workspace.metadata["packages"].as_array();
    let mut packages = packages.into_iter().flatten();
    let ours = packages.find(|package| package["name"] == "reveille");
    let version = ours.and_then(|package| package["version"].as_str());
    version.context("the workspace has no package reveille")
}

fn the_changelog_is_of_this_version(workspace: &Workspace) -> Result<()> {
    let path = workspace.root.join("contrib/debian/changelog");
    let text = fs::read_to_string(&path)?;
    let version = version(workspace)?;
    ensure!(
        text.starts_with(&format!("reveille ({version})")),
        "{} does not begin with {version}: add that version",
        path.display()
    );
    Ok(())
}

/// cargo-deb: installed among the peers unless the machine has it there.
pub(crate) fn cargo_deb(workspace: &Workspace) -> Result<PathBuf> {
    let root = workspace
        .target()
        .join("peers")
        .join(format!("cargo-deb-{CARGO_DEB}"));
    let program = root.join("bin/cargo-deb");
    if !program.exists() {
        run(cargo(&workspace.root)
            .args(["install", "cargo-deb", "--locked"])
            .args(["--version", CARGO_DEB, "--root"])
            .arg(&root))?;
    }
    Ok(program)
}
