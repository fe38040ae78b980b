//! What the service has in its hands, and what its parts do alike with it.

use crate::{
    Limits, Output, PushId, Reply, SaveId, Ticket,
    breaker::Breakers,
    coalesce::Windows,
    ids::Ids,
    lines::{Key, Lines, Urgency},
    queue::{Queue, QueueKey},
    quota::Quotas,
};
use domain::{
    AppId, Change, Namer, Notification, PushEnd, QueuedPush, Tenant, TenantId, Timestamp,
};
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) limits: Limits,
    pub(crate) namer: Namer,
    pub(crate) tenants: HashMap<TenantId, Tenant>,
    pub(crate) quotas: Quotas,
    pub(crate) ids: Ids,
    pub(crate) windows: Windows,
    pub(crate) queue: Queue,
    pub(crate) lines: Lines,
    pub(crate) breakers: Breakers,
    /// Pushes for whose outcome somebody waits.
    pub(crate) asked: HashMap<PushId, Asked>,
    /// Those of them that wait in line, by when their time is over.
    pub(crate) deadlines: VecDeque<(Timestamp, PushId)>,
    pub(crate) waiting: HashMap<TenantId, usize>,
    pub(crate) flying: HashMap<PushId, Flight>,
    pub(crate) per_app: HashMap<AppId, usize>,
    pub(crate) saves: HashMap<SaveId, Save>,
    /// Promises that are being saved.
    pub(crate) promised: HashMap<TenantId, usize>,
    /// When a tenant was last refused something since it has too much. As many rows as tenants.
    pub(crate) refused_at: HashMap<TenantId, Timestamp>,
    pub(crate) last_id: u64,
    pub(crate) now: Timestamp,
    pub(crate) sweep_at: Timestamp,
    pub(crate) out: VecDeque<Output>,
}

/// A push for whose outcome somebody waits.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) key: Key,
    pub(crate) urgency: Urgency,
    /// Until it goes.
    pub(crate) push: Option<Box<Notification>>,
    pub(crate) by: Vec<Ticket>,
}

/// A push on its way.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) app: AppId,
    /// The queued push that it is an attempt of; else somebody waits.
    pub(crate) queued: Option<QueueKey>,
}

/// What is being saved.
#[derive(Debug)]
pub(crate) enum Save {
    /// A new one; somebody waits for the promise.
    Promise(Box<QueuedPush>, Ticket),
    /// The next attempt of one.
    Attempt(QueueKey),
    /// The end of one.
    End(QueueKey),
}

impl State {
    /// One with no tenants and an empty queue. `seed` spreads what is tried again.
    pub(crate) fn new(limits: Limits, seed: [u8; 32]) -> Self {
        Self {
            limits,
            namer: Namer::new(seed),
            tenants: HashMap::new(),
            quotas: Quotas::default(),
            ids: Ids::default(),
            windows: Windows::default(),
            queue: Queue::default(),
            lines: Lines::default(),
            breakers: Breakers::default(),
            asked: HashMap::new(),
            deadlines: VecDeque::new(),
            waiting: HashMap::new(),
            flying: HashMap::new(),
            per_app: HashMap::new(),
            saves: HashMap::new(),
            promised: HashMap::new(),
            refused_at: HashMap::new(),
            last_id: 0,
            now: Timestamp(0),
            sweep_at: Timestamp(0),
            out: VecDeque::new(),
        }
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.out.push_back(Output::Reply(ticket, reply));
    }

    /// The tenant has too many of something.
    pub(crate) fn refuse(
        &mut self,
        ticket: Ticket,
        tenant: &TenantId,
        wait: Duration,
        of: &'static str,
    ) {
        self.refused_at.insert(tenant.clone(), self.now);
        self.reply(ticket, Reply::Busy { wait, of });
    }

    pub(crate) fn save(&mut self, change: Change, save: Save) {
        let id = SaveId(self.next_id());
        self.saves.insert(id, save);
        self.out.push_back(Output::Save(id, Box::new(change)));
    }

    pub(crate) fn send(&mut self, id: PushId, push: Box<Notification>, queued: Option<QueueKey>) {
        let app = push.app.clone();
        self.breakers.begin(&app);
        *self.per_app.entry(app.clone()).or_default() += 1;
        self.flying.insert(id, Flight { app, queued });
        self.out.push_back(Output::Send(id, push));
    }
}

/// An end as an answer.
pub(crate) fn told(end: PushEnd) -> Reply {
    match end {
        PushEnd::Told(outcome) => Reply::Told(outcome),
        end => Reply::Ended(end),
    }
}
