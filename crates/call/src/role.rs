//! The role: what comes in goes to the part that it is for, and what a part says to whom it is for.

mod admission;
mod answers;
mod asked;
mod calling;
mod going_on;
mod hub_words;
mod in_dialog;
mod registering;
mod relaying;
mod sending;
mod shared;
mod telling;
mod texting;
mod watching;
mod ways;

use self::{relaying::Pending, ways::Waiting};
use crate::{
    bindings::{Bindings, Bound},
    calls::Calls,
    dialogs::{Dialogs, Whereabouts},
    documents::Documents,
    gate::{Gate, Shared},
    media::{self, Legs},
    messages::Messages,
    presence::Presence,
    reach::{Reaching, Way},
    registrations::Registrations,
    settings::Settings,
    told::{Told, whence},
    vocabulary::{Input, Output},
};
use domain::{Address, DeviceId, Door, DoorId, DoorState, Namer, Now, Refusal, Timestamp};
use hub::{Accounts, Directory};
use sip::{
    Flow,
    endpoint::{self, ClientTxn, Endpoint, Event},
};
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// How much is under way: to see that nothing is left behind.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Load {
    /// Of the endpoint.
    pub endpoint: endpoint::Load,
    /// Calls.
    pub calls: usize,
    /// REGISTERs that wait for the hub.
    pub registrations: usize,
    /// Messages that are being taken in or sent.
    pub messages: usize,
    /// Flows that are asked for.
    pub reaching: usize,
    /// What goes by media relays.
    pub media: usize,
    /// Subscriptions of phones to presence.
    pub subscriptions: usize,
    /// What phones publish.
    pub publications: usize,
}

/// See the crate's documentation.
#[derive(Debug)]
pub struct Role {
    settings: Arc<Settings>,
    accounts: Accounts,
    endpoint: Endpoint,
    gate: Gate,
    dialogs: Dialogs,
    bindings: Bindings,
    registrations: Registrations,
    messages: Messages,
    calls: Calls,
    reaching: Reaching<Waiting>,
    relays: media::Waiting<Pending>,
    legs: Legs,
    presence: Presence,
    told: Told,
    namer: Namer,
    tickets: u64,
    out: VecDeque<Output>,
}

impl Role {
    /// The role of one shard. `shared` and `accounts` are shared by all. `seed` is unlike any other shard's.
    /// Until it is told [otherwise](Self::with_documents), no phone is shown anything, and none says anything.
    pub fn new(settings: Settings, shared: Shared, accounts: Accounts, seed: [u8; 32]) -> Self {
        let settings = Arc::new(settings);
        let seed_of_all: [u8; 16] = std::array::from_fn(|at| settings.seed[at]);
        let mut config = endpoint::Config::new(seed_of_all);
        config.shard = settings.shard.number;
        config.sent_by = settings.sent_by_of_wildcards();
        config.is_ours = {
            let settings = settings.clone();
            Arc::new(move |host, port| settings.is_ours(host, Some(port)))
        };
        Self {
            endpoint: Endpoint::new(config),
            gate: Gate::new(settings.clone(), shared, accounts.clone()),
            dialogs: Dialogs::new(settings.clone()),
            bindings: Bindings::default(),
            registrations: Registrations::new(settings.clone()),
            messages: Messages::default(),
            calls: Calls::new(settings.calls),
            reaching: Reaching::default(),
            relays: media::Waiting::default(),
            legs: Legs::default(),
            presence: Presence::new(settings.clone()),
            told: Told::default(),
            namer: Namer::new(seed),
            tickets: 0,
            out: VecDeque::new(),
            accounts,
            settings,
        }
    }

    /// The operator has decided otherwise, as far as that can change while we run ([`Settings::changed_to`]). Calls and
    /// registrations that are there stay.
    pub fn reconfigure(&mut self, new: Settings) {
        let settings = Arc::new(self.settings.changed_to(new));
        self.gate.reconfigure(settings.clone());
        self.registrations.reconfigure(settings.clone());
        self.presence.reconfigure(settings.clone());
        self.calls.reconfigure(settings.calls);
        self.settings = settings;
    }

    /// The same, with what reads and writes presence for phones.
    #[must_use]
    pub fn with_documents(mut self, documents: Documents) -> Self {
        self.presence.documents = documents;
        self
    }

    /// Takes over a door as the store has it; says what the hub must know of it. `None`: it cannot be read.
    pub fn load_door(&mut self, door: &Door, user: Address) -> Option<(DoorState, u16, Arc<str>)> {
        let bound = Bound::decode(door, user, &self.settings)?;
        let (state, flow) = (bound.state(&self.settings), bound.flow);
        // Who has registered from there may do so again, whoever guesses at the account.
        let guards = self.accounts.guards();
        guards.right(bound.flow.remote.ip(), bound.user.as_str());
        self.bindings.load(door.id.clone(), bound);
        Some((state, 1, self.registrations.register_at(flow)))
    }

    /// Whether a phone has said that it takes messages in envelopes (CPIM, RFC 3862), and so can be asked for receipts.
    pub fn takes_envelopes(&self, door: &DoorId) -> bool {
        let bound = self.bindings.get(door);
        bound.is_some_and(|it| it.binding.takes(domain::cpim::MEDIA))
    }

