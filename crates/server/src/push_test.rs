//! One push for an operator who wants to see its way: to a device's own app and token, through the clients that carry every
//! push, and told hop by hop.

use crate::{clock::now, live::Live, remedies, shards::sealable, shown::shown};
use domain::{
    Address, Channel, Device, DeviceId, Door, Generation, Handed, Namer, Note, Notification,
    NotificationId, Outcome, Purpose, TraceEvent, TrackingId, behaviour::Incoming, trace::Step,
};
use push::hops::{Hop, seen};
use serde::{Deserialize, Serialize};
use std::{pin::Pin, sync::Arc, time::Duration};
use store::{Store, StoreError};

/// The provider keeps it for so long: a device that is off for the moment shows that it was reached.
const LIFETIME: Duration = Duration::from_mins(1);

/// The clients that push now: a reload makes others.
pub(crate) type Pushing =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = push::Pusher> + Send>> + Send + Sync>;

/// What is asked for.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// As a call would come (`voip`), or as a message would; else as a message, if the device can be told so.
    pub channel: Option<Channel>,
}

/// What came of it.
#[derive(Debug, Deserialize, Serialize)]
pub struct Tested {
    /// Where it went.
    pub device: DeviceId,
    /// Whose that is.
    pub user: Address,
    /// The story that tells of it.
    pub tracking: TrackingId,
    /// The way, step by step.
    pub hops: Vec<Hop>,
    /// What the provider says, or why it was not asked.
    pub outcome: Outcome,
    /// What to do, if it was not taken.
    pub remedy: Option<String>,
}

/// What the test works with.
pub(crate) struct Tools<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) pushing: &'a Pushing,
    pub(crate) live: &'a Live,
}

/// Pushes to a device; `None`: there is no such device.
pub(crate) async fn test(
    tools: Tools<'_>,
    id: &DeviceId,
    order: Order,
) -> Result<Option<Tested>, StoreError> {
    let Some(device) = tools.store.device(id).await? else {
        return Ok(None);
    };
    let doors = tools.store.doors(id).await?;
    let pusher = (tools.pushing)().await;
    let tracking: TrackingId = Namer::new(crate::entropy::random()).fresh(now());
    let mut hops = Vec::new();
    let prepared = prepared(
        (&device, &doors),
        &pusher,
        order.channel,
        &tracking,
        &mut hops,
    );
    let outcome = match prepared {
        Ok(push) => {
            note(&tools, &device, &tracking, Step::PushSent, &told(&push));
            let (outcome, way) = seen(pusher.push(push)).await;
            hops.extend(way);
            let (step, detail) = match &outcome {
                Outcome::Accepted { provider_id } => (Step::PushAccepted, provider_id.clone()),
                other => {
                    let detail = format!("{}: {}", other.name(), other.reason());
                    (Step::PushFailed, detail)
                }
            };
            note(&tools, &device, &tracking, step, &detail);
            outcome
        }
        Err(reason) => {
            note(&tools, &device, &tracking, Step::PushSkipped, &reason);
            Outcome::Refused { reason }
        }
    };
    let asked = hops.iter().any(|hop| hop.endpoint.is_some());
    let remedy = if !asked && !matches!(outcome, Outcome::Accepted { .. }) {
        Some(WITHOUT_ASKING)
    } else {
        remedies::of(&outcome)
    };
    Ok(Some(Tested {
        device: device.id,
        user: device.user,
        tracking,
        hops,
        remedy: remedy.map(str::to_owned),
        outcome,
    }))
}

/// What to do about a push that never left.
const WITHOUT_ASKING: &str = "no provider was asked: the app must register with push parameters (RFC 8599), or hand over a token, and be in [[push.app]]; `reveille device history` tells what it did";

/// The push, and the hops within this server; or why there is none.
fn prepared(
    (device, doors): (&Device, &[Door]),
    pusher: &push::Pusher,
    channel: Option<Channel>,
    tracking: &TrackingId,
    hops: &mut Vec<Hop>,
) -> Result<Notification, String> {
    let mut hop = |name: &str, detail: String| {
        hops.push(Hop::of(name, None, detail, Duration::ZERO));
    };
    let way = if doors.is_empty() {
        "not registered"
    } else {
        "registered"
    };
    let user = &device.user;
    hop("device", format!("{} of {user}, {way}", device.id));
    let app = device.app.as_ref();
    let app = app.ok_or("its app gave no push parameters: it cannot be woken")?;
    let profile = pusher.profile(app);
    let profile = profile.ok_or_else(|| format!("its app {app} is not in [[push.app]]"))?;
    let provider = profile.provider.name();
    hop("app", format!("{app}, {provider}"));
    let target_of = |incoming| device.push_target(incoming, profile.generation);
    let as_message = match channel {
        Some(channel) => channel == Channel::Message,
        None => target_of(Incoming::Message).is_some(),
    };
    let incoming = if as_message {
        Incoming::Message
    } else {
        Incoming::Call
    };
    let target = target_of(incoming);
    let (channel, token) = target.ok_or_else(|| no_token(profile.generation, incoming))?;
    hop(
        "token",
        format!("{} {}", channel.name(), shown(&token.value)),
    );
    if let Some(dead) = &token.dead {
        return Err(format!("its token is dead: {}", dead.reason));
    }
    if let Handed::Through(number) = token.handed
        && doors.iter().all(|door| door.id.number != number)
    {
        return Err("its token went with the registration that named it".to_owned());
    }
    let keyed = sealable(&token.value, device.key.as_deref());
    let token = keyed.unwrap_or_else(|| token.value.clone().into());
    let (purpose, ttl) = said(incoming, tracking);
    Ok(Notification {
        id: NotificationId::of("test", tracking.as_str(), &device.id),
        app: app.clone(),
        token,
        channel,
        purpose,
        tracking: tracking.clone(),
        ttl,
        collapse: None,
        badge: None,
        sealed: None,
    })
}

/// What the push says, and how long it is worth keeping: that of a message shows nothing, and the app registers again.
fn said(incoming: Incoming, tracking: &TrackingId) -> (Purpose, Duration) {
    let call = || Purpose::Call {
        call: format!("test-{tracking}"),
        register_at: String::new(),
    };
    match incoming {
        Incoming::Call => (call(), Duration::ZERO),
        Incoming::Message => (Purpose::Refresh, LIFETIME),
    }
}

fn no_token(generation: Generation, incoming: Incoming) -> String {
    let what = match (generation, incoming) {
        (Generation::SingleChannel, _) => "a push",
        (Generation::DualChannel, Incoming::Call) => "calls",
        (Generation::DualChannel, Incoming::Message) => "messages",
    };
    format!("it has handed over no token for {what}")
}

fn told(push: &Notification) -> String {
    let (channel, purpose) = (push.channel.name(), push.purpose.name());
    format!("a test: {channel} {purpose} {}", shown(&push.token))
}

fn note(tools: &Tools<'_>, device: &Device, tracking: &TrackingId, step: Step, detail: &str) {
    let note = Note::Story(TraceEvent {
        tracking: tracking.clone(),
        at: now(),
        step,
        alias: None,
        device: Some(device.id.clone()),
        detail: detail.to_owned(),
    });
    let owner = |_: &DeviceId| Some(device.user.clone());
    tools.live.happened(&note, owner);
    tools.store.note(vec![note]);
}
