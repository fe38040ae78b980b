//! The calls that wait to be answered, or whose end some device has yet to be shown: each with its wake in the domain.
//! What the wake decides becomes words for the role and the push client here.

use crate::{
    CallEnd, CallId, EndReason, Measure, NewCall, Output, PushRef, Secret,
    directory::Directory,
    missed::Missed,
    pushes::{self, Draft},
    step::{Deed, Work},
};
use domain::{
    Address, Behaviour, CallKind, DeviceId, DoorId, IdMap, Note, NotificationId, Now, Outcome,
    Purpose, Refusal, TraceEvent, TrackingId,
    behaviour::Incoming,
    push::OwedPush,
    quota::{Allowance, Quota},
    trace::Step,
    wake::{self, Effect, Failure, Input, Verdict, Wake},
};
use smallvec::SmallVec;
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a missed call is worth telling.
const MISSED_LIFETIME: Duration = Duration::from_hours(24);
/// How long it is worth telling that a call is over for which a device was pushed.
const CANCEL_LIFETIME: Duration = Duration::from_mins(1);

/// Of the calls for a user that are over and of which some device has yet to see the end, so many are kept: the latest.
const SHOWN: usize = 3;
/// Pushes for calls a device and minute: with those that are owed fewer than FCM takes, which is 240.
const PUSHES_A_MINUTE: u32 = 120;

/// A call.
#[derive(Debug)]
struct Call {
    new: NewCall,
    received: Instant,
    wake: Wake,
    /// The doors that it was sent to.
    tried: SmallVec<[DoorId; 2]>,
    /// The caller has the final answer.
    done: bool,
    timeout: Option<Instant>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Calls {
    behaviour: Arc<Behaviour>,
    timers: wake::Timers,
    by_id: IdMap<CallId, Call>,
    by_callee: IdMap<Address, SmallVec<[CallId; 2]>>,
    timeouts: BTreeSet<(Instant, CallId)>,
    /// Pushes that may be on their way at once: calls have room of their own.
    room: usize,
    pushes: usize,
    of_device: Quota<DeviceId>,
    missed: Missed,
    /// Where a device registers that has no door to tell.
    register_at: Arc<str>,
}

impl Calls {
    pub(crate) fn new(
        behaviour: Arc<Behaviour>,
        timers: wake::Timers,
        room: usize,
        register_at: Arc<str>,
    ) -> Self {
        Self {
            behaviour,
            timers,
            by_id: IdMap::default(),
            by_callee: IdMap::default(),
            timeouts: BTreeSet::new(),
            room,
            pushes: 0,
            of_device: Quota::new(Allowance {
                at_once: u32::MAX,
                a_minute: PUSHES_A_MINUTE,
            }),
            missed: Missed::default(),
            register_at,
        }
    }

    /// Calls that come from now on have these clocks.
    pub(crate) fn reconfigure(&mut self, timers: wake::Timers) {
        self.timers = timers;
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.timeouts.first().map(|(at, _)| *at)
    }

    /// A call comes in.
    pub(crate) fn called(&mut self, now: Now, new: NewCall, directory: &Directory) -> Vec<Deed> {
        let id = new.id;
        let whence = match &*new.whence {
            "" => String::new(),
            whence => format!(" ({whence})"),
        };
        let mut deeds = vec![Deed::Say(Output::Note(Note::Story(TraceEvent {
            tracking: new.tracking.clone(),
            at: now.wall,
            step: Step::CallReceived,
            alias: Some(new.call.to_string()),
            device: None,
            detail: format!("from {}{whence} to {}", new.caller, new.callee),
        })))];
        let candidates = directory.candidates(&new.callee, new.kind, new.wakes_nobody);
        let (wake, effects) = Wake::start(now.instant, candidates, &self.behaviour, self.timers);
        let callee = new.callee.clone();
        self.by_callee.entry(callee).or_default().push(id);
        let call = Call {
            new,
            received: now.instant,
            wake,
            tried: SmallVec::new(),
            done: false,
            timeout: None,
        };
        self.by_id.insert(id, call);
        self.perform(now, id, effects, None, directory, &mut deeds);
        deeds
    }

    /// Something happened to a call.
    pub(crate) fn step(
        &mut self,
        now: Now,
        id: CallId,
        input: Input,
        directory: &Directory,
    ) -> Vec<Deed> {
        let mut deeds = Vec::new();
        if let Some(call) = self.by_id.get_mut(&id) {
            let effects = call.wake.step(now.instant, input);
            self.perform(now, id, effects, None, directory, &mut deeds);
        }
        deeds
    }

