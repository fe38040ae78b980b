//! Calls: each has its wakes in the domain and its response context in the SIP endpoint; what the one decides, the other
//! does.

use super::{
    CallRole,
    auth::Sender,
    call_table::{Call, Fallback},
    dialog::Initiator,
    location::Place,
    request::not_urgent,
};
use domain::{
    Address, DeviceId, Generation, Platform, TrackingId,
    behaviour::Happening,
    trace::Step,
    wake::{Candidate, Effect, Failure, Input, PlatformRules, Pushable, Stage, Verdict, Wake},
};
use sip::{
    Flow, HeaderName, Message,
    endpoint::{BranchId, ContextId, ServerTxn},
};
use std::{collections::VecDeque, time::Instant};

/// RFC 3326: why a branch is cancelled that nobody answered.
pub(super) const NOT_ANSWERED: &str = "SIP;cause=487;text=\"Request Terminated\"";
/// RFC 3326: why a branch is cancelled whose call another device took (`behaviour.md` 5.7).
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";
/// RFC 3326: why a branch is cancelled whose call was turned down on another device.
const DECLINED: &str = "SIP;cause=603;text=\"Decline\"";
/// Answers by which a proxy on the way says that it cannot reach the device (RFC 3261 §21, RFC 5626 §11.5).
const NOT_THERE: [u16; 4] = [408, 430, 480, 503];
/// Most characters of a caller's name or address that go into a push.
const CALLER: usize = 128;

