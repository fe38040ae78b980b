//! A user agent on PJSUA2, through the Python script `pjsua/agent.py`.

use std::process::Command;
use std::time::Duration;

use crate::python::python;
use crate::{PASSWORD, Process, Reveille, SOON, Transport, free_port};

/// A running PJSUA2 user agent.
pub struct Pjsua {
    process: Process,
}

impl Pjsua {
    /// Starts an agent of a `--dev` user, and waits until it is registered.
    pub fn registered(server: &Reveille, user: &str, transport: Transport) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/pjsua/agent.py");
        let proxy = format!("sip:{};transport={transport};lr", server.sip(transport));
        let port = free_port().to_string();
        let mut command = Command::new(python());
        command.args([
            script,
            user,
            PASSWORD,
            &proxy,
            &port,
            &transport.to_string(),
        ]);
        let process = Process::spawn(format!("pjsua of {user}"), &mut command);
        process.expect_anywhere("REGISTER 200", SOON);
        Self { process }
    }

    /// Calls somebody.
    pub fn call(&mut self, uri: &str) {
        self.process.say(format!("call {uri}"));
    }

    /// Ends its last call.
    pub fn hang_up(&mut self) {
        self.process.say("hangup");
    }

    /// Sends a text.
    pub fn message(&mut self, uri: &str, text: &str) {
        self.process.say(format!("message {uri} {text}"));
    }

    /// Waits for the next event that contains `needle`: `CALL EARLY 180`, `CALL CONFIRMED`, `CALL DISCONNECTED 480`,
    /// `MESSAGE from text`, `SENT 202`.
    pub fn expect(&mut self, needle: &str, within: Duration) -> String {
        self.process.expect(needle, within)
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
