//! Call control and SIP messaging: registrar, proxy, the wake of sleeping phones, and delivery of messages over SIP.
//!
//! One task owns all of it. What comes in goes one way: a socket, a timer, the store or a push cloud gives an input;
//! the SIP endpoint makes an event of it, the role a step of the domain, the domain says what to do, and the role does
//! it. Nothing in here waits.

mod auth;
mod call_table;
mod calls;
mod control;
mod dialog;
mod fallback;
mod flow_token;
mod heard_at;
mod ids;
mod location;
mod messages;
mod network;
mod owed;
mod pushes;
mod register;
mod request;
mod running;
mod saving;
mod sending;
mod settings;

pub use control::{Control, ControlError, DeviceUpdate, DeviceView};
pub use ids::{digest_of, fresh, random};
pub use register::{AppKey, device_id, instance_key};
pub use running::Running;
pub use settings::Settings;

use crate::metrics::{Alarm, Metrics};
use auth::Gate;
use call_table::Calls;
use domain::{
    Change, DeviceId, Outcome, Timestamp, TraceEvent, TrackingId,
    delivery::{self, Delivery, Now},
    trace::Step,
};
use flow_token::FlowTokens;
use location::Location;
use owed::Owed;
use saving::{AfterCommit, Commits};
use sending::Sending;
use sip::{
    Flow, Transport,
    endpoint::{self, ContextId, Endpoint, Input, ServerTxn},
};
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
    time::Instant,
};
use store::{Snapshot, Store, StoreError};
use tokio::sync::{Semaphore, mpsc};

/// Words from tasks and APIs that may wait; more make the sender wait.
const INBOX: usize = 4096;

/// Everything the role needs from outside.
pub struct Parts {
    /// What the operator decided.
    pub settings: Settings,
    /// The sockets.
    pub net: net::Net,
    /// Where state is kept.
    pub store: Arc<dyn Store>,
    /// The push clients.
    pub pusher: push::Pusher,
    /// The apps that can be pushed to, with what names them in a Contact.
    pub apps: Vec<register::AppKey>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// What the store held at start.
    pub snapshot: Snapshot,
    /// Seals what peers hand back to us after a restart, too.
    pub secret: Vec<u8>,
}

/// What comes in beside the sockets.
#[derive(Debug)]
enum Inbox {
    /// An API asks.
    Control(Control),
    /// A call push ended.
    CallPushed {
        context: ContextId,
        device: DeviceId,
        token: String,
        outcome: Outcome,
    },
    /// An owed push ended.
    OwedDone {
        push: domain::push::OwedPush,
        token: String,
        outcome: Outcome,
    },
    /// What became of reading the head of a device's queue.
    Delivery(delivery::Input),
    /// The accounts as they were in the store after so many changes of ours.
    Users {
        users: Vec<domain::User>,
        as_of: u64,
    },
    /// A fallback's host name was looked up.
    Resolved {
        context: ContextId,
        uri: String,
        transport: Transport,
        host: String,
        address: Option<SocketAddr>,
    },
}

/// A handle to the running role.
#[derive(Clone)]
pub struct Handle(mpsc::Sender<Inbox>);

impl Handle {
    /// Asks the role; `false` if it is gone.
    pub async fn send(&self, control: Control) -> bool {
        self.0.send(Inbox::Control(control)).await.is_ok()
    }
}

/// The role's state.
pub struct CallRole {
    settings: Settings,
    now: Now,
    net: net::Net,
    store: Arc<dyn Store>,
    pusher: push::Pusher,
    push_slots: Arc<Semaphore>,
    apps: Vec<register::AppKey>,
    metrics: Arc<Metrics>,
    endpoint: Endpoint,
    gate: Gate,
    tokens: FlowTokens,
    location: Location,
    /// Accounts that we have created, changed or removed.
    user_changes: u64,
    /// Users for whom messages wait of whom no device is known.
    unclaimed: HashMap<domain::Address, u64>,
    /// Connections that are up.
    flows: HashSet<Flow>,
    calls: Calls,
    delivery: Delivery,
    sending: Sending,
    owed: Owed,
    commits: Commits,
    /// Lines of stories that are saved with the next turn.
    notes: Vec<Change>,
    inbox: mpsc::Sender<Inbox>,
}

