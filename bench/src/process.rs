//! A server process: pinned to its core, its words kept for when it fails, ended when we are done with it.

use anyhow::{Context, Result, bail};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The load generator's core.
const LOAD_CORE: usize = 0;
/// How long a server may take to end when it is asked to; then it is killed.
const ENDING: Duration = Duration::from_secs(20);
/// Bytes of what a server said that an error shows.
const WORDS: usize = 2000;
/// How often to look.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// The cores that a server runs on, as `taskset -c` wants them.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Cores(pub(crate) &'static str);

/// The one that is not the load generator's.
pub(crate) const ONE_CORE: Cores = Cores("1");
/// Both, shared with the load generator.
pub(crate) const BOTH_CORES: Cores = Cores("0,1");

/// Keeps this process, and every thread that it starts from now on, on the load generator's core.
pub(crate) fn pin_load() -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(LOAD_CORE)?;
    sched_setaffinity(Pid::from_raw(0), &cores).context("pinning the load generator to core 0")
}

/// Lets the load generator run on any core of a machine of two.
pub(crate) fn unpin_load() -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(LOAD_CORE)?;
    cores.set(1)?;
    sched_setaffinity(Pid::from_raw(0), &cores).context("letting the load generator run anywhere")
}

/// A program on these cores. It ends when we do, whatever ends us.
pub(crate) fn on_cores(command: &Command, cores: Cores) -> Command {
    let mut pinned = Command::new("setpriv");
    pinned.args(["--pdeathsig", "TERM", "taskset", "-c", cores.0]);
    pinned.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        pinned.env(name, value.unwrap_or_default());
    }
    pinned
}

/// A running server; ended when dropped.
pub(crate) struct Server {
    child: Child,
    words: PathBuf,
}

impl Server {
    /// Starts it on these cores; what it says goes to `words`.
    pub(crate) fn start(command: &Command, cores: Cores, words: &Path) -> Result<Self> {
        let log = File::create(words)?;
        let program = command.get_program();
        let child = on_cores(command, cores)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {} by setpriv and taskset", program.display()))?;
        Ok(Self {
            child,
            words: words.to_owned(),
        })
    }

    /// Its process id: `setpriv` and `taskset` become the server.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said last.
    pub(crate) fn words(&self) -> String {
        let words = std::fs::read(&self.words).unwrap_or_default();
        let last = words.len().saturating_sub(WORDS);
        String::from_utf8_lossy(&words[last..]).into_owned()
    }

    /// Waits until `ready` says so.
    pub(crate) fn wait_until(
        &mut self,
        patience: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let started = Instant::now();
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}. It said:\n{}", self.words());
            }
            if started.elapsed() > patience {
                bail!(
                    "the server is not ready after {patience:?}. It said:\n{}",
                    self.words()
                );
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Ends it cleanly, so that everything is saved.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = Pid::from_raw(i32::try_from(self.pid())?);
        kill(pid, Signal::SIGTERM).context("ending the server")?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > ENDING {
                self.child.kill()?;
                self.child.wait()?;
                bail!("the server did not end and was killed");
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("{error:#}");
        }
    }
}
