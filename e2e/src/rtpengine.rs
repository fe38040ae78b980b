//! Debian's rtpengine, forwarding in user space on loopback, on ports of its own.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::{Process, SOON, free_port, ports::port_range};

/// A running daemon.
pub struct Rtpengine {
    control: SocketAddr,
    process: Process,
}

impl Rtpengine {
    /// Starts one, and waits until it listens.
    pub fn started() -> Self {
        let control = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let (first, last) = port_range();
        let mut command = Command::new("rtpengine");
        command.args([
            "--config-file=none",
            "--table=-1",
            "--foreground",
            "--log-stderr",
            "--log-level=6",
            "--interface=inside/127.0.0.1",
            "--interface=outside/127.0.0.1",
            "--delete-delay=0",
        ]);
        command.arg(format!("--listen-ng={control}"));
        command.arg(format!("--port-min={first}"));
        command.arg(format!("--port-max={last}"));
        let process = Process::spawn("rtpengine", &mut command);
        process.expect_anywhere("Startup complete", SOON);
        Self { control, process }
    }

    /// Where it is asked.
    pub fn control(&self) -> SocketAddr {
        self.control
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Whether it has had a call.
    pub fn has_relayed(&self) -> bool {
        self.process.output().contains("Creating new call")
    }

    /// How many packets of audio came from each party of the call that ends next.
    pub fn packets(&mut self, within: Duration) -> Vec<u64> {
        self.process.expect("Final packet stats", within);
        let count = |line: &str| {
            let mut parts = line.split(", ").filter_map(|it| it.strip_suffix(" p"));
            parts.next().and_then(|it| it.parse::<u64>().ok())
        };
        let mut counts = Vec::new();
        while counts.len() < 2 {
            let line = self.process.expect(" p, ", within);
            if !line.contains("(RTCP)") {
                counts.extend(count(&line));
            }
        }
        counts
    }
}