    /// A device turned a call down that it had through this door, or the way failed: then another of its doors may do
    /// while somebody is still to answer.
    pub(crate) fn failed(
        &mut self,
        now: Now,
        id: CallId,
        door: DoorId,
        (failure, why): (Failure, String),
        directory: &Directory,
    ) -> Vec<Deed> {
        if failure == Failure::Unreachable
            && let Some(other) = self.another_door(id, &door, directory)
        {
            let sent = self.by_id.get(&id).map(|call| {
                let (tracking, device) = (&call.new.tracking, Some(&other.device));
                let how = format!("through another door, since {why}");
                pushes::story(now.wall, tracking, Step::InviteSent, device, how)
            });
            let mut deeds: Vec<_> = sent
                .map(|note| Output::Note(note).into())
                .into_iter()
                .collect();
            deeds.push(Deed::Say(Output::Ring(id, other)));
            return deeds;
        }
        let device = door.device;
        let failed = Input::Failed {
            device,
            why,
            failure,
        };
        self.step(now, id, failed, directory)
    }

    fn another_door(&mut self, id: CallId, door: &DoorId, directory: &Directory) -> Option<DoorId> {
        let call = self.by_id.get_mut(&id)?;
        let entry = directory
            .get(&door.device)
            .filter(|_| call.wake.is_waking())?;
        let mut others = entry
            .doors
            .iter()
            .filter(|open| open.is_open() && open.rings == Some(call.new.kind));
        let other = others.find_map(|open| {
            let other = DoorId {
                device: door.device.clone(),
                number: open.number,
            };
            Some(other).filter(|other| other != door && !call.tried.contains(other))
        })?;
        call.tried.push(other.clone());
        Some(other)
    }

    /// The caller has the final answer.
    pub(crate) fn done(
        &mut self,
        now: Now,
        id: CallId,
        end: CallEnd,
        directory: &Directory,
    ) -> Vec<Deed> {
        let Some(call) = self.by_id.get_mut(&id) else {
            return Vec::new();
        };
        call.done = true;
        let (step, detail) = match end {
            CallEnd::Connected(heard) => (Step::CallConnected, heard),
            CallEnd::Failed(heard) => (Step::CallFailed, heard),
        };
        let detail = detail.into_owned();
        let note = pushes::story(now.wall, &call.new.tracking, step, None, detail);
        let callee = call.new.callee.clone();
        let mut deeds = self.step(now, id, Input::Over, directory);
        deeds.insert(0, Deed::Say(Output::Note(note)));
        self.let_go(&callee, &mut deeds);
        deeds
    }

    /// A phone that comes back is shown the last few calls that are over, and not each of a thousand.
    fn let_go(&mut self, callee: &Address, deeds: &mut Vec<Deed>) {
        let of_callee = self.by_callee.get(callee).into_iter().flatten();
        let is_over = |id: &&CallId| {
            let call = self.by_id.get(id);
            call.is_some_and(|call| call.done && !call.wake.is_waking())
        };
        let over: SmallVec<[CallId; 4]> = of_callee.filter(is_over).copied().collect();
        let many = over.len().saturating_sub(SHOWN);
        for id in over.into_iter().take(many) {
            if let Some(call) = self.by_id.get_mut(&id) {
                call.wake.forget();
            }
            self.reschedule(id, deeds);
        }
    }

    /// A call goes to its user's fallback.
    pub(crate) fn fallen_back(&self, now: Now, id: CallId, uri: String) -> Vec<Deed> {
        let call = self.by_id.get(&id);
        let note =
            call.map(|call| pushes::story(now.wall, &call.new.tracking, Step::Fallback, None, uri));
        note.map(|note| Output::Note(note).into())
            .into_iter()
            .collect()
    }

    /// A device is back through this door: every call for its user hears of it that goes through such a door.
    pub(crate) fn returned(
        &mut self,
        now: Now,
        user: &Address,
        (door, kind): (&DoorId, CallKind),
        fresh: bool,
        directory: &Directory,
    ) -> Vec<Deed> {
        let hears = |call: &Call| call.new.kind == kind;
        self.tell_returned(now, user, (door, fresh), directory, hears)
    }

    /// The door through which a device came is open: calls that came in while that was being saved hear of it now.
    pub(crate) fn opened(
        &mut self,
        now: Now,
        user: &Address,
        (door, kind): (&DoorId, CallKind),
        fresh: bool,
        directory: &Directory,
    ) -> Vec<Deed> {
        let unaware = |call: &Call| call.new.kind == kind && !call.wake.has_returned(&door.device);
        self.tell_returned(now, user, (door, fresh), directory, unaware)
    }

