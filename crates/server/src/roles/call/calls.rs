//! Calls: each has its wake in the domain and its response context in the SIP endpoint; what the one decides, the other
//! does.

use super::{CallRole, auth::Sender, dialog::Initiator, location::Place, request::not_urgent};
use domain::{
    Address, DeviceId, Generation, Platform, TrackingId,
    behaviour::Happening,
    trace::Step,
    wake::{Candidate, Effect, Failure, Input, PlatformRules, Pushable, Stage, Verdict, Wake},
};
use sip::{
    Flow, HeaderName, Message, Transport, Uri,
    endpoint::{BranchId, ContextId, ServerTxn, Target},
};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::SocketAddr,
    time::Instant,
};

/// RFC 3326: why a branch is cancelled that nobody answered.
const NOT_ANSWERED: &str = "SIP;cause=487;text=\"Request Terminated\"";

/// A call that waits to be answered, or whose end some device has yet to be shown.
pub(super) struct Call {
    pub(super) tracking: TrackingId,
    /// The call's own id.
    pub(super) id: String,
    pub(super) caller: Initiator,
    /// As the caller calls themselves, for what is sealed.
    pub(super) caller_name: String,
    pub(super) caller_number: String,
    pub(super) received: Instant,
    callee: Address,
    wake: Wake,
    branches: HashMap<BranchId, DeviceId>,
    /// The branch by which each device has the call now.
    current: HashMap<DeviceId, BranchId>,
    /// It was sent on to the fallback of the user whom it was for.
    forwarded: bool,
    /// The caller has the final answer.
    done: bool,
    timeout: Option<Instant>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Calls {
    by_context: HashMap<ContextId, Call>,
    by_callee: HashMap<Address, Vec<ContextId>>,
    timeouts: BTreeSet<(Instant, ContextId)>,
}

impl Calls {
    pub(super) fn get(&self, context: ContextId) -> Option<&Call> {
        self.by_context.get(&context)
    }

    /// Calls that look for somebody to answer them, and those that linger.
    pub(super) fn waiting(&self) -> usize {
        self.by_context.len()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.timeouts.first().map(|(at, _)| *at)
    }

    fn insert(&mut self, context: ContextId, call: Call) {
        self.by_callee
            .entry(call.callee.clone())
            .or_default()
            .push(context);
        self.by_context.insert(context, call);
    }

    fn remove(&mut self, context: ContextId) -> Option<Call> {
        let call = self.by_context.remove(&context)?;
        if let Some(at) = call.timeout {
            self.timeouts.remove(&(at, context));
        }
        self.unlist(&call.callee, context);
        Some(call)
    }

    fn unlist(&mut self, callee: &Address, context: ContextId) {
        if let Some(contexts) = self.by_callee.get_mut(callee) {
            contexts.retain(|known| *known != context);
            if contexts.is_empty() {
                self.by_callee.remove(callee);
            }
        }
    }

    /// The call is for another user now.
    fn readdress(&mut self, context: ContextId, callee: Address) {
        let Some(call) = self.by_context.get_mut(&context) else {
            return;
        };
        let before = std::mem::replace(&mut call.callee, callee.clone());
        self.unlist(&before, context);
        self.by_callee.entry(callee).or_default().push(context);
    }

    /// Notes when the wake wants to be called again.
    fn reschedule(&mut self, context: ContextId) {
        let Some(call) = self.by_context.get_mut(&context) else {
            return;
        };
        if let Some(at) = call.timeout {
            self.timeouts.remove(&(at, context));
        }
        call.timeout = call.wake.next_timeout();
        self.timeouts.extend(call.timeout.map(|at| (at, context)));
    }
}

impl CallRole {
    pub(super) fn invite(
        &mut self,
        txn: ServerTxn,
        flow: Flow,
        request: &Message,
        callee: &Address,
        sender: &Sender,
    ) {
        if self.calls.waiting() >= self.settings.held_calls {
            tracing::warn!(
                limit = self.settings.held_calls,
                "limits.held_calls is reached: a call is refused"
            );
            return self.answer(txn, 503, "Too Many Calls");
        }
        let Ok(context) = self.endpoint.open(self.now.instant, txn) else {
            return;
        };
        self.endpoint.hold(self.now.instant, context, true);
        let call_id = request.call_id().unwrap_or_default().to_owned();
        let wakes_nobody = if request.has(HeaderName::Other("Replaces")) {
            Some("an INVITE with Replaces rings where the call is already")
        } else if not_urgent(request) {
            Some("not urgent")
        } else {
            None
        };
        let call = Call {
            tracking: TrackingId(super::ids::fresh()),
            id: call_id.clone(),
            caller: Initiator::of(request, flow),
            caller_name: self.display_name(request, sender),
            caller_number: sender.name().to_owned(),
            received: self.now.instant,
            callee: callee.clone(),
            wake: Wake::start(
                self.now.instant,
                Vec::new(),
                &self.settings.behaviour,
                self.settings.wake,
            )
            .0,
            branches: HashMap::new(),
            current: HashMap::new(),
            forwarded: false,
            done: false,
            timeout: None,
        };
        self.notes.push(domain::Change::Trace(domain::TraceEvent {
            tracking: call.tracking.clone(),
            at: self.now.wall,
            step: Step::CallReceived,
            alias: Some(call_id),
            device: None,
            detail: format!("from {} to {callee}", sender.name()),
        }));
        self.calls.insert(context, call);
        self.wake(context, callee, wakes_nobody);
    }