    /// What is behind a door, in words.
    pub fn describe(&self, door: &DoorId) -> Option<String> {
        let bound = self.bindings.get(door)?;
        let agent = bound.binding.user_agent();
        Some(format!("{} {agent}", whence(bound.flow)))
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Role::handle_timeout`] wants to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        let (ours, others) = (self.endpoint.next_timeout(), self.presence.next_timeout());
        ours.into_iter().chain(others).min()
    }

    /// How much is under way.
    pub fn load(&self) -> Load {
        let (subscriptions, publications) = self.presence.len();
        Load {
            endpoint: self.endpoint.load(),
            calls: self.calls.len(),
            registrations: self.registrations.len(),
            messages: self.messages.len(),
            reaching: self.reaching.len(),
            media: self.relays.len() + self.legs.len(),
            subscriptions,
            publications,
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Now, directory: &Directory, input: Input) {
        match input {
            Input::Received(flow, _) if self.is_shut_out(now, flow) => {
                self.out.push_back(Output::Refused(Refusal::Banned));
                if flow.transport.is_reliable() {
                    self.out.push_back(Output::Close(flow));
                }
            }
            Input::Received(flow, message) => {
                self.dialogs.flow_seen(flow);
                if let Some(message) = self.relays.hold(flow, message) {
                    self.received(now, flow, message);
                }
            }
            Input::FlowClosed(flow) => self.flow_closed(now, flow),
            Input::Reached(id, flow) => self.reached(now, id, flow),
            Input::Relayed(id, answer) => {
                let dialog = self.relayed(now, id, &answer);
                self.run_endpoint(now, directory);
                while let Some((flow, message)) = dialog.and_then(|it| self.relays.next(it)) {
                    self.received(now, flow, message);
                    self.run_endpoint(now, directory);
                }
            }
            Input::Hub(output) => self.hub_says(now, directory, output),
        }
        self.run_endpoint(now, directory);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, directory: &Directory) {
        self.endpoint.handle_timeout(now.instant);
        let told = self.presence.publications_end(now);
        self.tell(told);
        self.run_endpoint(now, directory);
    }

    /// We stop: calls in progress get their answer.
    pub fn stop(&mut self, now: Now, directory: &Directory) {
        let (calls, mut line) = self.line(now);
        calls.end_all(&mut line);
        self.run_endpoint(now, directory);
    }

    /// Where the device of a user that is, or was, at a flow has registered since then: asked by another shard.
    pub fn find(
        &self,
        directory: &Directory,
        user: &Address,
        device: Option<&DeviceId>,
        flow: Flow,
        since: Timestamp,
    ) -> Option<Flow> {
        let whereabouts = Whereabouts {
            directory,
            bindings: &self.bindings,
        };
        whereabouts.find(user, device, &flow, since)
    }

    /// Lets the endpoint speak until it has nothing to say.
    fn run_endpoint(&mut self, now: Now, directory: &Directory) {
        loop {
            self.transmits();
            match self.endpoint.poll_event() {
                Some(event) => self.endpoint_says(now, directory, event),
                None if self.notifies(now, directory) => {}
                None => break,
            }
        }
        while let Some(over) = self.legs.next_over() {
            self.out.push_back(Output::RelayEnds(over));
        }
    }

    /// A request of our own was answered so.
    fn own_answered(&mut self, txn: ClientTxn, status: u16) -> Option<hub::Input> {
        let watcher = self.presence.answered(txn, status);
        watcher.or_else(|| self.messages.answered(txn, status))
    }

    fn endpoint_says(&mut self, now: Now, directory: &Directory, event: Event) {
        let (calls, mut line) = self.line(now);
        let told = match event {
            Event::Request {
                txn,
                flow,
                request,
                route,
            } => return self.request(now, directory, txn, flow, request, route.as_deref()),
            Event::Ack {
                request,
                flow,
                route,
                txn: None,
            } => return self.ack(now, directory, &request, flow, route.as_deref()),
            // We answer no INVITE ourselves, so there is no 2xx of ours.
            Event::Ack { .. } | Event::AckMissing { .. } => None,
            Event::NoRoom => {
                self.out.push_back(Output::Refused(Refusal::NoRoom));
                None
            }
            Event::BranchStranded { context, branch } => {
                calls.branch_stranded(&mut line, context, branch, directory);
                None
            }
            Event::Cancelled { context, .. } => context.and_then(|it| calls.cancelled(it)),
            Event::BranchProvisional {
                context,
                branch,
                status,
            } => calls.branch_provisional(&mut line, context, branch, status),
            Event::BranchFinal {
                context,
                branch,
                status,
                response,
            } => {
                line.legs.branch_final(branch, status);
                let talk = calls.talk(context, branch, status, response.as_ref());
                let told =
                    calls.branch_final(&mut line, context, branch, status, response.as_ref());
                self.tell(talk);
                told
            }
            Event::BranchGone { branch } => {
                line.legs.branch_gone(branch);
                None
            }
            Event::ContextAnswered { context, branch } => calls.context_answered(context, branch),
            Event::ContextDone { context, status } => calls.context_done(context, status),
            Event::Response { txn, response } => {
                self.own_answered(txn, response.status().unwrap_or_default())
            }
            Event::Failed { txn, status } => self.own_answered(txn, status),
            Event::ResponseStranded {
                txn,
                transport,
                address,
                host,
            } => {
                let name = Some(host);
                let way = Way::Address {
                    transport,
                    address,
                    name,
                };
                return self.reach(now, Waiting::Response(txn), way);
            }
        };
        self.tell(told);
    }
}
