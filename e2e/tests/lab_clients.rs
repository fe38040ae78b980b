//! The simulated clouds with the push clients of others, as the documentation has it: `contrib/lab` is what it quotes.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use reveille_e2e::{
    Process, SOON, contrib, free_port, http, node_modules, poll, python, reveille_binary,
};
use tempfile::TempDir;

/// `reveille lab` on ports of its own, and its control API.
struct Lab {
    _process: Process,
    control: String,
    _keys: TempDir,
}

fn lab() -> Lab {
    let keys = TempDir::with_prefix("reveille-lab-").expect("a temporary directory");
    let control = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new(reveille_binary());
    command.args(["lab", "--keys"]).arg(keys.path());
    command.env("REVEILLE_LISTEN__LAB", control.to_string());
    for name in ["APNS", "FCM", "WEBPUSH"] {
        let at = format!("127.0.0.1:{}", free_port());
        command.env(format!("REVEILLE_LISTEN__{name}"), at);
    }
    let process = Process::spawn("reveille lab", &mut command);
    let ready = || {
        let answer = http(control, "GET", "/about", None).ok()?;
        (answer.status == 200).then_some(())
    };
    poll(SOON, ready).expect("the lab is there");
    Lab {
        _process: process,
        control: format!("http://{control}"),
        _keys: keys,
    }
}

/// Runs an example to its end, and returns what it says.
fn runs(program: &Path, example: &str, lab: &Lab) -> String {
    let ran = Command::new(program)
        .arg(contrib(example))
        .arg(&lab.control)
        .env("NODE_MODULES", node_modules())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success(),
        "{example}: {}\n{said}{wrong}",
        ran.status
    );
    said
}

#[test]
fn aioapns_and_firebase_admin_push_to_the_lab() {
    let said = runs(&python(), "lab/push.py", &lab());
    for line in [
        "aioapns: taken, then Unregistered; 2 pushes",
        "firebase-admin: taken, then UnregisteredError; 2 pushes",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn node_apn_pushes_to_the_lab() {
    let said = runs(Path::new("node"), "lab/push.mjs", &lab());
    assert!(
        said.contains("node-apn: taken, then Unregistered"),
        "{said}"
    );
}
