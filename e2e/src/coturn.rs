//! Debian's coturn on loopback, which knows nobody but by a secret that it shares with the server.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::ports::port_range;
use crate::{Process, SOON, free_port, poll};

/// What it shares.
const SECRET: &str = "shared with coturn";

/// A running TURN server.
pub struct Coturn {
    at: SocketAddr,
    // Ended before its folder goes.
    _process: Process,
    folder: TempDir,
}

impl Coturn {
    /// Starts one, and waits until it listens.
    pub fn started() -> Self {
        let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let (first, last) = port_range();
        let folder = TempDir::with_prefix("coturn-").expect("a temporary directory");
        std::fs::write(folder.path().join("secret"), SECRET).expect("a file of our own");
        let mut command = Command::new("turnserver");
        command.args([
            "-n",
            "--use-auth-secret",
            "--listening-ip=127.0.0.1",
            "--relay-ip=127.0.0.1",
            "--allow-loopback-peers",
            "--no-tls",
            "--no-dtls",
            "--no-cli",
            "--realm=localhost",
            "--log-file=stdout",
            "--pidfile=pid",
            "--userdb=users",
        ]);
        command.arg(format!("--static-auth-secret={SECRET}"));
        command.arg(format!("--listening-port={}", at.port()));
        command.arg(format!("--min-port={first}"));
        command.arg(format!("--max-port={last}"));
        command.current_dir(folder.path());
        let process = Process::spawn("turnserver", &mut command);
        let listens = poll(SOON, || answers(at).then_some(()));
        assert!(listens.is_some(), "no coturn:\n{}", process.tail());
        Self {
            at,
            _process: process,
            folder,
        }
    }

    /// As the configuration names it.
    pub fn url(&self) -> String {
        format!("turn:{}?transport=udp", self.at)
    }

    /// The file with the secret.
    pub fn secret_file(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// Whether two clients that show this reach each other through it.
    pub fn relays(&self, username: &str, password: &str) -> bool {
        let mut client = Command::new("timeout");
        client.args(["20", "turnutils_uclient", "-y", "-m", "1", "-n", "3"]);
        client.args(["-u", username, "-w", password]);
        client.args(["-p", &self.at.port().to_string(), "127.0.0.1"]);
        let output = client.output().expect("turnutils_uclient of coturn");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.contains("Total lost packets 0 ") && !said.contains("tot_recv_msgs=0\n")
    }
}

/// Whether a STUN server tells there where we are.
fn answers(at: SocketAddr) -> bool {
    let asked = || {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let question = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
        socket.send_to(&question, at)?;
        socket.recv(&mut [0; 512])
    };
    asked().is_ok()
}
