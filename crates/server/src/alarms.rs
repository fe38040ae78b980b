//! What an operator should know of, each with a remedy: in the log when it changes, in the metrics and in the admin API
//! while it stands.

use domain::{AppId, Outcome};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// So many tokens of one app that die one after another are no accident.
const SUSPICIOUS: u32 = 10;

/// A condition that an operator should know of.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Alarm {
    /// A push cloud cannot be reached.
    PushUnreachable,
    /// A push cloud refuses our credentials.
    PushCredentials,
    /// The store fails.
    StoreFailed,
    /// Rows of the store could not be read when the server started, and were set aside.
    StoreDamaged,
    /// Devices cannot be woken because their tokens are dead.
    TokensDead,
    /// One token after another of an app is declared dead: our settings are wrong rather than all its phones.
    PushSettings,
    /// Very many requests come from nobody in particular.
    StrangersFlood,
    /// What is refused since a limit of the whole server is reached.
    LimitsReached,
    /// Passwords are guessed.
    Guessing,
    /// One user calls, is called, or asks more than anybody may.
    UserFloods,
    /// Connections are opened, and nothing comes over them.
    SilentConnections,
}

impl Alarm {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::PushUnreachable,
        Self::PushCredentials,
        Self::StoreFailed,
        Self::StoreDamaged,
        Self::TokensDead,
        Self::PushSettings,
        Self::StrangersFlood,
        Self::LimitsReached,
        Self::Guessing,
        Self::UserFloods,
        Self::SilentConnections,
    ];

    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::PushUnreachable => "push_unreachable",
            Self::PushCredentials => "push_credentials_refused",
            Self::StoreFailed => "store_failed",
            Self::StoreDamaged => "store_damaged",
            Self::TokensDead => "tokens_dead",
            Self::PushSettings => "push_settings_suspect",
            Self::StrangersFlood => "strangers_flood",
            Self::LimitsReached => "limits_reached",
            Self::Guessing => "guessing",
            Self::UserFloods => "user_floods",
            Self::SilentConnections => "silent_connections",
        }
    }

    /// What the operator can do.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::PushUnreachable => {
                "check the network to the push cloud, and its status page; of an app's own server, that it is connected"
            }
            Self::PushCredentials => {
                "check the key or service account of this app in [[push.app]]; it may have been revoked"
            }
            Self::StoreFailed => "check disk space and permissions of server.data_dir",
            Self::StoreDamaged => {
                "the log names the rows; check the disk, put a backup in the store's place or go on without them, and start again (docs/operations/backup.md)"
            }
            Self::TokensDead => {
                "`reveille device list` names them; each heals when its app registers with a new token"
            }
            Self::PushSettings => {
                "check environment, bundle or project and credentials of this app in [[push.app]]; when they are right, each phone gets one new chance with its next registration"
            }
            Self::StrangersFlood => {
                "they are challenged and cost no memory; unless all your phones register at once, keep the sources out before they reach this host (docs/operations/strangers.md)"
            }
            Self::LimitsReached => {
                "raise the limit in [limits] if your users need more; reveille_refused_total says which reason grows"
            }
            Self::Guessing => {
                "the log names the sources; `reveille ban add ADDRESS` keeps one out, fail2ban does so by itself (docs/operations/strangers.md)"
            }
            Self::UserFloods => {
                "the log names who it is; give a machine that calls much an address in call.trusted, or change limits.calls_* and limits.requests_per_source"
            }
            Self::SilentConnections => {
                "each is closed after ten seconds; `ss -tn` shows where they come from, and `reveille ban add ADDRESS` keeps a source out"
            }
        }
    }
}

