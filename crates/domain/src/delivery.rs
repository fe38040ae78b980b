//! The delivery of messages: to the devices that are there through their doors, to the others into a queue with a push
//! (`behaviour.md` 6). Each device has a lane: as many messages are on their way at once as its door takes, in the order
//! of the queue.
//!
//! What must survive is saved first: [`Delivery::arrived`] and [`Delivery::owe`] say what, and change nothing;
//! [`Delivery::stored`] and [`Delivery::owed`] go on when it is. Whoever drives it lets one such step a user run at a time.

mod lane;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use vocabulary::{Arrival, Effect, Landed, Recipient, Stored, Timers, Way, Ways};

use crate::{
    Address, Behaviour, Change, Class, DeviceId, DoorId, IdMap, Message, MessageId, NotificationId,
    Now, Purpose, Timestamp, behaviour::Incoming, push::OwedPush, trace::Step,
};
use lane::Lane;
use std::{collections::VecDeque, fmt, sync::Arc, time::Instant};

/// Most messages of one device that are held in memory; the rest waits in the store.
pub const BATCH: usize = 32;
/// Lanes kept before idle ones are cleared away.
const LANES: usize = 10_000;

/// Delivery to all devices.
#[derive(Debug)]
pub struct Delivery {
    behaviour: Arc<Behaviour>,
    timers: Timers,
    lanes: IdMap<DeviceId, Lane>,
    /// In order of time, since all wait equally long.
    deadlines: VecDeque<(Instant, DeviceId)>,
    name_conversation: NameConversation,
    /// Number of lanes at which idle ones are cleared away.
    crowded: usize,
}

/// Names the conversation that a message belongs to: the same for all its messages, and telling nobody who takes part.
#[derive(Clone)]
pub struct NameConversation(Arc<Rule>);

type Rule = dyn Fn(&str, &Address) -> String + Send + Sync;

impl NameConversation {
    /// By this rule, which is told who writes, and to whom.
    pub fn by(rule: impl Fn(&str, &Address) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }

    fn of(&self, from: &str, to: &Address) -> String {
        (self.0)(from, to)
    }
}

impl fmt::Debug for NameConversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameConversation")
    }
}

impl Delivery {
    /// Delivery by this table.
    pub fn new(
        behaviour: Arc<Behaviour>,
        timers: Timers,
        name_conversation: NameConversation,
    ) -> Self {
        Self {
            behaviour,
            timers,
            lanes: IdMap::default(),
            deadlines: VecDeque::new(),
            name_conversation,
            crowded: LANES,
        }
    }

