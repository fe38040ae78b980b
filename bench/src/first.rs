//! Who goes first on a core, so that what else the machine does is not taken for the cost of a server.

use crate::usage;
use anyhow::{Context, Result, ensure};
use std::process::Command;

/// For as long as it is there this thread runs when it wants to: phones elsewhere never wait for a server to be done with their
/// processor. After it come servers, whatever else there is waits for them.
pub(crate) struct First;

impl First {
    /// With these servers and their children, until they end.
    pub(crate) fn come(servers: &[u32]) -> Result<Self> {
        for server in servers {
            for (process, _) in usage::family(*server)? {
                schedule(&["--fifo", "--all-tasks", "--pid", "1"], process)?;
            }
        }
        schedule(&["--fifo", "--pid", "2"], this())?;
        Ok(Self)
    }
}

impl Drop for First {
    fn drop(&mut self) {
        if let Err(error) = schedule(&["--other", "--pid", "0"], this()) {
            eprintln!("{error:#}");
        }
    }
}

/// This thread.
fn this() -> u32 {
    nix::unistd::gettid().as_raw().unsigned_abs()
}

/// Says to `chrt` (util-linux) how a process, or a thread, is to run.
fn schedule(how: &[&str], process: u32) -> Result<()> {
    let chrt = Command::new("chrt")
        .args(how)
        .arg(process.to_string())
        .status();
    ensure!(
        chrt.context("running chrt, of util-linux")?.success(),
        "chrt lets process {process} not go first"
    );
    Ok(())
}
