//! The role: what comes in goes to the part that it is for, and what a part says to whom it is for.

use crate::{
    bindings::{Bindings, Bound},
    calls::{Call, Calls, Resort},
    dialogs::{Across, Dialogs, Initiator, Whereabouts},
    gate::{Gate, Nonces, NotAdmitted, Realm, Sender},
    line::Line,
    messages::{self, Messages},
    passing::Passing,
    reach::{ReachId, Reaching, Way},
    registrations::{Next, Register, Registrations, may_come_over},
    requests::{self, TRACKING, headers_off},
    settings::{Settings, is_spiral},
};
use domain::{
    Address, Class, DeviceId, Door, DoorId, DoorState, Namer, Now, Timestamp, TrackingId,
};
use hub::{Accounts, Directory, Entry, NewCall, NotDone, Ticket};
use sip::{
    Flow, HeaderName, Message, Method, Uri,
    endpoint::{self, Endpoint, Event, ServerTxn, Target, Transmit},
};
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// Most characters of a caller's name or address that go into a push.
const CALLER: usize = 128;

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A message arrived.
    Received(Flow, Message),
    /// A connection is gone, or a send over the flow failed.
    FlowClosed(Flow),
    /// A flow that was asked for, or nothing if there is none.
    Reached(ReachId, Option<Flow>),
    /// The hub speaks to its role.
    Hub(hub::Output),
}

/// What to do.
#[derive(Debug)]
pub enum Output {
    /// Send this. What goes over a [spiral](crate::is_spiral) is to be given to the shard that it is for.
    Transmit(Transmit),
    /// Close this connection after what is queued for it.
    Close(Flow),
    /// Find or make a flow, and say so by [`Input::Reached`].
    Reach(ReachId, Way),
    /// Tell the hub.
    Hub(hub::Input),
    /// Count a request.
    Counted(String, Flow),
    /// A call left for a device so long after it began to register.
    RegisterToInvite(std::time::Duration),
}

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
}

/// What waits for a flow.
#[derive(Debug)]
enum Waiting {
    /// A call for its fallback.
    Fallback(hub::CallId, String),
    /// A request inside a dialog, and where it goes if there is none.
    Request(ServerTxn, Flow, Message, Across),
    /// An ACK, likewise.
    Ack(Message, Across),
    /// A response whose connection is gone.
    Response(ServerTxn),
    /// A call for a door that is dialled.
    Ring(hub::CallId, DoorId),
    /// A message for one.
    Send(DoorId, Arc<domain::Message>),
    /// Another request outside a dialog, the first of whose doors to dial is dialled.
    Pass(Box<Passing>),
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
    namer: Namer,
    tickets: u64,
    out: VecDeque<Output>,
}

