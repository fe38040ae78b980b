//! The counters that an operator watches, in Prometheus' text format at `/metrics`. Names and labels are stable; each
//! metric is a row of [`table`], which the catalogue in the docs is made of as well.

mod labels;
mod process;
mod push_service;
mod store;
mod table;

pub use labels::Door;
pub use table::{Kind, METRICS, Row};

use crate::{alarms::Alarms, refusals::Refusals};
use ::store::Stats;
use domain::{AppId, Channel, Outcome, Provider, Refusal, wake};
use labels::{
    ByLabels, CertificateLabels, ConnectionLabels, DoorLabels, EdgeLabels, OutcomeLabels,
    PushLabels, ReachLabels, ReasonLabels, RelayLabels, RequestLabels, StageLabels,
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry},
};
use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

/// Seconds at which the histograms of a wake change bucket.
const WAKE_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 8.0, 13.0, 30.0,
];

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

/// A number that is a fraction.
type Fraction = Gauge<f64, AtomicU64>;

/// All metrics. Cheap to use from anywhere.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    push: Family<PushLabels, Counter>,
    reachable: Family<ReachLabels, Gauge>,
    wake: Family<OutcomeLabels, Counter>,
    wake_seconds: Family<StageLabels, Histogram, fn() -> Histogram>,
    requests: Family<RequestLabels, Counter>,
    messages: Family<OutcomeLabels, Counter>,
    connections: Family<ConnectionLabels, Gauge>,
    auth_failures: Family<DoorLabels, Counter>,
    bans: Family<ByLabels, Gauge>,
    certificates: Family<CertificateLabels, Fraction>,
    token_key_age: Fraction,
    edge_clients: Family<EdgeLabels, Gauge>,
    edge_refused: Family<ReasonLabels, Counter>,
    edge_up: Family<EdgeLabels, Gauge>,
    edge_round_trip: Family<EdgeLabels, Fraction>,
    media_relayed: Counter,
    media_missing: Family<ReasonLabels, Counter>,
    media_relays: Family<RelayLabels, Gauge>,
    tokens_dead: Counter,
    malformed: Counter,
    registrations: Gauge,
    calls: Gauge,
    queued: Gauge,
    owed: Gauge,
    push_queue: Gauge,
    pushes_under_way: Gauge,
    push_service: push_service::PushService,
    store: Arc<store::StoreView>,
    alarms: Alarms,
    refusals: Refusals,
}

fn register(registry: &mut Registry, row: &Row, metric: impl Metric) {
    match row.registered() {
        (name, Some(unit)) => registry.register_with_unit(name, row.meaning, unit, metric),
        (name, None) => registry.register(name, row.meaning, metric),
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(WAKE_BUCKETS);
        let mut metrics = Self {
            registry: Registry::default(),
            push: Family::default(),
            reachable: Family::default(),
            wake: Family::default(),
            wake_seconds: Family::new_with_constructor(histogram),
            requests: Family::default(),
            messages: Family::default(),
            connections: Family::default(),
            auth_failures: Family::default(),
            bans: Family::default(),
            certificates: Family::default(),
            token_key_age: Fraction::default(),
            edge_clients: Family::default(),
            edge_refused: Family::default(),
            edge_up: Family::default(),
            edge_round_trip: Family::default(),
            media_relayed: Counter::default(),
            media_missing: Family::default(),
            media_relays: Family::default(),
            tokens_dead: Counter::default(),
            malformed: Counter::default(),
            registrations: Gauge::default(),
            calls: Gauge::default(),
            queued: Gauge::default(),
            owed: Gauge::default(),
            push_queue: Gauge::default(),
            pushes_under_way: Gauge::default(),
            push_service: push_service::PushService::default(),
            store: Arc::default(),
            alarms: Alarms::default(),
            refusals: Refusals::default(),
        };
        metrics.registry = metrics.registered();
        for door in Door::ALL {
            let labels = DoorLabels { door: door.name() };
            metrics.auth_failures.get_or_create(&labels).inc_by(0);
        }
        metrics
    }
}

