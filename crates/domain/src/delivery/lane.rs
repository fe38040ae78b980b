//! What goes to one device: the head of its queue, what is on its way, and which pushes announced it.

use super::{BATCH, Way};
use crate::{Message, MessageId, Timestamp, TrackingId};
use smallvec::SmallVec;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// Most conversations of one device whose pushes are collapsed; the push of one more goes out at once.
const WINDOWS: usize = 64;
/// Acknowledged messages remembered, so that a queue read before they left it does not send them again.
const DONE: usize = 2 * BATCH;
/// Announced messages remembered: those on their way are among the latest.
const ANNOUNCED: usize = BATCH;

#[derive(Debug)]
struct Flight {
    message: Arc<Message>,
    /// Acknowledged by then, or the device is asleep.
    deadline: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The door that messages go through; none while the device is away.
    pub(super) way: Option<Way>,
    /// Doors through which one did not get, since the device was here last.
    failed: SmallVec<[u32; 1]>,
    /// The head of the queue.
    ready: VecDeque<Arc<Message>>,
    flights: VecDeque<Flight>,
    /// The door by which all of those are on their way: what goes by another one waits for them, so that nothing is overtaken.
    by: u32,
    /// All that is queued is in `ready` or on its way: the store need not be asked.
    pub(super) complete: bool,
    pub(super) fetching: bool,
    /// It was asked, and could not say.
    pub(super) unread: bool,
    done: VecDeque<MessageId>,
    /// How many of those the store still has in the queue: it is not read before they have left it.
    unsaved: usize,
    /// Messages that a push was owed for since the device was here last.
    announced: VecDeque<MessageId>,
    /// By conversation: when its last push was or will be due.
    windows: BTreeMap<String, Timestamp>,
}

impl Lane {
    /// What is left of it for the next device of this name, if anything: it may be told that what is on its way has arrived.
    pub(super) fn left(self) -> Option<Self> {
        let flights = self.flights.into_iter();
        let done: VecDeque<_> = flights.map(|it| it.message.id.clone()).collect();
        (!done.is_empty()).then(|| Self {
            done,
            ..Self::default()
        })
    }

    pub(super) fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Whether a message is on its way.
    pub(super) fn is_under_way(&self, id: &MessageId) -> bool {
        self.flights.iter().any(|it| it.message.id == *id)
    }

    /// The message was put at the end of the device's queue.
    pub(super) fn offer(&mut self, message: &Arc<Message>) {
        if !self.complete || self.fetching || self.ready.len() >= BATCH {
            self.complete = false;
        } else if !self.knows(&message.id) {
            self.ready.push_back(message.clone());
        }
    }

    /// A queue that was read may hold what was told to us as well.
    fn knows(&self, id: &MessageId) -> bool {
        self.done.contains(id)
            || self.ready.iter().any(|message| message.id == *id)
            || self.is_under_way(id)
    }

    /// The next message to send, and by which door, if that has room for it.
    pub(super) fn next(&mut self, deadline: Instant) -> Option<(u32, Arc<Message>)> {
        let door = self.way_with_room()?;
        if self.fetching {
            return None;
        }
        let message = self.ready.pop_front()?;
        self.by = door;
        self.flights.push_back(Flight {
            message: message.clone(),
            deadline,
        });
        Some((door, message))
    }

    fn way_with_room(&self) -> Option<u32> {
        let Way { door, window } = self.way?;
        let is_free = self.flights.is_empty() || self.by == door;
        (is_free && self.flights.len() < window).then_some(door)
    }

    /// Whether the store is to be asked now. What is queued from here on says so again.
    pub(super) fn wants_more(&mut self) -> bool {
        let wants = !self.complete
            && !self.fetching
            && self.unsaved == 0
            && self.ready.is_empty()
            && self.way_with_room().is_some();
        self.fetching |= wants;
        self.complete |= wants;
        wants
    }

    /// Takes what the store has.
    pub(super) fn fetched(&mut self, messages: Vec<Arc<Message>>) {
        self.fetching = false;
        let more = messages.len() >= BATCH;
        let flights = &self.flights;
        let on_its_way = |id: &MessageId| flights.iter().any(|flight| flight.message.id == *id);
        let done = &self.done;
        let new = |message: &Arc<Message>| !done.contains(&message.id) && !on_its_way(&message.id);
        self.ready = messages.into_iter().filter(new).collect();
        // A batch of nothing but old acquaintances would only come again.
        self.complete &= !more || self.ready.is_empty();
    }

    /// So many messages have left the store's queue.
    pub(super) fn saved(&mut self, messages: usize) {
        self.unsaved = self.unsaved.saturating_sub(messages);
    }

