//! What a server uses: processor time and memory, as the kernel counts them, of a process and all its children.

use crate::wire::number;
use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use std::{collections::HashMap, fs, time::Duration};

/// The unit of times in `/proc` (`USER_HZ`), which is the same on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// Memory of a process.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Memory {
    /// Resident now, bytes.
    pub(crate) resident: u64,
    /// The most that it ever was, bytes.
    pub(crate) peak: u64,
}

/// User and system time of a process, all its threads and all its children.
pub(crate) fn processor_time(pid: u32) -> Result<Duration> {
    let ticks = family(pid)?.iter().map(|(_, ticks)| ticks).sum::<u64>();
    Ok(TICK * u32::try_from(ticks)?)
}

/// User and system time of all children of ours that have ended.
pub(crate) fn of_children() -> Result<Duration> {
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = |of: nix::sys::time::TimeVal| -> Result<Duration> {
        let micros = u64::try_from(nix::sys::time::TimeValLike::num_microseconds(&of))?;
        Ok(Duration::from_micros(micros))
    };
    Ok(time(used.user_time())? + time(used.system_time())?)
}

/// Bytes resident of a process and all its children.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let family = family(pid)?;
    let resident = family.iter().map(|(pid, _)| Ok(memory(*pid)?.resident));
    resident.sum()
}

/// Bytes resident of a process and all its children; what they share counts once (proc(5), `smaps_rollup`).
pub(crate) fn shared_out(pid: u32) -> Result<u64> {
    let family = family(pid)?;
    let part = |(pid, _): &(u32, u64)| -> Result<u64> {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .context("the server's share of memory")?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kilobytes: Option<u64> = line.and_then(|line| number(line.trim_ascii().as_bytes()));
        let kilobytes = kilobytes.context("no Pss in smaps_rollup")?;
        Ok(kilobytes * 1024)
    };
    family.iter().map(part).sum()
}

/// A process and all its children, with the ticks of each.
pub(crate) fn family(pid: u32) -> Result<Vec<(u32, u64)>> {
    let processes = processes();
    anyhow::ensure!(
        processes.contains_key(&pid),
        "the server (process {pid}) has ended"
    );
    let (mut found, mut family) = (Vec::new(), vec![pid]);
    while let Some(member) = family.pop() {
        found.extend(
            processes
                .get(&member)
                .map(|process| (member, process.ticks)),
        );
        let children = processes
            .iter()
            .filter(|(_, process)| process.parent == member);
        family.extend(children.map(|(child, _)| *child));
    }
    Ok(found)
}

/// Memory of one process.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).context("the server's memory")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes: Option<u64> = line.and_then(|line| number(line.trim_ascii().as_bytes()));
        kilobytes
            .map(|kilobytes| kilobytes * 1024)
            .with_context(|| format!("no {name} in /proc/{pid}/status"))
    };
    Ok(Memory {
        resident: field("VmRSS:")?,
        peak: field("VmHWM:")?,
    })
}

/// Counts the most that a process has resident from now on (proc(5), `clear_refs`).
pub(crate) fn forget_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("the server's peak of memory")
}

/// Time that all processors of the machine were idle so far.
pub(crate) fn idle_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    // user nice system idle iowait …, summed over the processors.
    let ticks = line
        .split_ascii_whitespace()
        .skip(4)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u32>().ok())
        .sum();
    Ok(TICK * ticks)
}

/// How many processors the machine has, whichever of them are ours.
pub(crate) fn processors() -> Result<f64> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let models = cpu.lines().filter(|line| line.starts_with("processor"));
    Ok(f64::from(u32::try_from(models.count())?))
}

struct Process {
    parent: u32,
    ticks: u64,
}

fn processes() -> HashMap<u32, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((pid, process(&stat)?))
        })
        .collect()
}

/// From `/proc/PID/stat`: after the name in parentheses stand state, parent, …; utime and stime are the 14th and 15th
/// fields of all (proc(5)).
fn process(stat: &str) -> Option<Process> {
    let rest = &stat[stat.rfind(')')? + 1..];
    let fields: Vec<_> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        parent: u32::try_from(number(1)?).ok()?,
        ticks: number(11)? + number(12)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_process_is_called() {
        let stat = "42 (a ) b) S 7 1 1 0 -1 4194560 100 0 0 0 30 12 5 5 20 0 1 0 100";
        let process = process(stat).unwrap();
        assert_eq!((process.parent, process.ticks), (7, 42));
    }
}
