//! The real peers of the end-to-end tests: installed when they are missing, from Debian and from the Python
//! package index, and never more than that.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{exists, output, run};
use crate::workspace::Workspace;

/// A program, and the Debian package that has it.
const PROGRAMS: [(&str, &str); 4] = [
    ("linphonec", "linphone-cli"),
    ("sipp", "sip-tester"),
    ("go-sendxmpp", "go-sendxmpp"),
    ("profanity", "profanity"),
];

/// What Python must be able to do, and the package that lets it. Seen working; the package named `pjsua2` is another one,
/// and does not build.
const MODULES: [(&str, &str); 2] = [
    ("import pjsua2", "pjsua2-python"),
    (
        "import slixmpp; assert slixmpp.__version__ == '1.17.0'",
        "slixmpp==1.17.0",
    ),
];

/// Installs what is missing. A peer that cannot be had is a failure, never a skipped test.
pub(crate) fn install(workspace: &Workspace) -> Result<()> {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !exists(program))
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        install_from_debian(&missing)?;
    }
    for (program, package) in PROGRAMS {
        if !exists(program) {
            bail!("{program} is still missing: install the Debian package {package}");
        }
        println!("{program} is there");
    }
    install_modules(&venv(workspace))
}

/// The Python that has PJSUA2 and slixmpp.
pub(crate) fn python(workspace: &Workspace) -> PathBuf {
    venv(workspace).join("bin/python")
}

fn venv(workspace: &Workspace) -> PathBuf {
    workspace.target().join("peers/venv")
}

fn install_from_debian(packages: &[&str]) -> Result<()> {
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!(
            "missing; run `sudo apt-get install {}`, then try again",
            packages.join(" ")
        );
    }
    let apt = || {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-q", "-y"]);
        command
    };
    run(apt().arg("update"))?;
    run(apt()
        .args(["install", "--no-install-recommends"])
        .args(packages))
}

fn install_modules(venv: &Path) -> Result<()> {
    let python = venv.join("bin/python");
    let can = |code: &str| output(Command::new(&python).args(["-c", code])).is_ok();
    if !can("import pip") {
        // A half-made environment, or one whose Python has moved, is made again.
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(venv))
        .context("Debian's python3-venv may be missing")?;
    }
    for (code, package) in MODULES {
        if !can(code) {
            let pip = ["-m", "pip", "install", "--quiet"];
            run(Command::new(&python)
                .args(pip)
                .args(["--disable-pip-version-check", package]))?;
        }
        if !can(code) {
            bail!(
                "{} cannot `{code}` after the installation of {package}",
                python.display()
            );
        }
        println!("{package} is there");
    }
    Ok(())
}
