//! go-sendxmpp: a client for scripts, on go-xmpp.

use std::process::Command;

use crate::{PASSWORD, Process, Reveille, SOON, Tls};

/// The client of a user, without its last arguments. It finds the CA where OpenSSL would.
fn command(server: &Reveille, user: &str, tls: Tls) -> Command {
    let ca = server.ca_file();
    let mut command = Command::new("go-sendxmpp");
    command
        .env("SSL_CERT_FILE", &ca)
        .env("HOME", ca.parent().expect("a directory"))
        .args(["--debug", "--username", &format!("{user}@localhost")])
        .args(["--password", PASSWORD, "--jserver"])
        .arg(format!("localhost:{}", server.xmpp(tls).port()));
    if tls == Tls::Direct {
        command.arg("--tls");
    }
    command
}

/// One that prints what it receives, and is there already.
pub fn go_listening(server: &Reveille, user: &str, tls: Tls) -> Process {
    let mut command = command(server, user, tls);
    let process = Process::spawn(format!("go-sendxmpp of {user}"), command.arg("--listen"));
    process.expect_anywhere("<presence ", SOON);
    process
}

/// Lets one sign in, send a text, and go.
pub fn go_send(server: &Reveille, user: &str, tls: Tls, to: &str, text: &str) {
    let mut command = command(server, user, tls);
    let mut process = Process::spawn(format!("go-sendxmpp of {user}"), command.arg(to));
    process.say(text);
    let status = process.wait(SOON);
    assert!(status.success(), "{status}: {}", process.tail());
}
