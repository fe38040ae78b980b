//! The way of events to the shards. A socket's task says whose each message is, and hands over what one read brought:
//! a shard is woken once for it, not once for each message.

use std::sync::Arc;

use sip::Message;
use sip::endpoint::Flow;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::event::Event;

/// Says which shard a message is for; called in the task of the socket that it came over, so it must be quick. What is
/// beyond the last shard wraps around.
pub type Steer = Arc<dyn Fn(&Flow, &Message) -> usize + Send + Sync>;

/// The sending ends, one a shard.
pub(crate) struct Shards {
    steer: Steer,
    queues: Vec<Queue>,
    /// Places of strangers, of all shards together.
    strangers: Arc<Semaphore>,
}

/// A place of a stranger, given back when a shard takes what is in it.
pub(crate) type Place = OwnedSemaphorePermit;

/// The queue of one shard: what is in it is bounded by the number of events, however many were handed over at once.
struct Queue {
    sender: UnboundedSender<Vec<Event>>,
    strangers: UnboundedSender<(Event, Place)>,
    room: Arc<Semaphore>,
    most: usize,
}

/// The receiving end.
pub(crate) struct Receiver {
    queue: UnboundedReceiver<Vec<Event>>,
    /// Taken when there is nothing else.
    strangers: UnboundedReceiver<(Event, Place)>,
    room: Arc<Semaphore>,
    most: usize,
}

/// Nobody takes events any more.
pub(crate) struct Gone;

impl From<AcquireError> for Gone {
    fn from(_: AcquireError) -> Self {
        Self
    }
}

impl Shards {
    /// `count` queues of at most `most` events each, and so many more of `strangers` in all.
    pub(crate) fn new(
        count: usize,
        (most, strangers): (usize, usize),
        steer: Steer,
    ) -> (Self, Vec<Receiver>) {
        let strangers = Arc::new(Semaphore::new(strangers.max(count)));
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let (queues, receivers) = (0..count.max(1))
            .map(|_| {
                let (sender, handed) = unbounded_channel();
                let (to_strangers, of_strangers) = unbounded_channel();
                let room = Arc::new(Semaphore::new(most));
                let queue = Queue {
                    sender,
                    strangers: to_strangers,
                    room: room.clone(),
                    most,
                };
                let receiver = Receiver {
                    queue: handed,
                    strangers: of_strangers,
                    room,
                    most,
                };
                (queue, receiver)
            })
            .unzip();
        let shards = Self {
            steer,
            queues,
            strangers,
        };
        (shards, receivers)
    }

    /// The next place of a stranger.
    pub(crate) async fn place(&self) -> Result<Place, Gone> {
        Ok(self.strangers.clone().acquire_owned().await?)
    }

    /// The same, if there is one now.
    pub(crate) fn try_place(&self) -> Option<Place> {
        self.strangers.clone().try_acquire_owned().ok()
    }

    /// Hands over what came from a stranger.
    pub(crate) fn hand_over_strange(&self, event: Event, place: Place) {
        let shard = self.shard_of(&event);
        // Nobody takes anything any more if this fails, and everybody finds out.
        let _ = self.queues[shard].strangers.send((event, place));
    }

    fn shard_of(&self, event: &Event) -> usize {
        match event {
            Event::Message { flow, message } => (self.steer)(flow, message) % self.queues.len(),
            // Of no use but to be counted: one shard does it. (Streams know their shards.)
            Event::Closed { .. } | Event::Malformed { .. } | Event::Xmpp(..) => 0,
        }
    }

    /// Hands over what one read brought, to each shard its part, in order. It waits for room, one shard after the
    /// other: a shard that is full holds up the sockets that have something for it, and these bring nothing to the
    /// others meanwhile.
    pub(crate) async fn hand_over(&self, events: Vec<Event>) -> Result<(), Gone> {
        if let [queue] = &self.queues[..] {
            return queue.send(events).await;
        }
        let mut parts: Vec<Vec<Event>> = self.queues.iter().map(|_| Vec::new()).collect();
        for event in events {
            parts[self.shard_of(&event)].push(event);
        }
        for (queue, part) in self.queues.iter().zip(parts) {
            if !part.is_empty() {
                queue.send(part).await?;
            }
        }
        Ok(())
    }

    /// Hands over events whose shard is known, in order.
    pub(crate) async fn hand_over_to(&self, events: Vec<(usize, Event)>) -> Result<(), Gone> {
        for (shard, part) in parts(events) {
            self.queues[shard % self.queues.len()].send(part).await?;
        }
        Ok(())
    }

    /// Tells every shard that a flow is gone: any of them may know it.
    pub(crate) async fn closed(&self, flow: Flow) -> Result<(), Gone> {
        for queue in &self.queues {
            queue.send(vec![Event::Closed { flow }]).await?;
        }
        Ok(())
    }

    /// The same without waiting: a shard too busy to take it finds out by its own timers.
    pub(crate) fn try_closed(&self, flow: Flow) {
        for queue in &self.queues {
            if let Ok(permit) = queue.room.try_acquire() {
                permit.forget();
                let _ = queue.sender.send(vec![Event::Closed { flow }]);
            }
        }
    }
}

impl Queue {
    async fn send(&self, events: Vec<Event>) -> Result<(), Gone> {
        let permits = permits(&events, self.most);
        self.room.acquire_many(permits).await?.forget();
        self.sender.send(events).map_err(|_| Gone)
    }
}

/// What goes to one shard, one behind the other, goes at once.
fn parts(events: Vec<(usize, Event)>) -> Vec<(usize, Vec<Event>)> {
    let mut parts: Vec<(usize, Vec<Event>)> = Vec::new();
    for (shard, event) in events {
        match parts.last_mut() {
            Some((last, part)) if *last == shard => part.push(event),
            _ => parts.push((shard, vec![event])),
        }
    }
    parts
}

/// More events at once than there is ever room for take all the room.
fn permits(events: &[Event], most: usize) -> u32 {
    u32::try_from(events.len().min(most)).unwrap_or(u32::MAX)
}

impl Receiver {
    pub(crate) async fn recv(&mut self) -> Option<Vec<Event>> {
        let events = tokio::select! {
            biased;
            events = self.queue.recv() => events,
            Some((event, _)) = self.strangers.recv() => return Some(vec![event]),
        };
        self.taken(events)
    }

    pub(crate) fn try_recv(&mut self) -> Option<Vec<Event>> {
        let events = self.queue.try_recv().ok();
        self.taken(events)
            .or_else(|| Some(vec![self.strangers.try_recv().ok()?.0]))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.strangers.is_empty()
    }

    fn taken(&self, events: Option<Vec<Event>>) -> Option<Vec<Event>> {
        if let Some(events) = &events {
            self.room.add_permits(permits(events, self.most) as usize);
        }
        events
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.room.close();
    }
}
