//! A testing aid: a store that is slow, refuses, or dies between the commit and its answer, when it is told to. It stands
//! before another store, which stays as it is: a second `Faulty` before the same one is the same disk after a restart.

use crate::{
    Accounts, Answer, Blocks, Cards, Damage, Devices, Forgotten, Grants, Invitations, Messages,
    Outbox, Pruned, PushApps, Pushes, Rosters, Sessions, SignIns, Sink, Stats, Store, StoreError,
    Stories, Story, Told,
};
use domain::{
    Address, ArchivePage, ArchiveQuery, Card, Change, Device, DeviceId, Door, Feedback, Grant,
    Invitation, KeptSession, Message, MessageId, Note, NotificationId, QueuedPush, SealedApp,
    SignInTokens, Tenant, TenantId, Timestamp, TraceEvent, Unread, User, change::HistoryEntry,
    push::OwedPush, roster::Contact, trace::Named,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What goes wrong with commits.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Saved at once, but nobody hears of it until another order is given.
    Slow,
    /// Nothing is saved; each step is answered with this.
    RefuseSteps(StoreError),
    /// Nothing is saved; the whole commit is answered with this.
    Refuse(StoreError),
    /// The next commit is saved and the process ends before anybody hears of it: its answer, like everything asked after
    /// it, is [`StoreError::Closed`]. No further order brings it back.
    DieBeforeAnswer,
    /// The process ends before the next commit is saved; otherwise the same.
    DieBeforeCommit,
}

/// See the module.
pub struct Faulty {
    inner: Arc<dyn Store>,
    fault: Mutex<Fault>,
    /// How many orders were given: who is slow waits for the next.
    orders: watch::Sender<u64>,
    /// It died, or was closed.
    dead: Mutex<bool>,
    /// How many commits were refused, and by what the last.
    refused: Mutex<(u64, Option<StoreError>)>,
}

impl Faulty {
    /// Stands before this store; nothing goes wrong yet.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            fault: Mutex::default(),
            orders: watch::Sender::new(0),
            dead: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// From now on this goes wrong, and what was held back is answered.
    pub fn order(&self, fault: Fault) {
        *lock(&self.fault) = fault;
        self.orders.send_modify(|orders| *orders += 1);
    }

    /// Whether an order to die was carried out.
    pub fn is_dead(&self) -> bool {
        *lock(&self.dead)
    }

    fn refuse(&self, error: &StoreError) {
        let mut refused = lock(&self.refused);
        *refused = (refused.0 + 1, Some(error.clone()));
    }

    fn die(&self) -> Answer<Vec<Result<(), StoreError>>> {
        *lock(&self.dead) = true;
        refused(StoreError::Closed)
    }

