//! Makes the shards of what the configuration says and the store has, and starts them.

use super::{
    bus::{Bus, Shards},
    perform::{Performer, Tools},
    run::Running,
};
use crate::{
    alarms::Alarm, entropy::random, hex, live::Live, media::Media, metrics::Metrics, secret,
};
use anyhow::{Context, Result};
use call::{AppKey, Role, Settings, Shard as Number, Shared};
use domain::{Record, Slice, delivery::NameConversation};
use hub::{Accounts, Hub};
use ring::hmac;
use shard::Shard;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use store::{Damage, Store, StoreError};
use tokio::{sync::Barrier, task::JoinHandle};

/// Everything that shards need from outside.
pub(crate) struct Parts {
    /// What the operator decided, for the hubs.
    pub hub: hub::Config,
    /// What the operator decided, for the SIP roles; of no shard in particular.
    pub call: Settings,
    /// The same for the XMPP roles.
    pub im: im::Settings,
    /// The sockets.
    pub net: net::Net,
    /// Says which shard a message is for.
    pub steer: net::Steer,
    /// What the sockets tell each shard.
    pub events: Vec<net::Events>,
    /// Where state is kept.
    pub store: Arc<dyn Store>,
    /// The push clients.
    pub pusher: push::Pusher,
    /// The media relays, if there are any.
    pub media: Option<Media>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Who watches.
    pub live: Live,
    /// Whoever has an account will be in it, and who may try a password is.
    pub accounts: Accounts,
}

/// Running shards.
pub(crate) struct Started {
    /// The way to them.
    pub shards: Shards,
    /// Who has an account.
    pub accounts: Accounts,
    /// Their tasks.
    pub tasks: Vec<JoinHandle<()>>,
}

/// Loads what the store has and starts a task a shard. They stop when `stop` says so.
pub(crate) async fn start<S>(parts: Parts, stop: impl Fn() -> S) -> Result<Started>
where
    S: Future<Output = ()> + Send + 'static,
{
    let count = parts.events.len();
    let (accounts, shards) = loaded(&parts, count).await?;
    let (bus, inboxes) = Bus::new(count);
    let all = Arc::new(Barrier::new(count));
    let mut tasks = Vec::new();
    let each = shards.into_iter().zip(inboxes).zip(parts.events);
    for (number, ((shard, inbox), events)) in each.enumerate() {
        let tools = Tools {
            net: parts.net.for_shard(number),
            store: parts.store.clone(),
            pusher: parts.pusher.clone(),
            media: parts.media.clone(),
            metrics: parts.metrics.clone(),
            live: parts.live.clone(),
            bus: bus.clone(),
            steer: parts.steer.clone(),
        };
        let running = Running {
            shard,
            performer: Performer::new(number, tools),
            inbox,
            all: all.clone(),
        };
        tasks.push(tokio::spawn(running.run(events, stop())));
    }
    Ok(Started {
        shards: Shards::new(bus),
        accounts,
        tasks,
    })
}

fn make(parts: &Parts, accounts: &Accounts, count: usize) -> Vec<Shard> {
    let shared = Shared::new(random(), &parts.call.domains);
    let shard = |number: usize| {
        let mut call = parts.call.clone();
        call.shard = Number {
            number: u8::try_from(number).unwrap_or(u8::MAX),
            of: count,
        };
        let hub = hub::Config {
            seed: random(),
            ..parts.hub.clone()
        };
        let hub = Hub::new(hub, accounts.clone());
        let call = Role::new(call, shared.clone(), accounts.clone(), random());
        let im = im::Role::new(parts.im.clone(), accounts.clone(), random());
        Shard::new(hub, call, im)
    };
    (0..count).map(shard).collect()
}

