//! The real peers of the end-to-end tests: installed when they are missing, from Debian and from the Python
//! package index, and never more than that.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{exists, output, run};
use crate::workspace::Workspace;

/// A program, and the Debian package that has it.
const PROGRAMS: [(&str, &str); 2] = [("linphonec", "linphone-cli"), ("sipp", "sip-tester")];

/// Seen working; the package named `pjsua2` is another one, and does not build.
const PJSUA: &str = "pjsua2-python";

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
    install_pjsua(&venv(workspace))
}

/// The Python that has PJSUA2.
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

fn install_pjsua(venv: &Path) -> Result<()> {
    let python = venv.join("bin/python");
    let works = || output(Command::new(&python).args(["-c", "import pjsua2"])).is_ok();
    if !works() {
        // A half-made environment, or one whose Python has moved, is made again.
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(venv))
        .context("Debian's python3-venv may be missing")?;
        run(Command::new(&python).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            PJSUA,
        ]))?;
    }
    if !works() {
        bail!(
            "{} cannot import pjsua2 after the installation of {PJSUA}",
            python.display()
        );
    }
    println!("pjsua2 is there");
    Ok(())
}
