//! What the push service does for its tenants.

use super::labels::{AnswerLabels, AppLabels, EndLabels};
use domain::{AppId, Timestamp};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use std::sync::atomic::AtomicU64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct PushService {
    pub(super) age: Gauge<f64, AtomicU64>,
    pub(super) answers: Family<AnswerLabels, Counter>,
    pub(super) ends: Family<EndLabels, Counter>,
    pub(super) left_alone: Family<AppLabels, Gauge>,
}

impl PushService {
    /// A tenant was told this.
    pub(crate) fn told(&self, answer: &'static str) {
        self.answers.get_or_create(&AnswerLabels { answer }).inc();
    }

    /// A push of the queue ended so.
    pub(crate) fn ended(&self, end: &'static str) {
        self.ends.get_or_create(&EndLabels { end }).inc();
    }

    /// The oldest of the queue waits since then.
    pub(crate) fn oldest(&self, since: Option<Timestamp>, now: Timestamp) {
        let age = since.map(|since| now.since(since).as_secs_f64());
        self.age.set(age.unwrap_or_default());
    }

    /// These apps are left alone.
    pub(crate) fn left_alone(&self, apps: &[AppId]) {
        self.left_alone.clear();
        for app in apps {
            let labels = AppLabels {
                app: app.to_string(),
            };
            self.left_alone.get_or_create(&labels).set(1);
        }
    }
}