    /// Asks the store, unless it died.
    fn alive<T: Send + 'static>(&self, ask: impl FnOnce(&dyn Store) -> Answer<T>) -> Answer<T> {
        if self.is_dead() {
            return refused(StoreError::Closed);
        }
        ask(self.inner.as_ref())
    }

    fn slowly<T: Send + 'static>(&self, answer: Answer<T>) -> Answer<T> {
        let mut orders = self.orders.subscribe();
        Box::pin(async move {
            // The store itself may have gone.
            let _ = orders.changed().await;
            answer.await
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused<T: Send + 'static>(error: StoreError) -> Answer<T> {
    Box::pin(std::future::ready(Err(error)))
}

impl Store for Faulty {
    fn commit(&self, steps: Vec<Vec<Change>>) -> Answer<Vec<Result<(), StoreError>>> {
        let fault = lock(&self.fault).clone();
        self.alive(|inner| match fault {
            Fault::None => inner.commit(steps),
            Fault::Slow => self.slowly(inner.commit(steps)),
            Fault::Refuse(error) => {
                self.refuse(&error);
                refused(error)
            }
            Fault::RefuseSteps(error) => {
                self.refuse(&error);
                let words = steps.iter().map(|_| Err(error.clone())).collect();
                Box::pin(std::future::ready(Ok(words)))
            }
            Fault::DieBeforeAnswer => {
                let saved = inner.commit(steps);
                let dead = self.die();
                Box::pin(async move {
                    // Saved it is, whatever becomes of the answer.
                    let _ = saved.await;
                    dead.await
                })
            }
            Fault::DieBeforeCommit => self.die(),
        })
    }

    fn note(&self, notes: Vec<Note>) {
        if !self.is_dead() {
            self.inner.note(notes);
        }
    }

    fn flush(&self) -> Answer<()> {
        self.alive(|inner| inner.flush())
    }

    fn load(&self, sink: Sink) -> Answer<()> {
        self.alive(|inner| inner.load(sink))
    }

    fn prune(&self, before: Timestamp) -> Answer<Pruned> {
        self.alive(|inner| inner.prune(before))
    }

    fn forget(&self, who: &Named) -> Answer<Forgotten> {
        self.alive(|inner| inner.forget(who))
    }

    fn set_aside(&self) -> Answer<Vec<Damage>> {
        self.alive(|inner| inner.set_aside())
    }

    fn probe(&self) -> Answer<()> {
        match lock(&self.fault).clone() {
            Fault::Refuse(error) | Fault::RefuseSteps(error) => refused(error),
            _ => self.alive(|inner| inner.probe()),
        }
    }

    fn changed_elsewhere(&self) -> Answer<bool> {
        self.alive(|inner| inner.changed_elsewhere())
    }

    fn stats(&self) -> Stats {
        let (failures, last_failure) = lock(&self.refused).clone();
        Stats {
            failures,
            last_failure,
            ..self.inner.stats()
        }
    }

    /// The store behind stays open: it is the disk.
    fn close(&self) -> Answer<()> {
        *lock(&self.dead) = true;
        self.inner.flush()
    }
}

impl Accounts for Faulty {
    fn user(&self, address: &Address) -> Answer<Option<User>> {
        self.alive(|inner| inner.user(address))
    }

    fn users(&self) -> Answer<Vec<User>> {
        self.alive(|inner| inner.users())
    }
}

impl Rosters for Faulty {
    fn roster(&self, user: &Address) -> Answer<Vec<Contact>> {
        self.alive(|inner| inner.roster(user))
    }
}

impl Blocks for Faulty {
    fn blocked(&self, user: &Address) -> Answer<Vec<Box<str>>> {
        self.alive(|inner| inner.blocked(user))
    }
}

impl Cards for Faulty {
    fn card(&self, user: &Address) -> Answer<Option<Card>> {
        self.alive(|inner| inner.card(user))
    }
}

impl SignIns for Faulty {
    fn sign_in_tokens(&self, user: &Address, client: &str) -> Answer<Option<SignInTokens>> {
        self.alive(|inner| inner.sign_in_tokens(user, client))
    }
}

impl Grants for Faulty {
    fn grant(&self, user: &Address, id: &str) -> Answer<Option<Grant>> {
        self.alive(|inner| inner.grant(user, id))
    }

    fn old_grants(&self, before: Timestamp, limit: usize) -> Answer<Vec<Grant>> {
        self.alive(|inner| inner.old_grants(before, limit))
    }
}

impl Sessions for Faulty {
    fn sessions(&self, user: &Address) -> Answer<Vec<KeptSession>> {
        self.alive(|inner| inner.sessions(user))
    }
}

impl Invitations for Faulty {
    fn invitation(&self, token: &str) -> Answer<Option<Invitation>> {
        self.alive(|inner| inner.invitation(token))
    }
}

impl Devices for Faulty {
    fn device(&self, id: &DeviceId) -> Answer<Option<Device>> {
        self.alive(|inner| inner.device(id))
    }

    fn devices(&self, user: Option<&Address>) -> Answer<Vec<Device>> {
        self.alive(|inner| inner.devices(user))
    }

    fn doors(&self, device: &DeviceId) -> Answer<Vec<Door>> {
        self.alive(|inner| inner.doors(device))
    }

    fn history(&self, device: &DeviceId, limit: usize) -> Answer<Vec<HistoryEntry>> {
        self.alive(|inner| inner.history(device, limit))
    }
}

impl Messages for Faulty {
    fn message(&self, id: &MessageId) -> Answer<Option<Message>> {
        self.alive(|inner| inner.message(id))
    }

    fn archive(&self, user: &Address, query: &ArchiveQuery) -> Answer<Option<ArchivePage>> {
        self.alive(|inner| inner.archive(user, query))
    }

    fn unread(&self, device: &DeviceId, message: Option<&MessageId>) -> Answer<Unread> {
        self.alive(|inner| inner.unread(device, message))
    }

    fn queued(&self, device: &DeviceId, limit: usize) -> Answer<Vec<Message>> {
        self.alive(|inner| inner.queued(device, limit))
    }
}

impl Outbox for Faulty {
    fn owed(&self, device: &DeviceId) -> Answer<Vec<OwedPush>> {
        self.alive(|inner| inner.owed(device))
    }
}

impl Pushes for Faulty {
    fn tenants(&self) -> Answer<Vec<Tenant>> {
        self.alive(|inner| inner.tenants())
    }

    fn push_queue(
        &self,
        after: Option<(TenantId, NotificationId)>,
        limit: usize,
    ) -> Answer<Vec<QueuedPush>> {
        self.alive(|inner| inner.push_queue(after, limit))
    }

    fn push_end(&self, tenant: &TenantId, id: &NotificationId) -> Answer<Option<Feedback>> {
        self.alive(|inner| inner.push_end(tenant, id))
    }

    fn push_ends(&self, tenant: &TenantId, after: u64, limit: usize) -> Answer<Vec<Feedback>> {
        self.alive(|inner| inner.push_ends(tenant, after, limit))
    }
}

impl PushApps for Faulty {
    fn push_apps(&self) -> Answer<Vec<SealedApp>> {
        self.alive(|inner| inner.push_apps())
    }
}

impl Stories for Faulty {
    fn trace(&self, id: &str) -> Answer<Vec<TraceEvent>> {
        self.alive(|inner| inner.trace(id))
    }

    fn story_names(&self, beginning: &str, limit: usize) -> Answer<Vec<String>> {
        self.alive(|inner| inner.story_names(beginning, limit))
    }

    fn recent_traces(&self, limit: usize) -> Answer<Vec<Story>> {
        self.alive(|inner| inner.recent_traces(limit))
    }

    fn stories_of(&self, who: &Named, after: u64) -> Answer<Told> {
        self.alive(|inner| inner.stories_of(who, after))
    }
}