impl CallRole {
    /// The role as of now, with what the store held; and the way to talk to it.
    pub fn start(parts: Parts) -> (Handle, Running) {
        let Parts {
            settings,
            net,
            store,
            pusher,
            apps,
            metrics,
            snapshot,
            secret,
        } = parts;
        let (inbox, receiver) = mpsc::channel(INBOX);
        let bound = net.addresses().clone();
        let mut config = endpoint::Config::new(ids::random());
        config.sent_by = settings.sent_by_of_wildcards(&bound);
        config.is_ours = {
            let settings = settings.clone();
            Arc::new(move |host, port| settings.is_ours(host, Some(port)))
        };
        let gate = Gate::new(
            ids::random(),
            &settings.domains,
            settings.trusted.clone(),
            settings.strangers,
        );
        let mut role = Self {
            now: running::now(),
            push_slots: Arc::new(Semaphore::new(settings.pushes_in_flight)),
            endpoint: Endpoint::new(config),
            gate,
            tokens: FlowTokens::new(&secret),
            location: Location::new(apps.iter().map(|app| app.profile.clone())),
            user_changes: 0,
            unclaimed: HashMap::new(),
            flows: HashSet::new(),
            calls: Calls::default(),
            delivery: Delivery::new(
                settings.behaviour.clone(),
                settings.delivery,
                messages::name_conversations(&secret),
            ),
            sending: Sending::default(),
            owed: Owed::default(),
            commits: Commits::default(),
            notes: Vec::new(),
            inbox: inbox.clone(),
            settings,
            net,
            store,
            pusher,
            apps,
            metrics,
        };
        role.load(snapshot);
        (Handle(inbox), Running::new(role, receiver))
    }

    /// Takes over what the store held: accounts, devices with the flows that outlive us, and what is owed.
    fn load(&mut self, snapshot: Snapshot) {
        for user in snapshot.users {
            self.location.put_user(user);
        }
        for device in snapshot.devices {
            let source = device
                .binding
                .as_ref()
                .map(|binding| binding.source.as_str());
            let flow = source.and_then(|source| self.surviving_flow(source));
            self.location.load_device(device, flow);
        }
        for (device, waiting) in snapshot.queues {
            self.count_queued(&device, i64::try_from(waiting).unwrap_or(i64::MAX));
        }
        self.unclaimed = snapshot.unclaimed.into_iter().collect();
        for push in snapshot.owed {
            self.owed.insert(push);
        }
    }

    /// A datagram's flow is the same after a restart; a connection is gone.
    fn surviving_flow(&self, source: &str) -> Option<Flow> {
        let remote = source.strip_prefix("udp/")?.parse().ok()?;
        Some(self.net.connect(Transport::Udp, remote))
    }

    fn take_event(&mut self, event: net::Event) {
        match event {
            net::Event::Message { flow, message } => {
                if flow.transport != Transport::Udp {
                    self.flows.insert(flow);
                }
                self.endpoint
                    .handle(self.now.instant, Input::Received { flow, message });
            }
            net::Event::Malformed { flow, reason } => {
                self.metrics.malformed();
                tracing::debug!(from = %flow.remote, reason, "malformed message");
            }
            net::Event::Closed { flow } => self.flow_closed(flow),
        }
        self.run_endpoint();
    }

    fn flow_closed(&mut self, flow: Flow) {
        self.flows.remove(&flow);
        // Over UDP it was a datagram that found no way; the next may find one.
        let lost = match flow.transport {
            Transport::Udp => Vec::new(),
            _ => self.location.flow_lost(&flow),
        };
        for device in lost {
            tracing::debug!(%device, from = %flow.remote, "connection closed: the device is suspended");
        }
        self.endpoint
            .handle(self.now.instant, Input::FlowFailed { flow });
    }

    fn take_word(&mut self, word: Inbox) {
        match word {
            Inbox::Control(control) => self.control(control),
            Inbox::CallPushed {
                context,
                device,
                token,
                outcome,
            } => self.call_pushed(context, device, &token, outcome),
            Inbox::OwedDone {
                push,
                token,
                outcome,
            } => self.owed_done(push, &token, &outcome),
            Inbox::Delivery(input) => {
                let step = self.delivery.step(self.now, input);
                self.deliver(step, None);
            }
            Inbox::Users { users, as_of } => self.users_read(users, as_of),
            Inbox::Resolved {
                context,
                uri,
                transport,
                host,
                address,
            } => self.fall_back_to(context, &uri, transport, &host, address),
        }
        self.run_endpoint();
    }

