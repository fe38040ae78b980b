//! The machine: what is handed in, who goes next, and who hears what became of it.

use crate::{
    Input, Limits, Mode, Output, PushId, Reply, Submission, Ticket,
    ids::Known,
    lines::Urgency,
    state::{Flight, State, told},
};
use domain::{AppId, NotificationId, Outcome, Purpose, TenantId, Timestamp};
use std::time::Duration;

/// How often ids are looked through for those that are a day old.
const SWEEP: Duration = Duration::from_mins(1);

/// See the crate.
#[derive(Debug)]
pub struct Service {
    state: State,
}

impl Service {
    /// One with no tenants and an empty queue. `seed` spreads what is tried again.
    pub fn new(limits: Limits, seed: [u8; 32]) -> Self {
        Self {
            state: State::new(limits, seed),
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Takes in a word. `now` never goes back.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.state.now = now;
        match input {
            Input::Tenant(tenant) => {
                self.state.tenants.insert(tenant.id.clone(), *tenant);
            }
            Input::TenantGone(tenant) => self.tenant_gone(&tenant),
            Input::Loaded(queued) => self.state.loaded(*queued),
            Input::LoadedEnd(settled) => {
                let domain::SettledPush {
                    tenant,
                    id,
                    at,
                    end,
                } = *settled;
                self.state
                    .ids
                    .end(at, &tenant, &id, end, &self.state.limits);
            }
            Input::Submitted(ticket, submission) => self.submitted(now, ticket, *submission),
            Input::Answered(id, outcome) => self.answered(now, id, outcome),
            Input::Saved(id, is_saved) => self.state.saved(now, id, is_saved),
            Input::Timeout => {}
        }
        self.time(now);
        self.go(now);
    }

    /// What is to be done, in order; `None`: nothing for now.
    pub fn poll(&mut self) -> Option<Output> {
        self.state.out.pop_front()
    }

    /// When to say [`Input::Timeout`].
    pub fn next_timeout(&self) -> Option<Timestamp> {
        let opens = if self.state.lines.is_empty() {
            None
        } else {
            self.state.breakers.next_timeout(self.state.now)
        };
        let deadline = self.state.deadlines.front().map(|(at, _)| *at);
        let sweep = Some(self.state.sweep_at).filter(|_| self.state.ids.len() > 0);
        [self.state.queue.next_due(), deadline, opens, sweep]
            .into_iter()
            .flatten()
            .min()
    }

    /// How many pushes are in the queue, and on their way.
    pub fn load(&self) -> (usize, usize) {
        (self.state.queue.len(), self.state.flying.len())
    }

    /// What is known of the push of this id, for whoever asks.
    pub fn status(&self, tenant: &TenantId, id: &NotificationId) -> Option<Reply> {
        Some(match self.state.ids.get(tenant, id)? {
            Known::UnderWay(_) | Known::Queued => Reply::Queued,
            Known::Ended(end) => told(end.clone()),
        })
    }

    fn tenant_gone(&mut self, tenant: &TenantId) {
        self.state.tenants.remove(tenant);
        self.state.quotas.forget(tenant);
        self.state.refused_at.remove(tenant);
        self.state.windows.forget_tenant(tenant);
        self.state.queue.forget_tenant(tenant);
        self.state.ids.forget_tenant(tenant);
    }

    fn submitted(&mut self, now: Timestamp, ticket: Ticket, submission: Submission) {
        let Submission { tenant, push, mode } = submission;
        let Some(known) = self.state.tenants.get(&tenant) else {
            return self.state.reply(ticket, Reply::NotLet);
        };
        let (may, per_minute) = (known.may_push_to(&push.app), known.per_minute);
        if self.state.is_known(&tenant, &push.id, ticket) {
            return;
        }
        if !may {
            return self.state.reply(ticket, Reply::NotLet);
        }
        if let Err(wait) = self.state.quotas.take(now, &tenant, per_minute) {
            let of = "notifications a minute";
            return self.state.refuse(ticket, &tenant, wait, of);
        }
        let is_call = matches!(push.purpose, Purpose::Call { .. });
        if mode == Mode::Queue && !is_call && !push.ttl.is_zero() {
            self.state.promise(now, ticket, tenant, push);
        } else {
            self.state.ask(now, ticket, tenant, push);
        }
    }

    /// What time brings.
    fn time(&mut self, now: Timestamp) {
        while let Some((until, id)) = self.state.deadlines.front().copied() {
            let waits = self
                .state
                .asked
                .get(&id)
                .is_some_and(|it| it.push.is_some());
            if waits && until > now {
                break;
            }
            self.state.deadlines.pop_front();
            if waits {
                self.state.give_up(id);
            }
        }
        self.state.queue_due(now);
        if self.state.sweep_at <= now {
            self.state.ids.expire(now, &self.state.limits);
            self.state.sweep_at = now.plus(SWEEP);
        }
    }

    /// Whoever's turn it is goes, as far as there is room.
    fn go(&mut self, now: Timestamp) {
        while self.state.flying.len() < self.state.limits.in_flight {
            let (breakers, per_app) = (&self.state.breakers, &self.state.per_app);
            let most = self.state.limits.in_flight_per_app;
            let may_go = |app: &AppId| {
                per_app.get(app).is_none_or(|count| *count < most)
                    && breakers.admits(now, app).is_ok()
            };
            let Some((urgency, key)) = self.state.lines.pop(may_go) else {
                return;
            };
            match urgency {
                Urgency::Call | Urgency::Waiting => self.state.send_asked(&key),
                Urgency::Queued => self.state.send_queued(now, key),
            }
        }
    }

    fn answered(&mut self, now: Timestamp, id: PushId, outcome: Outcome) {
        let Some(Flight { app, queued }) = self.state.flying.remove(&id) else {
            return;
        };
        if let Some(count) = self.state.per_app.get_mut(&app) {
            *count -= 1;
            if *count == 0 {
                self.state.per_app.remove(&app);
            }
        }
        self.state
            .breakers
            .record(now, &app, &outcome, &self.state.limits);
        if let Some(key) = queued {
            return self.state.queued_answered(now, &key, outcome);
        }
        self.state.asked_answered(now, id, &outcome);
    }
}