impl Metrics {
    fn registered(&self) -> Registry {
        let mut registry = Registry::default();
        let it = &mut registry;
        register(it, table::WAKE, self.wake.clone());
        register(it, table::WAKE_SECONDS, self.wake_seconds.clone());
        register(it, table::PUSH_REQUESTS, self.push.clone());
        register(it, table::PUSH_TOKENS_DEAD, self.tokens_dead.clone());
        register(it, table::PUSH_REACHABLE, self.reachable.clone());
        register(it, table::PUSHES_OWED, self.owed.clone());
        register(it, table::PUSH_QUEUE, self.push_queue.clone());
        register(it, table::PUSHES_UNDER_WAY, self.pushes_under_way.clone());
        let service = &self.push_service;
        register(it, table::PUSH_QUEUE_AGE, service.age.clone());
        register(it, table::PUSH_ANSWERS, service.answers.clone());
        register(it, table::PUSH_ENDS, service.ends.clone());
        register(it, table::PUSH_LEFT_ALONE, service.left_alone.clone());
        register(it, table::REGISTRATIONS, self.registrations.clone());
        register(it, table::CALLS, self.calls.clone());
        register(it, table::SIP_REQUESTS, self.requests.clone());
        register(it, table::SIP_MALFORMED, self.malformed.clone());
        register(it, table::MESSAGES, self.messages.clone());
        register(it, table::MESSAGES_QUEUED, self.queued.clone());
        register(it, table::CONNECTIONS, self.connections.clone());
        register(it, table::AUTH_FAILURES, self.auth_failures.clone());
        register(it, table::BANS, self.bans.clone());
        register(it, table::REFUSED, self.refusals.counters());
        register(it, table::EDGE_CONNECTIONS, self.edge_clients.clone());
        register(it, table::EDGE_REFUSED, self.edge_refused.clone());
        register(it, table::EDGE_TUNNEL_UP, self.edge_up.clone());
        let round_trip = self.edge_round_trip.clone();
        register(it, table::EDGE_TUNNEL_RTT_SECONDS, round_trip);
        register(it, table::MEDIA_RELAYED, self.media_relayed.clone());
        register(it, table::MEDIA_MISSING, self.media_missing.clone());
        register(it, table::MEDIA_RELAY_UP, self.media_relays.clone());
        register(it, table::CERTIFICATE_DAYS, self.certificates.clone());
        register(it, table::TOKEN_KEY_AGE_DAYS, self.token_key_age.clone());
        register(it, table::ALARM_ACTIVE, self.alarms.active());
        it.register_collector(Box::new(self.store.clone()));
        it.register_collector(Box::new(process::Process::default()));
        registry
    }

    /// What an operator should know of.
    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// Something was refused, to protect us or a user.
    pub fn refused(&self, why: Refusal) {
        self.refusals.count(why, 1);
    }

    /// The same where somebody wanted to sign in.
    pub fn refused_at(&self, door: Door, why: Refusal) {
        self.refused(why);
        if why == Refusal::Password {
            self.auth_failed(door);
        }
    }

    /// Somebody did not show what they must to sign in.
    pub(crate) fn auth_failed(&self, door: Door) {
        let labels = DoorLabels { door: door.name() };
        self.auth_failures.get_or_create(&labels).inc();
    }

    /// What was refused of late.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// How the store is doing.
    pub(crate) fn store_is(&self, stats: Stats) {
        self.store.set(stats);
    }

