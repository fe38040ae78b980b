//! What was seen of the store when somebody looked last.

use super::{
    process::show,
    table::{self, Row},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use std::{
    fmt,
    sync::{Mutex, PoisonError},
};
use store::{Stats, TIME_BOUNDS, Times};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct StoreView(Mutex<Stats>);

impl StoreView {
    pub(super) fn set(&self, stats: Stats) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }
}

impl Collector for StoreView {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gauge = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
        let waiting = gauge(stats.waiting as u64);
        show(&mut encoder, table::STORE_BYTES, &gauge(stats.octets))?;
        show(&mut encoder, table::STORE_WAITING, &waiting)?;
        for (row, count) in [
            (table::STORE_FAILURES, stats.failures),
            (table::STORE_NOTES_DROPPED, stats.notes_dropped),
        ] {
            show(&mut encoder, row, &ConstCounter::new(count))?;
        }
        histogram(&mut encoder, table::STORE_COMMIT_SECONDS, &stats.commits)
    }
}

fn histogram(encoder: &mut DescriptorEncoder<'_>, row: &Row, times: &Times) -> fmt::Result {
    let (name, unit) = row.registered();
    let bounds = TIME_BOUNDS.iter().map(std::time::Duration::as_secs_f64);
    let buckets: Vec<_> = bounds.chain([f64::INFINITY]).zip(times.counts).collect();
    let (help, kind) = (row.meaning, MetricType::Histogram);
    encoder
        .encode_descriptor(name, help, unit.as_ref(), kind)?
        .encode_histogram::<NoLabelSet>(times.sum.as_secs_f64(), times.count(), &buckets, None)
}
