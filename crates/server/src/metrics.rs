//! The counters that an operator watches, in Prometheus' text format at `/metrics`. Names and labels are stable; each
//! is registered in one place, here.

use domain::{AppId, Channel, Outcome, Provider, wake};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Seconds at which the histograms of a wake change bucket.
const WAKE_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 8.0, 13.0, 30.0,
];

macro_rules! labels {
    ($($(#[doc = $doc:literal])+ $name:ident { $($label:ident: $type:ty),+ })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
        struct $name { $($label: $type),+ }
    )+};
}

labels! {
    /// Of a push.
    PushLabels { provider: &'static str, channel: &'static str, outcome: &'static str }
    /// Of anything that ends one way or another.
    OutcomeLabels { outcome: &'static str }
    /// Of a stage of a wake.
    StageLabels { stage: &'static str }
    /// Of a SIP request.
    RequestLabels { method: &'static str, transport: &'static str }
    /// Of an alarm.
    AlarmLabels { name: &'static str }
}

/// Methods that have a label of their own; others share one, so that a peer cannot make up labels.
const METHODS: [&str; 14] = [
    "REGISTER",
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "MESSAGE",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "REFER",
    "INFO",
    "UPDATE",
    "PRACK",
];

/// So many tokens of one app that die one after another are no accident.
const SUSPICIOUS: u32 = 10;

/// A condition that an operator should know of.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq)]
pub enum Alarm {
    /// A push cloud cannot be reached.
    PushUnreachable,
    /// A push cloud refuses our credentials.
    PushCredentials,
    /// The store fails.
    StoreFailed,
    /// Devices cannot be woken because their tokens are dead.
    TokensDead,
    /// One token after another of an app is declared dead: our settings are wrong rather than all its phones.
    PushSettings,
}

impl Alarm {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::PushUnreachable,
        Self::PushCredentials,
        Self::StoreFailed,
        Self::TokensDead,
        Self::PushSettings,
    ];

    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::PushUnreachable => "push_unreachable",
            Self::PushCredentials => "push_credentials_refused",
            Self::StoreFailed => "store_failed",
            Self::TokensDead => "tokens_dead",
            Self::PushSettings => "push_settings_suspect",
        }
    }

    /// What the operator can do.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::PushUnreachable => "check the network to the push cloud, and its status page",
            Self::PushCredentials => {
                "check the key or service account of this app in [[push.app]]; it may have been revoked"
            }
            Self::StoreFailed => "check disk space and permissions of server.data_dir",
            Self::TokensDead => {
                "`reveille device list` names them; each heals when its app registers with a new token"
            }
            Self::PushSettings => {
                "check environment, bundle or project and credentials of this app in [[push.app]]; when they are right, each phone gets one new chance with its next registration"
            }
        }
    }
}

/// How much is under way in a shard.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Load {
    registrations: i64,
    calls: i64,
    owed: i64,
    queued: i64,
    dead_tokens: i64,
}

impl Load {
    /// As a hub counts it.
    pub fn of(hub: &hub::Hub) -> Self {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let directory = hub.directory().counts();
        let (calls, owed) = hub.under_way();
        Self {
            registrations: count(directory.registered),
            calls: count(calls),
            owed: count(owed),
            queued: i64::try_from(directory.queued).unwrap_or(i64::MAX),
            dead_tokens: count(directory.with_dead_token),
        }
    }
}

/// All metrics. Cheap to use from anywhere.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    push: Family<PushLabels, Counter>,
    wake: Family<OutcomeLabels, Counter>,
    wake_seconds: Family<StageLabels, Histogram, fn() -> Histogram>,
    requests: Family<RequestLabels, Counter>,
    messages: Family<OutcomeLabels, Counter>,
    tokens_dead: Counter,
    malformed: Counter,
    registrations: Gauge,
    calls: Gauge,
    queued: Gauge,
    owed: Gauge,
    /// Devices with a dead token.
    dead_tokens: AtomicI64,
    alarms: Family<AlarmLabels, Gauge>,
    /// The apps for which an alarm stands.
    apps: Mutex<HashSet<(Alarm, AppId)>>,
    /// How many tokens of each app were declared dead one after another.
    dead_in_a_row: Mutex<HashMap<AppId, u32>>,
}

