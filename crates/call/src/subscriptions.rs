//! Subscriptions of phones to presence (RFC 6665, RFC 3856): each is a dialog of which we are an end, and lives for as long as it
//! is refreshed. In memory only: after a restart a phone is told at its next refresh that there is none, and asks anew. Who may
//! see whom is the hub's affair.

use crate::documents::{Documents, PIDF};
use domain::{
    Address, IdMap,
    presence::{News, Seen},
    roster::{Direction, Request},
};
use hub::{Showing, Sight, Ticket};
use sip::{
    Flow, HeaderName, Message, Method,
    dialog::Dialog,
    endpoint::{ClientTxn, ServerTxn},
};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// Of one user; one more is refused.
const OF_USER: usize = 200;
/// Of all users of a shard; one more is refused.
const OF_ALL: usize = 100_000;
/// Clients of somebody that one subscription shows; more are not shown.
const SEEN: usize = 32;
/// A change leaves so long after the one before (RFC 3856 §6.10).
const PACE: Duration = Duration::from_secs(5);
/// What others say comes one by one: so long it is waited for more of it.
const SETTLES: Duration = Duration::from_millis(100);
/// How long a subscription lasts that says nothing of it, and at most (RFC 3856 §6.4).
const LONGEST: u32 = 3_600;
/// A shorter one is refused (RFC 6665 §4.2.1.1).
pub(crate) const SHORTEST: u32 = 60;

/// Names a subscription.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct SubscriptionId(u64);

/// How far a subscription is (RFC 6665 §4.1.2).
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum State {
    /// Whoever is watched has not said whether they may be.
    Pending,
    /// What they do is seen.
    Active,
    /// It is over, and its watcher is told so, for this reason.
    Over(&'static str),
}

/// A subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) user: Address,
    pub(crate) peer: Address,
    /// What the hub calls its watcher.
    pub(crate) client: Box<str>,
    pub(crate) flow: Flow,
    /// Our address in it.
    pub(crate) contact: String,
    dialog: Dialog,
    /// Event, as its watcher writes it.
    event: String,
    state: State,
    seen: Vec<News>,
    expires_at: Instant,
    /// When its watcher is told something, if there is anything to tell.
    due: Option<Instant>,
    told_at: Option<Instant>,
    /// What it is being told.
    telling: Option<ClientTxn>,
    /// There was no way to tell it.
    pub(crate) is_stranded: bool,
}

/// One that waits for the hub.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) txn: ServerTxn,
    pub(crate) subscription: Subscription,
    pub(crate) seconds: u32,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    all: IdMap<SubscriptionId, Subscription>,
    waiting: IdMap<Ticket, Wanted>,
    of_user: IdMap<Address, Vec<SubscriptionId>>,
    /// By our tag.
    by_tag: IdMap<String, SubscriptionId>,
    by_txn: IdMap<ClientTxn, SubscriptionId>,
    alarms: BTreeSet<(Instant, SubscriptionId)>,
    taken: u64,
}

impl Subscription {
    /// The one that a request asks for.
    pub(crate) fn new(
        (user, peer): (Address, Address),
        client: Box<str>,
        flow: Flow,
        dialog: Dialog,
        (event, contact): (String, String),
        now: Instant,
    ) -> Self {
        Self {
            user,
            peer,
            client,
            flow,
            contact,
            dialog,
            event,
            state: State::Pending,
            seen: Vec::new(),
            expires_at: now,
            due: None,
            told_at: None,
            telling: None,
            is_stranded: false,
        }
    }

    /// When something is due.
    fn alarm(&self) -> Instant {
        let due = self.due.filter(|_| self.telling.is_none());
        due.map_or(self.expires_at, |due| due.min(self.expires_at))
    }

