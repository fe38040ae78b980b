//! Calls: each ends once and in time, and no device hears of one that is over but as the CallKit rule demands.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use domain::{Address, Generation, Platform, Purpose};
use hub::PushOrder;

use super::{Scene, Verdict};
use crate::phone::PhoneEvent;
use crate::sim::whole::setting::Outside;

/// No call takes longer to be answered or refused: the wake, ringing, and RFC 3261's timers around them.
const LONGEST: Duration = Duration::from_mins(3);
/// So long after its end an iPhone that was pushed is still shown a call, less what a network takes.
const SHOWN: Duration = Duration::from_secs(45);
/// So long after a call its end can follow a phone that rang: 64*T1 (RFC 3261 §17.1.1.2), less what a network takes.
const FOLLOWED: Duration = Duration::from_secs(25);
/// How long a phone may ring on for a call that is over once it is back.
const RINGS_ON: Duration = Duration::from_secs(40);

#[derive(Debug)]
struct Call {
    caller: usize,
    callee: String,
    started: Instant,
    /// The caller has answered for it: `true` if somebody took it.
    heard: Option<bool>,
    /// When the server gave the final answer.
    ended: Option<Instant>,
    /// Its caller may have missed the answer, or the server forgotten the call.
    disturbed: bool,
    pushed: BTreeMap<usize, Instant>,
    invited: BTreeSet<usize>,
    vias: BTreeSet<String>,
    /// Phones for which it is over, as it went to their user's fallback.
    over_for: BTreeMap<usize, Instant>,
    /// Phones that lost what they or the server knew of it.
    excused: BTreeSet<usize>,
    /// Who has said that they ring.
    rings: BTreeSet<SocketAddr>,
    /// Somebody declined it for all: nothing new begins, though its caller hears so when all branches have ended
    /// (RFC 3261 §16.7).
    declined: bool,
}

impl Call {
    /// Whether it is over for a phone. A fallback that was on its way to another shard when its caller gave up arrives,
    /// and is taken back.
    fn is_over_for(&self, now: Instant, who: usize) -> bool {
        let crossed = !self.over_for.is_empty();
        let over = self.over_for(who);
        over.is_some_and(|at| at < now || !crossed)
    }

    /// When it was over for a phone.
    fn over_for(&self, who: usize) -> Option<Instant> {
        let over = self.over_for.get(&who).copied();
        self.ended.into_iter().chain(over).min()
    }
}

/// What a phone went through lately.
#[derive(Debug, Default)]
struct Phone {
    registered: Option<Instant>,
    troubled: Option<Instant>,
    /// When each pushed call reached it first.
    pushed: BTreeMap<String, Instant>,
    /// Its app is frozen: no timer of it runs.
    frozen: bool,
    /// The calls by which it rings, with when it must have learned that one is over.
    rings: BTreeMap<String, Option<Instant>>,
}

#[derive(Default)]
pub(in crate::sim::whole) struct Calls {
    by_id: BTreeMap<String, Call>,
    phones: BTreeMap<usize, Phone>,
    /// Users about whom the operator has changed something.
    touched: BTreeSet<Address>,
}