macro_rules! register {
    ($registry:ident, $($metric:expr => $name:literal, $help:literal;)+) => {
        $($registry.register($name, $help, $metric.clone());)+
    };
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(WAKE_BUCKETS);
        let mut metrics = Self {
            registry: Registry::default(),
            push: Family::default(),
            wake: Family::default(),
            wake_seconds: Family::new_with_constructor(histogram),
            requests: Family::default(),
            messages: Family::default(),
            tokens_dead: Counter::default(),
            malformed: Counter::default(),
            registrations: Gauge::default(),
            calls: Gauge::default(),
            queued: Gauge::default(),
            owed: Gauge::default(),
            dead_tokens: AtomicI64::default(),
            alarms: Family::default(),
            apps: Mutex::default(),
            dead_in_a_row: Mutex::default(),
        };
        let mut registry = Registry::with_prefix("reveille");
        register! { registry,
            metrics.push => "push_requests", "Pushes by provider, channel and what became of them";
            metrics.wake => "wake", "Calls that ended, by how";
            metrics.requests => "sip_requests", "SIP requests taken in";
            metrics.malformed => "sip_malformed", "SIP messages that could not be read";
            metrics.messages => "messages", "Messages by what became of them";
            metrics.tokens_dead => "push_tokens_dead", "Tokens that a provider declared dead";
            metrics.registrations => "registrations", "Devices with a binding";
            metrics.calls => "calls", "Calls that wait to be answered";
            metrics.queued => "messages_queued", "Messages that wait for devices";
            metrics.owed => "pushes_owed", "Pushes that are owed and not settled";
            metrics.alarms => "alarm_active", "1 while an alarm stands";
        }
        let help = "How long the stages of a wake took";
        registry.register_with_unit("wake", help, Unit::Seconds, metrics.wake_seconds.clone());
        metrics.registry = registry;
        for alarm in Alarm::ALL {
            metrics
                .alarms
                .get_or_create(&AlarmLabels { name: alarm.name() })
                .set(0);
        }
        metrics
    }
}

impl Metrics {
    /// Everything, as Prometheus reads it.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    fn pushed(&self, app: &AppId, provider: Provider, channel: Channel, outcome: &Outcome) {
        let labels = PushLabels {
            provider: provider.name(),
            channel: channel.name(),
            outcome: outcome.name(),
        };
        self.push.get_or_create(&labels).inc();
        match outcome {
            Outcome::TokenDead { reason, .. } => {
                self.tokens_dead.inc();
                self.count_dead(app, reason);
            }
            Outcome::Accepted { .. } => self.alive(app),
            _ => {}
        }
        // What was refused without asking the provider says nothing of it.
        let standing = match outcome {
            Outcome::Unauthorized { .. } => Some(Alarm::PushCredentials),
            Outcome::Unavailable { .. } => Some(Alarm::PushUnreachable),
            Outcome::Accepted { .. } | Outcome::TokenDead { .. } | Outcome::Throttled { .. } => {
                None
            }
            Outcome::Refused { .. } | Outcome::TooLarge => return,
        };
        for alarm in [Alarm::PushCredentials, Alarm::PushUnreachable] {
            self.alarm_of_app(alarm, app, standing == Some(alarm), outcome.reason());
        }
    }

    fn count_dead(&self, app: &AppId, reason: &str) {
        let mut dead = self
            .dead_in_a_row
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = dead.entry(app.clone()).or_default();
        *count = count.saturating_add(1);
        if *count == SUSPICIOUS {
            drop(dead);
            let detail = format!("{SUSPICIOUS} tokens one after another: {reason}");
            self.alarm_of_app(Alarm::PushSettings, app, true, &detail);
        }
    }

    fn alive(&self, app: &AppId) {
        let mut dead = self
            .dead_in_a_row
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if dead.remove(app).is_some() {
            drop(dead);
            self.alarm_of_app(Alarm::PushSettings, app, false, "");
        }
    }

    /// An alarm that stands as long as it stands for any app.
    fn alarm_of_app(&self, alarm: Alarm, app: &AppId, active: bool, detail: &str) {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (alarm, app.clone());
        let changed = if active {
            apps.insert(key)
        } else {
            apps.remove(&key)
        };
        if changed {
            let any = apps.iter().any(|(standing, _)| *standing == alarm);
            self.alarm(alarm, any, &format!("{app}: {detail}"));
        }
    }

    /// A call ended.
    pub fn wake_ended(&self, verdict: wake::Verdict) {
        self.wake
            .get_or_create(&OutcomeLabels {
                outcome: verdict.name(),
            })
            .inc();
    }

    /// A stage of a wake took so long.
    pub fn wake_stage(&self, stage: &'static str, took: Duration) {
        self.wake_seconds
            .get_or_create(&StageLabels { stage })
            .observe(took.as_secs_f64());
    }

    /// A SIP request came in.
    pub fn request(&self, method: &str, transport: sip::Transport) {
        let method = METHODS
            .into_iter()
            .find(|known| *known == method)
            .unwrap_or("other");
        self.requests
            .get_or_create(&RequestLabels {
                method,
                transport: transport.as_str(),
            })
            .inc();
    }

    /// A SIP message could not be read.
    pub fn malformed(&self) {
        self.malformed.inc();
    }

    /// Something became of a message: `stored`, `delivered`, `refused`.
    pub fn message(&self, outcome: &'static str) {
        self.messages
            .get_or_create(&OutcomeLabels { outcome })
            .inc();
    }

    /// What is under way in a shard is another amount than before.
    pub fn load_changed(&self, before: Load, now: Load) {
        for (gauge, before, now) in [
            (&self.registrations, before.registrations, now.registrations),
            (&self.calls, before.calls, now.calls),
            (&self.owed, before.owed, now.owed),
            (&self.queued, before.queued, now.queued),
        ] {
            gauge.inc_by(now - before);
        }
        let change = now.dead_tokens - before.dead_tokens;
        if change != 0 {
            let dead = self.dead_tokens.fetch_add(change, Relaxed) + change;
            self.alarm(Alarm::TokensDead, dead > 0, "a device cannot be woken");
        }
    }

    /// An alarm stands, or is over. Logged when it changes.
    pub fn alarm(&self, alarm: Alarm, active: bool, detail: &str) {
        let gauge = self
            .alarms
            .get_or_create(&AlarmLabels { name: alarm.name() });
        let was = gauge.set(i64::from(active));
        if active && was == 0 {
            tracing::error!(
                alarm = alarm.name(),
                detail,
                remedy = alarm.remedy(),
                "alarm"
            );
        } else if !active && was != 0 {
            tracing::info!(alarm = alarm.name(), "alarm is over");
        }
    }
}

