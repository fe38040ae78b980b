//! The real peers of the end-to-end tests: installed when they are missing, from Debian, from the Python package index and
//! from npm, and never more than that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{exists, output, run};
use crate::workspace::Workspace;
use crate::{deb, debian};

/// What makes Prosody push: no program, but a file of its package that is there when it is.
const MOD_CLOUD_NOTIFY: &str = "/usr/lib/prosody/modules/mod_cloud_notify/mod_cloud_notify.lua";

/// What gives a program another clock, in one of the folders of `/usr/lib`: that of this machine's architecture.
const FAKETIME: [&str; 2] = ["libfaketime", "faketime/libfaketimeMT.so.1"];

/// A program, and the Debian package that has it.
const PROGRAMS: [(&str, &str); 27] = [
    ("linphonec", "linphone-cli"),
    ("sipp", "sip-tester"),
    ("go-sendxmpp", "go-sendxmpp"),
    ("profanity", "profanity"),
    ("gajim", "gajim"),
    ("Xvfb", "xvfb"),
    ("dbus-daemon", "dbus-daemon"),
    ("gdbus", "libglib2.0-bin"),
    ("xdotool", "xdotool"),
    ("import", "imagemagick"),
    ("svcrack", "sipvicious"),
    ("sipsak", "sipsak"),
    ("fail2ban-regex", "fail2ban"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("npm", "npm"),
    ("systemd-analyze", "systemd"),
    ("debootstrap", "debootstrap"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("prosodyctl", "prosody"),
    (MOD_CLOUD_NOTIFY, "prosody-modules"),
    ("ejabberdctl", "ejabberd"),
    ("rtpengine", "rtpengine-daemon"),
    ("turnserver", "coturn"),
    ("openssl", "openssl"),
    ("curl", "curl"),
];

/// What Python must be able to do, and the package that lets it. Seen working; the package named `pjsua2` is another one,
/// and does not build.
const MODULES: [(&str, &str); 7] = [
    ("import pjsua2", "pjsua2-python"),
    (
        "import slixmpp; assert slixmpp.__version__ == '1.17.0'",
        "slixmpp==1.17.0",
    ),
    (
        "import synapse; assert synapse.__version__ == '1.163.2'",
        "matrix-synapse==1.163.2",
    ),
    ("import schemathesis", "schemathesis==4.32.5"),
    ("import aioapns", "aioapns==4.0"),
    ("import firebase_admin", "firebase-admin==7.7.0"),
    (
        "import authlib; assert authlib.__version__ == '1.9.10'",
        "authlib==1.9.10",
    ),
];

/// Installs what is missing. A peer that cannot be had is a failure, never a skipped test.
pub(crate) fn install(workspace: &Workspace) -> Result<()> {
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !exists(program))
        .map(|(_, package)| *package)
        .collect();
    if faketime().is_err() {
        missing.push(FAKETIME[0]);
    }
    if !missing.is_empty() {
        install_from_debian(&missing)?;
    }
    for (program, package) in PROGRAMS {
        if !exists(program) {
            bail!("{program} is still missing: install the Debian package {package}");
        }
        println!("{program} is there");
    }
    println!("{} is there", faketime()?.display());
    install_modules(&venv(workspace))?;
    install_scripts(workspace)?;
    debian::unpack("prometheus", &unpacked(workspace))?;
    debian::make_base()?;
    deb::cargo_deb(workspace)?;
    Ok(())
}

/// The library that gives a program another clock.
pub(crate) fn faketime() -> Result<PathBuf> {
    let [package, library] = FAKETIME;
    for folder in fs::read_dir("/usr/lib")? {
        let file = folder?.path().join(library);
        if file.exists() {
            return Ok(file);
        }
    }
    bail!("/usr/lib/*/{library} is missing: install the Debian package {package}")
}

/// Where programs are that are unpacked and not installed: as a service, Prometheus would begin to run.
fn unpacked(workspace: &Workspace) -> PathBuf {
    workspace.target().join("peers/debian")
}

/// The folder with `prometheus` and `promtool`.
pub(crate) fn prometheus(workspace: &Workspace) -> PathBuf {
    unpacked(workspace).join("prometheus/usr/bin")
}

/// What web pages speak XMPP with, and the versions that were seen working.
const SCRIPTS: &str = "e2e/peers/web";

/// Where that is installed.
pub(crate) fn scripts(workspace: &Workspace) -> PathBuf {
    workspace.target().join("peers/npm")
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

/// Installs just what the lock file says, unless that is there.
fn install_scripts(workspace: &Workspace) -> Result<()> {
    let (from, to) = (workspace.root.join(SCRIPTS), scripts(workspace));
    let lock = "package-lock.json";
    // npm writes this one when it is done.
    let done = to.join("node_modules/.package-lock.json");
    let read = |path: &Path| fs::read(path).unwrap_or_default();
    if !done.exists() || read(&from.join(lock)) != read(&to.join(lock)) {
        fs::create_dir_all(&to).with_context(|| to.display().to_string())?;
        for name in ["package.json", lock, ".npmrc"] {
            fs::copy(from.join(name), to.join(name)).with_context(|| name.to_owned())?;
        }
        run(Command::new("npm").arg("ci").current_dir(&to))?;
    }
    println!("{SCRIPTS} is installed");
    Ok(())
}
