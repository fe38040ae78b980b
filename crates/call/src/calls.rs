//! Calls: each is a response context in the SIP endpoint and a call in the hub; what the one decides, the other does.

mod fallback;

use crate::{
    bindings::Bound,
    dialogs::{Initiator, Whereabouts},
    line::Line,
    media::{Leg, Side, Through},
    quotas::{Caller, Place, Quotas},
    requests::NO_RELAY,
    settings::{CallLimits, Relaying},
    talks,
};
use domain::{
    Address, DeviceId, DoorId, IdMap, Refusal, TrackingId, quota::Exceeded, wake::Failure,
    wake::Verdict,
};
use hub::{CallEnd, CallId, Directory, EndReason, Input};
use sip::{
    Flow, Message,
    endpoint::{BranchId, ContextId},
};
use smallvec::SmallVec;
use std::time::{Duration, Instant};

pub(crate) use fallback::Resort;

/// RFC 3326: why a branch is cancelled that nobody answered.
const NOT_ANSWERED: &str = "SIP;cause=487;text=\"Request Terminated\"";
/// RFC 3326: why a branch is cancelled whose call another device took (`behaviour.md` 5.7).
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";
/// RFC 3326: why a branch is cancelled whose call was turned down on another device.
const DECLINED: &str = "SIP;cause=603;text=\"Decline\"";
/// RFC 3326: why a call is not answered while we stop.
const STOPPING: &str = "SIP;cause=503;text=\"Server Shutting Down\"";
/// Answers by which a proxy on the way says that it cannot reach the device (RFC 3261 §21, RFC 5626 §11.5).
const NOT_THERE: [u16; 4] = [408, 430, 480, 503];
/// Answers by which a device that rings says of a second copy of the call that it has it already: it has met the
/// request (RFC 3261 §8.2.2.2), or is busy with it.
const HAS_IT: [u16; 2] = [482, 486];
/// Of so many branches of a call that were given up it is remembered where they rang; the oldest are forgotten.
const LOST: usize = 16;

/// The call as it was sent to one door.
#[derive(Clone, Debug)]
struct Branch {
    id: BranchId,
    door: DoorId,
    /// The device has answered provisionally.
    rang: bool,
    /// It is the device's present one; an earlier one is kept only because the device rings by it.
    present: bool,
}

/// How far a call got with its user's fallback.
#[derive(Debug, Eq, PartialEq)]
enum FallingBack {
    /// Not needed yet.
    Unused,
    /// It was looked for.
    Sought(Verdict),
    /// It is called, by this branch: its answer is the call's.
    Called(BranchId),
}

impl FallingBack {
    fn is_called(&self, branch: BranchId) -> bool {
        *self == Self::Called(branch)
    }
}

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) context: ContextId,
    pub(crate) callee: Address,
    pub(crate) caller: Initiator,
    pub(crate) tracking: TrackingId,
    /// Whether its sender may assert identities.
    pub(crate) trusted: bool,
    /// It was forwarded to this user by another's fallback, and goes no further.
    pub(crate) forwarded: bool,
    branches: SmallVec<[Branch; 2]>,
    /// Devices that rang, by branches that were given up without a word of theirs, the latest first: their CANCEL can
    /// still follow them.
    lost: SmallVec<[(DeviceId, BranchId); 1]>,
    falling_back: FallingBack,
    /// Why it was not sent somewhere where it should have gone (RFC 3326).
    unsent: Option<&'static str>,
    /// The caller has the final answer.
    done: bool,
    /// Until then it has one.
    place: Option<Place>,
}

impl Call {
    /// A call that was sent nowhere yet.
    pub(crate) fn new(
        context: ContextId,
        callee: Address,
        caller: Initiator,
        tracking: TrackingId,
        place: Place,
    ) -> Self {
        Self {
            context,
            callee,
            caller,
            tracking,
            trusted: false,
            forwarded: false,
            branches: SmallVec::new(),
            lost: SmallVec::new(),
            falling_back: FallingBack::Unused,
            unsent: None,
            done: false,
            place: Some(place),
        }
    }

    fn present(&self, device: &DeviceId) -> Option<BranchId> {
        let mut branches = self.branches.iter();
        branches
            .find(|it| it.present && it.door.device == *device)
            .map(|it| it.id)
    }

    fn branch_mut(&mut self, id: BranchId) -> Option<&mut Branch> {
        self.branches.iter_mut().find(|branch| branch.id == id)
    }