    /// The name that a request's sender goes by: their own word, else that of their account.
    pub(super) fn display_name(&self, request: &Message, sender: &Sender) -> String {
        let said = request
            .from()
            .ok()
            .and_then(|from| from.display_name().map(Into::into));
        let account = || match sender {
            Sender::User(address) => self
                .location
                .user(address)
                .map(|user| user.display_name.clone()),
            Sender::Outside(_) => None,
        };
        said.filter(|name: &String| !name.is_empty())
            .or_else(account)
            .unwrap_or_default()
    }

    /// Starts the wake of a user's devices for a call.
    fn wake(&mut self, context: ContextId, callee: &Address, wakes_nobody: Option<&str>) {
        let candidates = self
            .location
            .places_of(callee)
            .filter(|place| place.device.binding.is_some())
            .map(|place| Candidate {
                device: place.device.id.clone(),
                mode: place.mode(),
                q: place.device.binding.as_ref().map_or(0, |binding| binding.q),
                push: match wakes_nobody {
                    Some(why) => Pushable::No(why.to_owned()),
                    None => self.pushable(place, Happening::Call),
                },
            })
            .collect();
        let (wake, effects) = Wake::start(
            self.now.instant,
            candidates,
            &self.settings.behaviour,
            self.settings.wake,
        );
        if let Some(call) = self.calls.by_context.get_mut(&context) {
            call.wake = wake;
        }
        self.perform(context, effects);
    }

    /// Whether a device can be pushed to; if not, why.
    pub(super) fn pushable(&self, place: &Place, happening: Happening) -> Pushable {
        let no = |why: &str| Pushable::No(why.to_owned());
        if place.device.binding.is_none() {
            return no("not registered");
        }
        let Some(profile) = self.location.profile(&place.device) else {
            return no(if place.device.app.is_none() {
                "no push parameters"
            } else {
                "its app is not configured"
            });
        };
        match place.device.push_target(happening, profile.generation) {
            None => no("no token for this channel"),
            Some((_, token)) => match &token.dead {
                Some(dead) => Pushable::No(format!("its token is dead: {}", dead.reason)),
                None => Pushable::Yes(PlatformRules {
                    cancel_push: profile.platform == Platform::Android,
                    must_see_call: profile.platform == Platform::Ios
                        && profile.generation == Generation::DualChannel,
                }),
            },
        }
    }

    pub(super) fn step(&mut self, context: ContextId, input: Input) {
        let Some(call) = self.calls.by_context.get_mut(&context) else {
            return;
        };
        let effects = call.wake.step(self.now.instant, input);
        self.perform(context, effects);
    }

    /// Does what the wake says, and what follows from that.
    fn perform(&mut self, context: ContextId, effects: Vec<Effect>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let Some(tracking) = self.calls.get(context).map(|call| call.tracking.clone()) else {
                return;
            };
            match effect {
                Effect::Fork(device) => {
                    if let Err(why) = self.fork(context, &device)
                        && let Some(call) = self.calls.by_context.get_mut(&context)
                    {
                        let failed = Input::Failed {
                            device,
                            why,
                            failure: Failure::Unreachable,
                        };
                        effects.extend(call.wake.step(self.now.instant, failed));
                    }
                }
                Effect::Repeat(device) => {
                    if let Some(branch) = self
                        .calls
                        .get(context)
                        .and_then(|call| call.current.get(&device))
                    {
                        self.endpoint.repeat_branch(self.now.instant, *branch);
                    }
                }
                Effect::Push(device) => self.push_call(context, &device),
                Effect::Ring => self
                    .endpoint
                    .provisional(self.now.instant, context, 180, ""),
                Effect::CancelAll => self.endpoint.cancel_branches(
                    self.now.instant,
                    context,
                    None,
                    Some(NOT_ANSWERED),
                ),
                Effect::GiveUp => self.give_up(context),
                Effect::PushCancelled(device) => self.push_cancelled(context, &device),
                Effect::PushMissed(device) => self.push_missed(context, &device),
                Effect::ShowEnded(device) => {
                    if let Err(why) = self.fork(context, &device) {
                        tracing::warn!(%device, why, "the end of a call could not be shown");
                    }
                }
                Effect::Trace(step, device, detail) => {
                    self.trace(&tracking, step, device.as_ref(), detail);
                }
                Effect::Measured(stage, took) => {
                    let stage = match stage {
                        Stage::PushToRegister => "push_to_register",
                        Stage::InviteToRing => "invite_to_ring",
                    };
                    self.metrics.wake_stage(stage, took);
                }
                Effect::Ended(verdict) => self.metrics.wake_ended(verdict),
            }
        }
        self.calls.reschedule(context);
        self.let_go_if_finished(context);
    }