    /// So many connections are open.
    pub(crate) fn connections_are(
        &self,
        protocol: &'static str,
        transport: &'static str,
        open: usize,
    ) {
        let gauge = self.connections_of(protocol, transport);
        gauge.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// How many connections are open, for whoever counts them.
    pub(crate) fn connections_of(&self, protocol: &'static str, transport: &'static str) -> Gauge {
        let labels = ConnectionLabels {
            protocol,
            transport,
        };
        self.connections.get_or_create(&labels).clone()
    }

    /// So many sources are banned by an operator, and so many for guessing.
    pub(crate) fn bans_are(&self, by_operator: usize, for_guessing: usize) {
        for (by, count) in [("operator", by_operator), ("guessing", for_guessing)] {
            let gauge = self.bans.get_or_create(&ByLabels { by }).clone();
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// A certificate is good for so many days more; nothing, if there is none of that name any more.
    pub(crate) fn certificate_days(&self, certificate: &str, days: Option<f64>) {
        let labels = CertificateLabels {
            certificate: certificate.to_owned(),
        };
        match days {
            Some(days) => drop(self.certificates.get_or_create(&labels).set(days)),
            None => drop(self.certificates.remove(&labels)),
        }
    }

    /// The key that signs tokens is so old.
    pub(crate) fn token_key_age(&self, age: Duration) {
        self.token_key_age.set(age.as_secs_f64() / 86_400.0);
    }

    /// An edge did not let so many requests through.
    pub(crate) fn edge_refused(&self, reason: &'static str, count: u64) {
        let labels = ReasonLabels { reason };
        self.edge_refused.get_or_create(&labels).inc_by(count);
    }

    /// How a tunnel is.
    pub(crate) fn tunnel_is(&self, link: &tunnel::Link) {
        let labels = EdgeLabels {
            edge: link.at.to_string(),
        };
        let (up, clients, round_trip) = match link.state {
            tunnel::State::Up {
                clients,
                round_trip,
                ..
            } => (1, clients, round_trip),
            tunnel::State::Down { .. } => (0, 0, Duration::ZERO),
        };
        self.edge_up.get_or_create(&labels).set(up);
        let clients = i64::try_from(clients).unwrap_or(i64::MAX);
        self.edge_clients.get_or_create(&labels).set(clients);
        let gauge = self.edge_round_trip.get_or_create(&labels);
        gauge.set(round_trip.as_secs_f64());
    }

    /// There is no such tunnel any more.
    pub(crate) fn tunnel_is_gone(&self, at: &str) {
        let labels = EdgeLabels {
            edge: at.to_owned(),
        };
        self.edge_up.remove(&labels);
        self.edge_clients.remove(&labels);
        self.edge_round_trip.remove(&labels);
    }

    /// A media relay took an offer or an answer.
    pub(crate) fn media_relayed(&self) {
        self.media_relayed.inc();
    }

    /// None did.
    pub(crate) fn media_missing(&self, reason: &'static str) {
        let labels = ReasonLabels { reason };
        self.media_missing.get_or_create(&labels).inc();
    }

    /// Whether a media relay answers.
    pub(crate) fn media_relay_is(&self, at: &str, up: bool) {
        let labels = RelayLabels {
            relay: at.to_owned(),
        };
        self.media_relays.get_or_create(&labels).set(up.into());
    }

    /// So many pushes are in the queue of the push service, and on their way.
    pub(crate) fn push_service_has(&self, (queued, flying): (usize, usize)) {
        for (gauge, count) in [(&self.push_queue, queued), (&self.pushes_under_way, flying)] {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// What the push service does, in more detail.
    pub(crate) fn push_service(&self) -> &push_service::PushService {
        &self.push_service
    }

    /// Only these apps are pushed to.
    pub(crate) fn only_apps(&self, is_one: impl Fn(&AppId) -> bool) {
        self.alarms.only_apps(&is_one);
        // Those that stay are heard of by their new connections.
        self.reachable.clear();
    }

    fn reach(&self, endpoint: &str, apps: &[push::Served], reach: Result<(), &str>) {
        for served in apps {
            let labels = ReachLabels {
                provider: served.provider.name(),
                environment: served.environment.name(),
                app: served.app.to_string(),
            };
            let gauge = self.reachable.get_or_create(&labels).clone();
            gauge.set(i64::from(reach.is_ok()));
        }
        self.alarms.reach(endpoint, apps, reach);
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

    /// Something became of a message: `stored`, `not_stored`, `delivered`, `refused`, `unacknowledged`.
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
                tracing::debug!(endpoint, reason, "a connection to a push cloud ends");
            }
            // One attempt of many.
            push::Event::Unreachable { .. } => {}
            push::Event::Reach {
                endpoint,
                apps,
                reach,
            } => self.reach(endpoint, apps, *reach),
            push::Event::Ready { app, ready } => self.alarms.ready(&app.app, *ready),
        }
    }
}

#[cfg(test)]
mod tests;