impl CallRole {
    pub(super) fn invite(
        &mut self,
        txn: ServerTxn,
        flow: Flow,
        request: &Message,
        callee: &Address,
        sender: &Sender,
    ) {
        if self.calls.len() >= self.settings.held_calls {
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
        let id = request.call_id().unwrap_or_default().to_owned();
        let tracking = TrackingId(super::ids::fresh());
        self.notes.push(domain::Change::Trace(domain::TraceEvent {
            tracking: tracking.clone(),
            at: self.now.wall,
            step: Step::CallReceived,
            alias: Some(id.clone()),
            device: None,
            detail: format!("from {} to {callee}", sender.name()),
        }));
        let short = |text: &str| text.chars().take(CALLER).collect();
        let caller = Initiator::of(request, flow);
        let mut call = Call::new(tracking, id, caller, self.now.instant);
        call.caller_name = short(&self.display_name(request, sender));
        call.caller_number = short(sender.name());
        call.wakes_nobody = wakes_nobody(request);
        self.calls.insert(context, call);
        self.wake(context, callee);
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
    pub(super) fn wake(&mut self, context: ContextId, callee: &Address) {
        let Some(call) = self.calls.get(context) else {
            return;
        };
        let candidates = self
            .location
            .places_of(callee)
            .filter(|place| place.device.binding.is_some())
            .map(|place| Candidate {
                device: place.device.id.clone(),
                mode: place.mode(),
                q: place.device.binding.as_ref().map_or(0, |binding| binding.q),
                push: match call.wakes_nobody {
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
        self.calls.add_wake(context, callee.clone(), wake);
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

    pub(super) fn step(&mut self, context: ContextId, input: &Input) {
        if let Some(call) = self.calls.get_mut(context) {
            let effects = call.step(self.now.instant, input);
            self.perform(context, effects);
        }
    }

    /// Does what the wakes say, and what follows from that.
    fn perform(&mut self, context: ContextId, effects: Vec<Effect>) {
        let now = self.now.instant;
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Fork(device) => {
                    if let Err(why) = self.fork(context, &device)
                        && let Some(call) = self.calls.get_mut(context)
                    {
                        let failure = Failure::Unreachable;
                        let failed = Input::Failed {
                            device,
                            why,
                            failure,
                        };
                        effects.extend(call.step(now, &failed));
                    }
                }
                Effect::Repeat(device) => {
                    let call = self.calls.get(context);
                    if let Some(branch) = call.and_then(|call| call.current.get(&device)) {
                        self.endpoint.repeat_branch(now, *branch);
                    }
                }
                Effect::Push(device) => self.push_call(context, &device),
                Effect::Ring => self.endpoint.provisional(now, context, 180, ""),
                Effect::CancelAll => {
                    self.endpoint
                        .cancel_branches(now, context, None, Some(NOT_ANSWERED));
                }
                Effect::GiveUp => self.give_up(context),
                Effect::PushCancelled(device) => self.push_cancelled(context, &device),
                Effect::PushMissed(device) => self.push_missed(context, &device),
                Effect::ShowEnded(device) => self.show_ended(context, &device),
                Effect::Trace(step, device, detail) => {
                    self.trace_call(context, step, device.as_ref(), detail);
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

    pub(super) fn trace_call(
        &mut self,
        context: ContextId,
        step: Step,
        device: Option<&DeviceId>,
        detail: impl Into<String>,
    ) {
        if let Some(tracking) = self.calls.get(context).map(|call| call.tracking.clone()) {
            self.trace(&tracking, step, device, detail);
        }
    }

    /// A device that was pushed gets the call and, as soon as it says a word, its end.
    fn show_ended(&mut self, context: ContextId, device: &DeviceId) {
        let verdict = self.calls.get(context).and_then(Call::verdict);
        let reason = match verdict {
            Some(Verdict::Answered) => ELSEWHERE,
            Some(Verdict::Declined) => DECLINED,
            _ => NOT_ANSWERED,
        };
        match self.fork(context, device) {
            Ok(branch) => {
                let now = self.now.instant;
                self.endpoint.cancel_branch(now, branch, Some(reason));
            }
            Err(why) => tracing::warn!(%device, why, "the end of a call could not be shown"),
        }
    }

    /// Sends the call to the device's present contact. A branch to its earlier one is given up.
    fn fork(&mut self, context: ContextId, device: &DeviceId) -> Result<BranchId, String> {
        let now = self.now.instant;
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
            .fork(now, context, &target)
            .map_err(|error| error.to_string())?;
        if let Some(call) = self.calls.get_mut(context) {
            call.branches.insert(branch, device.clone());
            if let Some(before) = call.current.insert(device.clone(), branch) {
                call.branches.remove(&before);
                self.endpoint.cancel_branch(now, before, None);
            }
        }
        Ok(branch)
    }

    pub(super) fn branch_provisional(&mut self, context: ContextId, branch: BranchId, status: u16) {
        if let Some(device) = self.device_of_branch(context, branch) {
            let ringing = matches!(status, 180 | 183);
            self.step(context, &Input::Progress { device, ringing });
        }
    }

    pub(super) fn branch_final(
        &mut self,
        context: ContextId,
        branch: BranchId,
        status: u16,
        response: Option<&Message>,
    ) {
        if status < 300 {
            return;
        }
        let Some(device) = self.device_of_branch(context, branch) else {
            let fallback = self.calls.get(context).map(|call| call.fallback);
            if fallback == Some(Fallback::Called(branch)) {
                self.answer_with_best(context);
            }
            return;
        };
        let (why, failure) = match (status, response) {
            (_, None) => (format!("no answer ({status})"), Failure::Unreachable),
            (600.., Some(_)) => (format!("declined ({status})"), Failure::DeclinedEverywhere),
            (_, Some(response)) => {
                let reason = String::from_utf8_lossy(response.reason());
                let why = format!("{status} {reason}");
                if NOT_THERE.contains(&status) && self.is_behind_a_proxy(&device) {
                    (why, Failure::Unreachable)
                } else {
                    (why, Failure::Declined)
                }
            }
        };
        let failed = Input::Failed {
            device,
            why,
            failure,
        };
        self.step(context, &failed);
    }

    /// Whether somebody else may speak for the device (RFC 3327).
    fn is_behind_a_proxy(&self, device: &DeviceId) -> bool {
        let binding = self
            .location
            .place(device)
            .and_then(|place| place.device.binding.as_ref());
        binding.is_some_and(|binding| !binding.path.is_empty())
    }

    pub(super) fn context_answered(&mut self, context: ContextId, branch: BranchId) {
        let answered = self.device_of_branch(context, branch).map(Input::Answered);
        self.step(context, &answered.unwrap_or(Input::Over));
    }

    pub(super) fn context_done(&mut self, context: ContextId, status: u16) {
        if let Some(call) = self.calls.get_mut(context) {
            call.done = true;
        }
        let step = if status < 300 {
            Step::CallConnected
        } else {
            Step::CallFailed
        };
        self.trace_call(context, step, None, format!("the caller got {status}"));
        self.step(context, &Input::Over);
    }

    pub(super) fn caller_cancelled(&mut self, context: ContextId) {
        self.step(context, &Input::CallerCancelled);
    }

    /// A device is back, by a word that came in at `since`: every call for its user hears of it.
    pub(super) fn calls_of_returned(&mut self, device: &DeviceId, fresh: bool, since: Instant) {
        let Some(place) = self.location.place(device) else {
            return;
        };
        for context in self.calls.of(&place.device.user) {
            let before = self.branch_of(context, device);
            let device = device.clone();
            let returned = Input::Returned {
                device: device.clone(),
                fresh,
            };
            self.step(context, &returned);
            if self.branch_of(context, &device) != before {
                self.metrics
                    .wake_stage("register_to_invite", self.now.instant - since);
            }
        }
    }

    pub(super) fn call_timeouts(&mut self) {
        while let Some((context, effects)) = self.calls.due(self.now.instant) {
            self.perform(context, effects);
        }
    }

    fn device_of_branch(&self, context: ContextId, branch: BranchId) -> Option<DeviceId> {
        self.calls.get(context)?.branches.get(&branch).cloned()
    }

    fn branch_of(&self, context: ContextId, device: &DeviceId) -> Option<BranchId> {
        self.calls.get(context)?.current.get(device).copied()
    }

    fn let_go_if_finished(&mut self, context: ContextId) {
        if self.calls.get(context).is_some_and(Call::is_finished) {
            self.calls.remove(context);
            self.endpoint.hold(self.now.instant, context, false);
        }
    }

    /// The server stops: who calls is told so, and nobody goes on ringing.
    pub(super) fn end_all_calls(&mut self) {
        let reason = "SIP;cause=503;text=\"Server Shutting Down\"";
        for context in self.calls.unanswered() {
            self.endpoint
                .finish(self.now.instant, context, 503, Some(reason));
        }
    }
}

/// Why nobody is woken for an INVITE, if that is so (`behaviour.md` 5.9).
fn wakes_nobody(request: &Message) -> Option<&'static str> {
    if request.has(HeaderName::Other("Replaces")) {
        Some("an INVITE with Replaces rings where the call is already")
    } else if not_urgent(request) {
        Some("not urgent")
    } else {
        None
    }
}