    /// Sends it to a door. A branch to the same device is given up, unless the device rings by it: it may have the call
    /// already, and say so of this one.
    fn fork(
        &mut self,
        line: &mut Line<'_>,
        door: &DoorId,
        (dialled, through): (Option<Flow>, Option<Through>),
    ) -> Result<(BranchId, Flow), String> {
        let now = line.now.instant;
        let target = line.target(&self.caller, self.trusted, door, dialled);
        let (id, target) = line.fork(self.context, target, through)?;
        let mut given_up = SmallVec::<[BranchId; 1]>::new();
        self.branches.retain(|branch| {
            if branch.door.device != door.device {
                return true;
            }
            branch.present = false;
            if branch.rang && line.endpoint.move_branch(now, branch.id, target.flow) {
                return true;
            }
            given_up.push(branch.id);
            false
        });
        for earlier in given_up {
            line.endpoint.cancel_branch(now, earlier, None);
        }
        self.branches.push(Branch {
            id,
            door: door.clone(),
            rang: false,
            present: true,
        });
        Ok((id, target.flow))
    }
}

/// A call went through a door.
#[derive(Debug)]
pub(crate) struct Rings {
    /// Over this flow.
    pub(crate) flow: Flow,
    /// Whose story that is.
    pub(crate) tracking: TrackingId,
    /// How long it took since the door was about to be open, if it is not yet.
    pub(crate) took: Option<Duration>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Calls {
    by_id: IdMap<CallId, Call>,
    by_context: IdMap<ContextId, CallId>,
    taken: u64,
    quotas: Quotas,
}

impl Calls {
    pub(crate) fn new(limits: CallLimits) -> Self {
        Self {
            by_id: IdMap::default(),
            by_context: IdMap::default(),
            taken: 0,
            quotas: Quotas::new(limits),
        }
    }

    pub(crate) fn reconfigure(&mut self, limits: CallLimits) {
        self.quotas.reconfigure(limits);
    }

    /// How many wait to be answered. Others are over, and have yet to be shown so to some device.
    pub(crate) fn waiting(&self) -> usize {
        self.quotas.taken()
    }

    /// A place for one more call.
    pub(crate) fn take_place(
        &mut self,
        now: Instant,
        caller: Option<Caller>,
        callee: &Address,
    ) -> Result<Place, (Refusal, Exceeded)> {
        self.quotas.take(now, caller, callee)
    }

