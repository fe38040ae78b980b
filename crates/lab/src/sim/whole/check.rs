//! The reference model: what was seen at the server's edge and on the phones, and what may not be.

mod calls;
mod chats;
mod dialogs;
mod doors;
mod messages;
mod offers;
mod places;
mod readers;
mod sleepers;
mod streams;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::trace::Step;
use domain::{Address, Device, Timestamp, TraceEvent};
use hub::PushOrder;
use sip::endpoint::Flow;
use sip::{HeaderName, Message, Method};

use super::handset::Handset;
use super::operator::Order;
use super::server::Server;
use super::setting;
use crate::phone::PhoneEvent;
use crate::sim::Network;
use calls::Calls;
use chats::Chats;
use dialogs::Dialogs;
use doors::Doors;
use messages::Texts;
use offers::Offers;
use places::{Places, device_of, phone_at};
use readers::Readers;
use sleepers::Sleepers;
pub(super) use streams::Streams;

pub(super) use places::handed_over;

/// What must not be, with what was seen.
pub(super) type Verdict = Result<(), String>;

/// What the checks look at.
pub(super) struct Scene<'a> {
    pub(super) now: Instant,
    pub(super) wall: Timestamp,
    pub(super) server: &'a Server,
    pub(super) phones: &'a [Handset],
    pub(super) network: &'a Network,
    /// Nothing is lost on this network, and nothing breaks.
    pub(super) gentle: bool,
}

#[derive(Default)]
pub(super) struct Check {
    pub(super) calls: Calls,
    pub(super) offers: Offers,
    pub(super) texts: Texts,
    pub(super) streams: Streams,
    pub(super) doors: Doors,
    pub(super) readers: Readers,
    chats: Chats,
    places: Places,
    dialogs: Dialogs,
    sleepers: Sleepers,
    /// Answers that have left, by who asked, Call-ID and `CSeq`: a repeated one says nothing new.
    answered: BTreeMap<(usize, String, u32), u16>,
    /// When each REGISTER came first, and over which flow, by Call-ID and `CSeq`.
    registers: BTreeMap<(String, u32), (Instant, Flow)>,
    /// Since when a user may not come in, or not by the password that their phones know.
    locked: BTreeMap<Address, Instant>,
    /// How many orders of the operator about each user have no answer yet.
    ordered: BTreeMap<Address, u32>,
    restarted: Option<Instant>,
    /// Phones that were told in this step that they are registered.
    came: Vec<usize>,
}

impl Check {
    /// A new server: it knows nothing of what the old one has answered.
    pub(super) fn restarted(&mut self, scene: &Scene<'_>) -> Verdict {
        self.restarted = Some(scene.now);
        self.answered.clear();
        self.ordered.clear();
        self.calls.restarted(scene.server.outside);
        self.offers.restarted();
        self.texts.restarted();
        self.dialogs.restarted();
        self.sleepers.restarted();
        self.places.restarted();
        self.readers.restarted();
        self.streams.restarted();
        self.doors.restarted();
        same(scene.server)
    }

    /// The server restarted so recently that it may have forgotten what was under way.
    fn is_fresh(&self, now: Instant, most: Duration) -> bool {
        self.restarted.is_some_and(|at| now - at < most)
    }

    /// Something reaches the server.
    pub(super) fn arrives(&mut self, scene: &Scene<'_>, flow: Flow, message: &Message) {
        let (Ok(call), Ok(cseq)) = (message.call_id(), message.cseq()) else {
            return;
        };
        self.doors.hears(phone_at(flow), message);
        match message.method() {
            Some(Method::Message) => {
                let text = String::from_utf8_lossy(message.body()).into_owned();
                let asked = !scene.server.outside.is(phone_at(flow));
                self.texts.arrived(call, text, asked);
            }
            Some(Method::Register) => {
                self.is_back(phone_at(flow));
                let key = (call.to_owned(), cseq.number);
                self.registers.entry(key).or_insert((scene.now, flow));
            }
            Some(Method::Bye) => self.dialogs.hangs_up(scene, phone_at(flow), call),
            Some(Method::Invite) if message.to().is_ok_and(|to| to.tag().is_some()) => {
                let who = phone_at(flow);
                self.dialogs.renews(scene, who, call, cseq.number);
            }
            None if message.status() >= Some(600) => self.calls.declined(call),
            None if message.status() == Some(180) => {
                self.calls.said_that_it_rings(flow.remote, call);
            }
            _ => {}
        }
    }