/// Shards with what the store has. A row that cannot be read keeps nobody else from their calls: it is set aside, and
/// there is an alarm.
async fn loaded(parts: &Parts, count: usize) -> Result<(Accounts, Vec<Shard>)> {
    let store = parts.store.as_ref();
    // What of the accounts was handed out before the damage was found is handed out again.
    let accounts = parts.accounts.clone();
    let error = match load(store, make(parts, &accounts, count)).await {
        Ok(shards) => return Ok((accounts, shards)),
        Err(error @ StoreError::Damaged(_)) => error,
        Err(error) => return Err(error).context("the store cannot be read"),
    };
    let damaged = store.set_aside().await.unwrap_or_default();
    if damaged.is_empty() {
        return Err(error).context("the store cannot be read");
    }
    for Damage {
        table, row, why, ..
    } in &damaged
    {
        tracing::error!(table, row, why, "a damaged row of the store is set aside");
    }
    let detail = format!(
        "{} rows are set aside, {} {} the first of them",
        damaged.len(),
        damaged[0].table,
        damaged[0].row
    );
    parts
        .metrics
        .alarms()
        .set(Alarm::StoreDamaged, true, &detail);
    let shards = load(store, make(parts, &accounts, count)).await;
    Ok((accounts, shards.context("the store cannot be read")?))
}

/// Takes over what the store has, one by one, each record by the shard that it is for.
async fn load(store: &dyn Store, shards: Vec<Shard>) -> Result<Vec<Shard>, StoreError> {
    let shards = Arc::new(Mutex::new(shards));
    let loading = shards.clone();
    // A device's records follow it.
    let mut last = 0;
    let sink = Box::new(move |record: Record| {
        let mut shards = loading.lock().unwrap_or_else(PoisonError::into_inner);
        let user = match &record {
            Record::Device(device) => Some(&device.user),
            Record::Unclaimed(user, _) => Some(user),
            Record::Session(session) => Some(&session.user),
            _ => None,
        };
        if let Some(user) = user {
            last = Slice::of(user).shard(shards.len());
        }
        if let Some(shard) = shards.get_mut(last)
            && let Err(door) = shard.load(record)
        {
            tracing::error!(%door, "a registration in the store cannot be read: its device must register again");
        }
    });
    store.load(sink).await?;
    // The sink is gone before the load is answered.
    let shards = Arc::into_inner(shards).ok_or(StoreError::Closed)?;
    Ok(shards.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Says which shard a message is for, from the message alone. The settings name what is bound, and so come after the
/// sockets: until they are there, whoever asks waits.
pub(crate) struct Steering(Arc<OnceLock<Settings>>);

impl Steering {
    /// From here on it is known what is ours.
    pub(crate) fn settle(&self, settings: Settings) {
        // Settled once, by whoever starts the server.
        let _ = self.0.set(settings);
    }

    /// Between so many shards: what settles it, and what the sockets ask.
    pub(crate) fn between(count: usize) -> (Self, net::Steer) {
        let steering = Self(Arc::default());
        let settings = steering.0.clone();
        let steer: net::Steer =
            Arc::new(move |_, message| shard::steer(settings.wait(), message, count));
        (steering, steer)
    }
}

/// Names a conversation by a secret, so that nobody can tell from the name who takes part.
pub(crate) fn name_conversations(secret: &[u8]) -> NameConversation {
    let key = secret::key_for("conversations", secret);
    NameConversation::by(move |from, to| {
        let who = format!("{to}\0{from}");
        hex::encode(&hmac::sign(&key, who.as_bytes()).as_ref()[..8])
    })
}

/// What names an app in a Contact.
pub(crate) fn app_key(app: &push::App) -> AppKey {
    let param = match &app.credentials {
        push::Credentials::Apns { team_id, .. }
        | push::Credentials::ApnsCertificate { team_id, .. } => {
            format!("{team_id}.{}", app.profile.app)
        }
        push::Credentials::Fcm { project, .. } => project.clone(),
        push::Credentials::Service { param, .. } => param.clone(),
        // RFC 8599 §12.
        push::Credentials::WebPush { .. } => String::new(),
    };
    AppKey {
        profile: app.profile.clone(),
        param,
    }
}
