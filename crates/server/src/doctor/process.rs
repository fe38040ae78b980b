//! What the system lets the server have.

use super::report::Report;
use crate::{config::Config, files};
use nix::sys::resource::{Resource, getrlimit};

/// With fewer files than this a few hundred phones are too many.
const FEW: u64 = 4_096;

pub(super) fn look(config: &Config, runs: bool, report: &mut Report) {
    let of_server = runs.then(|| files_of_server(config)).flatten();
    let (files, whose) = match of_server {
        Some((pid, files)) => (files, format!("process {pid}")),
        // What it would get, started from here.
        None => match getrlimit(Resource::RLIMIT_NOFILE) {
            Ok((_, hard)) => (hard, "a server started from here".to_owned()),
            Err(error) => {
                let remedy = "see `ulimit -Hn`";
                return report.warn("limits", format!("the limit on files: {error}"), remedy);
            }
        },
    };
    let all = usize::try_from(files).unwrap_or(usize::MAX);
    let room = files::room(all, &config.limits).connections;
    let what = format!("{whose} may open {files} files: {room} connections");
    let remedy = "raise the hard limit: LimitNOFILE= in the unit, or ulimit -Hn";
    if files < FEW || room < config.limits.connections {
        let wanted = config.limits.connections;
        report.warn(
            "limits",
            format!("{what}, of {wanted} in limits.connections"),
            remedy,
        );
    } else {
        report.ok("limits", what);
    }
}

/// The process that has the lock, and its hard limit (proc(5), `limits`).
fn files_of_server(config: &Config) -> Option<(u32, u64)> {
    let lock = config.server.data_dir.join("reveille.lock");
    let pid = std::fs::read_to_string(lock).ok()?.trim().parse().ok()?;
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    Some((pid, open_files(&limits)?))
}

fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find(|it| it.starts_with("Max open files"))?;
    let mut words = line.split_whitespace().skip(4);
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hard_limit_is_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
            Max processes             1                    2                    processes\n\
            Max open files            1024                 524288               files\n";
        assert_eq!(open_files(text), Some(524_288));
        assert_eq!(open_files("Max open files 1024"), None);
    }
}
