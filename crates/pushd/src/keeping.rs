//! What the service promises: saved before it is promised, tried again until its time is over, and what became of it saved
//! in the end. The next attempt is saved before it is made.

use crate::{
    PushId, Reply, SaveId, Ticket,
    coalesce::Target,
    ids::Known,
    lines::{Key, Urgency},
    queue::{QueueKey, Stand},
    state::{Save, State},
};
use domain::{
    Change, Notification, Outcome, PushEnd, QueuedPush, SettledPush, TenantId, Timestamp, outbox,
};
use std::time::Duration;

/// How long a tenant waits that has too many in the queue.
const BUSY: Duration = Duration::from_secs(1);
/// When what could not be saved is tried again.
const SAVE_AGAIN: Duration = Duration::from_secs(1);

impl State {
    pub(crate) fn loaded(&mut self, queued: QueuedPush) {
        let (tenant, id) = (queued.tenant.clone(), queued.push.id.clone());
        if self.tenants.contains_key(&tenant) {
            self.ids.begin(&tenant, &id, Known::Queued);
            self.queue.put(queued, Stand::Waiting);
        }
    }

    /// The service will deliver it, once that is saved.
    pub(crate) fn promise(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        tenant: TenantId,
        mut push: Notification,
    ) {
        let promised = self.promised.get(&tenant).copied().unwrap_or(0);
        if self.queue.len_of(&tenant) + promised >= self.limits.queued_per_tenant {
            let of = "notifications in the queue";
            return self.refuse(ticket, &tenant, BUSY, of);
        }
        push.ttl = push.ttl.min(self.limits.queued_for);
        self.ids.begin(&tenant, &push.id, Known::Queued);
        *self.promised.entry(tenant.clone()).or_default() += 1;
        let queued = QueuedPush {
            tenant,
            push,
            at: now,
            due: now,
            attempts: 0,
        };
        let change = Change::QueuePush(Box::new(queued.clone()));
        self.save(change, Save::Promise(Box::new(queued), ticket));
    }

    pub(crate) fn saved(&mut self, now: Timestamp, id: SaveId, is_saved: bool) {
        match self.saves.remove(&id) {
            Some(Save::Promise(queued, by)) => self.promised(now, *queued, by, is_saved),
            Some(Save::Attempt(key)) => self.attempt_saved(&key),
            Some(Save::End(key)) if is_saved => {
                self.queue.remove(&key);
            }
            Some(Save::End(key)) => self.not_settled(now, &key),
            None => {}
        }
    }

    /// Or not: a push that comes once too often is better than none.
    fn attempt_saved(&mut self, key: &QueueKey) {
        let entry = self.queue.get(key);
        if entry.is_some_and(|it| it.state == Stand::Saving) {
            self.queue.set(key, Stand::Waiting);
        }
    }

    fn promised(&mut self, now: Timestamp, queued: QueuedPush, by: Ticket, is_saved: bool) {
        let (tenant, id) = (queued.tenant.clone(), queued.push.id.clone());
        if let Some(promised) = self.promised.get_mut(&tenant) {
            *promised -= 1;
            if *promised == 0 {
                self.promised.remove(&tenant);
            }
        }
        let is_known = self.tenants.contains_key(&tenant);
        let reply = if is_saved && is_known {
            self.enter(now, queued);
            Reply::Queued
        } else {
            self.ids.forget(&tenant, &id);
            Reply::NotSaved
        };
        self.reply(by, reply);
    }

    /// It is in the queue, and may go in the stead of another.
    fn enter(&mut self, now: Timestamp, mut queued: QueuedPush) {
        if let Some(target) = Target::of(&queued.tenant, &queued.push) {
            let place = self
                .windows
                .enter(now, target, &queued.push.id, &self.limits);
            queued.due = place.due.min(queued.until());
            if let Some(replaced) = place.replaces {
                let key = (queued.tenant.clone(), replaced);
                let waits = self
                    .queue
                    .get(&key)
                    .is_some_and(|it| it.state == Stand::Waiting);
                if waits {
                    self.settle(now, &key, PushEnd::Replaced);
                }
            }
        }
        self.queue.put(queued, Stand::Waiting);
    }

    /// Those whose time has come go into line.
    pub(crate) fn queue_due(&mut self, now: Timestamp) {
        while let Some(key) = self.queue.pop_due(now) {
            let Some(entry) = self.queue.get(&key) else {
                continue;
            };
            if let Stand::Unsaved(settled) = &entry.state {
                let settled = settled.clone();
                self.save_end(&key, settled);
                continue;
            }
            let line = Key {
                tenant: key.0.clone(),
                app: entry.queued.push.app.clone(),
                id: key.1.clone(),
            };
            self.queue.set(&key, Stand::InLine);
            self.lines.push(Urgency::Queued, line);
        }
    }

    /// It is its turn.
    pub(crate) fn send_queued(&mut self, now: Timestamp, line: Key) {
        let key = (line.tenant, line.id);
        let Some(entry) = self.queue.get(&key).filter(|it| it.state == Stand::InLine) else {
            return;
        };
        if entry.queued.until() < now {
            let reason = String::new();
            return self.settle(now, &key, PushEnd::Expired { reason });
        }
        let mut push = Box::new(entry.queued.push.clone());
        push.ttl = entry.queued.until().since(now);
        self.queue.set(&key, Stand::Flying);
        let id = PushId(self.next_id());
        self.send(id, push, Some(key));
    }

    pub(crate) fn queued_answered(&mut self, now: Timestamp, key: &QueueKey, outcome: Outcome) {
        let Some(entry) = self.queue.get(key).filter(|it| it.state == Stand::Flying) else {
            return;
        };
        let Some(pause) = outbox::pause(&outcome, entry.queued.attempts) else {
            return self.settle(now, key, PushEnd::Told(outcome));
        };
        let mut queued = entry.queued.clone();
        let due = now.plus(self.spread(pause));
        if due > queued.until() {
            let reason = outcome.reason().to_owned();
            return self.settle(now, key, PushEnd::Expired { reason });
        }
        queued.attempts += 1;
        queued.due = due;
        let change = Change::QueuePush(Box::new(queued.clone()));
        self.queue.put(queued, Stand::Saving);
        self.save(change, Save::Attempt(key.clone()));
    }

    /// Up to a quarter more, so that what failed together does not come back together.
    fn spread(&mut self, pause: Duration) -> Duration {
        let quarter = u64::try_from(pause.as_millis() / 4).unwrap_or(u64::MAX - 1);
        pause + Duration::from_millis(self.namer.bits() % (quarter + 1))
    }

    /// It has ended: its id is remembered, and of itself nothing is kept.
    fn settle(&mut self, now: Timestamp, key: &QueueKey, end: PushEnd) {
        let (tenant, id) = key.clone();
        self.ids.end(now, &tenant, &id, end.clone(), &self.limits);
        let settled = SettledPush {
            tenant,
            id,
            at: now,
            end,
        };
        self.save_end(key, Box::new(settled));
    }

    fn save_end(&mut self, key: &QueueKey, settled: Box<SettledPush>) {
        self.queue.set(key, Stand::Settling(settled.clone()));
        self.save(Change::SettlePush(settled), Save::End(key.clone()));
    }

    fn not_settled(&mut self, now: Timestamp, key: &QueueKey) {
        let Some(Stand::Settling(settled)) = self.queue.get(key).map(|it| it.state.clone()) else {
            return;
        };
        self.queue.set_due(key, now.plus(SAVE_AGAIN));
        self.queue.set(key, Stand::Unsaved(settled));
    }
}