    /// Sends the call to the device's present contact. A branch to its earlier one is given up.
    fn fork(&mut self, context: ContextId, device: &DeviceId) -> Result<(), String> {
        let caller = self
            .calls
            .get(context)
            .map(|call| call.caller)
            .ok_or("the call is over")?;
        let target = self
            .location
            .place(device)
            .and_then(|place| self.target(place, caller))
            .ok_or("no connection")?;
        let branch = self
            .endpoint
            .fork(self.now.instant, context, &target)
            .map_err(|error| error.to_string())?;
        if let Some(call) = self.calls.by_context.get_mut(&context) {
            call.branches.insert(branch, device.clone());
            if let Some(before) = call.current.insert(device.clone(), branch) {
                call.branches.remove(&before);
                self.endpoint.cancel_branch(self.now.instant, before, None);
            }
        }
        Ok(())
    }

    pub(super) fn branch_provisional(&mut self, context: ContextId, branch: BranchId, status: u16) {
        if let Some(device) = self.device_of_branch(context, branch) {
            self.step(
                context,
                Input::Progress {
                    device,
                    ringing: status == 180 || status == 183,
                },
            );
        }
    }

    pub(super) fn branch_final(
        &mut self,
        context: ContextId,
        branch: BranchId,
        status: u16,
        response: Option<&Message>,
    ) {
        let Some(device) = self.device_of_branch(context, branch) else {
            return;
        };
        let (why, failure) = match (status, response) {
            (200..=299, _) => return,
            (_, None) => (format!("no answer ({status})"), Failure::Unreachable),
            (600.., Some(_)) => (format!("declined ({status})"), Failure::DeclinedEverywhere),
            (_, Some(response)) => {
                let reason = String::from_utf8_lossy(response.reason()).into_owned();
                (format!("{status} {reason}"), Failure::Declined)
            }
        };
        self.step(
            context,
            Input::Failed {
                device,
                why,
                failure,
            },
        );
    }

    pub(super) fn context_answered(&mut self, context: ContextId, branch: BranchId) {
        if let Some(device) = self.device_of_branch(context, branch) {
            self.step(context, Input::Answered(device));
        } else {
            self.step(context, Input::Over);
        }
    }

    pub(super) fn context_done(&mut self, context: ContextId, status: u16) {
        let Some(call) = self.calls.by_context.get_mut(&context) else {
            return;
        };
        call.done = true;
        let tracking = call.tracking.clone();
        let step = if status < 300 {
            Step::CallConnected
        } else {
            Step::CallFailed
        };
        self.trace(&tracking, step, None, format!("the caller got {status}"));
        self.step(context, Input::Over);
    }

    pub(super) fn caller_cancelled(&mut self, context: ContextId) {
        self.step(context, Input::CallerCancelled);
    }

    /// A device is back, by a word that came in at `since`: every call for its user hears of it.
    pub(super) fn calls_of_returned(&mut self, device: &DeviceId, fresh: bool, since: Instant) {
        let Some(user) = self
            .location
            .place(device)
            .map(|place| place.device.user.clone())
        else {
            return;
        };
        for context in self.calls.by_callee.get(&user).cloned().unwrap_or_default() {
            let branch = |calls: &Calls| {
                calls
                    .get(context)
                    .and_then(|call| call.current.get(device).copied())
            };
            let before = branch(&self.calls);
            self.step(
                context,
                Input::Returned {
                    device: device.clone(),
                    fresh,
                },
            );
            if branch(&self.calls) != before {
                self.metrics
                    .wake_stage("register_to_invite", self.now.instant - since);
            }
        }
    }