    /// The operator is about to change something.
    pub(super) fn operates(&mut self, scene: &Scene<'_>, order: &Order) {
        let user = order.user();
        self.calls.touched(user);
        self.offers.touched(scene, user.name());
        *self.ordered.entry(user.clone()).or_default() += 1;
        match order {
            Order::Put(_) => {
                self.locked.remove(user);
            }
            Order::Remove(user) => {
                self.chats.removed(user);
                for (who, phone) in scene.phones.iter().enumerate() {
                    if phone.phone.config().user == user.name() {
                        self.dialogs.troubled(who);
                        self.is_back(who);
                        self.calls.removed(scene.now, who);
                    }
                }
            }
        }
    }

    /// The operator was told that it is done, or that it is not.
    pub(super) fn operated(&mut self, scene: &Scene<'_>, order: &Order, done: bool) -> Verdict {
        let (user, server) = (order.user(), scene.server);
        let others = self.ordered.entry(user.clone()).or_default();
        *others = others.saturating_sub(1);
        if !done {
            return Ok(());
        }
        // Until the next one is answered nobody can tell which is so.
        let is_last = *others == 0;
        let wanted = match order {
            Order::Put(user) => Some(&**user),
            Order::Remove(_) => None,
        };
        let known = server.shards.first();
        let known = known.and_then(|it| it.hub().accounts().get(user));
        if server.store.users.get(user) != wanted || known.as_deref() != wanted {
            return Err(format!(
                "the operator was told that this is done: {order:?}"
            ));
        }
        if wanted.is_none() {
            let theirs = scene.phones.iter().map(|it| it.phone.config());
            let theirs = theirs.filter(|it| it.user == user.name());
            theirs.for_each(|it| self.places.removed(it));
        }
        let own = setting::known_secrets(user.name());
        if is_last && wanted.is_none_or(|user| user.secrets != own) {
            self.locked.insert(user.clone(), scene.now);
        } else {
            self.locked.remove(user);
        }
        Ok(())
    }

    /// The app of a phone is another one, which remembers nothing.
    pub(super) fn reinstalled(&mut self, now: Instant, who: usize) {
        self.is_back(who);
        self.dialogs.troubled(who);
        self.calls.removed(now, who);
        self.offers.forgets(who);
        self.texts.reinstalled(who);
        self.chats.reinstalled(who);
    }

    /// The server tells the story of something.
    pub(super) fn is_told(&mut self, scene: &Scene<'_>, event: &TraceEvent) {
        if event.step == Step::MessageUnacknowledged {
            let is_its = |phone| event.device.is_some() && device_of(phone) == event.device;
            let given_up = scene.phones.iter().position(is_its);
            if let Some(who) = given_up {
                self.doors.gave_up(who);
            }
        }
    }

