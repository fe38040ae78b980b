//! What pushes, connections and tokens say of the apps' clouds, and the alarms that follow from it: for each app, by what it
//! is known, since a connection that is up again says nothing of a token that cannot be got.

use super::kinds::Alarm;
use domain::{AppId, Outcome};
use push::Served;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// So many tokens of one app that die one after another are no accident.
pub(super) const SUSPICIOUS: u32 = 10;

/// By what it is known.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Source {
    Connection,
    Push,
    Token,
}

const EVERY: [Source; 3] = [Source::Connection, Source::Push, Source::Token];

/// An alarm stands for these subjects, for the reason that they have in common, or is over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Change {
    pub(super) alarm: Alarm,
    pub(super) subjects: Vec<String>,
    pub(super) detail: Option<String>,
}

impl Change {
    fn of(alarm: Alarm, subject: &str, detail: Option<String>) -> Self {
        Self {
            alarm,
            subjects: vec![subject.to_string()],
            detail,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct PushApps {
    /// Why an alarm stands for an app, in words, by whoever said so.
    faults: BTreeMap<(Alarm, AppId), BTreeMap<Source, String>>,
    /// How many tokens of each app were declared dead one after another.
    dead_in_a_row: HashMap<AppId, u32>,
    /// Those of which there were too many.
    suspect: BTreeSet<AppId>,
    /// Devices with a dead token.
    dead_tokens: i64,
}

impl PushApps {
    /// What became of a push.
    pub(super) fn pushed(&mut self, app: &AppId, outcome: &Outcome) -> Vec<Change> {
        let reason = || Some(outcome.reason().to_owned());
        let one = std::slice::from_ref(app);
        let by_push = [Source::Push];
        match outcome {
            Outcome::Unauthorized { .. } => [
                self.fault(Alarm::PushCredentials, one, &by_push, reason().as_ref()),
                self.fault(Alarm::PushUnreachable, one, &EVERY, None),
            ]
            .concat(),
            Outcome::Unavailable { .. } => {
                self.fault(Alarm::PushUnreachable, one, &by_push, reason().as_ref())
            }
            Outcome::Accepted { .. } => {
                self.dead_in_a_row.remove(app);
                [self.answers(one), self.trusted(app)].concat()
            }
            Outcome::TokenDead { reason, .. } => {
                [self.answers(one), self.count_dead(app, reason)].concat()
            }
            Outcome::Throttled { .. } => self.answers(one),
            // What was refused without asking the provider says nothing of it.
            Outcome::Refused { .. } | Outcome::TooLarge => Vec::new(),
        }
    }

    /// Whether the cloud of these apps answers, whatever was heard before; if not, why.
    pub(super) fn reach(
        &mut self,
        endpoint: &str,
        apps: &[Served],
        reach: Result<(), &str>,
    ) -> Vec<Change> {
        let alarm = Alarm::PushUnreachable;
        let Err(reason) = reach else {
            let ids: Vec<_> = apps.iter().map(|it| it.app.clone()).collect();
            return self.fault(alarm, &ids, &[Source::Connection, Source::Push], None);
        };
        let mut of_cloud: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for it in apps {
            let cloud = (it.provider.name(), it.environment.name());
            of_cloud.entry(cloud).or_default().push(it.app.clone());
        }
        let mut changes = Vec::new();
        for ((provider, environment), apps) in of_cloud {
            let detail = format!("{provider} ({environment}) at {endpoint}: {reason}");
            changes.extend(self.fault(alarm, &apps, &[Source::Connection], Some(&detail)));
        }
        changes
    }

    /// Whether an app has what its pushes need beside a connection; if not, what they would come to.
    pub(super) fn ready(&mut self, app: &AppId, ready: Result<(), &Outcome>) -> Vec<Change> {
        let stands = ready.err().map(|outcome| match outcome {
            Outcome::Unauthorized { .. } => (Alarm::PushCredentials, outcome),
            _ => (Alarm::PushUnreachable, outcome),
        });
        let both = [Alarm::PushCredentials, Alarm::PushUnreachable];
        let changes = both.map(|alarm| {
            let reason = stands.filter(|(it, _)| *it == alarm);
            let reason = reason.map(|(_, outcome)| outcome.reason().to_owned());
            let app = std::slice::from_ref(app);
            self.fault(alarm, app, &[Source::Token], reason.as_ref())
        });
        changes.concat()
    }

    /// So many more devices have a dead token.
    pub(super) fn more_dead_tokens(&mut self, change: i64) -> Vec<Change> {
        self.dead_tokens += change;
        vec![self.tokens()]
    }

    /// Apps that are none any more are no reason for an alarm.
    pub(super) fn only(&mut self, is_one: impl Fn(&AppId) -> bool) -> Vec<Change> {
        let mut changes = Vec::new();
        let faulty: Vec<_> = self.faults.keys().cloned().collect();
        for (alarm, app) in faulty.into_iter().filter(|(_, app)| !is_one(app)) {
            changes.extend(self.fault(alarm, &[app], &EVERY, None));
        }
        self.dead_in_a_row.retain(|app, _| is_one(app));
        let suspect: Vec<_> = self.suspect.iter().cloned().collect();
        for app in suspect.iter().filter(|app| !is_one(app)) {
            changes.extend(self.trusted(app));
        }
        changes
    }

    /// The provider took the push, or said why not: it is there, and takes our credentials.
    fn answers(&mut self, app: &[AppId]) -> Vec<Change> {
        // As nearly always: this is asked of each push.
        if self.faults.is_empty() {
            return Vec::new();
        }
        let both = [Alarm::PushCredentials, Alarm::PushUnreachable];
        both.map(|alarm| self.fault(alarm, app, &EVERY, None))
            .concat()
    }

    fn count_dead(&mut self, app: &AppId, reason: &str) -> Vec<Change> {
        let count = self.dead_in_a_row.entry(app.clone()).or_default();
        *count = count.saturating_add(1);
        if *count != SUSPICIOUS {
            return Vec::new();
        }
        self.suspect.insert(app.clone());
        let detail = format!("{SUSPICIOUS} tokens one after another: {reason}");
        vec![
            Change::of(Alarm::PushSettings, app.as_str(), Some(detail)),
            self.tokens(),
        ]
    }

    fn trusted(&mut self, app: &AppId) -> Vec<Change> {
        if !self.suspect.remove(app) {
            return Vec::new();
        }
        vec![
            Change::of(Alarm::PushSettings, app.as_str(), None),
            self.tokens(),
        ]
    }

    /// While our settings are suspect, dead tokens are not the phones' affair (`behaviour.md` 11).
    fn tokens(&self) -> Change {
        let active = self.dead_tokens > 0 && self.suspect.is_empty();
        let detail = active.then(|| "a device cannot be woken".to_owned());
        Change::of(Alarm::TokensDead, "", detail)
    }

    /// These sources have a reason for an alarm of these apps, or none. It stands as long as any has.
    fn fault(
        &mut self,
        alarm: Alarm,
        apps: &[AppId],
        sources: &[Source],
        reason: Option<&String>,
    ) -> Vec<Change> {
        let mut by_detail: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
        for app in apps {
            let key = (alarm, app.clone());
            let mut faults = self.faults.remove(&key).unwrap_or_default();
            for source in sources {
                match reason {
                    Some(reason) => drop(faults.insert(*source, reason.clone())),
                    None => drop(faults.remove(source)),
                }
            }
            let detail = faults.values().next().cloned();
            if detail.is_some() {
                self.faults.insert(key, faults);
            }
            by_detail.entry(detail).or_default().push(app.to_string());
        }
        let change = |(detail, subjects)| Change {
            alarm,
            subjects,
            detail,
        };
        by_detail.into_iter().map(change).collect()
    }
}
