//! The delivery of messages: to the devices that are there over their connections, to the others into a queue with a
//! push (`behaviour.md` 6). Each device has a lane: one message is on its way at a time, in the order of the queue.
//!
//! What must survive is in the [`Step::changes`]; the effects are performed once those are durable.

mod vocabulary;

pub use vocabulary::{Effect, Input, Now, Recipient, Step, Timers};

use crate::{
    Behaviour, Change, Class, DeviceId, Message, MessageId, NotificationId, Purpose, Timestamp,
    TrackingId, behaviour::Incoming, push::OwedPush, trace,
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::Instant,
};

/// Most messages of one device that are held in memory; the rest waits in the store.
pub const BATCH: usize = 32;
/// Most conversations of one device whose pushes are collapsed; the push of one more goes out at once.
pub const WINDOWS: usize = 64;
/// Lanes kept before idle ones are cleared away.
const LANES: usize = 10_000;
/// Acknowledged messages remembered per lane, so that a queue read before they left it does not send them again.
const DONE: usize = 2 * BATCH;
/// Announced messages remembered per lane: the one in flight is among the latest.
const ANNOUNCED: usize = BATCH;

#[derive(Debug)]
struct Flight {
    message: Message,
    /// Acknowledged by then, or the device is asleep.
    deadline: Instant,
}

/// What goes to one device.
#[derive(Debug, Default)]
struct Lane {
    /// The head of the queue.
    ready: VecDeque<Message>,
    in_flight: Option<Flight>,
    /// All that is queued is in `ready` or in flight: the store need not be asked.
    complete: bool,
    fetching: bool,
    done: VecDeque<MessageId>,
    /// Messages that a push was owed for since the device was here last.
    announced: VecDeque<MessageId>,
    /// By conversation: when its last push was or will be due.
    windows: BTreeMap<String, Timestamp>,
}

/// Delivery to all devices.
#[derive(Debug)]
pub struct Delivery {
    behaviour: Behaviour,
    timers: Timers,
    lanes: HashMap<DeviceId, Lane>,
    /// In order of time, since all wait equally long.
    deadlines: VecDeque<(Instant, DeviceId)>,
    name_conversation: NameConversation,
    /// Number of lanes at which idle ones are cleared away.
    crowded: usize,
}

/// Names the conversation that a message belongs to: the same for all its messages, and telling nobody who takes part.
#[derive(Clone)]
pub struct NameConversation(Arc<dyn Fn(&Message) -> String + Send + Sync>);

impl NameConversation {
    /// By this rule.
    pub fn by(rule: impl Fn(&Message) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }

    fn of(&self, message: &Message) -> String {
        (self.0)(message)
    }
}

impl fmt::Debug for NameConversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameConversation")
    }
}

impl Delivery {
    /// Delivery by this table.
    pub fn new(behaviour: Behaviour, timers: Timers, name_conversation: NameConversation) -> Self {
        Self {
            behaviour,
            timers,
            lanes: HashMap::new(),
            deadlines: VecDeque::new(),
            name_conversation,
            crowded: LANES,
        }
    }

