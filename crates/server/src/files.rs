//! How many files the system lets us open, and what of that is for whom: the limits on connections follow from it.

use crate::config;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files that are for none of our peers: the store, listeners, certificates, and connections to the push clouds.
const RESERVE: usize = 128;
/// Most connections of the HTTP APIs, each listener.
const HTTP: usize = 1_000;
/// Most connections that we make to peers.
const OUTGOING: usize = 10_000;
/// One source has at most this part of all connections, whatever the configuration says.
const PART_OF_ONE: usize = 4;
/// This part of all connections is for sources from which somebody has signed in.
const PART_OF_KNOWN: usize = 4;
/// This part of what strangers have is not for those who have proven nothing.
const PART_OF_SPEAKING: usize = 10;

/// Takes as many files as the system gives; says how many that are.
pub(crate) fn raise() -> usize {
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            tracing::warn!(%error, "the limit on open files cannot be read: 1024 is assumed");
            return 1024;
        }
    };
    let raised = soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    let files = if raised { hard } else { soft };
    tracing::info!(files, before = soft, "open files");
    usize::try_from(files).unwrap_or(usize::MAX)
}

/// Connections that there may be.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct Room {
    /// Of SIP and XMPP.
    pub(crate) connections: usize,
    /// So many of these are not for strangers.
    pub(crate) reserved: usize,
    /// With so many, one more of a stranger takes the place of one who has proven nothing.
    pub(crate) silent: usize,
    /// That we make.
    pub(crate) outgoing: usize,
    /// Of one source.
    pub(crate) connections_per_peer: usize,
    /// Of each HTTP listener.
    pub(crate) http: usize,
}

/// What the limits come to with so many files. Three quarters are for connections that are accepted, an eighth for those
/// that we make, and an eighth for the APIs, which have at most six listeners, seldom full.
pub(crate) fn room(files: usize, limits: &config::Limits) -> Room {
    let free = files.saturating_sub(RESERVE);
    let connections = limits.connections.min(free / 4 * 3).max(1);
    if connections < limits.connections {
        tracing::warn!(
            files,
            connections,
            wanted = limits.connections,
            "limits.connections is more than there are files: raise the hard limit (LimitNOFILE= in the unit, or ulimit -Hn)"
        );
    }
    let reserved = connections / PART_OF_KNOWN;
    let strangers = connections - reserved;
    Room {
        connections,
        reserved,
        silent: strangers - strangers.div_ceil(PART_OF_SPEAKING),
        outgoing: OUTGOING.min(free / 8).max(1),
        connections_per_peer: limits
            .connections_per_peer
            .min(connections / PART_OF_ONE)
            .max(1),
        http: HTTP.min(free / 32).max(16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_into_the_files_and_one_source_does_not_get_all() {
        let limits = config::Limits::default();
        let plenty = room(1 << 20, &limits);
        assert_eq!(plenty.connections, limits.connections);
        assert_eq!(plenty.connections_per_peer, limits.connections_per_peer);
        for files in [0, 256, 1024, 4096] {
            let Room {
                connections,
                reserved,
                silent,
                outgoing,
                connections_per_peer,
                http,
            } = room(files, &limits);
            if files > 256 {
                let all = connections + outgoing + 4 * http + RESERVE;
                assert!(files < 1024 || all <= files, "{all} of {files}");
                assert!(reserved > 0 && reserved + connections_per_peer < connections);
                assert!(reserved + silent < connections);
                assert!(connections_per_peer * 4 <= connections, "{files}");
            }
            assert!(connections > 0 && connections_per_peer > 0 && http > 0);
        }
    }
}