impl push::Observer for Metrics {
    fn on(&self, event: &push::Event<'_>) {
        match event {
            push::Event::Pushed {
                app,
                provider,
                channel,
                outcome,
                ..
            } => self.pushed(app, *provider, *channel, outcome),
            push::Event::Connected { endpoint } => {
                tracing::debug!(endpoint, "connected to a push cloud");
            }
            push::Event::Retired { endpoint, reason } => {
                tracing::info!(endpoint, reason, "a connection to a push cloud ends");
            }
            push::Event::Unreachable { endpoint, reason } => {
                tracing::warn!(endpoint, reason, "a push cloud cannot be reached");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_contract() {
        let metrics = Metrics::default();
        let app = AppId::from("com.example.phone");
        metrics.pushed(&app, Provider::Apns, Channel::Voip, &Outcome::TooLarge);
        metrics.wake_ended(wake::Verdict::Answered);
        metrics.wake_stage("invite_to_push", Duration::from_millis(1));
        metrics.request("INVITE", sip::Transport::Tls);
        metrics.request("MADE-UP", sip::Transport::Udp);
        metrics.message("stored");
        let text = metrics.render();
        for line in [
            r#"reveille_push_requests_total{provider="apns",channel="voip",outcome="too_large"} 1"#,
            r#"reveille_wake_total{outcome="answered"} 1"#,
            r#"reveille_wake_seconds_count{stage="invite_to_push"} 1"#,
            r#"reveille_sip_requests_total{method="INVITE",transport="TLS"} 1"#,
            r#"reveille_sip_requests_total{method="other",transport="UDP"} 1"#,
            r#"reveille_messages_total{outcome="stored"} 1"#,
            r#"reveille_alarm_active{name="push_unreachable"} 0"#,
            "reveille_registrations 0",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn a_good_app_does_not_silence_the_alarm_of_a_bad_one() {
        let metrics = Metrics::default();
        let (bad, good) = (AppId::from("bad"), AppId::from("good"));
        let push = |app: &AppId, outcome: &Outcome| {
            metrics.pushed(app, Provider::Apns, Channel::Voip, outcome);
        };
        let stands = || {
            metrics
                .render()
                .contains(r#"reveille_alarm_active{name="push_credentials_refused"} 1"#)
        };
        let accepted = Outcome::Accepted {
            provider_id: String::new(),
        };
        push(
            &bad,
            &Outcome::Unauthorized {
                reason: "InvalidProviderToken".to_owned(),
            },
        );
        push(&good, &accepted);
        push(&bad, &Outcome::TooLarge);
        assert!(stands());
        push(&bad, &accepted);
        assert!(!stands());
    }

    #[test]
    fn a_fleet_that_dies_at_once_is_an_alarm_about_our_settings() {
        let metrics = Metrics::default();
        let app = AppId::from("com.example.phone");
        let push = |outcome: &Outcome| metrics.pushed(&app, Provider::Apns, Channel::Voip, outcome);
        let stands = || {
            let name = r#"reveille_alarm_active{name="push_settings_suspect"} 1"#;
            metrics.render().contains(name)
        };
        let dead = Outcome::TokenDead {
            since: None,
            reason: "BadDeviceToken".to_owned(),
        };
        let accepted = Outcome::Accepted {
            provider_id: String::new(),
        };
        for _ in 1..SUSPICIOUS {
            push(&dead);
        }
        push(&accepted);
        push(&dead);
        assert!(!stands(), "one after another");
        for _ in 1..SUSPICIOUS {
            push(&dead);
        }
        assert!(stands());
        push(&accepted);
        assert!(!stands());
    }
}
