//! sipp with scenarios of our own (`sipp/*.xml`): many callers, or a plain phone that answers them.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, SipClient, free_port, media_port};

/// What one run was asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many calls in all.
    pub calls: u32,
    /// How many new ones a second.
    pub rate: u32,
    /// How long each lasts.
    pub hold: Duration,
    /// How many of a hundred messages the caller loses on purpose, in each direction.
    pub lost_percent: u32,
}

/// A running sipp.
pub struct Sipp {
    process: Process,
    folder: TempDir,
}

/// What a run came to, from sipp's own statistics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SippReport {
    /// Calls that went through the whole scenario.
    pub successful: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Messages sent again.
    pub retransmissions: u64,
    /// How many of its requests it had to send again because their answers came late: of a caller only.
    pub late: u64,
}

/// In which of its buckets sipp counts an answer, and how often the request was sent again until then: at 500 ms, and then
/// each time after twice as long, up to 4 s, for 32 s (RFC 3261 §17.1.2.2).
const LATE: [(&str, u64); 4] = [("<1500", 1), ("<3500", 2), ("<7500", 3), (">=7500", 10)];
/// What it takes the time of.
const TIMED: [&str; 2] = ["setup", "bye"];

impl Sipp {
    /// A phone on UDP that answers every call. `user` is registered to it through `registrar`, with no push.
    pub fn answering(user: &str, registrar: SocketAddr) -> Self {
        let port = free_port();
        let sipp = Self::run("uas", port, registrar, folder(), &[]);
        let contact = format!("<sip:{user}@127.0.0.1:{port};transport=udp>");
        let answer = SipClient::udp(user, registrar)
            .register_contact(&contact)
            .expect("an answer to REGISTER");
        assert_eq!(answer.status, 200, "{}", answer.text);
        sipp
    }

    /// `user` calls `peer`, as `load` says.
    pub fn calling(user: &str, peer: &str, server: SocketAddr, load: Load) -> Self {
        let mut client = SipClient::udp(user, server);
        let mut credentials = "SEQUENTIAL\n".to_owned();
        for _ in 0..load.calls {
            let _ = writeln!(
                credentials,
                "{}",
                client.credentials("INVITE", &format!("sip:{peer}@localhost"))
            );
        }
        let folder = folder();
        let injected = folder.path().join("credentials.csv");
        fs::write(&injected, credentials).expect("a file of our own");
        let mut arguments = vec!["-inf".to_owned(), injected.display().to_string()];
        for (key, value) in [("user", user), ("peer", peer)] {
            arguments.extend(["-key".to_owned(), key.to_owned(), value.to_owned()]);
        }
        arguments.extend(["-d".to_owned(), load.hold.as_millis().to_string()]);
        for (option, value) in [
            ("-m", load.calls),
            ("-r", load.rate),
            ("-l", load.calls),
            ("-lost", load.lost_percent),
        ] {
            arguments.extend([option.to_owned(), value.to_string()]);
        }
        Self::run("uac", free_port(), server, folder, &arguments)
    }

    fn run(
        scenario: &str,
        port: u16,
        server: SocketAddr,
        folder: TempDir,
        arguments: &[String],
    ) -> Self {
        let mut command = Command::new("sipp");
        command
            .arg("-sf")
            .arg(format!(
                "{}/sipp/{scenario}.xml",
                env!("CARGO_MANIFEST_DIR")
            ))
            .args([
                "-i",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-mp",
                &media_port().to_string(),
            ])
            .args(["-nostdin", "-trace_stat", "-stf", "stat.csv", "-fd", "1"])
            .args([
                "-trace_err",
                "-error_file",
                "errors.log",
                "-trace_screen",
                "-screen_file",
                "screen.log",
            ])
            .args(arguments)
            .arg(server.to_string())
            .current_dir(folder.path());
        let process = Process::spawn(format!("sipp {scenario}"), &mut command);
        Self { process, folder }
    }

    /// Waits until all calls are over, and returns what they came to.
    pub fn finish(&mut self, within: Duration) -> SippReport {
        let status = self.process.wait(within);
        let report = self.report();
        if report.failed > 0 || !status.success() {
            eprintln!(
                "sipp ended with {status}, {report:?}. Its first errors:\n{}",
                self.errors()
            );
        }
        report
    }

    /// The counts so far, of the last line of its statistics.
    pub fn report(&self) -> SippReport {
        let statistics =
            fs::read_to_string(self.folder.path().join("stat.csv")).expect("sipp's statistics");
        let mut lines = statistics.lines();
        let names: Vec<&str> = lines.next().expect("a heading").split(';').collect();
        let last: Vec<&str> = lines
            .last()
            .expect("a line of numbers")
            .split(';')
            .collect();
        let counted = |name: &str| -> Option<u64> {
            let column = names.iter().position(|found| *found == name)?;
            Some(last[column].parse().expect("a number"))
        };
        let count = |name: &str| counted(name).expect("a column of sipp's statistics");
        let late = TIMED.iter().flat_map(|timed| {
            LATE.map(|(bucket, again)| {
                let answers = counted(&format!("ResponseTimeRepartition{timed}_{bucket}"));
                answers.unwrap_or_default() * again
            })
        });
        SippReport {
            late: late.sum(),
            successful: count("SuccessfulCall(C)"),
            failed: count("FailedCall(C)"),
            retransmissions: count("Retransmissions(C)"),
        }
    }

    /// The first of the errors that it wrote down.
    pub fn errors(&self) -> String {
        let errors = fs::read_to_string(self.folder.path().join("errors.log")).unwrap_or_default();
        errors.lines().take(60).collect::<Vec<_>>().join("\n")
    }
}

fn folder() -> TempDir {
    TempDir::with_prefix("sipp-").expect("a temporary directory")
}