    fn saved(&mut self, result: Result<(), StoreError>, after: AfterCommit) {
        let AfterCommit {
            since,
            answer,
            returned,
            deliver,
            owed,
            queued,
            adopted,
            reply,
        } = after;
        // A change that speaks of somebody who was removed meanwhile is no trouble of the store.
        let failed = |error: &StoreError| !matches!(error, StoreError::Missing { .. });
        let error = result.as_ref().err().filter(|error| failed(error));
        let detail = error.map(ToString::to_string).unwrap_or_default();
        self.metrics
            .alarm(Alarm::StoreFailed, error.is_some(), &detail);
        match &result {
            Ok(()) => {
                if let Some((txn, response)) = answer {
                    self.endpoint.respond(self.now.instant, txn, &response);
                }
                for (device, fresh) in returned {
                    self.device_returned(&device, fresh, since.unwrap_or(self.now.instant));
                }
                for push in owed {
                    self.owed.insert(push);
                }
                self.perform_delivery(deliver);
            }
            Err(error) => {
                // The alarm has said so already, once.
                tracing::debug!(%error, "not saved");
                for (device, change) in &queued {
                    self.count_queued(device, -change);
                }
                if let Some((user, messages)) = adopted {
                    *self.unclaimed.entry(user).or_default() += messages;
                }
                let undone = delivery::Input::Undone {
                    effects: deliver,
                    devices: queued.into_iter().map(|(device, _)| device).collect(),
                };
                self.delivery.step(self.now, undone);
                if let Some((txn, _)) = answer {
                    let status = if *error == StoreError::Overloaded {
                        503
                    } else {
                        500
                    };
                    self.answer(txn, status, "Not Saved");
                }
            }
        }
        if let Some(reply) = reply {
            // Whoever asked may have gone.
            let _ = reply.send(result);
        }
        self.run_endpoint();
    }

    /// A device registered, or said that it is back: its calls and its messages go to it.
    fn device_returned(&mut self, device: &DeviceId, fresh: bool, since: Instant) {
        self.calls_of_returned(device, fresh, since);
        let connectionless =
            |flow: Option<Flow>| flow.is_some_and(|flow| flow.transport == Transport::Udp);
        let waits = self
            .location
            .place(device)
            .is_some_and(|place| place.queued > 0 || connectionless(place.flow));
        if fresh {
            self.sending.give_up(device);
        }
        if fresh || waits {
            let device = device.clone();
            let returned = delivery::Input::Returned { device, fresh };
            let step = self.delivery.step(self.now, returned);
            self.deliver(step, None);
        }
    }

    fn timeouts(&mut self) {
        self.endpoint.handle_timeout(self.now.instant);
        self.call_timeouts();
        let step = self.delivery.timeout(self.now);
        self.deliver(step, None);
        self.expire_bindings();
        self.refresh_bindings();
        self.push_owed();
        self.run_endpoint();
    }

    fn next_timeout(&self) -> Option<Instant> {
        let at = |wall: Timestamp| self.now.instant + wall.since(self.now.wall);
        [
            self.endpoint.next_timeout(),
            self.calls.next_timeout(),
            self.delivery.next_timeout(),
            self.location.next_expiry().map(at),
            self.location.next_refresh().map(at),
            self.next_owed().map(at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Lets the endpoint speak until it has nothing to say.
    fn run_endpoint(&mut self) {
        loop {
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.net.send(transmit);
            }
            let Some(event) = self.endpoint.poll_event() else {
                break;
            };
            self.endpoint_event(event);
        }
    }

    /// Ends a turn: what was noted is saved, what was sent leaves.
    fn end_turn(&mut self) {
        if !self.notes.is_empty() {
            self.store.note(std::mem::take(&mut self.notes));
        }
        self.net.flush();
        self.metrics.load(
            self.location.registered(),
            self.calls.len(),
            self.owed.len(),
            self.location.with_dead_token(),
        );
    }

    fn commit(&mut self, changes: Vec<Change>, after: AfterCommit) {
        let answer = self.store.commit(changes);
        self.commits.push(answer, after);
    }

    /// Answers a request; `reason` empty means the usual phrase.
    fn answer(&mut self, txn: ServerTxn, status: u16, reason: &str) {
        self.endpoint.answer(self.now.instant, txn, status, reason);
    }

    fn trace(
        &mut self,
        tracking: &TrackingId,
        step: Step,
        device: Option<&DeviceId>,
        detail: impl Into<String>,
    ) {
        self.notes.push(Change::Trace(TraceEvent {
            tracking: tracking.clone(),
            at: self.now.wall,
            step,
            alias: None,
            device: device.cloned(),
            detail: detail.into(),
        }));
    }

    fn count_queued(&mut self, device: &DeviceId, change: i64) {
        self.location.count_queued(device, change);
        self.metrics.queued(change);
    }
}