    pub(crate) fn give_back(&mut self, place: &Place) {
        self.quotas.give_back(place);
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// A call is taken; it is held, so that it can wait without a branch.
    pub(crate) fn insert(&mut self, line: &mut Line<'_>, call: Call) -> CallId {
        line.endpoint.hold(line.now.instant, call.context, true);
        let id = CallId(self.taken);
        self.taken += 1;
        self.by_context.insert(call.context, id);
        self.by_id.insert(id, call);
        id
    }

    /// Sends a call to a door, over the flow that was `dialled` if it has none of its own. Says what came of that, or that it
    /// failed.
    pub(crate) fn ring(
        &mut self,
        line: &mut Line<'_>,
        id: CallId,
        door: DoorId,
        way: (Option<Flow>, Option<Through>),
    ) -> Result<Option<Rings>, Input> {
        let Some(call) = self.by_id.get_mut(&id) else {
            if let Some(through) = way.1 {
                line.legs.end(&through.leg);
            }
            return Ok(None);
        };
        match call.fork(line, &door, way) {
            Ok((_, flow)) => {
                let arriving = line.registrations.arriving(&door);
                Ok(Some(Rings {
                    flow,
                    tracking: call.tracking.clone(),
                    took: arriving.map(|(_, received)| line.now.instant - received),
                }))
            }
            Err(why) => Err(Input::Failed(id, door, Failure::Unreachable, why)),
        }
    }

    /// The INVITE of a call, while it may go to somebody.
    pub(crate) fn invite<'l>(&self, line: &'l Line<'_>, id: CallId) -> Option<&'l Message> {
        let call = self.by_id.get(&id)?;
        line.endpoint.proxied(call.context)
    }

    /// The leg of a call that goes through a door, if its media must be relayed.
    pub(crate) fn leg_to(
        &self,
        line: &Line<'_>,
        id: CallId,
        door: &DoorId,
        dialled: Option<Flow>,
    ) -> Option<Leg> {
        let flow = line.bound(door).and_then(Bound::flow).or(dialled)?;
        self.leg_over(line, id, flow, Some(&door.device))
    }

    /// The same of one that goes over a flow, to this device if it is one.
    pub(crate) fn leg_over(
        &self,
        line: &Line<'_>,
        id: CallId,
        flow: Flow,
        device: Option<&DeviceId>,
    ) -> Option<Leg> {
        let call = self.by_id.get(&id)?;
        let caller = call.caller.end.flow;
        let (from, to) = (Side::of(caller), Side::of(flow));
        let is_relayed =
            line.settings.relaying != Relaying::Off && [from, to].contains(&Side::Outside);
        is_relayed.then(|| Leg {
            name: Leg::name(&call.tracking, caller, device),
            tracking: call.tracking.clone(),
            from,
            to,
            offers: false,
            is_invite: true,
            begins: true,
        })
    }

    /// A call does not go somewhere, since no media relay takes it.
    pub(crate) fn lacks_relay(&mut self, id: CallId) {
        if let Some(call) = self.by_id.get_mut(&id) {
            call.unsent = Some(NO_RELAY);
        }
    }

    /// Sends a call once more to where it was sent.
    pub(crate) fn ring_again(&self, line: &mut Line<'_>, id: CallId, device: &DeviceId) {
        let branch = self.by_id.get(&id).and_then(|call| call.present(device));
        if let Some(branch) = branch {
            line.endpoint.repeat_branch(line.now.instant, branch);
        }
    }

    /// A device that was pushed gets the call and, as soon as it says a word, its end.
    pub(crate) fn show_ended(
        &mut self,
        line: &mut Line<'_>,
        id: CallId,
        door: &DoorId,
        reason: EndReason,
    ) {
        let Some(call) = self.by_id.get_mut(&id) else {
            return;
        };
        let reason = match reason {
            EndReason::Elsewhere => ELSEWHERE,
            EndReason::Declined => DECLINED,
            EndReason::NotAnswered => NOT_ANSWERED,
        };
        // Nobody will talk there: what it says of media does not matter.
        match call.fork(line, door, (None, None)) {
            Ok((branch, _)) => {
                let now = line.now.instant;
                line.endpoint.cancel_branch(now, branch, Some(reason));
            }
            Err(why) => tracing::warn!(%door, why, "the end of a call could not be shown"),
        }
    }

    /// A device that rang is back: what takes the call off it goes there.
    pub(crate) fn end_follows(&self, line: &mut Line<'_>, id: CallId, door: &DoorId) {
        let flow = line.bound(door).and_then(Bound::flow);
        let (Some(call), Some(flow)) = (self.by_id.get(&id), flow) else {
            return;
        };
        let ringing = call.branches.iter().filter(|branch| branch.rang);
        let ringing = ringing.map(|branch| (&branch.door.device, branch.id));
        let lost = call.lost.iter().map(|(device, branch)| (device, *branch));
        for (_, branch) in ringing.chain(lost).filter(|(of, _)| **of == door.device) {
            line.endpoint.move_branch(line.now.instant, branch, flow);
        }
    }

    pub(crate) fn ring_back(&self, line: &mut Line<'_>, id: CallId) {
        if let Some(call) = self.by_id.get(&id) {
            line.endpoint
                .provisional(line.now.instant, call.context, 180, "");
        }
    }

    pub(crate) fn call_off(&self, line: &mut Line<'_>, id: CallId) {
        if let Some(call) = self.by_id.get(&id) {
            let now = line.now.instant;
            line.endpoint
                .cancel_branches(now, call.context, None, Some(NOT_ANSWERED));
        }
    }

    /// Nothing can happen to it any more.
    pub(crate) fn over(&mut self, line: &mut Line<'_>, id: CallId) {
        if let Some(call) = self.by_id.remove(&id) {
            if let Some(place) = &call.place {
                self.quotas.give_back(place);
            }
            self.by_context.remove(&call.context);
            line.endpoint.hold(line.now.instant, call.context, false);
        }
    }

    /// A device answered provisionally.
    pub(crate) fn branch_provisional(
        &mut self,
        line: &mut Line<'_>,
        context: ContextId,
        branch: BranchId,
        status: u16,
    ) -> Option<Input> {
        let (id, call) = self.of_context(context)?;
        let found = call.branch_mut(branch)?;
        found.rang = true;
        let (device, present) = (found.door.device.clone(), found.present);
        if present && matches!(status, 180 | 183) {
            // It rings by this one: an earlier one is given up.
            let now = line.now.instant;
            call.branches.retain(|branch| {
                let earlier = branch.door.device == device && !branch.present;
                if earlier {
                    line.endpoint.cancel_branch(now, branch.id, None);
                }
                !earlier
            });
        }
        Some(Input::Progress(id, device, matches!(status, 180 | 183)))
    }

    /// The connection over which a phone rings is gone. It rings on: where that is now, another of its doors says, or
    /// its next registration.
    pub(crate) fn branch_stranded(
        &mut self,
        line: &mut Line<'_>,
        context: ContextId,
        branch: BranchId,
        directory: &Directory,
    ) {
        let whereabouts = Whereabouts {
            directory,
            bindings: line.bindings,
        };
        let found = self.of_context(context).and_then(|(_, call)| {
            let device = call.branch_mut(branch)?.door.device.clone();
            whereabouts.of_device(&call.callee, &device)
        });
        if let Some((flow, _)) = found {
            line.endpoint.move_branch(line.now.instant, branch, flow);
        }
    }

    /// A branch came to an end that is no answer.
    pub(crate) fn branch_final(
        &mut self,
        line: &mut Line<'_>,
        context: ContextId,
        branch: BranchId,
        status: u16,
        response: Option<&Message>,
    ) -> Option<Input> {
        if status < 300 {
            return None;
        }
        let (id, call) = self.of_context(context)?;
        if call.falling_back.is_called(branch) {
            line.endpoint
                .finish_best(line.now.instant, context, NOT_ANSWERED);
            return None;
        }
        let place = call.branches.iter().position(|it| it.id == branch)?;
        let ended = call.branches.remove(place);
        if ended.rang && response.is_none() {
            call.lost.truncate(LOST - 1);
            call.lost.insert(0, (ended.door.device.clone(), branch));
        }
        let device = &ended.door.device;
        let earlier = call
            .branches
            .iter_mut()
            .find(|branch| branch.door.device == *device);
        if let Some(other) = earlier {
            // The device rings by the other: this one it turned down as a copy of that, or it was an earlier one.
            let has_it = !ended.present || HAS_IT.contains(&status) || response.is_none();
            if has_it {
                other.present = true;
                return None;
            }
        }
        let behind_a_proxy = line
            .bound(&ended.door)
            .is_some_and(Bound::is_behind_a_proxy);
        let (failure, why) = judged(status, response, behind_a_proxy);
        Some(Input::Failed(id, ended.door, failure, why))
    }

    /// A branch was answered: who talks now.
    pub(crate) fn talk(
        &mut self,
        context: ContextId,
        branch: BranchId,
        status: u16,
        answer: Option<&Message>,
    ) -> Option<Input> {
        if !(200..300).contains(&status) {
            return None;
        }
        let (_, call) = self.of_context(context)?;
        // Who was called instead is somebody else.
        let callee = call.branch_mut(branch).is_some();
        let callee = Some(call.callee.clone()).filter(|_| callee);
        let caller = call.caller.end.user.clone();
        let users: Vec<_> = caller.into_iter().chain(callee).collect();
        (!users.is_empty()).then(|| talks::begins(call.caller.dialog, users, answer))
    }

    /// The first 2xx went to the caller.
    pub(crate) fn context_answered(
        &mut self,
        context: ContextId,
        branch: BranchId,
    ) -> Option<Input> {
        let (id, call) = self.of_context(context)?;
        let device = call.branch_mut(branch)?.door.device.clone();
        Some(Input::Answered(id, device))
    }

    /// The caller has the final answer.
    pub(crate) fn context_done(&mut self, context: ContextId, status: u16) -> Option<Input> {
        let (id, call) = self.of_context(context)?;
        call.done = true;
        if let Some(place) = call.place.take() {
            self.quotas.give_back(&place);
        }
        let end = match status {
            ..300 => CallEnd::Connected("the caller got 200".into()),
            status => CallEnd::Failed(format!("the caller got {status}").into()),
        };
        Some(Input::CallDone(id, end))
    }

    /// The caller gave up.
    pub(crate) fn cancelled(&mut self, context: ContextId) -> Option<Input> {
        let (id, _) = self.of_context(context)?;
        Some(Input::CallerCancelled(id))
    }

    /// We stop: who calls is told so, and nobody goes on ringing.
    pub(crate) fn end_all(&self, line: &mut Line<'_>) {
        let now = line.now.instant;
        let there = self.by_id.iter().filter(|(_, call)| !call.done);
        let mut there: Vec<_> = there.map(|(id, call)| (*id, call.context)).collect();
        // In an order that is the same each time.
        there.sort_unstable_by_key(|(id, _)| *id);
        for (_, context) in there {
            line.endpoint.finish(now, context, 503, Some(STOPPING));
        }
    }

    fn of_context(&mut self, context: ContextId) -> Option<(CallId, &mut Call)> {
        let id = *self.by_context.get(&context)?;
        Some((id, self.by_id.get_mut(&id)?))
    }
}

/// How a device failed a call, and why in words.
fn judged(status: u16, response: Option<&Message>, behind_a_proxy: bool) -> (Failure, String) {
    match (status, response) {
        (_, None) => (Failure::Unreachable, format!("no answer ({status})")),
        (600.., Some(_)) => (Failure::DeclinedEverywhere, format!("declined ({status})")),
        (_, Some(response)) => {
            let reason = String::from_utf8_lossy(response.reason());
            let why = format!("{status} {reason}");
            if NOT_THERE.contains(&status) && behind_a_proxy {
                (Failure::Unreachable, why)
            } else {
                (Failure::Declined, why)
            }
        }
    }
}
