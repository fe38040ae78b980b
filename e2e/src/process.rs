//! A child process whose output is read as it comes, so that a test can wait for a line instead of sleeping.
//! The process is killed when the value goes; nothing else on the machine is ever signalled.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::poll;

/// How many lines of a process's output a failed expectation quotes.
const QUOTED_LINES: usize = 60;

/// A running peer, with all that it has said so far.
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    said: Arc<Said>,
    /// `expect` looks only at lines from here on.
    cursor: usize,
}

/// The lines that a process has printed, on either stream, and how many of its two streams are still open.
#[derive(Default)]
struct Said {
    lines: Mutex<(Vec<String>, u8)>,
    more: Condvar,
}

impl Said {
    fn lines(&self) -> MutexGuard<'_, (Vec<String>, u8)> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Starts `command` with all three standard streams in our hands. `name` is for messages.
    pub fn spawn(name: impl Into<String>, command: &mut Command) -> Self {
        let name = name.into();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{name}: cannot start {}: {error}. `cargo xtask test --only peers` installs what is missing",
                    command.get_program().display()
                )
            });
        let said = Arc::new(Said::default());
        said.lines().1 = 2;
        listen(child.stdout.take().expect("piped"), Arc::clone(&said));
        listen(child.stderr.take().expect("piped"), Arc::clone(&said));
        let stdin = child.stdin.take();
        Self {
            name,
            child,
            stdin,
            said,
            cursor: 0,
        }
    }

    /// Types one line.
    pub fn say(&mut self, line: impl AsRef<str>) {
        let line = line.as_ref();
        let stdin = self
            .stdin
            .as_mut()
            .expect("the process was told to quit already");
        writeln!(stdin, "{line}")
            .and_then(|()| stdin.flush())
            .unwrap_or_else(|error| {
                panic!(
                    "{}: cannot be told {line:?}: {error}\n{}",
                    self.name,
                    self.tail()
                )
            });
    }

    /// Waits for the next line that contains `needle` and returns it; later calls look only behind it.
    /// Fails with the end of the output when `within` is over or the process has ended.
    pub fn expect(&mut self, needle: &str, within: Duration) -> String {
        match self.wait_for(self.cursor, |_, line| line.contains(needle), within) {
            Some((index, line)) => {
                self.cursor = index + 1;
                line
            }
            None => panic!(
                "{}: no {needle:?} within {within:?}. It said:\n{}",
                self.name,
                self.tail()
            ),
        }
    }

    /// Like [`Self::expect`], from the first line on, and without moving on.
    pub fn expect_anywhere(&self, needle: &str, within: Duration) -> String {
        match self.wait_for(0, |_, line| line.contains(needle), within) {
            Some((_, line)) => line,
            None => panic!(
                "{}: no {needle:?} within {within:?}. It said:\n{}",
                self.name,
                self.tail()
            ),
        }
    }

    /// Waits for a line from this one on that is wanted, by its number and what it says.
    pub(crate) fn wait_for(
        &self,
        from: usize,
        wanted: impl Fn(usize, &str) -> bool,
        within: Duration,
    ) -> Option<(usize, String)> {
        let deadline = Instant::now() + within;
        let mut looked_at = from;
        let mut lines = self.said.lines();
        loop {
            let mut unseen = lines.0.iter().enumerate().skip(looked_at);
            if let Some((index, line)) = unseen.find(|(index, line)| wanted(*index, line)) {
                return Some((index, line.clone()));
            }
            looked_at = looked_at.max(lines.0.len());
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.1 == 0 {
                return None;
            }
            lines = self
                .said
                .more
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// How many lines so far contain `needle`.
    pub fn count(&self, needle: &str) -> usize {
        self.said
            .lines()
            .0
            .iter()
            .filter(|line| line.contains(needle))
            .count()
    }

    /// Everything said so far.
    pub fn output(&self) -> String {
        self.said.lines().0.join("\n")
    }

    /// The end of what was said, for messages.
    pub fn tail(&self) -> String {
        let lines = self.said.lines();
        let from = lines.0.len().saturating_sub(QUOTED_LINES);
        lines.0[from..].join("\n")
    }

    /// Keeps everything said for whoever looks into a failed test, and says where.
    fn keep_output(&self) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/e2e");
        let name = self.name.replace(' ', "-");
        let file = folder.join(format!("{name}-{}.log", self.child.id()));
        let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, self.output()));
        kept.map_or_else(
            |error| format!("not kept, {error}"),
            |()| file.display().to_string(),
        )
    }

    /// Ends it at once, as a phone's system ends a suspended app or a power cut ends a server: it says goodbye to nobody.
    pub fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    pub fn terminate(&mut self, within: Duration) -> ExitStatus {
        self.ask_to_end();
        self.wait(within)
    }

    /// Asks it to end (SIGTERM).
    pub fn ask_to_end(&mut self) {
        self.signal("-TERM");
    }

    /// SIGHUP: a server reads its configuration again.
    pub fn hang_up(&mut self) {
        self.signal("-HUP");
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops it in the middle of whatever it does, as the system does with an app.
    pub fn freeze(&mut self) {
        self.signal("-STOP");
    }

    /// It goes on.
    pub fn thaw(&mut self) {
        self.signal("-CONT");
    }

    fn signal(&mut self, signal: &str) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill")
            .args([OsStr::new(signal), OsStr::new(&pid)])
            .status();
    }

    /// Closes its input and waits until it has ended by itself.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        self.stdin = None;
        poll(within, || self.child.try_wait().expect("our own child")).unwrap_or_else(|| {
            panic!(
                "{}: still running after {within:?}. It said:\n{}",
                self.name,
                self.tail()
            )
        })
    }

    /// The memory that it really has, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it is running");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no VmRSS: {status}"))
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let kept = self.keep_output();
            eprintln!(
                "---- {} said last (all of it: {kept}):\n{}\n----",
                self.name,
                self.tail()
            );
        }
    }
}

/// Reads one stream of a process to its end, on a thread of its own.
fn listen(stream: impl Read + Send + 'static, said: Arc<Said>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            said.lines().0.push(text);
            said.more.notify_all();
        }
        said.lines().1 -= 1;
        said.more.notify_all();
    });
}