impl Calls {
    pub(super) fn seen(&mut self, now: Instant, who: usize, event: &PhoneEvent) -> Verdict {
        match event {
            // It may have told the server so before, and called somebody meanwhile.
            PhoneEvent::Backgrounded => {
                self.phone(who).frozen = true;
                self.disturbed(|caller| caller == who);
            }
            PhoneEvent::Resumed { .. } | PhoneEvent::Suspended => self.phone(who).frozen = false,
            PhoneEvent::Ringing { call } => {
                self.phone(who).rings.insert(call.clone(), None);
            }
            PhoneEvent::Cancelled { call, .. } | PhoneEvent::Connected { call } => {
                self.phone(who).rings.remove(call);
            }
            PhoneEvent::Calling { call, to } => {
                let disturbed = self.phone(who).frozen;
                self.by_id.insert(
                    call.clone(),
                    Call {
                        caller: who,
                        callee: to.trim_start_matches("sip:").to_owned(),
                        started: now,
                        heard: None,
                        ended: None,
                        disturbed,
                        pushed: BTreeMap::new(),
                        invited: BTreeSet::new(),
                        vias: BTreeSet::new(),
                        over_for: BTreeMap::new(),
                        excused: BTreeSet::new(),
                        rings: BTreeSet::new(),
                        declined: false,
                    },
                );
            }
            PhoneEvent::Answered { call } => {
                self.phone(who).rings.remove(call);
                return self.heard(who, call, true);
            }
            PhoneEvent::CallFailed { call, .. } => return self.heard(who, call, false),
            PhoneEvent::Ended { call, .. } => {
                self.phone(who).rings.remove(call);
                if let Some(call) = self.by_id.get_mut(call).filter(|it| it.caller == who) {
                    call.heard.get_or_insert(false);
                }
            }
            PhoneEvent::Registered { .. } => self.returned(now, who),
            PhoneEvent::Pushed {
                call: Some(call),
                kind,
                ..
            } if kind == "call" => {
                self.phone(who).pushed.entry(call.clone()).or_insert(now);
            }
            PhoneEvent::ConnectionLost | PhoneEvent::RegistrationFailed { .. } => {
                self.disturbed(|caller| caller == who);
                self.troubled(now, who);
            }
            _ => {}
        }
        Ok(())
    }

    /// A phone is back: what is over it must learn soon.
    fn returned(&mut self, now: Instant, who: usize) {
        let calls = &self.by_id;
        let phone = self.phones.entry(who).or_default();
        phone.registered = Some(now);
        for (call, deadline) in &mut phone.rings {
            let call = calls.get(call).filter(|call| !call.disturbed);
            // That it rings the server must have heard.
            let heard = |call: &&Call| {
                let [_, b, c, d] = u32::try_from(who).unwrap_or_default().to_be_bytes();
                let address = IpAddr::from([10, b, c, d]);
                call.rings.iter().any(|it| it.ip() == address) && !call.excused.contains(&who)
            };
            let ended = call.filter(heard).and_then(|call| call.over_for(who));
            let lately = ended.filter(|ended| now - *ended < FOLLOWED);
            if let (Some(_), None) = (lately, *deadline) {
                *deadline = Some(now + RINGS_ON);
            }
        }
    }

    /// Whether something happens to a call that this phone made.
    pub(super) fn is_of(&self, who: usize, event: &PhoneEvent) -> bool {
        let PhoneEvent::Answered { call } = event else {
            return false;
        };
        self.by_id.get(call).is_some_and(|it| it.caller == who)
    }

    fn phone(&mut self, who: usize) -> &mut Phone {
        self.phones.entry(who).or_default()
    }

    fn heard(&mut self, who: usize, id: &str, taken: bool) -> Verdict {
        let Some(call) = self.by_id.get_mut(id).filter(|it| it.caller == who) else {
            return Ok(());
        };
        match call.heard.replace(taken) {
            Some(true) if !taken => Err(format!("{id} was answered and then failed")),
            _ => Ok(()),
        }
    }

    /// What callers for whom this is true hear, they may not hear.
    pub(super) fn disturbed(&mut self, who: impl Fn(usize) -> bool) {
        let theirs = self.by_id.values_mut().filter(|it| who(it.caller));
        theirs.for_each(|call| call.disturbed = true);
    }

    /// The operator changes something about a user.
    pub(super) fn touched(&mut self, user: &Address) {
        self.touched.insert(user.clone());
    }

