//! The server that is attacked, and what it says of that.

use crate::{
    http::Client,
    process::ONE_CORE,
    reveille::{Doors, Reveille, Setup, Store},
    usage::{self, Memory},
};
use anyhow::{Context, Result};
use rustls::ClientConfig;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{SocketAddr, SocketAddrV4},
    path::Path,
    sync::Arc,
};
use tempfile::TempDir;

/// See above.
pub(crate) struct Attacked(Reveille);

/// What can be seen of it.
pub(crate) struct Look {
    memory: Memory,
    log: String,
    /// What was refused, by reason.
    refused: BTreeMap<String, u64>,
    alarms: BTreeSet<String>,
}

/// What changed.
pub(crate) struct Changes {
    /// Bytes resident before.
    pub(crate) before: u64,
    /// The most that it ever was.
    pub(crate) peak: u64,
    /// Some seconds after it.
    pub(crate) after: u64,
    /// Lines in the log.
    pub(crate) lines: Vec<String>,
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) alarms: BTreeSet<String>,
}

impl Attacked {
    /// One that has these users, and pushes to this cloud.
    pub(crate) fn start(
        folder: TempDir,
        cloud: SocketAddr,
        users: u32,
        binary: &Path,
    ) -> Result<Self> {
        let server = Reveille::start(Setup {
            // It answers soonest, so this is where waiting is seen.
            store: Store::Memory,
            cores: ONE_CORE,
            shards: None,
            push: Some(cloud),
            xmpp: true,
            open: true,
            edge: None,
            folder,
            binary,
        })?;
        server.add_users(users)?;
        Ok(Self(server))
    }

    /// Phones of the first ones say that they sleep.
    pub(crate) fn put_to_sleep(&self, users: u32) -> Result<()> {
        self.0.put_to_sleep(users)
    }

    pub(crate) fn sip(&self) -> SocketAddrV4 {
        self.0.sip()
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.0.admin()
    }

    pub(crate) fn doors(&self) -> Result<Doors> {
        self.0.doors()
    }

    /// Where it serves XMPP over TLS, and how it is trusted there.
    pub(crate) fn xmpp(&self) -> Result<(SocketAddr, Arc<ClientConfig>)> {
        let (at, tls, _) = self.0.reach()?;
        Ok((at, tls))
    }

    /// Looks; the peak of its memory is counted anew from then on.
    pub(crate) fn look(&self) -> Result<Look> {
        let pid = self.0.pid()?;
        let answer = Client::connect(self.0.health())?.ask("GET", "/metrics", "", "")?;
        let metrics = String::from_utf8_lossy(&answer.body).into_owned();
        let refused = labelled(&metrics, "reveille_refused_total{reason=");
        let alarms = labelled(&metrics, "reveille_alarm_active{name=");
        let look = Look {
            memory: usage::memory(pid)?,
            log: self.0.log()?,
            refused: refused.collect(),
            alarms: alarms
                .filter(|(_, active)| *active > 0)
                .map(|(alarm, _)| alarm)
                .collect(),
        };
        usage::forget_peak(pid).context("clearing the peak of memory")?;
        Ok(look)
    }
}

/// The values of a metric, by its label.
fn labelled(metrics: &str, start: &str) -> impl Iterator<Item = (String, u64)> {
    metrics.lines().filter_map(move |line| {
        let (label, value) = line.strip_prefix(start)?.rsplit_once("} ")?;
        Some((label.trim_matches('"').to_owned(), value.parse().ok()?))
    })
}

impl Look {
    /// What changed since an earlier one.
    pub(crate) fn since(mut self, earlier: &Self) -> Changes {
        for (reason, times) in &mut self.refused {
            *times -= earlier.refused.get(reason).copied().unwrap_or_default();
        }
        self.refused.retain(|_, times| *times > 0);
        let lines = self.log.get(earlier.log.len()..).unwrap_or_default();
        Changes {
            before: earlier.memory.resident,
            peak: self.memory.peak,
            after: self.memory.resident,
            lines: lines.lines().map(str::to_owned).collect(),
            refused: self.refused,
            alarms: &self.alarms - &earlier.alarms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_read_by_its_label() {
        let text = "# TYPE a counter\nreveille_refused_total{reason=\"shed\"} 12\nreveille_refused_total{reason=\"banned\"} 0\n";
        let read: Vec<_> = labelled(text, "reveille_refused_total{reason=").collect();
        assert_eq!(read, [("shed".to_owned(), 12), ("banned".to_owned(), 0)]);
    }
}