    fn tell_returned(
        &mut self,
        now: Now,
        user: &Address,
        (door, fresh): (&DoorId, bool),
        directory: &Directory,
        hears: impl Fn(&Call) -> bool,
    ) -> Vec<Deed> {
        let mut deeds = Vec::new();
        for id in self.by_callee.get(user).cloned().unwrap_or_default() {
            let call = self.by_id.get_mut(&id);
            let Some(call) = call.filter(|call| hears(call)) else {
                continue;
            };
            let device = door.device.clone();
            let returned = Input::Returned { device, fresh };
            let effects = call.wake.step(now.instant, returned);
            self.perform(now, id, effects, Some(door), directory, &mut deeds);
        }
        deeds
    }

    /// What became of a call's push.
    pub(crate) fn pushed(
        &mut self,
        now: Now,
        id: CallId,
        device: DeviceId,
        outcome: Outcome,
        directory: &Directory,
    ) -> Vec<Deed> {
        self.pushes = self.pushes.saturating_sub(1);
        self.push_ended(now, id, device, outcome, directory)
    }

    fn push_ended(
        &mut self,
        now: Now,
        id: CallId,
        device: DeviceId,
        outcome: Outcome,
        directory: &Directory,
    ) -> Vec<Deed> {
        let Some(call) = self.by_id.get(&id) else {
            return Vec::new();
        };
        let notes = pushes::outcome_notes(now.wall, &call.new.tracking, &device, &outcome);
        let mut deeds: Vec<_> = notes
            .into_iter()
            .map(|note| Deed::Say(Output::Note(note)))
            .collect();
        deeds.extend(self.step(now, id, Input::Pushed { device, outcome }, directory));
        deeds
    }

    /// Time passed.
    pub(crate) fn timeout(&mut self, now: Now, directory: &Directory) -> Vec<Deed> {
        let mut deeds = Vec::new();
        while let Some((at, id)) = self.timeouts.first().copied() {
            if at > now.instant {
                break;
            }
            self.timeouts.pop_first();
            if let Some(call) = self.by_id.get_mut(&id) {
                call.timeout = None;
                let effects = call.wake.timeout(now.instant);
                self.perform(now, id, effects, None, directory, &mut deeds);
            }
        }
        deeds
    }