    /// When [`Delivery::timeout`] wants to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.front().map(|(at, ..)| *at)
    }

    /// Something happened.
    pub fn step(&mut self, now: Now, input: Input) -> Step {
        let mut step = Step::default();
        match input {
            Input::Arrived {
                message,
                recipients,
            } => self.arrived(now, &message, recipients, &mut step),
            Input::Returned { device, fresh } => self.returned(now, &device, fresh, &mut step),
            Input::Fetched { device, messages } => self.fetched(now, &device, messages, &mut step),
            Input::Acknowledged { device, message } => {
                let how = (trace::Step::MessageDelivered, "");
                self.leaves_queue(now, &device, &message, how, &mut step);
            }
            Input::Failed {
                device,
                message,
                why,
                for_good,
            } => {
                if for_good {
                    let how = (trace::Step::MessageRefused, why.as_str());
                    self.leaves_queue(now, &device, &message, how, &mut step);
                } else {
                    self.unacknowledged(now, &device, &message, &why, &mut step);
                }
            }
            Input::Undone { effects, devices } => self.undone(effects, &devices),
            Input::Forgotten(device) => {
                self.lanes.remove(&device);
            }
        }
        step
    }

    /// Time passed: devices that have not acknowledged are asleep.
    pub fn timeout(&mut self, now: Now) -> Step {
        let mut step = Step::default();
        while let Some((at, device)) = self.deadlines.pop_front_if(|(at, _)| *at <= now.instant) {
            let lane = self.lanes.get(&device);
            let due = lane
                .and_then(|lane| lane.in_flight.as_ref())
                .filter(|flight| flight.deadline == at)
                .map(|flight| flight.message.id.clone());
            if let Some(id) = due {
                self.unacknowledged(now, &device, &id, "no answer in time", &mut step);
                step.effects.push(Effect::Hibernate(device));
            }
        }
        step
    }

    fn arrived(
        &mut self,
        now: Now,
        message: &Message,
        recipients: Vec<Recipient>,
        step: &mut Step,
    ) {
        if message.class != Class::Transient {
            step.changes
                .push(Change::Archive(Arc::new(message.clone())));
            step.trace(
                &message.tracking,
                now.wall,
                trace::Step::MessageStored,
                None,
                "",
            );
            if recipients.is_empty() {
                step.changes.push(Change::EnqueueForUser {
                    user: message.to.clone(),
                    message: message.id.clone(),
                });
                step.trace(
                    &message.tracking,
                    now.wall,
                    trace::Step::MessageQueued,
                    None,
                    "the user has no device yet",
                );
            }
        }
        for Recipient { device, mode, push } in recipients {
            let rule = self.behaviour.rule(mode, Incoming::Message);
            if message.class == Class::Transient {
                if rule.direct {
                    step.effects
                        .push(Effect::Relay(device, Box::new(message.clone())));
                }
                continue;
            }
            if rule.keep {
                step.changes.push(Change::Enqueue {
                    device: device.clone(),
                    message: message.id.clone(),
                });
            }
            if rule.direct {
                self.offer(&device, message);
                self.pump(now, &device, step);
            } else {
                step.trace(
                    &message.tracking,
                    now.wall,
                    trace::Step::MessageQueued,
                    Some(&device),
                    mode.name(),
                );
            }
            if rule.push && message.class == Class::Chat {
                match push {
                    Ok(()) => self.owe_push(now, &device, message, step),
                    Err(why) => {
                        step.trace(
                            &message.tracking,
                            now.wall,
                            trace::Step::PushSkipped,
                            Some(&device),
                            &why,
                        );
                    }
                }
            }
        }
        self.clear_idle_lanes(now.wall);
    }

    fn lane(&mut self, device: &DeviceId) -> &mut Lane {
        self.lanes.entry(device.clone()).or_default()
    }

    /// The message was put at the end of the device's queue.
    fn offer(&mut self, device: &DeviceId, message: &Message) {
        let lane = self.lane(device);
        if lane.complete && !lane.fetching && lane.ready.len() < BATCH {
            lane.ready.push_back(message.clone());
        } else {
            lane.complete = false;
        }
    }

    /// Sends the next message, or asks for more.
    fn pump(&mut self, now: Now, device: &DeviceId, step: &mut Step) {
        let deadline = now.instant + self.timers.acknowledge;
        let lane = self.lane(device);
        if lane.in_flight.is_some() || lane.fetching {
            return;
        }
        let Some(message) = lane.ready.pop_front() else {
            if !lane.complete {
                lane.fetching = true;
                // Whatever is queued from here on clears this again.
                lane.complete = true;
                step.effects.push(Effect::Fetch(device.clone()));
            }
            return;
        };
        lane.in_flight = Some(Flight {
            message: message.clone(),
            deadline,
        });
        self.deadlines.push_back((deadline, device.clone()));
        step.trace(
            &message.tracking,
            now.wall,
            trace::Step::MessageSent,
            Some(device),
            "",
        );
        step.effects
            .push(Effect::Send(device.clone(), Box::new(message)));
    }

    fn fetched(&mut self, now: Now, device: &DeviceId, messages: Vec<Message>, step: &mut Step) {
        let lane = self.lane(device);
        lane.fetching = false;
        let more = messages.len() >= BATCH;
        let fresh = |message: &Message| !lane.done.contains(&message.id);
        lane.ready = messages.into_iter().filter(fresh).collect();
        // A batch of nothing but old acquaintances would only come again.
        lane.complete &= !more || lane.ready.is_empty();
        self.pump(now, device, step);
    }

    /// The device has the message, or will never take it. Told once: what comes again is an echo.
    fn leaves_queue(
        &mut self,
        now: Now,
        device: &DeviceId,
        id: &MessageId,
        (how, why): (trace::Step, &str),
        step: &mut Step,
    ) {
        if self.lane(device).done.contains(id) {
            return self.pump(now, device, step);
        }
        step.changes.push(Change::Delivered {
            device: device.clone(),
            message: id.clone(),
        });
        if let Some(tracking) = self.land(device, id) {
            step.trace(&tracking, now.wall, how, Some(device), why);
        }
        self.pump(now, device, step);
    }

    /// The device is back. What was on its way over an earlier connection goes again: it can be told by its id.
    fn returned(&mut self, now: Now, device: &DeviceId, fresh: bool, step: &mut Step) {
        let lane = self.lane(device);
        lane.windows.clear();
        lane.announced.clear();
        lane.complete = false;
        if fresh {
            lane.in_flight = None;
            lane.ready.clear();
        }
        self.pump(now, device, step);
    }

    /// What was not done is tried again when the device returns or the next message comes.
    fn undone(&mut self, effects: Vec<Effect>, devices: &[DeviceId]) {
        for device in devices {
            let lane = self.lane(device);
            lane.ready.clear();
            lane.done.clear();
            lane.complete = false;
        }
        for effect in effects {
            let (Effect::Fetch(device) | Effect::Send(device, _)) = &effect else {
                continue;
            };
            let lane = self.lane(device);
            lane.complete = false;
            match &effect {
                Effect::Send(_, message) => {
                    lane.ready.clear();
                    lane.in_flight
                        .take_if(|flight| flight.message.id == message.id);
                }
                _ => lane.fetching = false,
            }
        }
    }

    /// The message is off our hands; says whose story it was if it was in flight.
    fn land(&mut self, device: &DeviceId, id: &MessageId) -> Option<TrackingId> {
        let lane = self.lane(device);
        lane.ready.retain(|message| message.id != *id);
        lane.done.push_back(id.clone());
        if lane.done.len() > DONE {
            lane.done.pop_front();
        }
        lane.in_flight
            .take_if(|flight| flight.message.id == *id)
            .map(|flight| flight.message.tracking)
    }

    /// The message stays queued, and the device is pushed to.
    fn unacknowledged(
        &mut self,
        now: Now,
        device: &DeviceId,
        id: &MessageId,
        why: &str,
        step: &mut Step,
    ) {
        let lane = self.lane(device);
        let this = |flight: &mut Flight| flight.message.id == *id;
        let Some(Flight { message, .. }) = lane.in_flight.take_if(this) else {
            return;
        };
        lane.ready.clear();
        lane.complete = false;
        step.trace(
            &message.tracking,
            now.wall,
            trace::Step::MessageUnacknowledged,
            Some(device),
            why,
        );
        if message.class == Class::Chat {
            self.owe_push(now, device, &message, step);
        }
    }

    /// One push a message; one a conversation and window: the first goes at once, the others share one at the window's
    /// end.
    fn owe_push(&mut self, now: Now, device: &DeviceId, message: &Message, step: &mut Step) {
        let conversation = &self.name_conversation.of(message);
        let collapse = self.timers.collapse;
        let until = now.wall.plus(self.timers.push_lifetime);
        let Lane {
            announced, windows, ..
        } = self.lane(device);
        if announced.contains(&message.id) {
            step.trace(
                &message.tracking,
                now.wall,
                trace::Step::PushSkipped,
                Some(device),
                "it was pushed for already",
            );
            return;
        }
        announced.push_back(message.id.clone());
        if announced.len() > ANNOUNCED {
            announced.pop_front();
        }
        windows.retain(|_, due| now.wall < due.plus(collapse));
        let due = match windows.get(conversation) {
            Some(&due) if now.wall < due => {
                step.trace(
                    &message.tracking,
                    now.wall,
                    trace::Step::PushSkipped,
                    Some(device),
                    "another is due for it",
                );
                return;
            }
            Some(due) => due.plus(collapse),
            None => now.wall,
        };
        if windows.len() < WINDOWS || windows.contains_key(conversation) {
            windows.insert(conversation.to_owned(), due);
        }
        step.changes.push(Change::Owe(Box::new(OwedPush {
            id: NotificationId::of("message", message.id.as_str(), device),
            device: device.clone(),
            purpose: Purpose::Message {
                conversation: conversation.to_owned(),
                unread: 0,
            },
            tracking: message.tracking.clone(),
            message: Some(message.id.clone()),
            due,
            until,
            attempts: 0,
        })));
    }

    /// Keeps the number of lanes near that of the devices in use.
    fn clear_idle_lanes(&mut self, now: Timestamp) {
        if self.lanes.len() < self.crowded {
            return;
        }
        let collapse = self.timers.collapse;
        self.lanes.retain(|_, lane| {
            let windows_open = lane.windows.values().any(|due| now < due.plus(collapse));
            lane.in_flight.is_some() || lane.fetching || !lane.ready.is_empty() || windows_open
        });
        self.crowded = LANES.max(2 * self.lanes.len());
    }
}

#[cfg(test)]
mod tests;