    /// Its watcher is to be told, not before then.
    fn tell_at(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Something that its watcher may see has changed.
    fn changed(&mut self, now: Instant) {
        let paced = self.told_at.map_or(now, |at| at + PACE);
        self.tell_at(paced.max(now + SETTLES));
    }

    fn ends(&mut self, now: Instant, reason: &'static str) {
        self.state = State::Over(reason);
        self.seen.clear();
        self.due = Some(now);
    }

    fn sees(&mut self, now: Instant, news: &News) {
        let before = self.seen.iter().position(|it| it.resource == news.resource);
        let is_here = matches!(news.seen, Seen::Here { .. });
        match before {
            Some(place) if is_here => self.seen[place] = news.clone(),
            Some(place) => drop(self.seen.remove(place)),
            None if is_here && self.seen.len() < SEEN => self.seen.push(news.clone()),
            // The user as such is gone.
            None if news.resource.is_empty() => self.seen.clear(),
            None => {}
        }
        // A word that it knew already may be the answer that it waits for.
        self.changed(now);
    }

    /// RFC 6665 §8.2.3.
    fn state(&self, now: Instant) -> String {
        let left = self.expires_at.saturating_duration_since(now).as_secs();
        match self.state {
            State::Pending => format!("pending;expires={left}"),
            State::Active => format!("active;expires={left}"),
            State::Over(reason) => format!("terminated;reason={reason}"),
        }
    }

    /// What its watcher is told (RFC 6665 §4.2.2, RFC 3856 §6.7). Who may not see somebody sees nobody (RFC 3856 §6.6.2).
    fn notify(&mut self, now: Instant, documents: &Documents) -> Message {
        let seen: Vec<&News> = self.seen.iter().collect();
        let body = (documents.write)(&self.peer, &seen);
        let state = self.state(now);
        let request = self
            .dialog
            .request(Method::Notify)
            .header(HeaderName::Contact, &self.contact)
            .header(HeaderName::Event, &self.event)
            .header(HeaderName::SubscriptionState, state);
        request.body(PIDF, &body).build()
    }
}

/// For how many seconds somebody subscribes; `Err`: too short a time (RFC 6665 §4.2.1.1). None at all asks for what is now
/// (RFC 6665 §4.4.3).
pub(crate) fn seconds(request: &Message) -> Result<u32, ()> {
    match request.expires().ok().flatten() {
        Some(1..SHORTEST) => Err(()),
        wanted => Ok(wanted.unwrap_or(LONGEST).min(LONGEST)),
    }
}

impl Subscriptions {
    /// How many there are, and wait.
    pub(crate) fn len(&self) -> usize {
        self.all.len() + self.waiting.len()
    }

    /// Whether there is room for one more of a user.
    pub(crate) fn has_room(&self, user: &Address) -> bool {
        let of_user = self.of_user.get(user).map_or(0, Vec::len);
        let waiting = self
            .waiting
            .values()
            .filter(|it| it.subscription.user == *user);
        self.len() < OF_ALL && of_user + waiting.count() < OF_USER
    }

    /// One waits for the hub.
    pub(crate) fn waits(&mut self, ticket: Ticket, wanted: Wanted) {
        self.waiting.insert(ticket, wanted);
    }

    /// The hub has spoken of one.
    pub(crate) fn heard(&mut self, ticket: Ticket) -> Option<Wanted> {
        self.waiting.remove(&ticket)
    }

    /// One begins.
    pub(crate) fn begin(&mut self, now: Instant, wanted: Wanted, direction: Direction) {
        let mut one = wanted.subscription;
        one.state = if direction == Direction::Subscribed {
            State::Active
        } else {
            State::Pending
        };
        one.expires_at = now + Duration::from_secs(wanted.seconds.into());
        one.tell_at(now + SETTLES);
        if wanted.seconds == 0 {
            // What is now, and the end: as soon as it is known what is now.
            one.state = State::Over("timeout");
            one.expires_at = now + SETTLES;
        }
        self.taken += 1;
        let id = SubscriptionId(self.taken);
        self.of_user.entry(one.user.clone()).or_default().push(id);
        self.by_tag.insert(one.dialog.local_tag().to_owned(), id);
        self.alarms.insert((one.alarm(), id));
        self.all.insert(id, one);
    }

    /// The one that a request is inside of.
    pub(crate) fn of(&self, request: &Message) -> Option<(SubscriptionId, &Subscription)> {
        let id = *self.by_tag.get(request.to_tag()?)?;
        let one = self.all.get(&id)?;
        one.dialog.has(request).then_some((id, one))
    }

    /// One is refreshed, or ended by its watcher (RFC 6665 §4.2.1.4); either way the watcher is told all there is.
    pub(crate) fn refresh(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        request: &Message,
        (flow, seconds): (Flow, u32),
    ) -> Result<(), sip::dialog::NotOfDialog> {
        let mut result = Ok(());
        self.change(id, |one| {
            result = one.dialog.refreshed_by(request);
            if result.is_err() {
                return;
            }
            one.flow = flow;
            one.is_stranded = false;
            one.expires_at = now + Duration::from_secs(seconds.into());
            one.tell_at(now);
            if seconds == 0 {
                one.state = State::Over("timeout");
                one.expires_at = now + SETTLES;
            }
        });
        result
    }

    /// Something is shown to a user.
    pub(crate) fn show(&mut self, now: Instant, showing: &Showing) {
        let Showing {
            user,
            client,
            sight,
        } = showing;
        let peer = match sight {
            Sight::Presence(peer, _) | Sight::Requested(peer, ..) | Sight::NoContact(peer, _) => {
                peer
            }
            Sight::Contact(contact, _) => &contact.peer,
            // What follows from it is shown as well.
            Sight::Blocked(_) | Sight::Unblocked(_) => return,
        };
        let all = self.of_user.get(user).into_iter().flatten();
        let is_for = |one: &Subscription| {
            one.peer == *peer && client.as_ref().is_none_or(|it| *it == one.client)
        };
        let shown = all.filter(|id| self.all.get(id).is_some_and(is_for));
        for id in shown.copied().collect::<Vec<_>>() {
            self.change(id, |one| match sight {
                Sight::Presence(_, news) => one.sees(now, news),
                Sight::Requested(_, Request::Subscribed, _) if one.state == State::Pending => {
                    one.state = State::Active;
                    one.tell_at(now + SETTLES);
                }
                Sight::Requested(_, Request::Unsubscribed, _) | Sight::NoContact(..) => {
                    one.ends(now, "rejected");
                }
                Sight::Contact(contact, _) if contact.to == Direction::None => {
                    one.ends(now, "rejected");
                }
                _ => {}
            });
        }
    }

