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
        let refused = values(&metrics, "reveille_refused_total");
        let alarms = values(&metrics, "reveille_alarm_active");
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

/// The values of a metric, by what its labels say.
pub(super) fn values<'m>(
    metrics: &'m str,
    name: &'m str,
) -> impl Iterator<Item = (String, u64)> + 'm {
    metrics.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = rest.strip_prefix('{')?.rsplit_once("} ")?;
        let said: Vec<_> = labels.split('"').skip(1).step_by(2).collect();
        Some((said.join(" "), value.parse().ok()?))
    })
}

/// What was refused since an earlier look, by reason.
pub(super) fn refused_since(now: &mut BTreeMap<String, u64>, earlier: &BTreeMap<String, u64>) {
    for (reason, times) in &mut *now {
        *times -= earlier.get(reason).copied().unwrap_or_default();
    }
    now.retain(|_, times| *times > 0);
}

impl Look {
    /// What changed since an earlier one.
    pub(crate) fn since(mut self, earlier: &Self) -> Changes {
        refused_since(&mut self.refused, &earlier.refused);
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
        let read: Vec<_> = values(text, "reveille_refused_total").collect();
        assert_eq!(read, [("shed".to_owned(), 12), ("banned".to_owned(), 0)]);
    }

    #[test]
    fn a_metric_is_read_whatever_labels_it_has() {
        let text = "# TYPE a counter\na_total{x=\"in\",y=\"tls\"} 3\na_total{x=\"out\",y=\"udp\"} 4\na_total_more{x=\"in\"} 5\n";
        let read: Vec<_> = values(text, "a_total").collect();
        assert_eq!(read, [("in tls".to_owned(), 3), ("out udp".to_owned(), 4)]);
    }
}