    pub(super) fn call_timeouts(&mut self) {
        while let Some((at, context)) = self
            .calls
            .timeouts
            .first()
            .copied()
            .filter(|(at, _)| *at <= self.now.instant)
        {
            self.calls.timeouts.remove(&(at, context));
            let Some(call) = self.calls.by_context.get_mut(&context) else {
                continue;
            };
            call.timeout = None;
            let effects = call.wake.timeout(self.now.instant);
            self.perform(context, effects);
        }
    }

    /// Nobody will answer: the call goes to the fallback, once; else the caller gets the best answer that there was.
    fn give_up(&mut self, context: ContextId) {
        let Some(call) = self.calls.by_context.get_mut(&context) else {
            return;
        };
        let tracking = call.tracking.clone();
        let first = !std::mem::replace(&mut call.forwarded, true);
        let forward = self
            .location
            .user(&call.callee)
            .and_then(|user| user.forward.clone());
        let Some(fallback) = forward
            .or_else(|| self.settings.fallback.clone())
            .filter(|_| first)
        else {
            return self.answer_unreached(context);
        };
        self.trace(&tracking, Step::Fallback, None, fallback.clone());
        let Some(uri) = Uri::parse(&fallback) else {
            tracing::error!(
                fallback,
                "is no SIP URI: mend the user's forward or call.fallback"
            );
            return self.answer_unreached(context);
        };
        if let Some(address) = self.local_address(&uri) {
            if self.location.user(&address).is_none() {
                tracing::error!(
                    fallback,
                    "no such user: mend the user's forward or call.fallback"
                );
                return self.answer_unreached(context);
            }
            self.calls.readdress(context, address.clone());
            return self.wake(context, &address, None);
        }
        let (transport, port) = super::dialog::way_of(&uri);
        if let Ok(ip) = uri.host.trim_matches(['[', ']']).parse() {
            return self.fall_back_to(
                context,
                fallback.clone(),
                transport,
                Some(SocketAddr::new(ip, port)),
            );
        }
        let (inbox, host) = (self.inbox.clone(), uri.host.to_owned());
        tokio::spawn(async move {
            let address = tokio::net::lookup_host((host, port))
                .await
                .ok()
                .and_then(|mut found| found.next());
            // The role may have stopped.
            let _ = inbox
                .send(super::Inbox::Resolved {
                    context,
                    uri: fallback,
                    transport,
                    address,
                })
                .await;
        });
    }

    pub(super) fn fall_back_to(
        &mut self,
        context: ContextId,
        uri: String,
        transport: Transport,
        address: Option<SocketAddr>,
    ) {
        let Some(call) = self.calls.get(context) else {
            return;
        };
        let caller = call.caller;
        let Some(address) = address else {
            tracing::error!(
                fallback = uri,
                "its host cannot be found: mend the user's forward or call.fallback"
            );
            return self.answer_unreached(context);
        };
        let flow = self.net.connect(transport, address);
        let target = Target {
            record_route: Some(self.record_route(caller, flow)),
            headers: super::request::credentials_off(),
            ..Target::new(uri, flow)
        };
        match self.endpoint.fork(self.now.instant, context, &target) {
            // The fallback's answer is the call's.
            Ok(_) => self.endpoint.hold(self.now.instant, context, false),
            Err(error) => {
                tracing::warn!(%error, "the fallback could not be called");
                self.answer_unreached(context);
            }
        }
    }

    /// What a device said itself goes first; else the user is unavailable.
    fn answer_unreached(&mut self, context: ContextId) {
        let declined = self
            .calls
            .get(context)
            .is_some_and(|call| call.wake.verdict() == Some(Verdict::Declined));
        if declined {
            self.endpoint.hold(self.now.instant, context, false);
        } else {
            self.endpoint
                .finish(self.now.instant, context, 480, Some(NOT_ANSWERED));
        }
    }

    fn device_of_branch(&self, context: ContextId, branch: BranchId) -> Option<DeviceId> {
        self.calls.get(context)?.branches.get(&branch).cloned()
    }

    fn let_go_if_finished(&mut self, context: ContextId) {
        // A call at its fallback has a finished wake and no final answer yet: it stays until it has.
        if self
            .calls
            .get(context)
            .is_some_and(|call| call.done && call.wake.is_finished())
        {
            self.calls.remove(context);
            self.endpoint.hold(self.now.instant, context, false);
        }
    }

    /// The server stops: who calls is told so, and nobody goes on ringing.
    pub(super) fn end_all_calls(&mut self) {
        let contexts: Vec<_> = self.calls.by_context.keys().copied().collect();
        for context in contexts {
            if self
                .calls
                .get(context)
                .is_some_and(|call| call.wake.is_waking())
            {
                self.endpoint.finish(
                    self.now.instant,
                    context,
                    503,
                    Some("SIP;cause=503;text=\"Server Shutting Down\""),
                );
            }
        }
    }
}