    /// Nothing that this user's phones asked for stands any more, and they are told so at once, for this reason: those that wait for
    /// the hub.
    pub(crate) fn end_all(
        &mut self,
        now: Instant,
        user: &Address,
        reason: &'static str,
    ) -> Vec<Wanted> {
        let waiting = self
            .waiting
            .extract_if(|_, it| it.subscription.user == *user);
        let waiting = waiting.map(|(_, wanted)| wanted).collect();
        for id in self.of_user.get(user).cloned().unwrap_or_default() {
            let mut telling = None;
            self.change(id, |one| {
                telling = one.telling.take();
                one.ends(now, reason);
            });
            if let Some(txn) = telling {
                self.by_txn.remove(&txn);
            }
        }
        waiting
    }

    /// There may be a way to a user's phones again.
    pub(crate) fn way_is_open(&mut self, now: Instant, user: &Address) {
        let all = self.of_user.get(user).into_iter().flatten();
        let stranded = all.filter(|id| self.all.get(id).is_some_and(|it| it.is_stranded));
        for id in stranded.copied().collect::<Vec<_>>() {
            self.change(id, |one| {
                one.is_stranded = false;
                one.due = Some(now);
            });
        }
    }

    /// When [`next`](Self::next) has something.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// The next of which something is due.
    pub(crate) fn next(&self, now: Instant) -> Option<(SubscriptionId, &Subscription)> {
        let (_, id) = self.alarms.first().filter(|(at, _)| *at <= now)?;
        Some((*id, self.all.get(id)?))
    }

    /// What is to be said to its watcher, over this flow; `None`: there is no way. Says whether it is over without that.
    pub(crate) fn tell(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        flow: Option<Flow>,
        documents: &Documents,
    ) -> Option<Message> {
        let mut said = None;
        self.change(id, |one| {
            if one.expires_at <= now && !matches!(one.state, State::Over(_)) {
                one.ends(now, "timeout");
            }
            one.due = None;
            match flow {
                Some(flow) => {
                    one.flow = flow;
                    one.told_at = Some(now);
                    said = Some(one.notify(now, documents));
                }
                None => one.is_stranded = true,
            }
        });
        said
    }

    /// What was to be said is on its way, or could not leave. Gives back one that is over.
    pub(crate) fn told(
        &mut self,
        id: SubscriptionId,
        txn: Option<ClientTxn>,
    ) -> Option<Subscription> {
        let is_over = self
            .all
            .get(&id)
            .is_some_and(|it| matches!(it.state, State::Over(_)));
        if is_over {
            return self.remove(id);
        }
        match txn {
            Some(txn) => {
                self.by_txn.insert(txn, id);
                self.change(id, |one| one.telling = Some(txn));
            }
            None => self.change(id, |one| one.is_stranded = true),
        }
        None
    }

    /// A watcher has answered, or not (RFC 6665 §4.2.2). Gives back the subscription if that ends it.
    pub(crate) fn answered(&mut self, txn: ClientTxn, status: u16) -> Option<Subscription> {
        let id = *self.by_txn.get(&txn).filter(|_| status >= 200)?;
        self.by_txn.remove(&txn);
        match status {
            ..300 => self.change(id, |one| one.telling = None),
            // The connection is gone, and the phone may be back.
            503 => self.change(id, |one| {
                one.telling = None;
                one.is_stranded = true;
            }),
            _ => return self.remove(id),
        }
        None
    }

    fn change(&mut self, id: SubscriptionId, change: impl FnOnce(&mut Subscription)) {
        let Some(one) = self.all.get_mut(&id) else {
            return;
        };
        self.alarms.remove(&(one.alarm(), id));
        change(one);
        self.alarms.insert((one.alarm(), id));
    }

    fn remove(&mut self, id: SubscriptionId) -> Option<Subscription> {
        let one = self.all.remove(&id)?;
        self.alarms.remove(&(one.alarm(), id));
        self.by_tag.remove(one.dialog.local_tag());
        if let Some(txn) = one.telling {
            self.by_txn.remove(&txn);
        }
        if let Some(all) = self.of_user.get_mut(&one.user) {
            all.retain(|it| *it != id);
            if all.is_empty() {
                self.of_user.remove(&one.user);
            }
        }
        Some(one)
    }
}
