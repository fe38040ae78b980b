//! Profanity, a client for terminals, on libstrophe. It is given a terminal by `script`; what it does is read in its log.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::{PASSWORD, Process, Reveille, SOON, Tls, poll};

/// A running Profanity.
pub struct Profanity {
    process: Process,
    log: PathBuf,
    /// `expect` looks only at what is behind this.
    cursor: usize,
    _home: TempDir,
}

impl Profanity {
    /// One of a `--dev` user that has signed in by STARTTLS.
    pub fn signed_in(server: &Reveille, user: &str) -> Self {
        let home = TempDir::with_prefix("reveille-profanity-").expect("a temporary directory");
        let account = home.path().join("profanity/accounts");
        fs::create_dir_all(account.parent().expect("a directory")).expect("a directory of our own");
        let port = server.xmpp(Tls::Starttls).port();
        let jid = format!("{user}@localhost");
        let settings = format!(
            "[{jid}]\nenabled=true\njid={jid}\nserver=127.0.0.1\nport={port}\nresource=profanity\n\
             password={PASSWORD}\ntls.policy=force\n"
        );
        fs::write(account, settings).expect("a file of our own");
        let log = home.path().join("log");
        let run = format!("profanity -a {jid} -l DEBUG -f {}", log.display());
        let mut command = Command::new("script");
        command
            .args([
                "--quiet",
                "--flush",
                "--return",
                "--command",
                &run,
                "/dev/null",
            ])
            .env("TERM", "xterm")
            .env("LC_ALL", "C.UTF-8")
            .env("SSL_CERT_FILE", server.ca_file());
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(name, home.path());
        }
        let mut profanity = Self {
            process: Process::spawn(format!("profanity of {user}"), &mut command),
            log,
            cursor: 0,
            _home: home,
        };
        profanity.expect("Message carbons enabled");
        profanity
    }

    /// Types a line.
    pub fn say(&mut self, line: &str) {
        self.process.say(line);
    }

    /// Waits for a line of its log that has all of these, behind the last one that was waited for.
    pub fn expect_all(&mut self, needles: &[&str]) -> String {
        let found = poll(SOON, || {
            let log = String::from_utf8_lossy(&fs::read(&self.log).ok()?).into_owned();
            let mut lines = log.lines().enumerate().skip(self.cursor);
            let is_it = |line: &str| needles.iter().all(|needle| line.contains(needle));
            let (index, line) = lines.find(|(_, line)| is_it(line))?;
            Some((index, line.to_owned()))
        });
        let Some((index, line)) = found else {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            panic!(
                "no {needles:?}; the log of Profanity:\n{log}\nand its terminal:\n{}",
                self.process.tail()
            );
        };
        self.cursor = index + 1;
        line
    }

    /// The same with one.
    pub fn expect(&mut self, needle: &str) -> String {
        self.expect_all(&[needle])
    }

    /// Lets it say goodbye and end.
    pub fn quit(&mut self) {
        self.say("/quit");
        let status = self.process.wait(SOON);
        assert!(status.success(), "{status}");
    }
}
