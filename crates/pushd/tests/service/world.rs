//! A service, a clock that jumps, and what came out.

use domain::{Change, Channel, Notification, Outcome, Purpose, SettledPush, Tenant, Timestamp};
use pushd::{Input, Limits, Mode, Output, PushId, Reply, SaveId, Service, Submission, Ticket};
use std::{collections::BTreeMap, time::Duration};

pub(crate) struct World {
    pub(crate) service: Service,
    pub(crate) now: Timestamp,
    /// On their way.
    pub(crate) sent: Vec<(PushId, Notification)>,
    pub(crate) replies: BTreeMap<Ticket, Reply>,
    /// Not answered yet.
    pub(crate) saves: Vec<(SaveId, Change)>,
    /// Everything that was saved.
    pub(crate) saved: Vec<Change>,
    /// Whether saves are answered at once.
    pub(crate) saves_by_itself: bool,
    tickets: u64,
}

pub(crate) fn tenant(name: &str, apps: &[&str]) -> Tenant {
    Tenant {
        id: name.into(),
        secrets: Vec::new(),
        apps: apps.iter().map(|app| (*app).into()).collect(),
        per_minute: 60_000,
        webhook: None,
    }
}

pub(crate) fn message(id: &str) -> Notification {
    Notification {
        id: id.into(),
        app: "app".into(),
        token: "aa".to_owned(),
        channel: Channel::Message,
        purpose: Purpose::Message {
            conversation: "c".to_owned(),
            unread: 1,
        },
        tracking: "t".into(),
        ttl: Duration::from_hours(1),
        collapse: None,
        badge: Some(1),
        sealed: Some(b"sealed".to_vec()),
    }
}

pub(crate) fn call(id: &str) -> Notification {
    Notification {
        channel: Channel::Voip,
        purpose: Purpose::Call {
            call: "c@1".to_owned(),
            register_at: "here".to_owned(),
        },
        ttl: Duration::ZERO,
        ..message(id)
    }
}

pub(crate) fn accepted() -> Outcome {
    Outcome::Accepted {
        provider_id: "p".to_owned(),
    }
}

pub(crate) fn unavailable() -> Outcome {
    Outcome::Unavailable {
        reason: "down".to_owned(),
        retry_after: Duration::from_secs(10),
    }
}

impl World {
    pub(crate) fn new(limits: Limits) -> Self {
        let mut world = Self {
            service: Service::new(limits, [7; 32]),
            now: Timestamp(1_000_000),
            sent: Vec::new(),
            replies: BTreeMap::new(),
            saves: Vec::new(),
            saved: Vec::new(),
            saves_by_itself: true,
            tickets: 0,
        };
        for name in ["a", "b"] {
            world.handle(Input::Tenant(Box::new(tenant(name, &["app", "other"]))));
        }
        world
    }

    pub(crate) fn handle(&mut self, input: Input) {
        self.service.handle(self.now, input);
        while let Some(output) = self.service.poll() {
            match output {
                Output::Send(id, push) => self.sent.push((id, *push)),
                Output::Reply(ticket, reply) => {
                    assert_eq!(self.replies.insert(ticket, reply), None, "answered twice");
                }
                Output::Save(id, change) if self.saves_by_itself => {
                    self.saved.push(*change);
                    self.service.handle(self.now, Input::Saved(id, true));
                }
                Output::Save(id, change) => self.saves.push((id, *change)),
            }
        }
    }

    pub(crate) fn submit(&mut self, tenant: &str, push: Notification, mode: Mode) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let submission = Submission {
            tenant: tenant.into(),
            push,
            mode,
        };
        self.handle(Input::Submitted(ticket, Box::new(submission)));
        ticket
    }

    /// What is on its way, by id.
    pub(crate) fn under_way(&self) -> Vec<&str> {
        self.sent.iter().map(|(_, push)| push.id.as_str()).collect()
    }

    /// The provider speaks of the one that went first.
    pub(crate) fn answer(&mut self, outcome: Outcome) {
        let (id, _) = self.sent.remove(0);
        self.handle(Input::Answered(id, outcome));
    }

    /// Lets time pass, from one thing that is due to the next.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now.plus(time);
        for _ in 0..100_000 {
            let Some(next) = self.service.next_timeout().filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            self.handle(Input::Timeout);
        }
        panic!("it turns on the spot");
    }

    pub(crate) fn ends(&self) -> Vec<&SettledPush> {
        let ends = self.saved.iter().filter_map(|change| match change {
            Change::SettlePush(settled) => Some(&**settled),
            _ => None,
        });
        ends.collect()
    }
}
