//! What an operator should know of, each with a remedy: in the log when it changes, in the metrics and in the admin API
//! while it stands. One alarm may stand for several subjects, as for each app whose cloud does not answer.

mod kinds;
mod push_apps;

pub use kinds::{Alarm, STORE_CAUSES, Severity, StoreCause};

use crate::clock;
use domain::{AppId, Outcome, Timestamp};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
};
use push::Served;
use push_apps::{Change, PushApps};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// An alarm as an operator sees it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: an app, a certificate; nothing, if there can be only one.
    pub subject: String,
    /// What happened.
    pub detail: String,
    /// What to do.
    pub remedy: String,
    /// Since when it stands.
    pub since: Timestamp,
}

/// What is said of an alarm that stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Notice {
    pub(crate) severity: Severity,
    pub(crate) detail: String,
    pub(crate) remedy: &'static str,
}

impl Notice {
    /// With what the alarm says anyway.
    pub(crate) fn of(alarm: Alarm, detail: impl Into<String>) -> Self {
        Self {
            severity: alarm.severity(),
            detail: detail.into(),
            remedy: alarm.remedy(),
        }
    }
}

/// The label of an alarm in the metrics.
#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
pub(crate) struct AlarmLabels {
    name: &'static str,
}

/// All alarms. Cheap to use from anywhere.
#[derive(Debug)]
pub struct Alarms {
    active: Family<AlarmLabels, Gauge>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Those that stand, by what they are about, and since when.
    standing: BTreeMap<(Alarm, String), (Notice, Timestamp)>,
    /// What is known of the apps' clouds.
    push_apps: PushApps,
}

impl Default for Alarms {
    fn default() -> Self {
        let active: Family<AlarmLabels, Gauge> = Family::default();
        for alarm in Alarm::ALL {
            let labels = AlarmLabels { name: alarm.name() };
            active.get_or_create(&labels).set(0);
        }
        Self {
            active,
            inner: Mutex::default(),
        }
    }
}

impl Alarms {
    /// 1 while an alarm stands: for the metrics.
    pub(crate) fn active(&self) -> Family<AlarmLabels, Gauge> {
        self.active.clone()
    }

    /// Those that stand, the worst first.
    pub fn standing(&self) -> Vec<Standing> {
        let inner = self.inner();
        let view =
            |((alarm, subject), (notice, since)): (&(Alarm, String), &(Notice, _))| Standing {
                name: alarm.name().to_owned(),
                severity: notice.severity,
                subject: subject.clone(),
                detail: notice.detail.clone(),
                remedy: notice.remedy.to_owned(),
                since: *since,
            };
        let mut standing: Vec<_> = inner.standing.iter().map(view).collect();
        standing.sort_by_key(|it| std::cmp::Reverse(it.severity));
        standing
    }

    /// An alarm that has no subject stands, or is over.
    pub fn set(&self, alarm: Alarm, active: bool, detail: &str) {
        let notice = active.then(|| Notice::of(alarm, detail));
        self.change(&mut self.inner(), alarm, &[String::new()], notice.as_ref());
    }

    /// An alarm stands for this subject, or is over.
    pub(crate) fn about(&self, alarm: Alarm, subject: &str, notice: Option<&Notice>) {
        self.change(&mut self.inner(), alarm, &[subject.to_owned()], notice);
    }

    /// What became of a push.
    pub fn pushed(&self, app: &AppId, outcome: &Outcome) {
        self.of_apps(|apps| apps.pushed(app, outcome));
    }

    /// Whether the cloud of these apps answers, whatever was heard before; if not, why.
    pub(crate) fn reach(&self, endpoint: &str, apps: &[Served], reach: Result<(), &str>) {
        self.of_apps(|known| known.reach(endpoint, apps, reach));
    }

    /// Whether an app has what its pushes need beside a connection; if not, what they would come to.
    pub(crate) fn ready(&self, app: &AppId, ready: Result<(), &Outcome>) {
        self.of_apps(|apps| apps.ready(app, ready));
    }

    /// So many more devices have a dead token.
    pub(crate) fn dead_tokens(&self, change: i64) {
        if change != 0 {
            self.of_apps(|apps| apps.more_dead_tokens(change));
        }
    }

    /// Apps that are none any more are no reason for an alarm.
    pub(crate) fn only_apps(&self, is_one: impl Fn(&AppId) -> bool) {
        self.of_apps(|apps| apps.only(is_one));
    }

    fn of_apps(&self, hear: impl FnOnce(&mut PushApps) -> Vec<Change>) {
        let inner = &mut *self.inner();
        for change in hear(&mut inner.push_apps) {
            let notice = change.detail.map(|it| Notice::of(change.alarm, it));
            self.change(inner, change.alarm, &change.subjects, notice.as_ref());
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For all of these subjects at once, and one line of the log for those for which something changes: that it stands, how
    /// bad it is, or what helps. Another detail alone is no news.
    fn change(&self, inner: &mut Inner, alarm: Alarm, subjects: &[String], to: Option<&Notice>) {
        let mut changed = Vec::new();
        for subject in subjects {
            let key = (alarm, subject.clone());
            let before = inner.standing.get(&key);
            let is_news = match (before, to) {
                (Some((before, _)), Some(to)) => {
                    (before.severity, before.remedy) != (to.severity, to.remedy)
                }
                (None, None) => continue,
                _ => true,
            };
            if is_news {
                changed.push(subject.as_str());
            }
            match to {
                Some(to) => {
                    let since = before.map_or_else(clock::now, |(_, since)| *since);
                    inner.standing.insert(key, (to.clone(), since));
                }
                None => drop(inner.standing.remove(&key)),
            }
        }
        if changed.is_empty() {
            return;
        }
        let stands = inner.standing.keys().any(|(stands, _)| *stands == alarm);
        let labels = AlarmLabels { name: alarm.name() };
        self.active.get_or_create(&labels).set(i64::from(stands));
        log(alarm, &changed.join(", "), to);
    }
}

fn log(alarm: Alarm, subject: &str, to: Option<&Notice>) {
    let name = alarm.name();
    match to {
        None => tracing::info!(alarm = name, subject, "alarm is over"),
        Some(Notice {
            severity,
            detail,
            remedy,
        }) => match severity {
            Severity::Critical => {
                tracing::error!(alarm = name, subject, detail, remedy, "alarm");
            }
            Severity::Warning | Severity::Notice => {
                tracing::warn!(alarm = name, subject, detail, remedy, "alarm");
            }
        },
    }
}

#[cfg(test)]
mod tests;
