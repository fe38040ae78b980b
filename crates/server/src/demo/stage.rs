//! What all plays share: the running system, seen from outside. Everything here goes the way that an operator or a phone
//! goes (admin API, the lab's journal); nothing looks into the server.

use super::{outside::Doors, programme::Client, report::Side};
use crate::{
    config,
    dev::{ADMIN_TOKEN, Dev},
};
use anyhow::{Context, Result, bail, ensure};
use domain::{Mode, TraceEvent};
use http::{Method, StatusCode};
use hub::DeviceView;
use lab::{
    cloud::{CloudHandle, Fate, Filter, Record},
    phone::{Phone, PhoneEvent, Place},
};
use serde_json::{Value, json};
use sip::Transport;
use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};
use xmpp::stream::Framing;

/// Connections of phones that come on at once. To the edge all are of one source, of which 16 may sign in at a time; phones that are
/// woken sign in beside them.
const ARRIVALS: usize = 12;

/// How many an edge has sent away for that, before the number.
const CROWDED: &str = "reveille_edge_refused_total{reason=\"crowded\"} ";

/// Pause between two questions to the admin API by who waits for something there.
const PAUSE: Duration = Duration::from_millis(10);

/// The server's timers that plays wait for.
#[derive(Copy, Clone, Debug)]
pub(super) struct Timers {
    pub(super) ringing: config::Span,
    pub(super) wake: config::Span,
    pub(super) collapse: config::Span,
}

impl Timers {
    pub(super) fn of(call: &config::Call) -> Self {
        Self {
            ringing: call.ringing_after,
            wake: call.wake_timeout,
            collapse: call.message_collapse,
        }
    }
}

/// See the module.
pub(super) struct Stage {
    clouds: CloudHandle,
    control: String,
    admin: String,
    sip_tcp: SocketAddr,
    inside: Doors,
    outside: Doors,
    webpush: String,
    timers: Timers,
    patience: Duration,
    /// See [`ARRIVALS`].
    arrivals: Semaphore,
    /// Every phone that ever came on.
    phones: Mutex<Vec<Phone>>,
}

impl Stage {
    pub(super) fn new(
        dev: &Dev,
        outside: Doors,
        timers: Timers,
        patience: Duration,
    ) -> Result<Self> {
        let bound = dev.server.bound();
        let first = |addresses: &[SocketAddr], key: &str| {
            let address = addresses.first().copied();
            address.with_context(|| format!("the demo needs listen.{key}"))
        };
        Ok(Self {
            clouds: dev.clouds.handle(),
            control: format!("http://{}", dev.clouds.addresses().control),
            admin: format!("http://{}", first(&bound.admin, "admin")?),
            sip_tcp: first(&bound.sip.tcp, "sip_tcp")?,
            inside: Doors::of(bound, Side::Inside)?,
            outside,
            webpush: format!(
                "https://localhost:{}",
                dev.clouds.addresses().webpush.port()
            ),
            timers,
            patience,
            arrivals: Semaphore::new(ARRIVALS),
            phones: Mutex::default(),
        })
    }