    /// A caller is told that nobody was reached: then the fallback was asked before, if there is one.
    pub(super) fn reached_nobody(&self, scene: &Scene<'_>, id: &str, status: u16) -> Verdict {
        let outside = scene.server.outside;
        let fallback = outside.number.filter(|_| outside.fallback && status == 480);
        let call = self.by_id.get(id).filter(|it| !it.disturbed);
        let (Some(fallback), Some(call)) = (fallback, call) else {
            return Ok(());
        };
        let users = &scene.server.store.users;
        let user = users.values().find(|it| it.address.as_str() == call.callee);
        let user = user.filter(|it| it.forward.is_none() && !self.touched.contains(&it.address));
        if user.is_some() && !call.invited.contains(&usize::from(fallback)) {
            return Err(format!(
                "{id} reached nobody and did not go to the fallback"
            ));
        }
        Ok(())
    }

    /// A call goes to the fallback of its user: for their devices it is over.
    pub(in crate::sim::whole) fn fell_back(&mut self, scene: &Scene<'_>, id: &str) {
        if let Some(call) = self.by_id.get_mut(id) {
            let theirs = call.invited.iter().chain(call.pushed.keys());
            let over = theirs.map(|who| (*who, scene.now)).collect::<Vec<_>>();
            call.over_for.extend(over);
        }
    }

    /// A phone says that it rings, while the call goes on.
    pub(super) fn said_that_it_rings(&mut self, from: SocketAddr, id: &str) {
        if let Some(call) = self.by_id.get_mut(id).filter(|it| it.ended.is_none()) {
            call.rings.insert(from);
        }
    }

    /// What a phone, or the server about it, knew of its calls is gone.
    pub(super) fn removed(&mut self, now: Instant, who: usize) {
        self.disturbed(|caller| caller == who);
        for call in self.by_id.values_mut() {
            call.excused.insert(who);
        }
        let phone = self.phone(who);
        phone.troubled = Some(now);
        phone.rings.clear();
        phone.pushed.clear();
    }

    pub(super) fn troubled(&mut self, now: Instant, who: usize) {
        let phone = self.phone(who);
        phone.troubled = Some(now);
        phone
            .rings
            .values_mut()
            .for_each(|deadline| *deadline = None);
    }

    /// A new server knows nothing of what rings, and takes an INVITE that comes again, from who needs no password, for a
    /// call like any other.
    pub(super) fn restarted(&mut self, outside: Outside) {
        let theirs = self.by_id.values_mut().filter(|it| outside.is(it.caller));
        for call in theirs {
            call.ended = None;
            call.over_for.clear();
        }
        self.disturbed(|_| true);
        self.phones.values_mut().for_each(|it| it.rings.clear());
    }

    /// The caller gets the final answer.
    pub(super) fn answered(&mut self, now: Instant, id: &str) {
        if let Some(call) = self.by_id.get_mut(id) {
            call.ended.get_or_insert(now);
        }
    }

    /// The call leaves for a phone.
    pub(super) fn invited(&mut self, scene: &Scene<'_>, to: usize, id: &str, via: &str) -> Verdict {
        let Some(call) = self.by_id.get_mut(id) else {
            return Ok(());
        };
        may_call(scene, id, call)?;
        if scene.server.outside.is(to) {
            // The fallback of all.
            let theirs = call.invited.iter().chain(call.pushed.keys());
            let over = theirs.map(|who| (*who, scene.now)).collect::<Vec<_>>();
            call.over_for.extend(over);
        }
        call.invited.insert(to);
        if !call.vias.insert(via.to_owned()) || !call.is_over_for(scene.now, to) {
            return Ok(());
        }
        let config = scene.phones.get(to).map(|it| it.phone.config());
        let by_the_rule = config.is_some_and(|it| {
            it.platform() == Platform::Ios && it.generation == Generation::DualChannel
        });
        if by_the_rule && call.pushed.contains_key(&to) {
            return Ok(());
        }
        Err(format!("{id} rings phone {to} after its end"))
    }

