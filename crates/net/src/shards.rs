//! The way of events to the shards. A socket's task says whose each message is. What waits for a shard waits in turns: each
//! connection and each sender of datagrams has its own, so that one that brings much makes nobody else wait longer than for
//! one of its messages; and strangers come last, of whom there are never more than a few in a shard.
//!
//! A connection is read on when what it has brought is taken. So it has at most as much here as one read brings.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sip::Message;
use sip::endpoint::Flow;
use tokio::sync::{AcquireError, Notify, Semaphore, oneshot};

use crate::doorman::Standing;
use crate::event::Event;
use crate::fair::Fair;
use crate::gate::{Gate, Place};
use crate::{Limits, Visitor};

/// Says which shard a message is for; called in the task of the socket that it came over, so it must be quick. What is
/// beyond the last shard wraps around.
pub type Steer = Arc<dyn Fn(&Flow, &Message) -> usize + Send + Sync>;

/// The sending ends, one a shard.
pub(crate) struct Shards {
    steer: Steer,
    queues: Vec<Arc<Queue>>,
    /// Places of strangers, of all shards together.
    pub(crate) strangers: Gate,
}

/// Who has a turn of their own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Lane {
    Connection(u64),
    Datagrams(SocketAddr),
}

/// What waits for one shard.
struct Queue {
    waiting: Mutex<Waiting>,
    /// Something came.
    came: Notify,
    /// For what connections bring; as much again is for datagrams.
    room: Semaphore,
    most: usize,
}

#[derive(Default)]
struct Waiting {
    known: Fair<Lane, Handed>,
    /// Taken when there is nothing else.
    strange: Fair<Lane, Handed>,
}

/// An event, with what whoever brought it waits for: that it is taken.
struct Handed {
    event: Event,
    /// It has room of what there is for connections.
    has_room: bool,
    /// A stranger's place, which is free again then.
    _place: Option<Place>,
    /// A connection is read on then.
    taken: Held,
}

/// As long as this is held, the connection is not read on that brought what came with it: so its peer is slowed down by TCP. What
/// came in a datagram holds up nothing.
#[derive(Debug, Default)]
#[must_use]
pub struct Held(
    #[expect(dead_code, reason = "that it is gone says it")] Option<oneshot::Sender<Never>>,
);

/// Nothing is ever said: that the other end is gone says it.
#[derive(Debug)]
enum Never {}

/// The receiving end.
pub(crate) struct Receiver(Arc<Queue>);

/// Nobody takes events any more.
pub(crate) struct Gone;

impl From<AcquireError> for Gone {
    fn from(_: AcquireError) -> Self {
        Self
    }
}

impl Shards {
    /// `count` queues, each with as much room as the limits say.
    pub(crate) fn new(count: usize, limits: &Limits, steer: Steer) -> (Self, Vec<Receiver>) {
        let most = limits.events.clamp(1, Semaphore::MAX_PERMITS);
        let queue = |_| {
            Arc::new(Queue {
                waiting: Mutex::default(),
                came: Notify::new(),
                room: Semaphore::new(most),
                most,
            })
        };
        let queues: Vec<_> = (0..count.max(1)).map(queue).collect();
        let receivers = queues.iter().cloned().map(Receiver).collect();
        let shards = Self {
            steer,
            queues,
            strangers: Gate::new(limits.strangers.max(count), limits.strangers_per_second),
        };
        (shards, receivers)
    }

    /// Which shard something is for.
    pub(crate) fn shard_of(&self, event: &Event) -> usize {
        match event {
            Event::Message { flow, message } => (self.steer)(flow, message) % self.queues.len(),
            // Of no use but to be counted: one shard does it. (Streams know their shards.)
            Event::Closed { .. } | Event::Malformed { .. } | Event::Xmpp(..) => 0,
        }
    }

    fn queue(&self, shard: usize) -> &Arc<Queue> {
        &self.queues[shard % self.queues.len()]
    }

    /// Hands over what one read of a connection brought, in order, each to its shard. It waits for room, and until all of it is
    /// taken.
    pub(crate) async fn hand_over(
        &self,
        who: Visitor,
        events: Vec<(usize, Event)>,
    ) -> Result<(), Gone> {
        match who.standing {
            Standing::Known => self.hand_over_known(events).await,
            Standing::Stranger | Standing::Banned => {
                for (shard, event) in events {
                    let place = self.strangers.turn(who).await.map_err(|_| Gone)?;
                    let (taken, is_taken) = oneshot::channel();
                    let taken = Held(Some(taken));
                    self.queue(shard).put_strange(event, place, taken)?;
                    // Its sender is dropped.
                    let _ = is_taken.await;
                }
                Ok(())
            }
        }
    }

