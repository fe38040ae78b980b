//! The tools by which strangers try servers of SIP, as they come from Debian: sipvicious, sipsak; and fail2ban, which
//! keeps them out.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{Process, free_port};

/// Where they come from: an address of this host that nobody else uses.
pub const STRANGER: &str = "127.0.0.66";

/// Longest that a tool may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// A relay from [`STRANGER`] to a server, so that tools which can only come from where everybody comes from have an address
/// of their own. It ends with its owner.
pub struct Relay {
    front: SocketAddr,
    stop: Arc<AtomicBool>,
    task: Option<JoinHandle<()>>,
}

impl Relay {
    /// One to this server. `old`: what comes back has no challenge that names SHA-256, which svcrack 0.3.3 cannot answer: it
    /// ends with an error of its own.
    pub fn to(server: SocketAddr, old: bool) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let back = UdpSocket::bind((STRANGER, 0)).expect("an address of loopback");
        back.connect(server).expect("loopback");
        for socket in [&front, &back] {
            let wait = Some(Duration::from_millis(1));
            socket.set_read_timeout(wait).expect("a socket of our own");
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (address, stopped) = (front.local_addr().expect("bound"), stop.clone());
        let task = thread::spawn(move || {
            let (mut buffer, mut tool) = ([0; 4096], None);
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((length, from)) = front.recv_from(&mut buffer) {
                    tool = Some(from);
                    // Nobody may listen there any more.
                    let _ = back.send(&buffer[..length]);
                }
                if let (Ok(length), Some(tool)) = (back.recv(&mut buffer), tool) {
                    let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    let lines = answer.split_inclusive('\n');
                    let kept = lines.filter(|line| !old || !line.contains("algorithm=SHA-256"));
                    let _ = front.send_to(kept.collect::<String>().as_bytes(), tool);
                }
            }
        });
        Self {
            front: address,
            stop,
            task: Some(task),
        }
    }

    /// What listens for the tools.
    pub fn address(&self) -> SocketAddr {
        self.front
    }

    /// Runs `svmap`, `svwar` or `svcrack` against the server until it ends; what it said.
    pub fn sipvicious(&self, tool: &str, arguments: &[&str]) -> String {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(tool);
        command
            .env("HOME", home.path())
            .args(["-x", "127.0.0.1", "-P", &free_port().to_string()])
            .args(["-p", &self.front.port().to_string()])
            .args(arguments)
            .arg("127.0.0.1");
        let mut process = Process::spawn(tool, &mut command);
        process.wait(PATIENCE);
        process.output()
    }

    /// `sipsak -F`: OPTIONS, one after the other without end.
    pub fn sipsak_flood(&self) -> Process {
        let mut command = Command::new("sipsak");
        let target = format!("sip:{}", self.front);
        command.args(["-F", "-e", "100000000", "-s", &target]);
        Process::spawn("sipsak -F", &mut command)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(task) = self.task.take() {
            // What went wrong in it is seen by its owner: nothing comes through.
            let _ = task.join();
        }
    }
}

/// What `fail2ban-regex` finds in a log by a filter.
pub fn fail2ban_regex(log: &Path, filter: &Path) -> String {
    let output = Command::new("fail2ban-regex")
        .args(["--verbose".as_ref(), log.as_os_str(), filter.as_os_str()])
        .output()
        .expect("fail2ban-regex");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// The file that the documentation has under this name, as it stands there.
pub fn documented(page: &str, name: &str) -> String {
    let page = format!("{}/../docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&page).expect("a page of docs/");
    let (_, rest) = text.split_once(&format!("`{name}`:")).expect("its name");
    let block = rest.lines().skip_while(|line| line.is_empty());
    let block = block.take_while(|line| line.is_empty() || line.starts_with("    "));
    let lines: Vec<&str> = block
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect();
    lines.join("\n") + "\n"
}