    /// A call is pushed to a phone.
    pub(super) fn pushed(&mut self, scene: &Scene<'_>, to: usize, order: &PushOrder) -> Verdict {
        let now = scene.now;
        let Purpose::Call { call: id, .. } = &order.notification.purpose else {
            return Ok(());
        };
        let Some(call) = self.by_id.get_mut(id) else {
            return Err(format!("a push for a call that nobody made: {id}"));
        };
        may_call(scene, id, call)?;
        if call.is_over_for(now, to) {
            return Err(format!("{id} wakes phone {to} after its end"));
        }
        call.pushed.insert(to, now);
        Ok(())
    }

    /// Somebody has declined a call for all.
    pub(super) fn declined(&mut self, id: &str) {
        if let Some(call) = self.by_id.get_mut(id) {
            call.declined = true;
        }
    }

    /// A phone was told that it is registered: calls that it was woken for have left for it.
    pub(super) fn registered(&self, now: Instant, who: usize) -> Verdict {
        let waits = |(_, call): &(&String, &Call)| {
            let pushed = call.pushed.get(&who);
            pushed.is_some_and(|at| now - *at < Duration::from_mins(1))
                && call.over_for(who).is_none()
                && !call.excused.contains(&who)
                && !call.disturbed
                && !call.declined
                && !call.invited.contains(&who)
        };
        match self.by_id.iter().find(waits) {
            Some((id, _)) => Err(format!("phone {who} came for {id} and was not sent it")),
            None => Ok(()),
        }
    }

    /// The platform has killed an app.
    pub(super) fn killed(&self, now: Instant, who: usize, why: &str, excused: bool) -> Verdict {
        let Some(id) = why.strip_prefix("a VoIP push whose call never came: ") else {
            return Err(format!("phone {who} was killed: {why}"));
        };
        let (Some(call), Some(phone)) = (self.by_id.get(id), self.phones.get(&who)) else {
            return Ok(());
        };
        let Some(pushed) = phone.pushed.get(id) else {
            return Ok(());
        };
        let came = phone.registered.is_some_and(|at| at >= *pushed);
        // Who calls themselves has refused that before, and has perhaps forgotten it since.
        if call.excused.contains(&who) || call.caller == who {
            return Ok(());
        }
        let in_time = call
            .over_for(who)
            .is_none_or(|ended| *pushed < ended + SHOWN);
        let left_alone = phone.troubled.is_none_or(|at| at < *pushed);
        if came && in_time && left_alone && !excused && now > *pushed {
            return Err(format!("phone {who} was killed: {why}"));
        }
        Ok(())
    }

    /// No call hangs.
    pub(super) fn in_time(&self, now: Instant) -> Verdict {
        let hangs = |(_, call): &(&String, &Call)| {
            call.heard.is_none() && !call.disturbed && now - call.started > LONGEST
        };
        if let Some((id, call)) = self.by_id.iter().find(hangs) {
            return Err(format!("{id} hangs: {call:?}"));
        }
        for (who, phone) in &self.phones {
            let late = |deadline: &Option<Instant>| deadline.is_some_and(|at| at < now);
            if let Some((id, _)) = phone.rings.iter().find(|(_, deadline)| late(deadline)) {
                return Err(format!("phone {who} rings on for {id}, which is over"));
            }
        }
        Ok(())
    }

    pub(super) fn over(&self) -> Verdict {
        let open = |(_, call): &(&String, &Call)| call.heard.is_none() && !call.disturbed;
        match self.by_id.iter().find(open) {
            Some((id, _)) => Err(format!("the caller of {id} never heard an answer")),
            None => Ok(()),
        }
    }

    pub(in crate::sim::whole) fn count(&self) -> usize {
        self.by_id.len()
    }
}

/// Whether its caller is let in at all.
fn may_call(scene: &Scene<'_>, id: &str, call: &Call) -> Verdict {
    if scene.server.outside.is(call.caller) && !scene.server.outside.is_let_in() {
        return Err(format!("{id} of a stranger is served"));
    }
    Ok(())
}