    async fn hand_over_known(&self, events: Vec<(usize, Event)>) -> Result<(), Gone> {
        let mut taken = Vec::new();
        for (shard, part) in parts(events) {
            let queue = self.queue(shard);
            let mut part = part.into_iter().peekable();
            while part.peek().is_some() {
                let some: Vec<_> = part.by_ref().take(queue.most).collect();
                taken.push(queue.put(some).await?);
            }
        }
        for taken in taken {
            // Its sender is dropped.
            let _ = taken.await;
        }
        Ok(())
    }

    /// Hands over a datagram of somebody known; `false`, and it is lost, if there is no room, or they have their share of it.
    pub(crate) fn offer(&self, shard: usize, event: Event) -> bool {
        self.queue(shard).offer(event)
    }

    /// Hands over what came in a datagram of a stranger.
    pub(crate) fn hand_over_strange(&self, shard: usize, event: Event, place: Place) {
        let queue = self.queue(shard);
        // Nobody takes anything any more if this fails, and everybody finds out.
        let _ = queue.put_strange(event, place, Held::default());
    }

    /// The last that a connection says to its shard: nobody waits until it is taken.
    pub(crate) async fn last(&self, shard: usize, event: Event) -> Result<(), Gone> {
        self.queue(shard).put(vec![event]).await.map(drop)
    }

    /// Tells every shard that a flow is gone: any of them may know it.
    pub(crate) async fn closed(&self, flow: Flow) -> Result<(), Gone> {
        for queue in &self.queues {
            queue.put(vec![Event::Closed { flow }]).await?;
        }
        Ok(())
    }

    /// The same without waiting: a shard too busy to take it finds out by its own timers.
    pub(crate) fn try_closed(&self, flow: Flow) {
        for queue in &self.queues {
            queue.offer(Event::Closed { flow });
        }
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

impl Queue {
    /// Puts in what a connection brought, with its room; what is answered ends when the last of it is taken.
    async fn put(&self, events: Vec<Event>) -> Result<oneshot::Receiver<Never>, Gone> {
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
        self.room.acquire_many(count).await?.forget();
        let (taken, is_taken) = oneshot::channel();
        let (mut taken, last) = (Some(taken), events.len() - 1);
        let mut waiting = self.waiting();
        for (place, event) in events.into_iter().enumerate() {
            let handed = Handed {
                event,
                has_room: true,
                _place: None,
                taken: Held(taken.take_if(|_| place == last)),
            };
            waiting.known.push(lane(&handed.event), handed);
        }
        drop(waiting);
        self.came.notify_one();
        Ok(is_taken)
    }

    fn put_strange(&self, event: Event, place: Place, taken: Held) -> Result<(), Gone> {
        if self.room.is_closed() {
            return Err(Gone);
        }
        let handed = Handed {
            event,
            has_room: false,
            _place: Some(place),
            taken,
        };
        self.waiting().strange.push(lane(&handed.event), handed);
        self.came.notify_one();
        Ok(())
    }

    /// Puts in what nobody waits for.
    fn offer(&self, event: Event) -> bool {
        let handed = Handed {
            event,
            has_room: false,
            _place: None,
            taken: Held::default(),
        };
        let (lane, most) = (lane(&handed.event), 2 * self.most);
        let is_in = self.waiting().known.offer(lane, most, || handed);
        if is_in {
            self.came.notify_one();
        }
        is_in
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lane(event: &Event) -> Lane {
    match event {
        Event::Xmpp(stream, _) => Lane::Connection(stream.0),
        Event::Message { flow, .. } | Event::Closed { flow } | Event::Malformed { flow, .. } => {
            if flow.transport.is_reliable() {
                Lane::Connection(flow.id)
            } else {
                Lane::Datagrams(flow.remote)
            }
        }
    }
}

impl Receiver {
    /// The next one, once there is one.
    pub(crate) async fn recv(&mut self) -> (Event, Held) {
        loop {
            if let Some(event) = self.try_recv() {
                return event;
            }
            self.0.came.notified().await;
        }
    }

    pub(crate) fn try_recv(&mut self) -> Option<(Event, Held)> {
        let mut waiting = self.0.waiting();
        let known = waiting.known.pop();
        let (_, handed) = known.or_else(|| waiting.strange.pop())?;
        drop(waiting);
        if handed.has_room {
            self.0.room.add_permits(1);
        }
        Some((handed.event, handed.taken))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.room.close();
        // Whoever waits until something is taken waits no more.
        *self.0.waiting() = Waiting::default();
    }
}