    /// A phone with so many connections may come on, until this is dropped.
    pub(super) async fn arrival(&self, connections: u32) -> Result<SemaphorePermit<'_>> {
        Ok(self.arrivals.acquire_many(connections).await?)
    }

    pub(super) fn timers(&self) -> Timers {
        self.timers
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Where phones outside register.
    pub(super) fn edge(&self) -> SocketAddr {
        self.outside.sip
    }

    /// Where a phone on this side finds everything, which would register over `transport`: outside there is TLS alone.
    pub(super) fn place(&self, side: Side, transport: Transport, framing: Framing) -> Place {
        let doors = match side {
            Side::Inside => &self.inside,
            Side::Outside => &self.outside,
        };
        let is_plain = side == Side::Inside && !transport.is_secure();
        Place {
            server: if is_plain {
                (Transport::Tcp, self.sip_tcp)
            } else {
                (Transport::Tls, doors.sip)
            },
            xmpp: Some(match framing {
                Framing::Tcp | Framing::Component => doors.xmpp,
                Framing::WebSocket => doors.websocket,
            }),
            device_api: Some(doors.device_api.clone()),
        }
    }

    /// The origin of the simulated push service of the web.
    pub(super) fn webpush(&self) -> &str {
        &self.webpush
    }

    /// Where phones get their pushes.
    pub(super) fn control(&self) -> &str {
        &self.control
    }

    pub(super) fn ca(&self) -> &str {
        self.clouds.ca_pem()
    }

    pub(super) fn add(&self, phone: Phone) {
        self.phones().push(phone);
    }

    fn phones(&self) -> MutexGuard<'_, Vec<Phone>> {
        self.phones.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the clouds were asked for a token from `after` on.
    pub(super) fn pushes(&self, token: &str, after: u64) -> Vec<Record> {
        self.clouds
            .notifications(&Filter::token(token).after(after))
    }

    /// The first push of this kind to a token, waiting for it; `opened` makes of a push what its app reads.
    pub(super) async fn push(
        &self,
        token: &str,
        wanted: &str,
        patience: Duration,
        opened: impl Fn(Record) -> Record,
    ) -> Option<Record> {
        let deadline = Instant::now() + patience;
        let mut after = 0;
        loop {
            let patience = deadline.saturating_duration_since(Instant::now());
            let filter = Filter::token(token).after(after);
            let records = self.clouds.wait_for(&filter, patience).await;
            after = records.last()?.seq;
            let mut records = records.into_iter().map(&opened);
            if let Some(found) = records.find(|record| kind(record) == wanted) {
                return Some(found);
            }
        }
    }

    /// The next push to a token after the one of this number, which may come so much later.
    pub(super) async fn push_after(
        &self,
        token: &str,
        seq: u64,
        later: Duration,
    ) -> Option<Record> {
        let filter = Filter::token(token).after(seq);
        let records = self.clouds.wait_for(&filter, later + self.patience).await;
        records.into_iter().next()
    }

    /// From now on the cloud says that this token is dead.
    pub(super) fn kill_token(&self, token: &str) -> Result<()> {
        let fate = Fate {
            status: 410,
            reason: None,
            count: None,
            timestamp: None,
        };
        Ok(self.clouds.set_fate(token, fate)?)
    }

    /// Where calls for a user go that nobody takes.
    pub(super) async fn set_forward(&self, user: &str, forward: &str) -> Result<()> {
        let path = format!("/api/v1/users/{user}");
        self.ask(Method::PUT, &path, Some(&json!({ "forward": forward })))
            .await?;
        Ok(())
    }

    /// A call's or a message's story as the server tells it.
    pub(super) async fn story(&self, id: &str) -> Result<Vec<TraceEvent>> {
        match self
            .ask(Method::GET, &format!("/api/v1/traces/{id}"), None)
            .await?
        {
            Some(story) => Ok(serde_json::from_value(story)?),
            None => Ok(Vec::new()),
        }
    }

    /// A story, once it has come as far as `step`.
    pub(super) async fn story_with(
        &self,
        id: &str,
        step: domain::trace::Step,
    ) -> Result<Vec<TraceEvent>> {
        let deadline = Instant::now() + self.patience;
        loop {
            let story = self.story(id).await?;
            if story.iter().any(|event| event.step == step) {
                return Ok(story);
            }
            ensure!(
                Instant::now() < deadline,
                "the server never says {}",
                step.name()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The device of this user with this token for calls, once the server knows of it what is `wanted`.
    pub(super) async fn device(
        &self,
        user: &str,
        token: &str,
        what: &str,
        wanted: impl Fn(&DeviceView) -> bool,
    ) -> Result<DeviceView> {
        let token = crate::shown::shown(token);
        let has_token = |view: &DeviceView| {
            let voip = view.device.tokens.voip.as_ref();
            voip.is_some_and(|voip| *voip.value == *token)
        };
        let deadline = Instant::now() + self.patience;
        let path = format!("/api/v1/devices?user={user}");
        loop {
            let devices = self.ask(Method::GET, &path, None).await?;
            let devices: Vec<DeviceView> =
                serde_json::from_value(devices.context("no list of devices")?)?;
            let mut devices = devices.into_iter();
            if let Some(view) = devices.find(|view| has_token(view) && wanted(view)) {
                return Ok(view);
            }
            ensure!(
                Instant::now() < deadline,
                "the server never thinks that the phone {what}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns when the server thinks that the phone is in this mode.
    pub(super) async fn is(&self, user: &str, token: &str, mode: Mode) -> Result<()> {
        let what = format!("is {}", mode.name());
        let is_it = |view: &DeviceView| view.mode == mode;
        self.device(user, token, &what, is_it).await.map(drop)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Option<Value>> {
        let url = format!("{}{path}", self.admin);
        let (status, answer) = net::http::request(method, &url, Some(ADMIN_TOKEN), body).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            bail!("{url}: {status} {}", String::from_utf8_lossy(&answer));
        }
        Ok(Some(serde_json::from_slice(&answer).unwrap_or_default()))
    }

    /// The edge has sent no phone away because too many signed in at once: what fails then is none of the plays'.
    async fn edge_had_room(&self) -> Result<()> {
        let url = format!("http://{}/metrics", self.outside.health);
        let (_, page) = net::http::request(Method::GET, &url, None, None).await?;
        let page = String::from_utf8(page.to_vec())?;
        let mut lines = page.lines();
        let count = lines.find_map(|line| line.strip_prefix(CROWDED));
        let count = count.context("the edge does not say whom it refused")?;
        ensure!(count == "0", "the edge sent {count} away: too many at once");
        Ok(())
    }

    /// Nothing that any play did may have hurt a phone or a cloud.
    pub(super) async fn verdict_of_platforms(&self) -> Result<String> {
        self.edge_had_room().await?;
        let phones = self.phones().clone();
        let complaint = |event: PhoneEvent| match event {
            PhoneEvent::Killed { why } => Some(format!("killed: {why}")),
            PhoneEvent::WokenForNothing { .. } => Some("woken for a call that never came".into()),
            _ => None,
        };
        for phone in &phones {
            let mut events = phone.events().into_iter();
            if let Some(why) = events.find_map(|entry| complaint(entry.event)) {
                bail!("{} of {}: {why}", phone.config().app(), phone.config().user);
            }
        }
        let pushes = self.clouds.notifications(&Filter::default());
        for push in &pushes {
            if let Some(broken) = push.violations.first() {
                bail!("a {} push: {broken}", kind(push));
            }
            let answer = push.answer.as_ref();
            // 410 is what a dead token gets.
            ensure!(
                answer.is_some_and(|it| it.is_taken() || it.status == 410),
                "a {} push got {answer:?}",
                kind(push)
            );
        }
        Ok(format!("{} phones, {} pushes", phones.len(), pushes.len()))
    }
}

/// What a push is about, as its payload says in the clear: `call`, `message`, `missed_call`, `call_cancelled`. Nothing, if that is sealed
/// as a whole.
pub(super) fn kind(record: &Record) -> &str {
    text(record, "kind")
}

/// Where the phone is to register, as the payload says.
pub(super) fn register_at(record: &Record) -> &str {
    text(record, "register_at")
}

/// How many messages wait, as the payload says.
pub(super) fn unread(record: &Record) -> &str {
    text(record, "unread")
}

/// APNs has our keys beside `aps`, FCM in `message.data`; all are strings.
fn text<'a>(record: &'a Record, key: &str) -> &'a str {
    let data = record
        .payload
        .pointer("/message/data")
        .unwrap_or(&record.payload);
    data.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Checks that a push went the right way for its client, and that nobody but the phone can read who it is about.
pub(super) fn check_push(record: &Record, client: &Client, personal: &[&str]) -> Result<()> {
    let right = client.way_of(kind(record));
    let seen = (
        record.topic.as_deref(),
        record.push_type.as_deref(),
        record.project.as_deref(),
        record.priority.as_deref().map(str::to_lowercase),
    );
    let expected = (
        right.topic.as_deref(),
        right.push_type,
        right.project,
        Some(right.priority.to_owned()),
    );
    ensure!(
        seen == expected,
        "the {} push went another way: {seen:?}",
        kind(record)
    );
    ensure!(
        right.expiration.is_none() || record.expiration.as_deref() == right.expiration,
        "the {} push may be kept by the cloud",
        kind(record)
    );
    ensure!(record.accepted(), "the cloud refused the push");
    let payload = record.payload.to_string();
    for word in personal {
        ensure!(
            !payload.contains(word),
            "{word:?} stands in the push in the clear"
        );
    }
    Ok(())
}
