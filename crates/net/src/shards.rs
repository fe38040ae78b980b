//! The way of events to the shards. A socket's task says whose each message is, and hands over what one read brought:
//! a shard is woken once for it, not once for each message.

use std::sync::Arc;

use sip::Message;
use sip::endpoint::Flow;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{AcquireError, Semaphore};

use crate::event::Event;

/// Says which shard a message is for; called in the task of the socket that it came over, so it must be quick. What is
/// beyond the last shard wraps around.
pub type Steer = Arc<dyn Fn(&Flow, &Message) -> usize + Send + Sync>;

/// The sending ends, one a shard.
pub(crate) struct Shards {
    steer: Steer,
    queues: Vec<Queue>,
}

/// The queue of one shard: what is in it is bounded by the number of events, however many were handed over at once.
struct Queue {
    sender: UnboundedSender<Vec<Event>>,
    room: Arc<Semaphore>,
    most: usize,
}

/// The receiving end.
pub(crate) struct Receiver {
    queue: UnboundedReceiver<Vec<Event>>,
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
    /// `count` queues of at most `most` events each.
    pub(crate) fn new(count: usize, most: usize, steer: Steer) -> (Self, Vec<Receiver>) {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let (queues, receivers) = (0..count.max(1))
            .map(|_| {
                let (sender, handed) = unbounded_channel();
                let room = Arc::new(Semaphore::new(most));
                let queue = Queue {
                    sender,
                    room: room.clone(),
                    most,
                };
                let receiver = Receiver {
                    queue: handed,
                    room,
                    most,
                };
                (queue, receiver)
            })
            .unzip();
        (Self { steer, queues }, receivers)
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
            let shard = match &event {
                Event::Message { flow, message } => (self.steer)(flow, message) % parts.len(),
                // Of no use but to be counted: one shard does it. (Streams know their shards.)
                Event::Closed { .. } | Event::Malformed { .. } | Event::Xmpp(..) => 0,
            };
            parts[shard].push(event);
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
        let events = self.queue.recv().await;
        self.taken(events)
    }

    pub(crate) fn try_recv(&mut self) -> Option<Vec<Event>> {
        let events = self.queue.try_recv().ok();
        self.taken(events)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
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
