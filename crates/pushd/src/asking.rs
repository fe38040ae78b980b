//! Pushes for whose outcome somebody waits: one attempt, whose turn comes in time or not at all.

use crate::{
    PushId, Reply, Ticket,
    ids::Known,
    lines::{Key, Urgency},
    state::{Asked, State, told},
};
use domain::{Notification, NotificationId, Outcome, PushEnd, TenantId, Timestamp, outbox};
use std::time::Duration;

/// How long a tenant waits that has too many in line.
const BUSY: Duration = Duration::from_secs(1);

impl State {
    /// Whether an id is known already: then its sender hears what the first one does, now or when that ends.
    pub(crate) fn is_known(
        &mut self,
        tenant: &TenantId,
        id: &NotificationId,
        ticket: Ticket,
    ) -> bool {
        let reply = match self.ids.get(tenant, id) {
            None => return false,
            Some(Known::Queued) => Reply::Queued,
            Some(Known::Ended(end)) => told(end.clone()),
            Some(Known::UnderWay(push)) => match self.asked.get_mut(push) {
                Some(asked) if asked.by.len() < self.limits.askers => {
                    asked.by.push(ticket);
                    return true;
                }
                _ => Reply::Busy {
                    wait: BUSY,
                    of: "requests for one id",
                },
            },
        };
        self.reply(ticket, reply);
        true
    }

    /// One attempt, for whose outcome somebody waits.
    pub(crate) fn ask(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        tenant: TenantId,
        push: Notification,
    ) {
        if let Err(wait) = self.breakers.admits(now, &push.app) {
            let reason = "this app's provider has failed several times in a row".to_owned();
            let outcome = Outcome::Unavailable {
                reason,
                retry_after: wait,
            };
            return self.reply(ticket, Reply::Told(outcome));
        }
        let waiting = self.waiting.entry(tenant.clone()).or_default();
        if *waiting >= self.limits.waiting_per_tenant {
            let of = "notifications that wait";
            return self.refuse(ticket, &tenant, BUSY, of);
        }
        *waiting += 1;
        let id = PushId(self.next_id());
        self.ids.begin(&tenant, &push.id, Known::UnderWay(id));
        let key = Key {
            tenant,
            app: push.app.clone(),
            id: push.id.clone(),
        };
        let urgency = Urgency::of(&push.purpose);
        self.lines.push(urgency, key.clone());
        let asked = Asked {
            key,
            urgency,
            push: Some(Box::new(push)),
            by: vec![ticket],
        };
        self.asked.insert(id, asked);
        let until = now.plus(self.limits.patience);
        self.deadlines.push_back((until, id));
    }

    /// Its turn did not come in time.
    pub(crate) fn give_up(&mut self, id: PushId) {
        let Some(asked) = self.asked.remove(&id) else {
            return;
        };
        self.lines.give_up(asked.urgency, &asked.key);
        self.left_the_line(&asked.key.tenant);
        self.ids.forget(&asked.key.tenant, &asked.key.id);
        let outcome = Outcome::Unavailable {
            reason: "its turn did not come in time".to_owned(),
            retry_after: BUSY,
        };
        for ticket in asked.by {
            self.reply(ticket, Reply::Told(outcome.clone()));
        }
    }

    pub(crate) fn left_the_line(&mut self, tenant: &TenantId) {
        if let Some(waiting) = self.waiting.get_mut(tenant) {
            *waiting -= 1;
            if *waiting == 0 {
                self.waiting.remove(tenant);
            }
        }
    }

    pub(crate) fn send_asked(&mut self, key: &Key) {
        let Some(Known::UnderWay(id)) = self.ids.get(&key.tenant, &key.id) else {
            return;
        };
        let id = *id;
        let Some(push) = self.asked.get_mut(&id).and_then(|it| it.push.take()) else {
            return;
        };
        self.left_the_line(&key.tenant);
        self.send(id, push, None);
    }

    /// The provider has spoken.
    pub(crate) fn asked_answered(&mut self, now: Timestamp, id: PushId, outcome: &Outcome) {
        let Some(Asked { key, by, .. }) = self.asked.remove(&id) else {
            return;
        };
        if self.tenants.contains_key(&key.tenant) {
            if outbox::pause(outcome, 0).is_none() {
                let end = PushEnd::Told(outcome.clone());
                self.ids.end(now, &key.tenant, &key.id, end, &self.limits);
            } else {
                self.ids.forget(&key.tenant, &key.id);
            }
        }
        for ticket in by {
            self.reply(ticket, Reply::Told(outcome.clone()));
        }
    }
}