    /// The server sends to a phone.
    pub(super) fn sent(&mut self, scene: &Scene<'_>, to: usize, message: &Message) -> Verdict {
        let Ok(call) = message.call_id() else {
            return Err("a message without Call-ID left".to_owned());
        };
        let Ok(cseq) = message.cseq() else {
            return Err("a message without CSeq left".to_owned());
        };
        let Some(status) = message.status() else {
            self.doors.requested(scene.now, to, message)?;
            if message.method() == Some(Method::Invite)
                && message.to().is_ok_and(|to| to.tag().is_none())
            {
                let via = message.header_text(HeaderName::Via).unwrap_or_default();
                return self.calls.invited(scene, to, call, via);
            }
            return Ok(());
        };
        if status < 200 || is_turned_away(message) {
            return Ok(());
        }
        let key = (to, call.to_owned(), cseq.number);
        let first = match cseq.method {
            // The phones hang up with the CSeq of their INVITE.
            Method::Invite | Method::Register | Method::Message => self.answered.get(&key).copied(),
            Method::Bye if status < 300 => return self.dialogs.hung_up(to, call),
            // Its caller has given up: the call is over, whatever phones that are gone still owe.
            Method::Cancel if status < 300 => {
                self.calls.answered(scene.now, call);
                return Ok(());
            }
            _ => return Ok(()),
        };
        match first {
            Some(first) if first == status => return Ok(()),
            Some(first) => return Err(format!("{call} was answered {first} and {status}")),
            None => self.answered.insert(key.clone(), status),
        };
        match cseq.method {
            Method::Invite => {
                self.calls.answered(scene.now, call);
                self.calls.reached_nobody(scene, call, status)?;
                let renewal = (call, cseq.number);
                return self.dialogs.renewed(scene, to, renewal, status);
            }
            Method::Message => {
                self.texts.answered(scene, call, status)?;
                for (who, message) in self.texts.waits_for(call) {
                    self.sleepers.written_to(scene, who, &message);
                }
            }
            Method::Register if status < 300 => {
                let key = (call.to_owned(), cseq.number);
                self.doors.broke(to);
                self.may_come_in(scene, to, &key)?;
                let kept = self.places.registered(scene, to, message)?;
                // Over a connection that has ended meanwhile nobody comes, and nobody can be sent anything.
                let came = self.registers.get(&key);
                self.sleepers.is_there(to);
                if kept && came.is_some_and(|(_, flow)| scene.server.holds(*flow)) {
                    self.came.push(to);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn may_come_in(&self, scene: &Scene<'_>, who: usize, key: &(String, u32)) -> Verdict {
        let name = scene
            .phones
            .get(who)
            .map(|it| it.phone.config().user.clone());
        let user = name.and_then(|name| Address::new(&name, setting::DOMAIN).ok());
        let locked = user.and_then(|user| self.locked.get(&user));
        let came = self.registers.get(key);
        if locked.is_some_and(|at| came.is_some_and(|(came, _)| came > at)) {
            return Err(format!("phone {who} came in, whose user is locked out"));
        }
        Ok(())
    }

    /// A step of the server is over.
    pub(super) fn stepped(&mut self, now: Instant) -> Verdict {
        let mut came = std::mem::take(&mut self.came).into_iter();
        came.try_for_each(|who| self.calls.registered(now, who))
    }

    /// The server pushes to a phone.
    pub(super) fn pushed(&mut self, scene: &Scene<'_>, to: usize, order: &PushOrder) -> Verdict {
        self.places.pushed(scene, to, order)?;
        self.sleepers.pushed(scene.now, to, order);
        self.readers.pushed(scene, to, order)?;
        if self.offers.pushed(scene.now, to, order)? {
            return Ok(());
        }
        self.calls.pushed(scene, to, order)
    }

    /// The cloud has told the server that a token is dead.
    pub(super) fn token_died(&mut self, now: Instant, token: &str) {
        self.places.died(now, token);
        self.sleepers.token_died();
        self.readers.token_died();
    }

    /// Something was seen of a phone.
    pub(super) fn seen(&mut self, scene: &Scene<'_>, who: usize, event: &PhoneEvent) -> Verdict {
        self.offers.begins(scene, who, event);
        self.offers.is_there(scene.now, who, event);
        if matches!(
            event,
            PhoneEvent::Resumed { .. } | PhoneEvent::SignedIn { .. }
        ) {
            self.readers.back(who);
        }
        if offers::call_of(event).is_some_and(|call| self.offers.has(call)) {
            return self.offers.seen(scene, who, event);
        }
        let calls = self.calls.is_of(who, event);
        let outside = scene.server.outside.is(who);
        self.dialogs.seen(scene.now, who, event, (calls, outside));
        let texts = &self.texts;
        let by_sip = |id: &str| texts.knows(id);
        self.chats.seen(scene, who, event, by_sip)?;
        match event {
            PhoneEvent::MessageReceived { text, .. } => self.texts.received(who, text),
            PhoneEvent::Killed { why } => {
                let excused = !scene.gentle || self.is_fresh(scene.now, Duration::from_mins(2));
                self.calls.killed(scene.now, who, why, excused)
            }
            event => self.calls.seen(scene.now, who, event),
        }
    }

    /// Somebody did something to a phone by which it may miss what it is told.
    pub(super) fn troubled(&mut self, now: Instant, who: usize) {
        self.calls.disturbed(|caller| caller == who);
        self.calls.troubled(now, who);
        self.dialogs.troubled(who);
    }

    /// The device API has confirmed what the app of a phone said of itself.
    pub(super) fn stated(&mut self, who: usize, suspended: bool) {
        self.sleepers.stated(who, suspended);
    }

    /// The app of a phone is about to say that it is in front.
    pub(super) fn returns(&mut self, who: usize) {
        self.is_back(who);
    }

    /// A phone comes, or says that it does; or what is known of it is gone.
    fn is_back(&mut self, who: usize) {
        self.sleepers.back(who);
        self.readers.back(who);
    }

    /// Whatever had to be by now is.
    pub(super) fn in_time(&self, scene: &Scene<'_>) -> Verdict {
        let now = scene.now;
        self.calls.in_time(now)?;
        self.dialogs.in_time(now)?;
        self.readers.in_time(scene)?;
        self.sleepers.in_time(scene)
    }

    /// Everything has been quiet for long.
    pub(super) fn quiet(&self, scene: &Scene<'_>) -> Verdict {
        self.in_time(scene)?;
        self.calls.over()?;
        self.texts.all_delivered(scene)?;
        let shown = |text: &str, who| self.texts.was_shown(text, who);
        self.chats.all_delivered(scene, shown)
    }
}

/// Whether somebody is not let in: that keeps no state (RFC 3261 §26.3.2.4), and the request that comes again is judged anew.
fn is_turned_away(answer: &Message) -> bool {
    match answer.status() {
        Some(401 | 403 | 407) => true,
        Some(503) => answer.reason() == b"Too Many Wrong Passwords",
        _ => false,
    }
}

/// Nothing is under way in the server, and what it knows is what is kept.
pub(super) fn idle(server: &Server) -> Verdict {
    for (number, shard) in server.shards.iter().enumerate() {
        let mut load = shard.load_now();
        load.hub.directory = hub::Load::default().directory;
        load.hub.owed = 0;
        (load.im.sessions, load.hub.rosters, load.hub.available) = (0, 0, 0);
        if load != shard::Load::default() {
            return Err(format!("something is left in shard {number}: {load:?}"));
        }
    }
    same(server)
}

/// What the hubs know is what the store has.
pub(super) fn same(server: &Server) -> Verdict {
    let store = &server.store;
    let known: usize = server
        .shards
        .iter()
        .map(|it| it.hub().directory().all().count())
        .sum();
    if known != store.devices.len() {
        return Err(format!(
            "{known} devices known, {} kept",
            store.devices.len()
        ));
    }
    for user in server.people() {
        let user = user.address;
        let shard = server.shards.get(server.shard_of(&user));
        let Some(hub) = shard.map(shard::Shard::hub) else {
            continue;
        };
        let (known, kept) = (hub.accounts().get(&user), store.users.get(&user));
        if known.as_deref() != kept {
            return Err(format!("{user}: {known:?} known, {kept:?} kept"));
        }
        let (known, kept) = (hub.directory().unclaimed(&user), store.unclaimed(&user));
        if known != kept {
            return Err(format!("{user}: {known} unclaimed, {kept} kept"));
        }
    }
    for device in store.devices.values() {
        same_device(server, device)?;
    }
    let owed: usize = server.shards.iter().map(|it| it.hub().load().owed).sum();
    if owed != store.owed.len() {
        let kept: Vec<_> = store.owed.values().collect();
        return Err(format!("{owed} pushes owed, {} kept: {kept:?}", kept.len()));
    }
    Ok(())
}

/// What the hub of its user knows of a device is what the store has.
fn same_device(server: &Server, device: &Device) -> Verdict {
    let store = &server.store;
    let shard = server.shards.get(server.shard_of(&device.user));
    let entry = shard.and_then(|it| it.hub().directory().get(&device.id));
    let Some(entry) = entry else {
        return Err(format!("{} is kept and not known", device.id));
    };
    let queued = store.queue(&device.id).count() as u64;
    // What a session that ended leaves to a device that has it already is counted twice.
    let twice = store.twice.get(&device.id).copied().unwrap_or_default();
    if entry.over != store.over(&device.id) {
        return Err(format!("{}: {} went over", device.id, entry.over));
    }
    if entry.queued != queued + twice {
        return Err(format!(
            "{}: {} queued, {queued} kept",
            device.id, entry.queued
        ));
    }
    let adopted = store.adopted.get(&device.id).copied().unwrap_or_default();
    let most = server.limits.messages_per_device + adopted;
    if queued > most {
        return Err(format!("{}: {queued} queued of at most {most}", device.id));
    }
    let mut kept = store.doors_of(&device.id);
    // A session has ended with the process in which it was; until that is saved its door is in the store.
    let is_open = |number| entry.doors.iter().any(|it| it.number == number);
    if !server.is_settled() || server.has_refused {
        kept.retain(|(number, _)| *number < im::DOORS || is_open(*number));
    }
    let mut open: Vec<_> = entry
        .doors
        .iter()
        .map(|it| (it.number, it.expires_at))
        .collect();
    open.sort_unstable();
    // The store may believe in a door for longer than it stands, never shorter.
    let agree =
        |(open, kept): (&(u32, Timestamp), &(u32, Timestamp))| open.0 == kept.0 && open.1 <= kept.1;
    if open.len() != kept.len() || !open.iter().zip(&kept).all(agree) {
        return Err(format!("{}: doors {open:?} open, {kept:?} kept", device.id));
    }
    // When each was handed over last is not written for a refresh that changes nothing else.
    let says = |device: &Device| -> Vec<_> {
        let tokens = device.tokens.iter();
        tokens
            .map(|it| (it.value.clone(), it.dead.clone(), it.on_probation))
            .collect()
    };
    if says(&entry.device) != says(device) {
        return Err(format!("{}: other tokens than those kept", device.id));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seed 1143 of 29 November 2026: its user was let in again before the request came once more.
    #[test]
    fn who_is_turned_away_for_wrong_passwords_may_be_let_in_when_the_request_comes_again() {
        let answer = |start: &'static str| {
            let bytes = format!("SIP/2.0 {start}\r\nContent-Length: 0\r\n\r\n");
            Message::parse(bytes.into(), &sip::Limits::default()).unwrap()
        };
        assert!(is_turned_away(&answer("403 Wrong User Or Password")));
        assert!(is_turned_away(&answer("503 Too Many Wrong Passwords")));
        assert!(!is_turned_away(&answer("503 Service Unavailable")));
        assert!(!is_turned_away(&answer("202 Accepted")));
    }
}