impl Role {
    /// The role of one shard. `nonces` and `accounts` are shared by all. `seed` is unlike any other shard's.
    pub fn new(settings: Settings, nonces: Nonces, accounts: Accounts, seed: [u8; 32]) -> Self {
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
            gate: Gate::new(settings.clone(), nonces, accounts.clone()),
            dialogs: Dialogs::new(settings.clone()),
            bindings: Bindings::default(),
            registrations: Registrations::new(settings.clone()),
            messages: Messages::default(),
            calls: Calls::default(),
            reaching: Reaching::default(),
            namer: Namer::new(seed),
            tickets: 0,
            out: VecDeque::new(),
            accounts,
            settings,
        }
    }

    /// Takes over a door as the store has it; says what the hub must know of it. `None`: it cannot be read.
    pub fn load_door(&mut self, door: &Door, user: Address) -> Option<(DoorState, u16, Arc<str>)> {
        let bound = Bound::decode(door, user, &self.settings)?;
        let (state, transport) = (bound.state(&self.settings), bound.flow.transport);
        self.bindings.load(door.id.clone(), bound);
        Some((state, 1, self.registrations.register_at(transport)))
    }

    /// What is behind a door, in words.
    pub fn describe(&self, door: &DoorId) -> Option<String> {
        let bound = self.bindings.get(door)?;
        let Flow {
            transport, remote, ..
        } = bound.flow;
        let agent = bound.binding.user_agent();
        Some(format!("{} {remote} {agent}", transport.name()))
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Role::handle_timeout`] wants to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.endpoint.next_timeout()
    }

    /// How much is under way.
    pub fn load(&self) -> Load {
        Load {
            endpoint: self.endpoint.load(),
            calls: self.calls.len(),
            registrations: self.registrations.len(),
            messages: self.messages.len(),
            reaching: self.reaching.len(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Now, directory: &Directory, input: Input) {
        match input {
            Input::Received(flow, message) => {
                self.dialogs.flow_seen(flow);
                let received = endpoint::Input::Received { flow, message };
                self.endpoint.handle(now.instant, received);
            }
            Input::FlowClosed(flow) => self.flow_closed(now, flow),
            Input::Reached(id, flow) => self.reached(now, id, flow),
            Input::Hub(output) => self.hub_says(now, directory, output),
        }
        self.run_endpoint(now, directory);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, directory: &Directory) {
        self.endpoint.handle_timeout(now.instant);
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

    fn line(&mut self, now: Now) -> (&mut Calls, Line<'_>) {
        let line = Line {
            now,
            settings: &self.settings,
            endpoint: &mut self.endpoint,
            bindings: &self.bindings,
            registrations: &self.registrations,
            dialogs: &self.dialogs,
        };
        (&mut self.calls, line)
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn tell(&mut self, input: impl IntoIterator<Item = hub::Input>) {
        self.out.extend(input.into_iter().map(Output::Hub));
    }

    fn answer(&mut self, now: Now, txn: ServerTxn, status: u16, reason: &str) {
        self.endpoint.answer(now.instant, txn, status, reason);
    }

    /// Lets the endpoint speak until it has nothing to say.
    fn run_endpoint(&mut self, now: Now, directory: &Directory) {
        loop {
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.out.push_back(Output::Transmit(transmit));
            }
            let Some(event) = self.endpoint.poll_event() else {
                break;
            };
            self.endpoint_says(now, directory, event);
        }
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
            } => calls.branch_final(&mut line, context, branch, status, response.as_ref()),
            Event::ContextAnswered { context, branch } => calls.context_answered(context, branch),
            Event::ContextDone { context, status } => calls.context_done(context, status),
            Event::Response { txn, response } => {
                let status = response.status().unwrap_or_default();
                self.messages.answered(txn, status)
            }
            Event::Failed { txn, status } => self.messages.answered(txn, status),
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

    fn flow_closed(&mut self, now: Now, flow: Flow) {
        self.dialogs.flow_lost(flow);
        for door in self.bindings.flow_lost(flow) {
            tracing::debug!(%door, from = %flow.remote, "connection closed");
            self.lost(door);
        }
        let failed = endpoint::Input::FlowFailed { flow };
        self.endpoint.handle(now.instant, failed);
    }

    /// The connection behind a door is gone.
    fn lost(&mut self, door: DoorId) {
        let bound = self.bindings.get(&door);
        let state = bound.map_or(DoorState::Down, |bound| bound.state(&self.settings));
        self.tell([hub::Input::DoorLost(door, state)]);
    }

    /// The way to a door that must be dialled first.
    fn way_to(&mut self, now: Now, door: &DoorId) -> Option<Way> {
        let (_, line) = self.line(now);
        line.bound(door)?.to_dial(line.settings)
    }

    /// Whether a door has a connection, or needs none.
    fn is_up(&mut self, now: Now, door: &DoorId) -> bool {
        let (_, line) = self.line(now);
        line.bound(door).and_then(Bound::flow).is_some()
    }

    /// Asks for a flow.
    fn reach(&mut self, now: Now, what: Waiting, way: Way) {
        match self.reaching.ask(what) {
            Ok(id) => self.out.push_back(Output::Reach(id, way)),
            Err(what) => self.go_on(now, what, None),
        }
    }

    fn reached(&mut self, now: Now, id: ReachId, flow: Option<Flow>) {
        if let Some(flow) = flow {
            self.dialogs.flow_seen(flow);
        }
        if let Some(what) = self.reaching.take(id) {
            self.go_on(now, what, flow);
        }
    }

    fn go_on(&mut self, now: Now, what: Waiting, flow: Option<Flow>) {
        match (what, flow) {
            (Waiting::Fallback(call, uri), flow) => {
                let (calls, mut line) = self.line(now);
                calls.fall_back(&mut line, call, &uri, flow);
            }
            (Waiting::Request(txn, from, request, otherwise), flow) => {
                let across = flow.map_or(otherwise, Across::Flow);
                self.send_across(now, txn, from, request, across);
            }
            (Waiting::Ack(ack, otherwise), flow) => {
                let across = flow.map_or(otherwise, Across::Flow);
                self.ack_across(now, &ack, across);
            }
            (Waiting::Response(txn), Some(flow)) => self.endpoint.move_response(txn, flow),
            (Waiting::Response(_), None) => {}
            // What is up meanwhile has been told to the hub, which has sent this through it.
            (Waiting::Ring(_, door) | Waiting::Send(door, _), _) if self.is_up(now, &door) => {}
            (Waiting::Ring(call, door), flow) => self.ring(now, call, door, flow),
            (Waiting::Send(door, message), flow) => self.send(now, &door, &message, flow),
            (Waiting::Pass(mut passing), flow) => {
                if let Some((_, dialled)) = passing.there.last_mut() {
                    *dialled = flow;
                }
                self.pass(now, *passing);
            }
        }
    }

    fn hub_says(&mut self, now: Now, directory: &Directory, output: hub::Output) {
        let (calls, mut line) = self.line(now);
        match output {
            hub::Output::Done(ticket, result) => self.done(now, directory, ticket, result),
            hub::Output::Closed(doors) => {
                for door in doors {
                    self.messages.give_up(&door);
                    self.bindings.remove(&door);
                }
            }
            hub::Output::Ring(call, door) => match self.way_to(now, &door) {
                Some(way) => self.reach(now, Waiting::Ring(call, door), way),
                None => self.ring(now, call, door, None),
            },
            hub::Output::RingAgain(call, device) => calls.ring_again(&mut line, call, &device),
            hub::Output::ShowEnded(call, door, reason) => {
                calls.show_ended(&mut line, call, &door, reason);
            }
            hub::Output::EndFollows(call, door) => calls.end_follows(&mut line, call, &door),
            hub::Output::RingBack(call) => calls.ring_back(&mut line, call),
            hub::Output::CallOff(call) => calls.call_off(&mut line, call),
            hub::Output::CallOver(call) => calls.over(&mut line, call),
            hub::Output::GiveUp(call, verdict) => self.give_up(now, call, verdict),
            hub::Output::Send(door, message) => match self.way_to(now, &door) {
                Some(way) => self.reach(now, Waiting::Send(door, message), way),
                None => self.send(now, &door, &message, None),
            },
            hub::Output::Relay(door, message) => {
                let (bindings, settings) = (&self.bindings, &self.settings);
                let endpoint = &mut self.endpoint;
                Messages::relay(now, &door, &message, bindings, settings, endpoint);
            }
            hub::Output::Hibernate(door) => self.hibernate(now, &door),
            // For others than the role.
            hub::Output::Save(..)
            | hub::Output::Note(_)
            | hub::Output::Fetch(_)
            | hub::Output::FetchRoster(_)
            | hub::Output::Tell(..)
            | hub::Output::Roster(..)
            | hub::Output::Show(_)
            | hub::Output::Push(_)
            | hub::Output::Answer(..)
            | hub::Output::Measured(_) => {}
        }
    }

    /// What was asked of the hub is kept, or not.
    fn done(
        &mut self,
        now: Now,
        directory: &Directory,
        ticket: Ticket,
        result: Result<(), NotDone>,
    ) {
        if let Some((txn, answer)) = self.messages.done(ticket, result.clone()) {
            return self.answer_kept(now, txn, answer);
        }
        let (bindings, dialogs) = (&mut self.bindings, &self.dialogs);
        let is_up = |flow: &Flow| dialogs.is_up(flow);
        let done = self.registrations.done(ticket, result, bindings, is_up);
        let Some(done) = done else {
            return;
        };
        self.answer_kept(now, done.txn, done.response);
        for door in done.lost {
            self.bindings.detach(&door);
            self.lost(door);
        }
        for register in done.waiting {
            self.registers(now, directory, register);
        }
    }

    fn answer_kept(&mut self, now: Now, txn: ServerTxn, answer: Result<Message, NotDone>) {
        let (status, reason) = match answer {
            Ok(response) => return self.endpoint.respond(now.instant, txn, &response),
            Err(NotDone::Overloaded) => (503, ""),
            Err(NotDone::QueueFull) => (480, "Message Queue Full"),
            Err(NotDone::TooManyDevices) => (403, "Too Many Devices"),
            Err(NotDone::TooManyContacts) => (403, "Too Many Contacts"),
            Err(NotDone::Oneself) => (403, ""),
            Err(NotDone::BadName) => (400, "Bad Name"),
            Err(NotDone::NoSuchDomain) => (404, "No Such Domain"),
            Err(NotDone::Missing) => (404, "No Such User"),
            Err(NotDone::Failed(_)) => (500, "Not Saved"),
        };
        self.answer(now, txn, status, reason);
    }

    fn give_up(&mut self, now: Now, call: hub::CallId, verdict: domain::wake::Verdict) {
        let accounts = self.accounts.clone();
        let (calls, mut line) = self.line(now);
        match calls.give_up(&mut line, call, verdict, &accounts) {
            Resort::None => {}
            Resort::Ours(uri) => {
                let flow = line.settings.spiral();
                calls.fall_back(&mut line, call, &uri, Some(flow));
                self.tell([hub::Input::FallenBack(call, uri)]);
            }
            Resort::Outside(uri, way) => {
                self.tell([hub::Input::FallenBack(call, uri.clone())]);
                self.reach(now, Waiting::Fallback(call, uri), way);
            }
        }
    }

    /// A call goes through a door, over the flow that was `dialled` if it has none of its own.
    fn ring(&mut self, now: Now, call: hub::CallId, door: DoorId, dialled: Option<Flow>) {
        let (calls, mut line) = self.line(now);
        match calls.ring(&mut line, call, door, dialled) {
            Ok(took) => self.out.extend(took.map(Output::RegisterToInvite)),
            Err(failed) => self.tell([failed]),
        }
    }

    /// A message goes the same way.
    fn send(&mut self, now: Now, door: &DoorId, message: &domain::Message, dialled: Option<Flow>) {
        let (settings, endpoint) = (&self.settings, &mut self.endpoint);
        let bound = self.bindings.get(door);
        let reached = bound.and_then(|bound| Some((bound, bound.flow().or(dialled)?)));
        let sent = match reached {
            Some(to) => self
                .messages
                .send(now, door, message, to, settings, endpoint),
            None => Err(("no connection".to_owned(), false)),
        };
        let (device, id) = (door.device.clone(), message.id.clone());
        match sent {
            Ok(()) => {}
            Err((why, true)) => self.tell([hub::Input::Refused(device, id, why)]),
            Err((why, false)) => self.tell([hub::Input::Unacknowledged(device, id, why)]),
        }
    }

    /// Whoever is behind the door does not answer: what is left of its connection goes.
    fn hibernate(&mut self, now: Now, door: &DoorId) {
        let Some(flow) = self.messages.connection(door) else {
            return;
        };
        if self.bindings.get(door).and_then(Bound::flow) != Some(flow) {
            return;
        }
        if self.bindings.shares_connection(door) {
            tracing::info!(%door, from = %flow.remote, "the device does not answer: it is suspended");
            self.bindings.detach(door);
            self.lost(door.clone());
        } else {
            tracing::info!(%door, from = %flow.remote, "the device does not answer: its connection is closed");
            self.out.push_back(Output::Close(flow));
            self.flow_closed(now, flow);
        }
    }

    /// A new request.
    fn request(
        &mut self,
        now: Now,
        directory: &Directory,
        txn: ServerTxn,
        flow: Flow,
        request: Message,
        route: Option<&str>,
    ) {
        let Some(method) = request.method() else {
            return;
        };
        self.out
            .push_back(Output::Counted(method.as_str().to_owned(), flow));
        if request.to_tag().is_some() {
            return self.in_dialog(now, directory, txn, flow, request, route);
        }
        if method == Method::Register {
            let to = request.to().ok();
            let user = to.and_then(|to| self.settings.local_address(&to.uri));
            return self.register(now, directory, txn, flow, request, user);
        }
        let Some(uri) = Uri::parse(request.request_uri()) else {
            return self.answer(now, txn, 400, "Bad Request-URI");
        };
        let ours = || self.settings.is_ours(uri.host, uri.port);
        if method == Method::Options && uri.user.is_none() && ours() {
            return self.options(now, txn);
        }
        if self.endpoint.screen(now.instant, txn).is_err() {
            return;
        }
        let callee = self.settings.local_address(&uri);
        let Some(sender) = self.admit(now, txn, flow, &request, Realm::Proxy) else {
            return;
        };
        match callee {
            // Only who may use us is told more.
            None => self.answer(now, txn, 404, "Not A Domain Of This Server"),
            Some(callee) if !self.accounts.has(&callee) => {
                self.answer(now, txn, 404, "No Such User");
            }
            Some(callee) => match method {
                Method::Invite => self.invite(now, txn, flow, &request, callee, &sender),
                Method::Message => self.message(now, txn, &request, callee, &sender),
                _ => {
                    let passing = Passing {
                        txn,
                        from: Initiator::of(&request, flow, &sender),
                        trusted: self.gate.trusts(flow),
                        begins_dialog: requests::begins_dialog(method),
                        doors: directory
                            .of(&callee)
                            .filter_map(Entry::way_to_ring)
                            .collect(),
                        there: Vec::new(),
                    };
                    self.pass(now, passing);
                }
            },
        }
    }

    /// Lets a request in, or answers it: with a challenge, or why not. A refusal keeps no state (RFC 3261 §26.3.2.4).
    fn admit(
        &mut self,
        now: Now,
        txn: ServerTxn,
        flow: Flow,
        request: &Message,
        realm: Realm,
    ) -> Option<Sender> {
        let namer = &mut self.namer;
        let admitted = self.gate.admit(now, flow, request, realm, || namer.bits());
        let (status, reason, challenges) = match admitted {
            Ok(sender) => return Some(sender),
            Err(NotAdmitted::Refused(status, reason)) => (status, reason, None),
            Err(NotAdmitted::Challenge(status, header, values)) => {
                (status, "", Some((header, values)))
            }
        };
        let mut response = self.endpoint.refusal_to(txn, status, reason)?;
        if let Some((header, values)) = challenges {
            for value in values {
                response = response.header(header, value);
            }
        }
        self.endpoint.refuse(txn, &response.build());
        None
    }

    /// RFC 3261 §11.2: what we can do, and that we are here.
    fn options(&mut self, now: Now, txn: ServerTxn) {
        let Some(response) = self.endpoint.response_to(txn, 200, "") else {
            return;
        };
        let response = response
            .header(HeaderName::Allow, requests::ALLOW)
            .header(HeaderName::Accept, "*/*")
            .header(HeaderName::Supported, "path, outbound");
        self.endpoint.respond(now.instant, txn, &response.build());
    }

    fn register(
        &mut self,
        now: Now,
        directory: &Directory,
        txn: ServerTxn,
        flow: Flow,
        request: Message,
        user: Option<Address>,
    ) {
        let Some(to) = user.filter(|_| may_come_over(flow)) else {
            return self.answer(now, txn, 404, "Not An Address Of This Server");
        };
        let user = match self.admit(now, txn, flow, &request, Realm::Server) {
            Some(Sender::User(sender)) if sender == to => sender,
            Some(_) => return self.answer(now, txn, 403, "Register Yourself Only"),
            None => return,
        };
        let register = Register {
            txn,
            flow,
            request,
            user,
            received: now.instant,
        };
        self.registers(now, directory, register);
    }

    fn registers(&mut self, now: Now, directory: &Directory, register: Register) {
        if !self.accounts.has(&register.user) {
            return self.answer(now, register.txn, 404, "No Such User");
        }
        let ticket = self.ticket();
        let tag = self.endpoint.local_tag(register.txn);
        let bindings = &self.bindings;
        let next = self
            .registrations
            .register(now, ticket, register, &tag, directory, bindings);
        match next {
            Next::Waits => {}
            Next::Answer(txn, response) => self.endpoint.respond(now.instant, txn, &response),
            Next::Doors(doors) => {
                for opening in doors.opened.iter().filter(|opening| opening.fresh) {
                    self.messages.give_up(&opening.door);
                }
                self.tell([hub::Input::Doors(doors)]);
            }
        }
    }

    fn invite(
        &mut self,
        now: Now,
        txn: ServerTxn,
        flow: Flow,
        request: &Message,
        callee: Address,
        sender: &Sender,
    ) {
        let limit = self.settings.held_calls;
        if self.calls.len() >= limit {
            tracing::warn!(limit, "limits.held_calls is reached: a call is refused");
            return self.answer(now, txn, 503, "Too Many Calls");
        }
        let Ok(context) = self.endpoint.open(now.instant, txn) else {
            return;
        };
        let forwarded = is_spiral(flow);
        let told = request.header_text(TRACKING).filter(|_| forwarded);
        let tracking = told.map_or_else(|| self.namer.fresh(now.wall), TrackingId::from);
        let caller = Initiator::of(request, flow, sender);
        let mut call = Call::new(context, callee.clone(), caller, tracking.clone());
        call.trusted = self.gate.trusts(flow);
        call.forwarded = forwarded;
        let short = |text: &str| text.chars().take(CALLER).collect();
        let caller_name = short(&self.display_name(request, sender));
        let (calls, mut line) = self.line(now);
        let id = calls.insert(&mut line, call);
        let new = NewCall {
            id,
            tracking,
            call: request.call_id().unwrap_or_default().into(),
            callee,
            caller_name,
            caller: short(sender.name()),
            wakes_nobody: requests::wakes_nobody(request),
        };
        self.tell([hub::Input::Called(Box::new(new))]);
    }

    /// The name that a request's sender goes by: their own word, else that of their account.
    fn display_name(&self, request: &Message, sender: &Sender) -> String {
        let from = request.from().ok();
        let said: Option<String> = from.and_then(|from| from.display_name().map(Into::into));
        let account = || {
            let user = self.accounts.get(sender.user()?)?;
            Some(user.display_name.clone())
        };
        said.filter(|name| !name.is_empty())
            .or_else(account)
            .unwrap_or_default()
    }

    fn message(
        &mut self,
        now: Now,
        txn: ServerTxn,
        request: &Message,
        callee: Address,
        sender: &Sender,
    ) {
        if requests::is_ours_alone(request) {
            return self.answer(now, txn, 415, "");
        }
        if requests::is_packed(request) {
            // RFC 3261 §21.4.13: what we take instead. Better refused than delivered as rubbish.
            if let Some(response) = self.endpoint.response_to(txn, 415, "") {
                let response = response.header(HeaderName::AcceptEncoding, "identity");
                self.endpoint.respond(now.instant, txn, &response.build());
            }
            return;
        }
        let who = (sender.name().to_owned(), self.display_name(request, sender));
        let names = (self.namer.fresh(now.wall), self.namer.fresh(now.wall));
        let message = messages::read(now, request, callee, who, names);
        let status = if message.class == Class::Transient {
            200
        } else {
            202
        };
        let Some(answer) = self.endpoint.response_to(txn, status, "") else {
            return;
        };
        let ticket = self.ticket();
        self.messages.taken(ticket, txn, answer.build());
        self.tell([hub::Input::Arrived(ticket, message)]);
    }

    /// Any other request for a user goes to the devices that are there: nobody is woken for it.
    fn pass(&mut self, now: Now, mut passing: Passing) {
        while let Some(door) = passing.doors.pop() {
            let way = self.way_to(now, &door);
            passing.there.push((door, None));
            if let Some(way) = way {
                return self.reach(now, Waiting::Pass(Box::new(passing)), way);
            }
        }
        let (_, line) = self.line(now);
        let targets = passing.targets(&line);
        if targets.is_empty() {
            return self.answer(now, passing.txn, 480, "");
        }
        let Ok(context) = self.endpoint.open(now.instant, passing.txn) else {
            return;
        };
        for target in targets {
            if let Err(error) = self.endpoint.fork(now.instant, context, &target) {
                tracing::warn!(%error, "not forwarded");
            }
        }
    }

    fn in_dialog(
        &mut self,
        now: Now,
        directory: &Directory,
        txn: ServerTxn,
        flow: Flow,
        request: Message,
        route: Option<&str>,
    ) {
        let across = self.across(now, directory, &request, flow, route);
        self.send_across(now, txn, flow, request, across);
    }

    fn send_across(
        &mut self,
        now: Now,
        txn: ServerTxn,
        from: Flow,
        request: Message,
        across: Across,
    ) {
        match across {
            Across::Flow(to) => self.forward(now, txn, from, &request, to),
            Across::Reach(way, otherwise) => {
                let waits = Waiting::Request(txn, from, request, *otherwise);
                self.reach(now, waits, way);
            }
            Across::Nowhere => self.answer(now, txn, 480, ""),
            Across::NoDialog => self.answer(now, txn, 481, "No Such Dialog"),
        }
    }

    fn across(
        &mut self,
        now: Now,
        directory: &Directory,
        request: &Message,
        from: Flow,
        route: Option<&str>,
    ) -> Across {
        let whereabouts = Whereabouts {
            directory,
            bindings: &self.bindings,
        };
        self.dialogs.across(now, request, from, route, whereabouts)
    }

    /// Forwards a request inside a dialog.
    fn forward(&mut self, now: Now, txn: ServerTxn, from: Flow, request: &Message, to: Flow) {
        let Ok(context) = self.endpoint.open(now.instant, txn) else {
            return;
        };
        let target = Target {
            headers: headers_off(&self.settings.domains, self.gate.trusts(from)),
            ..Target::new(request.request_uri(), to)
        };
        if let Err(error) = self.endpoint.fork(now.instant, context, &target) {
            tracing::warn!(%error, "a request inside a dialog was not forwarded");
            self.endpoint.finish(now.instant, context, 503, None);
        }
    }

    fn ack(
        &mut self,
        now: Now,
        directory: &Directory,
        ack: &Message,
        flow: Flow,
        route: Option<&str>,
    ) {
        let across = self.across(now, directory, ack, flow, route);
        self.ack_across(now, ack, across);
    }

    fn ack_across(&mut self, now: Now, ack: &Message, across: Across) {
        match across {
            Across::Flow(to) => self.endpoint.proxy_ack(to, ack),
            Across::Reach(way, otherwise) => {
                self.reach(now, Waiting::Ack(ack.clone(), *otherwise), way);
            }
            Across::Nowhere | Across::NoDialog => {}
        }
    }
}
