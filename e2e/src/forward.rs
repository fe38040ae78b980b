//! A host on the way: what comes to it over TCP goes on somewhere else, by `peers/forward.py`, if wanted later.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::{Host, Process, SOON, python};

/// It passes on until it goes.
pub struct Forward {
    at: SocketAddr,
    _process: Process,
}

impl Forward {
    /// One at this address of this host, to there; each octet is so much later there, and each answer here.
    pub fn started(host: &Host, at: SocketAddr, to: SocketAddr, later: Duration) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/forward.py");
        let mut command = Command::new(python());
        command.arg(script).arg(at.to_string()).arg(to.to_string());
        command.arg(later.as_millis().to_string());
        let process = Process::spawn("forward", &mut host.runs(command));
        process.expect_anywhere("listens", SOON);
        Self {
            at,
            _process: process,
        }
    }

    /// Where it listens.
    pub fn at(&self) -> SocketAddr {
        self.at
    }
}