    /// Puts what a wake says into words, and what follows from that. `through`: the door by which a device just came.
    fn perform(
        &mut self,
        now: Now,
        id: CallId,
        effects: Vec<Effect>,
        through: Option<&DoorId>,
        directory: &Directory,
        deeds: &mut Vec<Deed>,
    ) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let Some(call) = self.by_id.get_mut(&id) else {
                return;
            };
            let say = match effect {
                Effect::Fork(device) => {
                    let Some(door) = door_of(&device, call.new.kind, through, directory) else {
                        effects.extend(call.wake.step(now.instant, unreachable(device)));
                        continue;
                    };
                    call.tried.push(door.clone());
                    Output::Ring(id, door)
                }
                Effect::Repeat(device) => Output::RingAgain(id, device),
                Effect::ShowEnded(device) => {
                    match door_of(&device, call.new.kind, through, directory) {
                        Some(door) => Output::ShowEnded(id, door, end_reason(&call.wake)),
                        None => continue,
                    }
                }
                Effect::EndFollows(device) => {
                    match door_of(&device, call.new.kind, through, directory) {
                        Some(door) => Output::EndFollows(id, door),
                        None => continue,
                    }
                }
                Effect::Push(device) => {
                    let pushed = self.push(now, id, &device, directory, deeds);
                    effects.extend(pushed.into_iter().flatten());
                    continue;
                }
                Effect::PushCancelled(device) => {
                    let purpose = Purpose::CallCancelled {
                        call: call.new.call.to_string(),
                    };
                    deeds.push(call.owe(call.owed(now, device, purpose, CANCEL_LIFETIME)));
                    continue;
                }
                Effect::PushMissed(device) => {
                    let purpose = Purpose::MissedCall {
                        call: call.new.call.to_string(),
                    };
                    let owed = call.owed(now, device, purpose, MISSED_LIFETIME);
                    deeds.push(call.owe(self.missed.collapsed(now.wall, owed)));
                    continue;
                }
                Effect::Ring => Output::RingBack(id),
                Effect::CancelAll => Output::CallOff(id),
                Effect::GiveUp => {
                    let verdict = call.wake.verdict().unwrap_or(Verdict::Unreachable);
                    Output::GiveUp(id, verdict)
                }
                Effect::Trace(step, device, detail) => {
                    let tracking = &call.new.tracking;
                    let note = pushes::story(now.wall, tracking, step, device.as_ref(), detail);
                    Output::Note(note)
                }
                Effect::Measured(stage, took) => Output::Measured(Measure::WakeStage(stage, took)),
                Effect::Ended(verdict) => Output::Measured(Measure::WakeEnded(verdict)),
            };
            deeds.push(Deed::Say(say));
        }
        self.reschedule(id, deeds);
    }

    /// Pushes a call to a device, once. If that cannot be, the wake hears so at once: says what follows.
    fn push(
        &mut self,
        now: Now,
        id: CallId,
        device: &DeviceId,
        directory: &Directory,
        deeds: &mut Vec<Deed>,
    ) -> Option<Vec<Effect>> {
        let call = self.by_id.get_mut(&id)?;
        let failed = |outcome: Outcome, call: &mut Call, deeds: &mut Vec<Deed>| {
            let tracking = &call.new.tracking;
            let notes = pushes::outcome_notes(now.wall, tracking, device, &outcome);
            deeds.extend(notes.into_iter().map(|note| Deed::Say(Output::Note(note))));
            let device = device.clone();
            let pushed = Input::Pushed { device, outcome };
            Some(call.wake.step(now.instant, pushed))
        };
        if self.of_device.take(now.instant, device.clone()).is_err() {
            let reason = "the device is pushed to too often".to_owned();
            deeds.push(Deed::Say(Output::Measured(Measure::Refused(
                Refusal::Callee,
            ))));
            return failed(Outcome::Refused { reason }, call, deeds);
        }
        self.of_device.give_back(device);
        if self.pushes >= self.room {
            let outcome = Outcome::Unavailable {
                reason: "limits.pushes_in_flight is reached".to_owned(),
                retry_after: Duration::ZERO,
            };
            return failed(outcome, call, deeds);
        }
        let entry = directory.get(device);
        let draft = Draft {
            push: PushRef::Call(id),
            id: NotificationId::of("call", call.new.tracking.as_str(), device),
            device,
            incoming: Incoming::Call,
            purpose: Purpose::Call {
                call: call.new.call.to_string(),
                register_at: entry.map_or_else(String::new, |entry| {
                    pushes::register_at(entry, &self.register_at)
                }),
            },
            tracking: call.new.tracking.clone(),
            ttl: Duration::ZERO,
            secret: Secret::Caller {
                name: call.new.caller_name.clone(),
                number: call.new.caller.clone(),
            },
        };
        match draft.order(now, directory) {
            Ok((mut order, note)) => {
                order.since = Some(call.received);
                self.pushes += 1;
                deeds.push(Deed::Say(Output::Note(note)));
                deeds.push(Deed::Say(Output::Push(Box::new(order))));
                None
            }
            Err(reason) => failed(Outcome::Refused { reason }, call, deeds),
        }
    }

    /// Notes when the wake wants to be called again, or lets the call go.
    fn reschedule(&mut self, id: CallId, deeds: &mut Vec<Deed>) {
        let Some(call) = self.by_id.get_mut(&id) else {
            return;
        };
        if let Some(at) = call.timeout.take() {
            self.timeouts.remove(&(at, id));
        }
        if call.done && call.wake.is_finished() {
            let callee = call.new.callee.clone();
            self.by_id.remove(&id);
            if let Some(calls) = self.by_callee.get_mut(&callee) {
                calls.retain(|known| *known != id);
                if calls.is_empty() {
                    self.by_callee.remove(&callee);
                }
            }
            deeds.push(Deed::Say(Output::CallOver(id)));
            return;
        }
        call.timeout = call.wake.next_timeout();
        self.timeouts.extend(call.timeout.map(|at| (at, id)));
    }
}

impl Call {
    fn owe(&self, push: OwedPush) -> Deed {
        Deed::Work(self.new.callee.clone(), Work::Owe(Box::new(push)))
    }

    fn owed(&self, now: Now, device: DeviceId, purpose: Purpose, lifetime: Duration) -> OwedPush {
        let tracking: &TrackingId = &self.new.tracking;
        let id = NotificationId::of(purpose.name(), tracking.as_str(), &device);
        OwedPush {
            id,
            device,
            purpose,
            tracking: tracking.clone(),
            message: None,
            due: now.wall,
            until: now.wall.plus(lifetime),
            attempts: 0,
        }
    }
}

/// The door by which a device gets a call: the one that it just came through, else its best.
fn door_of(
    device: &DeviceId,
    kind: CallKind,
    through: Option<&DoorId>,
    directory: &Directory,
) -> Option<DoorId> {
    if let Some(door) = through.filter(|door| door.device == *device) {
        return Some(door.clone());
    }
    directory.get(device)?.way_to_ring(kind)
}

fn unreachable(device: DeviceId) -> Input {
    Input::Failed {
        device,
        why: "no connection".to_owned(),
        failure: Failure::Unreachable,
    }
}

fn end_reason(wake: &Wake) -> EndReason {
    match wake.verdict() {
        Some(Verdict::Answered) => EndReason::Elsewhere,
        Some(Verdict::Declined) => EndReason::Declined,
        _ => EndReason::NotAnswered,
    }
}
