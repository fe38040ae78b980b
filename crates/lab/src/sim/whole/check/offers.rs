//! Calls over XMPP (XEP-0353), which end to end are words of clients: what the store has of them says how far each has come,
//! and every client that is there must have heard so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use domain::behaviour::Incoming;
use domain::{DeviceId, Message, Purpose};
use hub::PushOrder;
use xmpp::xml::{Limits, document};

use super::streams::chat_device;
use super::{Scene, Verdict};
use crate::phone::PhoneEvent;
use crate::phone::chat::CallWord;
use crate::sim::whole::setting;

/// So long after something was kept whoever is there has heard of it, over a slow store and a slow network.
const HEARD: Duration = Duration::from_secs(25);
/// So long a client that an iPhone's push has woken must have been there for its app to be killed for nothing.
const THERE: Duration = Duration::from_secs(10);
/// So long after a call was kept its pushes have left.
const PUSHED: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Call {
    caller: usize,
    callee: String,
    /// When it was kept, and where in the archive.
    kept: Option<(Instant, usize)>,
    /// When the first word was kept that ends its ringing.
    ended: Option<Instant>,
    /// Its caller waits for somebody to take it.
    waits: bool,
    /// Where it rings or is up now, and where it rang.
    rings: BTreeSet<usize>,
    up: BTreeMap<usize, Instant>,
    rang: BTreeSet<usize>,
    pushed: BTreeSet<usize>,
    /// Who must be pushed to, by when.
    due: BTreeMap<usize, Instant>,
    /// Phones with both doors whose device had one to XMPP when it was kept: others are told nothing of it.
    both: BTreeSet<usize>,
    /// Whose app has forgotten it.
    excused: BTreeSet<usize>,
    /// The server has forgotten it, or was told something else about its people.
    disturbed: bool,
}

#[derive(Default)]
pub(in crate::sim::whole) struct Offers {
    by_id: BTreeMap<String, Call>,
    /// So much of the archive was read.
    read: usize,
    /// Since when each phone is there over XMPP, with nothing that came between.
    there: BTreeMap<usize, Instant>,
}

/// The call that something on a phone is about.
pub(super) fn call_of(event: &PhoneEvent) -> Option<&str> {
    match event {
        PhoneEvent::Calling { call, .. }
        | PhoneEvent::Proposed { call, .. }
        | PhoneEvent::Ringing { call }
        | PhoneEvent::Answered { call }
        | PhoneEvent::CallFailed { call, .. }
        | PhoneEvent::Cancelled { call, .. }
        | PhoneEvent::Ended { call, .. }
        | PhoneEvent::Progress { call, .. }
        | PhoneEvent::CallKitRinging { call, .. }
        | PhoneEvent::CallKitClosed { call }
        | PhoneEvent::DuplicatePushDropped { call }
        | PhoneEvent::WokenForNothing { call }
        | PhoneEvent::Pushed {
            call: Some(call), ..
        } => Some(call),
        PhoneEvent::Killed { why } => why.strip_prefix(KILLED),
        _ => None,
    }
}

const KILLED: &str = "a VoIP push whose call never came: ";

impl Offers {
    pub(super) fn has(&self, call: &str) -> bool {
        self.by_id.contains_key(call)
    }

    pub(in crate::sim::whole) fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Whether a phone calls somebody over XMPP.
    pub(super) fn begins(&mut self, scene: &Scene<'_>, who: usize, event: &PhoneEvent) {
        let PhoneEvent::Calling { call, to } = event else {
            return;
        };
        let config = scene.phones.get(who).map(|it| it.phone.config());
        let chats = config.is_some_and(|it| it.xmpp.is_some() && !it.sip);
        if !chats && !to.starts_with("xmpp:") {
            return;
        }
        let address = to.split(':').next_back().unwrap_or_default();
        let offer = Call {
            caller: who,
            callee: address.split('@').next().unwrap_or_default().to_owned(),
            kept: None,
            ended: None,
            waits: true,
            rings: BTreeSet::new(),
            up: BTreeMap::new(),
            rang: BTreeSet::new(),
            pushed: BTreeSet::new(),
            due: BTreeMap::new(),
            both: BTreeSet::new(),
            excused: BTreeSet::new(),
            disturbed: false,
        };
        self.by_id.insert(call.clone(), offer);
    }

    /// Something that says whether a phone is there over XMPP.
    pub(super) fn is_there(&mut self, now: Instant, who: usize, event: &PhoneEvent) {
        match event {
            PhoneEvent::SignedIn { resumed, .. } => {
                self.there.insert(who, now);
                if !resumed {
                    // What was said to its session before is in the archive.
                    let calls = self.by_id.values_mut();
                    calls.for_each(|call| _ = call.both.remove(&who));
                }
            }
            PhoneEvent::StreamLost
            | PhoneEvent::SignInFailed { .. }
            | PhoneEvent::SignedOut
            | PhoneEvent::Backgrounded
            | PhoneEvent::Suspended
            | PhoneEvent::NetworkChanged => {
                self.there.remove(&who);
            }
            PhoneEvent::Crashed | PhoneEvent::Killed { .. } => self.forgets(who),
            _ => {}
        }
    }

