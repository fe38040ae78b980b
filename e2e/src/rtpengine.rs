//! Debian's rtpengine, forwarding in user space, on ports of its own: on loopback, or on a host with two legs.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use crate::{Host, Process, SOON, free_port, ports::port_range};

/// A running daemon.
pub struct Rtpengine {
    control: SocketAddr,
    ports: (u16, u16),
    process: Process,
}

impl Rtpengine {
    /// Starts one, and waits until it listens.
    pub fn started() -> Self {
        Self::on(&Host::default(), [Ipv4Addr::LOCALHOST; 2])
    }

    /// The same on a host with a leg inside, where it is asked, and one outside.
    pub fn on(host: &Host, [inside, outside]: [Ipv4Addr; 2]) -> Self {
        let control = SocketAddr::from((inside, free_port()));
        let ports = port_range();
        let mut command = Command::new("rtpengine");
        command.args([
            "--config-file=none",
            "--table=-1",
            "--foreground",
            "--log-stderr",
            "--log-level=6",
            "--delete-delay=0",
        ]);
        command.arg(format!("--interface=inside/{inside}"));
        command.arg(format!("--interface=outside/{outside}"));
        command.arg(format!("--listen-ng={control}"));
        command.arg(format!("--port-min={}", ports.0));
        command.arg(format!("--port-max={}", ports.1));
        let process = Process::spawn("rtpengine", &mut host.runs(command));
        process.expect_anywhere("Startup complete", SOON);
        Self {
            control,
            ports,
            process,
        }
    }

    /// Where it is asked.
    pub fn control(&self) -> SocketAddr {
        self.control
    }

    /// The first and the last of its ports for media.
    pub fn ports(&self) -> (u16, u16) {
        self.ports
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