    /// When [`Delivery::timeout`] wants to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.front().map(|(at, _)| *at)
    }

    /// Messages on their way to devices now.
    pub fn in_flight(&self) -> usize {
        self.lanes.values().map(Lane::in_flight).sum()
    }

    /// Whether a message is on its way to a device.
    pub fn is_under_way(&self, device: &DeviceId, message: &MessageId) -> bool {
        let lane = self.lanes.get(device);
        lane.is_some_and(|it| it.is_under_way(message))
    }

    /// A message for a user came in: what is to be saved, and what follows then. A transient one is kept nowhere.
    pub fn arrived(&self, now: Now, message: Arc<Message>, recipients: Vec<Recipient>) -> Arrival {
        let mut changes = Vec::new();
        let mut then = Stored::new(message);
        let message = &then.message.clone();
        if message.class != Class::Transient {
            changes.push(Change::Archive(message.clone()));
            then.note(now, Step::MessageStored, None, "");
            if recipients.is_empty() {
                changes.push(Change::EnqueueForUser {
                    user: message.to.clone(),
                    message: message.id.clone(),
                });
                let why = "the user has no device yet";
                then.note(now, Step::MessageQueued, None, why);
            }
        }
        for recipient in recipients {
            let incoming = match message.class {
                Class::Call => Incoming::Call,
                Class::Chat | Class::Notice | Class::Transient => Incoming::Message,
            };
            let rule = self.behaviour.rule(recipient.mode, incoming);
            let Recipient {
                device,
                mode,
                way,
                push,
                quiet_until,
                is_full,
            } = recipient;
            // What is behind others goes when it is their turn.
            let is_direct = rule.direct && !(is_full && message.class != Class::Transient);
            let way = way.filter(|_| is_direct);
            then.direct.extend(way.map(|way| (device.clone(), way)));
            if message.class == Class::Transient {
                continue;
            }
            let (to, id) = (device.clone(), message.id.clone());
            if rule.keep && is_full {
                changes.push(Change::GoOver {
                    device: to,
                    message: id,
                });
                then.over.push(device.clone());
            } else if rule.keep {
                changes.push(Change::Enqueue {
                    device: to,
                    message: id,
                });
                then.queued.push(device.clone());
            }
            if !is_direct {
                then.note(now, Step::MessageQueued, Some(&device), mode.name());
            }
            if rule.push && message.class == Class::Chat {
                match push.and_then(|()| {
                    self.owe(now, &device, message, quiet_until)
                        .map_err(std::borrow::ToOwned::to_owned)
                }) {
                    Ok(owed) => {
                        changes.push(Change::Owe(Box::new(owed.clone())));
                        then.owed.push(owed);
                    }
                    Err(why) => then.note(now, Step::PushSkipped, Some(&device), &why),
                }
            }
        }
        Arrival { changes, then }
    }

    /// The message is saved: it goes to who is there.
    pub fn stored(&mut self, now: Now, stored: &Stored) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (device, way) in &stored.direct {
            if stored.message.class == Class::Transient {
                effects.push(Effect::Relay(device.clone(), stored.message.clone()));
                continue;
            }
            let lane = self.lane(device);
            lane.goes_by(*way);
            lane.offer(&stored.message);
            self.pump(now, device, &mut effects);
        }
        for device in &stored.queued {
            let direct = stored.direct.iter().any(|(direct, _)| direct == device);
            if !direct && let Some(lane) = self.lanes.get_mut(device) {
                lane.complete = false;
            }
        }
        for owed in &stored.owed {
            self.owed(now, owed);
        }
        self.clear_idle_lanes(now.wall);
        effects
    }

    /// The name of the conversation in which somebody writes to a user.
    pub fn conversation(&self, from: &str, to: &Address) -> String {
        self.name_conversation.of(from, to)
    }

    /// The push that a message is worth to a device, or why it is worth none: one a message; one a conversation and
    /// window: the first goes at once, the others share one at the window's end. None goes while the device is left in peace.
    pub fn owe(
        &self,
        now: Now,
        device: &DeviceId,
        message: &Message,
        quiet_until: Option<Timestamp>,
    ) -> Result<OwedPush, &'static str> {
        let conversation = self.conversation(&message.from, &message.to);
        let due = match self.lanes.get(device) {
            None => now.wall,
            Some(lane) => {
                lane.push_due(&message.id, &conversation, self.timers.collapse, now.wall)?
            }
        };
        Ok(OwedPush {
            id: NotificationId::of("message", message.id.as_str(), device),
            device: device.clone(),
            purpose: Purpose::Message {
                conversation,
                unread: 0,
            },
            tracking: message.tracking.clone(),
            message: Some(message.id.clone()),
            due: due.max(quiet_until.unwrap_or_default()),
            until: now.wall.plus(self.timers.push_lifetime),
            attempts: 0,
        })
    }

    /// A push that [`Delivery::owe`] named is saved.
    pub fn owed(&mut self, now: Now, push: &OwedPush) {
        let collapse = self.timers.collapse;
        if let (Purpose::Message { conversation, .. }, Some(message)) =
            (&push.purpose, &push.message)
        {
            let lane = self.lane(&push.device);
            lane.announce(message, conversation, push.due, collapse, now.wall);
        }
    }

    /// The device came through a door, and messages go `way`. `fresh`: the door leads over another connection than before;
    /// what was on its way over that one, or through a door that is not open any more, goes again: it can be told by its id.
    pub fn returned(
        &mut self,
        now: Now,
        ways: &impl Ways,
        (door, fresh): (&DoorId, bool),
        way: Way,
    ) -> Vec<Effect> {
        let device = &door.device;
        self.lane(device).returned(way, |number| {
            let device = device.clone();
            (fresh && number == door.number) || !ways.is_open(&DoorId { device, number })
        });
        let mut effects = Vec::new();
        self.pump(now, device, &mut effects);
        effects
    }

    /// What the store has queued for the device, oldest first: at most [`BATCH`]; fewer means that there is no more.
    /// `None`: it could not be read; it is asked again in as long as a device has to acknowledge a message.
    pub fn fetched(
        &mut self,
        now: Now,
        device: &DeviceId,
        messages: Option<Vec<Arc<Message>>>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let lane = self.lane(device);
        let Some(messages) = messages else {
            lane.fetching = false;
            lane.complete = false;
            lane.unread = true;
            let again = now.instant + self.timers.acknowledge;
            self.deadlines.push_back((again, device.clone()));
            return effects;
        };
        lane.fetched(messages);
        self.pump(now, device, &mut effects);
        effects
    }

    /// The device has the message; `all_before`: and all that were sent before it.
    pub fn acknowledged(
        &mut self,
        now: Now,
        device: &DeviceId,
        message: &MessageId,
        all_before: bool,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let lane = self.lane(device);
        let landed = if all_before {
            lane.flights_up_to(message)
        } else {
            vec![message.clone()]
        };
        for id in landed {
            self.land(device, &id, Step::MessageDelivered, "", &mut effects);
        }
        self.pump(now, device, &mut effects);
        effects
    }

    /// Whoever is behind a door refused the message for good: trying again would block all that follow. If it is on its way by
    /// another door by now, that one decides.
    pub fn refused(
        &mut self,
        now: Now,
        door: &DoorId,
        message: &MessageId,
        why: &str,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let device = &door.device;
        if self.lane(device).goes_elsewhere(door.number, message) {
            return effects;
        }
        self.land(device, message, Step::MessageRefused, why, &mut effects);
        self.pump(now, device, &mut effects);
        effects
    }

    /// So many messages that were off our hands have left the store's queue.
    pub fn saved(&mut self, now: Now, device: &DeviceId, messages: usize) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(lane) = self.lanes.get_mut(device) {
            lane.saved(messages);
            self.pump(now, device, &mut effects);
        }
        effects
    }

    /// More messages wait for the device, behind those that did: they went over before.
    pub fn refilled(&mut self, now: Now, device: &DeviceId) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(lane) = self.lanes.get_mut(device) {
            lane.complete = false;
            self.pump(now, device, &mut effects);
        }
        effects
    }

    /// The message did not get through this door: it goes by another one, or stays queued, and the device is pushed to.
    pub fn failed(
        &mut self,
        now: Now,
        ways: &impl Ways,
        door: &DoorId,
        message: &MessageId,
        why: &str,
    ) -> Vec<Effect> {
        let flight = self.lane(&door.device).take_flight(door.number, message);
        let mut effects = Vec::new();
        if let Some(message) = flight {
            self.gives_up(now, ways, door, vec![message], why, &mut effects);
        }
        effects
    }

    /// Time passed: who has not acknowledged is asleep, and a queue that could not be read may be readable.
    pub fn timeout(&mut self, now: Now, ways: &impl Ways) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some((at, device)) = self.deadlines.pop_front_if(|(at, _)| *at <= now.instant) {
            let Some(lane) = self.lanes.get_mut(&device) else {
                continue;
            };
            let unread = std::mem::take(&mut lane.unread);
            if !lane.is_late(at) {
                if unread {
                    self.pump(now, &device, &mut effects);
                }
                continue;
            }
            let (number, messages) = lane.take_all_flights();
            let door = DoorId { device, number };
            let why = "no answer in time";
            self.gives_up(now, ways, &door, messages, why, &mut effects);
            effects.push(Effect::Hibernate(door));
        }
        effects
    }

    /// These messages did not get through a door.
    fn gives_up(
        &mut self,
        now: Now,
        ways: &impl Ways,
        door: &DoorId,
        messages: Vec<Arc<Message>>,
        why: &str,
        effects: &mut Vec<Effect>,
    ) {
        let device = &door.device;
        let other = |but: &[u32]| ways.way(device, but);
        let is_there = self.lane(device).gives_up(door.number, other);
        for message in messages {
            let (device, why) = (device.clone(), why.to_owned());
            effects.push(if is_there {
                Effect::Rerouted(device, message, why)
            } else {
                Effect::Unacknowledged(device, message, why)
            });
        }
        self.pump(now, device, effects);
    }

    /// Messages that waited for others wait for the device now: it may have been sent one of them before, and passed it over.
    pub fn adopted(&mut self, device: &DeviceId) {
        if let Some(lane) = self.lanes.get_mut(device) {
            lane.adopted();
        }
    }

    /// The device is no more. What was on its way leaves no queue when somebody has it who has the device's name next.
    pub fn forget(&mut self, device: &DeviceId) {
        if let Some(lane) = self.lanes.remove(device)
            && let Some(left) = lane.left()
        {
            self.lanes.insert(device.clone(), left);
        }
    }

    fn lane(&mut self, device: &DeviceId) -> &mut Lane {
        self.lanes.entry(device.clone()).or_default()
    }

    /// The message is off our hands. Told once: what comes again is an echo.
    fn land(
        &mut self,
        device: &DeviceId,
        id: &MessageId,
        step: Step,
        why: &str,
        effects: &mut Vec<Effect>,
    ) {
        let lane = self.lane(device);
        if lane.has_landed(id) {
            return;
        }
        let tracking = lane.land(id);
        let landed = Landed {
            message: id.clone(),
            told: tracking.map(|tracking| (tracking, step, why.to_owned())),
        };
        effects.push(Effect::Landed(device.clone(), landed));
    }

    /// Sends what the window has room for, or asks for more.
    fn pump(&mut self, now: Now, device: &DeviceId, effects: &mut Vec<Effect>) {
        let deadline = now.instant + self.timers.acknowledge;
        let Some(lane) = self.lanes.get_mut(device) else {
            return;
        };
        while let Some((number, message)) = lane.next(deadline) {
            let device = device.clone();
            self.deadlines.push_back((deadline, device.clone()));
            effects.push(Effect::Send(DoorId { device, number }, message));
        }
        if lane.wants_more() {
            effects.push(Effect::Fetch(device.clone()));
        }
    }

    /// Keeps the number of lanes near that of the devices in use.
    fn clear_idle_lanes(&mut self, now: Timestamp) {
        if self.lanes.len() < self.crowded {
            return;
        }
        let collapse = self.timers.collapse;
        self.lanes.retain(|_, lane| lane.is_in_use(now, collapse));
        self.crowded = LANES.max(2 * self.lanes.len());
    }
}