    /// The device is here; see [`super::Delivery::returned`].
    pub(super) fn returned(&mut self, way: Way, is_lost: impl Fn(u32) -> bool) {
        self.windows.clear();
        self.announced.clear();
        self.complete = false;
        self.goes_by(way);
        if is_lost(self.by) {
            self.flights.clear();
            self.ready.clear();
        }
    }

    /// Messages go through this door from now on.
    pub(super) fn goes_by(&mut self, way: Way) {
        self.way = Some(way);
        self.failed.clear();
    }

    /// One did not get through this door. What is left goes by the other way, if there is one.
    pub(super) fn gives_up(&mut self, door: u32, other: impl Fn(&[u32]) -> Option<Way>) -> bool {
        if !self.failed.contains(&door) {
            self.failed.push(door);
        }
        self.way = other(&self.failed);
        self.ready.clear();
        self.complete = false;
        self.way.is_some()
    }

    /// Other messages are queued, perhaps some that are off our hands as far as anybody knows. What is still in the queue but
    /// for the store's answer is not asked for again.
    pub(super) fn adopted(&mut self) {
        self.complete = false;
        if !self.fetching && self.unsaved == 0 {
            self.done.clear();
        }
    }

    /// All that are on their way up to this one, in order; none if it is not among them.
    pub(super) fn flights_up_to(&self, id: &MessageId) -> Vec<MessageId> {
        let last = self.flights.iter().position(|it| it.message.id == *id);
        let taken = last.map_or(0, |last| last + 1);
        let ids = self.flights.iter().take(taken);
        ids.map(|flight| flight.message.id.clone()).collect()
    }

    /// Whether it is known that the message is off our hands.
    pub(super) fn has_landed(&self, id: &MessageId) -> bool {
        self.done.contains(id)
    }

    /// The message is off our hands. Says whose story it was if it was on its way.
    pub(super) fn land(&mut self, id: &MessageId) -> Option<TrackingId> {
        self.ready.retain(|message| message.id != *id);
        self.done.push_back(id.clone());
        if self.done.len() > DONE {
            self.done.pop_front();
        }
        self.unsaved += 1;
        let message = self.remove_flight(id)?;
        Some(message.tracking.clone())
    }

    /// Takes back a message that was on its way by this door.
    pub(super) fn take_flight(&mut self, door: u32, id: &MessageId) -> Option<Arc<Message>> {
        if self.by != door {
            return None;
        }
        self.remove_flight(id)
    }

    /// Whether a message is on its way by another door than this one.
    pub(super) fn goes_elsewhere(&self, door: u32, id: &MessageId) -> bool {
        self.by != door && self.is_under_way(id)
    }

    /// Takes back all that are on their way, and says by which door they were.
    pub(super) fn take_all_flights(&mut self) -> (u32, Vec<Arc<Message>>) {
        let flights = self.flights.drain(..);
        (self.by, flights.map(|flight| flight.message).collect())
    }

    fn remove_flight(&mut self, id: &MessageId) -> Option<Arc<Message>> {
        let place = self.flights.iter().position(|it| it.message.id == *id)?;
        self.flights.remove(place).map(|flight| flight.message)
    }

    /// Whether a message was to be acknowledged by then.
    pub(super) fn is_late(&self, deadline: Instant) -> bool {
        self.flights
            .front()
            .is_some_and(|flight| flight.deadline <= deadline)
    }

    /// When a push for a message may go, or why there is none.
    pub(super) fn push_due(
        &self,
        id: &MessageId,
        conversation: &str,
        collapse: Duration,
        now: Timestamp,
    ) -> Result<Timestamp, &'static str> {
        if self.announced.contains(id) {
            return Err("it was pushed for already");
        }
        match self.windows.get(conversation) {
            Some(&due) if now < due => Err("another is due for it"),
            Some(due) if now < due.plus(collapse) => Ok(due.plus(collapse)),
            _ => Ok(now),
        }
    }

    /// A push is owed for a message.
    pub(super) fn announce(
        &mut self,
        id: &MessageId,
        conversation: &str,
        due: Timestamp,
        collapse: Duration,
        now: Timestamp,
    ) {
        self.announced.push_back(id.clone());
        if self.announced.len() > ANNOUNCED {
            self.announced.pop_front();
        }
        self.windows.retain(|_, due| now < due.plus(collapse));
        if self.windows.len() < WINDOWS || self.windows.contains_key(conversation) {
            self.windows.insert(conversation.to_owned(), due);
        }
    }

    pub(super) fn is_in_use(&self, now: Timestamp, collapse: Duration) -> bool {
        let open = self.windows.values().any(|due| now < due.plus(collapse));
        !self.flights.is_empty()
            || self.unsaved > 0
            || self.fetching
            || self.unread
            || !self.ready.is_empty()
            || open
    }
}