/// An alarm as an operator sees it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Standing {
    /// Its name.
    pub name: &'static str,
    /// What happened.
    pub detail: String,
    /// What to do.
    pub remedy: &'static str,
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
    /// Those that stand, and what happened.
    standing: BTreeMap<Alarm, String>,
    /// The apps for which one stands.
    of_apps: HashSet<(Alarm, AppId)>,
    /// How many tokens of each app were declared dead one after another.
    dead_in_a_row: HashMap<AppId, u32>,
    /// Devices with a dead token.
    dead_tokens: i64,
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

    /// Those that stand.
    pub fn standing(&self) -> Vec<Standing> {
        let inner = self.inner();
        let standing = |(alarm, detail): (&Alarm, &String)| Standing {
            name: alarm.name(),
            detail: detail.clone(),
            remedy: alarm.remedy(),
        };
        inner.standing.iter().map(standing).collect()
    }

    /// An alarm stands, or is over.
    pub fn set(&self, alarm: Alarm, active: bool, detail: &str) {
        self.change(&mut self.inner(), alarm, active, detail);
    }

    /// What became of a push.
    pub fn pushed(&self, app: &AppId, outcome: &Outcome) {
        let inner = &mut *self.inner();
        match outcome {
            Outcome::TokenDead { reason, .. } => self.count_dead(inner, app, reason),
            Outcome::Accepted { .. } if inner.dead_in_a_row.remove(app).is_some() => {
                self.set_of_app(inner, Alarm::PushSettings, app, false, "");
            }
            _ => {}
        }
        // What was refused without asking the provider says nothing of it.
        let stands = match outcome {
            Outcome::Unauthorized { .. } => Some(Alarm::PushCredentials),
            Outcome::Unavailable { .. } => Some(Alarm::PushUnreachable),
            Outcome::Accepted { .. } | Outcome::TokenDead { .. } | Outcome::Throttled { .. } => {
                None
            }
            Outcome::Refused { .. } | Outcome::TooLarge => return,
        };
        for alarm in [Alarm::PushCredentials, Alarm::PushUnreachable] {
            self.set_of_app(inner, alarm, app, stands == Some(alarm), outcome.reason());
        }
    }

    /// So many more devices have a dead token.
    pub(crate) fn dead_tokens(&self, change: i64) {
        if change != 0 {
            let inner = &mut *self.inner();
            inner.dead_tokens += change;
            self.judge_tokens(inner);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_dead(&self, inner: &mut Inner, app: &AppId, reason: &str) {
        let count = inner.dead_in_a_row.entry(app.clone()).or_default();
        *count = count.saturating_add(1);
        if *count == SUSPICIOUS {
            let detail = format!("{SUSPICIOUS} tokens one after another: {reason}");
            self.set_of_app(inner, Alarm::PushSettings, app, true, &detail);
        }
    }

    /// An alarm that stands as long as it stands for any app.
    fn set_of_app(&self, inner: &mut Inner, alarm: Alarm, app: &AppId, active: bool, detail: &str) {
        let key = (alarm, app.clone());
        let changed = if active {
            inner.of_apps.insert(key)
        } else {
            inner.of_apps.remove(&key)
        };
        if changed {
            let any = inner.of_apps.iter().any(|(stands, _)| *stands == alarm);
            self.change(inner, alarm, any, &format!("{app}: {detail}"));
            self.judge_tokens(inner);
        }
    }

    /// While our settings are suspect, dead tokens are not the phones' affair (`behaviour.md` 11).
    fn judge_tokens(&self, inner: &mut Inner) {
        let suspect = inner.standing.contains_key(&Alarm::PushSettings);
        let active = inner.dead_tokens > 0 && !suspect;
        self.change(inner, Alarm::TokensDead, active, "a device cannot be woken");
    }

    /// Logged when it changes.
    fn change(&self, inner: &mut Inner, alarm: Alarm, active: bool, detail: &str) {
        let name = alarm.name();
        let changed = if active {
            inner.standing.insert(alarm, detail.to_owned()).is_none()
        } else {
            inner.standing.remove(&alarm).is_some()
        };
        if !changed {
            return;
        }
        let labels = AlarmLabels { name };
        self.active.get_or_create(&labels).set(i64::from(active));
        if active {
            let remedy = alarm.remedy();
            tracing::error!(alarm = name, detail, remedy, "alarm");
        } else {
            tracing::info!(alarm = name, "alarm is over");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(alarms: &Alarms) -> Vec<&'static str> {
        alarms.standing().iter().map(|it| it.name).collect()
    }

    fn accepted() -> Outcome {
        Outcome::Accepted {
            provider_id: String::new(),
        }
    }

    #[test]
    fn a_good_app_does_not_silence_the_alarm_of_a_bad_one() {
        let alarms = Alarms::default();
        let (bad, good) = (AppId::from("bad"), AppId::from("good"));
        let unauthorized = Outcome::Unauthorized {
            reason: "InvalidProviderToken".to_owned(),
        };
        alarms.pushed(&bad, &unauthorized);
        alarms.pushed(&good, &accepted());
        alarms.pushed(&bad, &Outcome::TooLarge);
        assert_eq!(standing(&alarms), ["push_credentials_refused"]);
        alarms.pushed(&bad, &accepted());
        assert_eq!(standing(&alarms), [""; 0]);
    }

    #[test]
    fn a_fleet_that_dies_at_once_is_an_alarm_about_our_settings_and_not_about_tokens() {
        let alarms = Alarms::default();
        let app = AppId::from("com.example.phone");
        let dies = || {
            let dead = Outcome::TokenDead {
                since: None,
                reason: "BadDeviceToken".to_owned(),
            };
            alarms.pushed(&app, &dead);
            alarms.dead_tokens(1);
        };
        for _ in 1..SUSPICIOUS {
            dies();
        }
        alarms.pushed(&app, &accepted());
        dies();
        assert_eq!(standing(&alarms), ["tokens_dead"], "one after another");
        for _ in 1..SUSPICIOUS {
            dies();
        }
        let stands = alarms.standing();
        assert_eq!(standing(&alarms), ["push_settings_suspect"]);
        assert!(stands[0].detail.contains("com.example.phone"));
        assert!(stands[0].detail.contains("BadDeviceToken"));
        assert!(stands[0].remedy.contains("[[push.app]]"));
        // It was mended; the tokens that are dead still are.
        alarms.pushed(&app, &accepted());
        assert_eq!(standing(&alarms), ["tokens_dead"]);
        alarms.dead_tokens(-2 * i64::from(SUSPICIOUS) + 1);
        assert_eq!(standing(&alarms), [""; 0]);
    }

    /// What is logged.
    #[derive(Clone, Default)]
    struct Log(std::sync::Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_alarm_is_logged_with_its_remedy_when_it_begins_and_when_it_is_over() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
        tracing::subscriber::with_default(subscriber.finish(), || {
            let alarms = Alarms::default();
            for active in [true, true, false, false] {
                alarms.set(Alarm::StoreFailed, active, "the disk is full");
            }
        });
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = log.lines().collect();
        assert_eq!(lines.len(), 2, "{log}");
        for word in [
            "ERROR",
            "store_failed",
            "the disk is full",
            "server.data_dir",
        ] {
            assert!(lines[0].contains(word), "{log}");
        }
        assert!(lines[1].contains("store_failed"), "{log}");
    }
}