    /// The app of a phone has forgotten what there was.
    pub(super) fn forgets(&mut self, who: usize) {
        self.there.remove(&who);
        for call in self.by_id.values_mut() {
            call.excused.insert(who);
            call.rings.remove(&who);
            call.up.remove(&who);
            call.waits &= call.caller != who;
        }
    }

    /// A new server knows of no calls, and some of its people have another queue.
    pub(super) fn restarted(&mut self) {
        self.there.clear();
        self.disturbed(|_| true);
    }

    /// The operator changes something about a user.
    pub(super) fn touched(&mut self, scene: &Scene<'_>, user: &str) {
        let is_theirs = |who: usize| {
            let phone = scene.phones.get(who);
            phone.is_some_and(|it| it.phone.config().user == user)
        };
        self.disturbed(|call| call.callee == user || is_theirs(call.caller));
    }

    fn disturbed(&mut self, which: impl Fn(&Call) -> bool) {
        let calls = self.by_id.values_mut().filter(|call| which(call));
        calls.for_each(|call| call.disturbed = true);
    }

    /// A call is seen on a phone.
    pub(super) fn seen(&mut self, scene: &Scene<'_>, who: usize, event: &PhoneEvent) -> Verdict {
        let Some((id, call)) = call_of(event).and_then(|id| Some((id, self.by_id.get_mut(id)?)))
        else {
            return Ok(());
        };
        let is_caller = call.caller == who;
        match event {
            PhoneEvent::Ringing { .. } => {
                call.rings.insert(who);
                if !call.rang.insert(who) && !call.excused.contains(&who) {
                    return Err(format!("{id} rings phone {who} twice"));
                }
            }
            PhoneEvent::Answered { .. } if is_caller && !call.waits => {
                return Err(format!("{id} was answered when it was over"));
            }
            PhoneEvent::Answered { .. } => {
                call.waits &= !is_caller;
                call.rings.remove(&who);
                call.up.insert(who, scene.now);
            }
            PhoneEvent::CallFailed { .. } => call.waits = false,
            PhoneEvent::Cancelled { .. } | PhoneEvent::Ended { .. } => {
                call.rings.remove(&who);
                call.up.remove(&who);
                call.waits &= !is_caller;
            }
            PhoneEvent::Killed { why } => {
                let there = self.there.get(&who);
                let for_long = there.is_some_and(|at| *at + THERE < scene.now);
                if for_long && !call.disturbed && !call.excused.contains(&who) {
                    return Err(format!("phone {who} was killed: {why}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A call is pushed to a phone; `false`: it is none of these.
    pub(super) fn pushed(
        &mut self,
        now: Instant,
        to: usize,
        order: &PushOrder,
    ) -> Result<bool, String> {
        let Purpose::Call { call: id, .. } = &order.notification.purpose else {
            return Ok(false);
        };
        let Some(call) = self.by_id.get_mut(&**id) else {
            return Ok(false);
        };
        call.due.remove(&to);
        if !call.disturbed && call.ended.is_some_and(|at| at < now) {
            return Err(format!("{id} wakes phone {to} after its end"));
        }
        if !call.pushed.insert(to) && !call.disturbed {
            return Err(format!("{id} is pushed to phone {to} twice"));
        }
        Ok(true)
    }

    /// What was kept meanwhile, and whether everybody has heard of it.
    pub(in crate::sim::whole) fn look(&mut self, scene: &Scene<'_>) -> Verdict {
        let archive = &scene.server.store.archive;
        for number in self.read..archive.len() {
            if let Some(message) = archive.get(number) {
                self.kept(scene, number, message);
            }
        }
        self.read = archive.len();
        let carries = |who: usize| {
            let phone = scene.phones.get(who);
            let mut streams = phone.into_iter().flat_map(super::Handset::streams);
            streams.all(|flow| scene.network.carries(flow))
        };
        self.there.retain(|who, _| carries(*who));
        let calls = self.by_id.iter().filter(|(_, call)| !call.disturbed);
        for (id, call) in calls.filter(|_| !scene.server.limits.few_messages()) {
            self.callees_know(scene, id, call)?;
            self.caller_knows(scene.now, id, call)?;
            self.one_has_it(scene.now, id, call)?;
        }
        Ok(())
    }

    fn kept(&mut self, scene: &Scene<'_>, number: usize, message: &Message) {
        if message.content_type != im::STANZA {
            return;
        }
        let Ok(stanza) = document(&message.body, &Limits::default()) else {
            return;
        };
        let Some((word, id)) = CallWord::read(&stanza) else {
            return;
        };
        let Some(call) = self.by_id.get_mut(id) else {
            return;
        };
        match word {
            CallWord::Propose if call.kept.is_none() => {
                call.kept = Some((scene.now, number));
                call.both = (0..scene.phones.len())
                    .filter(|who| has_both(scene, *who) && super::streams::has_session(scene, *who))
                    .collect();
                if call.ended.is_none() && scene.server.limits.are_wide() {
                    let by = scene.now + PUSHED;
                    let who = (0..scene.phones.len())
                        .filter(|who| can_be_woken(scene, *who, &call.callee));
                    call.due.extend(who.map(|who| (who, by)));
                }
            }
            CallWord::Propose | CallWord::Ringing => {}
            _ => {
                call.ended.get_or_insert(scene.now);
                call.due.clear();
            }
        }
    }

    /// Who is there and was to be called rings, and does not when the call is over; who sleeps is pushed to.
    fn callees_know(&self, scene: &Scene<'_>, id: &str, call: &Call) -> Verdict {
        let Some((kept, number)) = call.kept else {
            return Ok(());
        };
        if let Some((who, _)) = call.due.iter().find(|(_, by)| **by < scene.now) {
            return Err(format!("{id} was not pushed to phone {who}"));
        }
        for (who, since) in &self.there {
            let known = call.excused.contains(who) || call.rang.contains(who);
            let by = kept.max(*since) + HEARD;
            let is_open = call.ended.is_none_or(|at| at > by);
            let is_told = call.both.contains(who) || !has_both(scene, *who);
            let is_meant = || is_told && is_meant(scene, number, *who);
            if !known && is_open && by < scene.now && is_meant() {
                return Err(format!("{id} never rang phone {who}, which was there"));
            }
            let over = call.ended.map(|at| at.max(*since) + HEARD);
            if call.rings.contains(who) && over.is_some_and(|by| by < scene.now) {
                return Err(format!("phone {who} rings on for {id}, which is over"));
            }
        }
        Ok(())
    }

    /// Who calls hears that somebody has taken it, or said no.
    fn caller_knows(&self, now: Instant, id: &str, call: &Call) -> Verdict {
        let since = self.there.get(&call.caller);
        let over = call.ended.and_then(|at| Some(at.max(*since?) + HEARD));
        if call.waits && over.is_some_and(|by| by < now) {
            return Err(format!("the caller of {id} never heard how it ended"));
        }
        Ok(())
    }

    /// Of those that take a call at once one has it.
    fn one_has_it(&self, now: Instant, id: &str, call: &Call) -> Verdict {
        if !call.up.contains_key(&call.caller) {
            return Ok(());
        }
        let for_long = |(who, at): &(&usize, &Instant)| {
            let there = [call.caller, **who].map(|it| self.there.get(&it).copied());
            let [Some(caller), Some(own)] = there else {
                return false;
            };
            **who != call.caller && caller.max(own).max(**at) + HEARD < now
        };
        let have = call.up.iter().filter(for_long).count();
        if have > 1 {
            return Err(format!("{have} phones have taken {id}"));
        }
        Ok(())
    }
}

fn has_both(scene: &Scene<'_>, who: usize) -> bool {
    let config = scene.phones.get(who).map(|it| it.phone.config());
    config.is_some_and(|it| it.sip && it.xmpp.is_some())
}

/// Whether a message was to reach the XMPP client of a phone.
fn is_meant(scene: &Scene<'_>, number: usize, who: usize) -> bool {
    let device = chat_device(scene, who);
    let mut meant = scene.server.store.meant(number);
    device.is_some_and(|device| meant.any(|it| *it == device))
}

/// Whether a phone is this user's, has given its tokens for calls over XMPP, and can be pushed to.
fn can_be_woken(scene: &Scene<'_>, who: usize, user: &str) -> bool {
    let config = scene.phones.get(who).map(|it| it.phone.config());
    let gives = config
        .is_some_and(|it| it.user == user && it.xmpp.as_ref().is_some_and(|door| door.pushes));
    let Some(device) = chat_device(scene, who).filter(|_| gives) else {
        return false;
    };
    let server = scene.server;
    let kept: Option<&domain::Device> = server.store.devices.get::<DeviceId>(&device);
    let shard = kept.and_then(|it| server.shards.get(server.shard_of(&it.user)));
    let entry = shard.and_then(|it| it.hub().directory().get(&device));
    entry.is_some_and(|entry| {
        let profile = entry.device.app.as_ref().and_then(setting::profile);
        entry.push_target(Incoming::Call, profile.as_ref()).is_ok()
    })
}
