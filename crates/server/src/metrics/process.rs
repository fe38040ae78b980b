//! What the system says of this process, read when somebody asks: the names are those that every Prometheus client has.

use super::table::{self, Row};
use crate::clock;
use nix::sys::{
    resource::{Resource, UsageWho, getrlimit, getrusage},
    time::TimeValLike,
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};
use std::fmt;

/// See the module.
#[derive(Debug)]
pub(super) struct Process {
    /// Since the Unix epoch, in milliseconds.
    started: u64,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            started: clock::now().0,
        }
    }
}

/// The memory that is in RAM, in octets, of `/proc/self/status` (proc(5)).
fn resident(status: &str) -> Option<i64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Thousandths and the like as a float.
#[expect(
    clippy::cast_precision_loss,
    reason = "a float counts microseconds well beyond what there will be"
)]
fn parts(number: u64, parts: f64) -> f64 {
    number as f64 / parts
}

/// What is not known is left out.
impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let used = usage.user_time() + usage.system_time();
            let used = u64::try_from(used.num_microseconds()).unwrap_or_default();
            let used = ConstCounter::new(parts(used, 1e6));
            show(encoder, table::PROCESS_CPU_SECONDS, &used)?;
        }
        let status = std::fs::read_to_string("/proc/self/status");
        if let Some(resident) = status.ok().and_then(|status| resident(&status)) {
            let resident = ConstGauge::new(resident);
            show(encoder, table::PROCESS_RESIDENT_MEMORY, &resident)?;
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            // One of them is the directory that is being read.
            let open = ConstGauge::new(open.count().saturating_sub(1));
            show(encoder, table::PROCESS_OPEN_FDS, &open)?;
        }
        if let Ok((most, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
            show(encoder, table::PROCESS_MAX_FDS, &ConstGauge::new(most))?;
        }
        let started = ConstGauge::new(parts(self.started, 1e3));
        show(encoder, table::PROCESS_START_TIME, &started)
    }
}

/// One metric without labels.
pub(super) fn show(
    encoder: &mut DescriptorEncoder<'_>,
    row: &Row,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    let (name, unit) = row.registered();
    let kind = metric.metric_type();
    metric.encode(encoder.encode_descriptor(name, row.meaning, unit.as_ref(), kind)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_octets() {
        let status = "Name:\tVmRSS:\nVmHWM:\t  900 kB\nVmRSS:\t     512 kB\n";
        assert_eq!(resident(status), Some(524_288));
        assert_eq!(resident("VmRSS:\tmuch"), None);
    }
}
