//! The counters that an operator watches, in Prometheus' text format at `/metrics`. Names and labels are stable; each
//! is registered in one place, here.

use crate::{alarms::Alarms, refusals::Refusals};
use domain::{AppId, Channel, Outcome, Provider, Refusal, wake};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::time::Duration;

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
    alarms: Alarms,
    refusals: Refusals,
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
            alarms: Alarms::default(),
            refusals: Refusals::default(),
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
            metrics.refusals.counters() => "refused", "What was refused to protect the server or a user, by reason";
            metrics.alarms.active() => "alarm_active", "1 while an alarm stands";
        }
        let help = "How long the stages of a wake took";
        registry.register_with_unit("wake", help, Unit::Seconds, metrics.wake_seconds.clone());
        metrics.registry = registry;
        metrics
    }
}

impl Metrics {
    /// What an operator should know of.
    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// Something was refused, to protect us or a user.
    pub fn refused(&self, why: Refusal) {
        self.refusals.count(why, 1);
    }

    /// What was refused of late.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

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
        if matches!(outcome, Outcome::TokenDead { .. }) {
            self.tokens_dead.inc();
        }
        self.alarms.pushed(app, outcome);
    }

    /// A push to an app's own server, and what became of it.
    pub(crate) fn published(&self, app: &AppId, channel: Channel, outcome: &Outcome) {
        self.pushed(app, Provider::AppServer, channel, outcome);
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
        self.alarms
            .dead_tokens(now.dead_tokens - before.dead_tokens);
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
        metrics.refused(Refusal::NoRoom);
        let text = metrics.render();
        for line in [
            r#"reveille_push_requests_total{provider="apns",channel="voip",outcome="too_large"} 1"#,
            r#"reveille_wake_total{outcome="answered"} 1"#,
            r#"reveille_wake_seconds_count{stage="invite_to_push"} 1"#,
            r#"reveille_sip_requests_total{method="INVITE",transport="TLS"} 1"#,
            r#"reveille_sip_requests_total{method="other",transport="UDP"} 1"#,
            r#"reveille_messages_total{outcome="stored"} 1"#,
            r#"reveille_alarm_active{name="push_unreachable"} 0"#,
            r#"reveille_refused_total{reason="no_room"} 1"#,
            r#"reveille_refused_total{reason="banned"} 0"#,
            "reveille_registrations 0",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }
}
