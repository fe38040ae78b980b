//! The way of events to the shards. A socket's task says whose each message is. What waits for a shard waits in turns: each
//! connection and each sender of datagrams has its own, so that one that brings much makes nobody else wait longer than for
//! one of its messages; and strangers come last, of whom there are never more than a few in a shard.
//!
//! A connection is read on when what it has brought is taken. So it has at most as much here as one read brings.
//!
//! Where what is brought needs no shard, because whoever takes it can do so anywhere, it is taken in the socket's own task
//! ([`Taker`]): nothing waits then, and each processor takes what it has read.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sip::Message;
use sip::endpoint::Flow;
use tokio::sync::{AcquireError, Notify, Semaphore, SetOnce, oneshot};

use crate::doorman::Standing;
use crate::event::Event;
use crate::fair::Fair;
use crate::gate::{Gate, Place};
use crate::{Limits, Visitor};

/// Says which shard a message is for; called in the task of the socket that it came over, so it must be quick. What is
/// beyond the last shard wraps around.
pub type Steer = Arc<dyn Fn(&Flow, &Message) -> usize + Send + Sync>;

/// Takes events in the tasks of the sockets that brought them, several at once: those of one connection in order, one after the
/// other.
pub type Taker = Arc<dyn Fn(Event, Held) + Send + Sync>;

/// The sending ends, one a shard.
pub(crate) struct Shards {
    steer: Steer,
    ways: Ways,
    /// Places of strangers, of all shards together.
    pub(crate) strangers: Gate,
}

/// Where events go.
enum Ways {
    /// Each shard's.
    Queues(Vec<Arc<Queue>>),
    /// To this one, once somebody has said who it is.
    Taker(SetOnce<Taker>),
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
        (
            Self::of(Ways::Queues(queues), count, limits, steer),
            receivers,
        )
    }

    /// No queue: all of it is taken where it comes in, once there is a taker ([`Shards::take_by`]).
    pub(crate) fn unqueued(limits: &Limits) -> Self {
        Self::of(Ways::Taker(SetOnce::new()), 1, limits, Arc::new(|_, _| 0))
    }

    fn of(ways: Ways, count: usize, limits: &Limits, steer: Steer) -> Self {
        Self {
            steer,
            ways,
            strangers: Gate::new(limits.strangers.max(count), limits.strangers_per_second),
        }
    }

    /// Who takes everything from now on. Once; and only where there are no queues.
    pub(crate) fn take_by(&self, taker: Taker) {
        if let Ways::Taker(of) = &self.ways {
            // There is one already, which goes on.
            let _ = of.set(taker);
        }
    }

    /// Whether what comes waits in queues.
    pub(crate) fn are_queued(&self) -> bool {
        matches!(self.ways, Ways::Queues(_))
    }

    /// Which shard something is for.
    pub(crate) fn shard_of(&self, event: &Event) -> usize {
        match event {
            Event::Message { flow, message } => (self.steer)(flow, message),
            // Of no use but to be counted: one shard does it. (Streams know their shards.)
            Event::Closed { .. } | Event::Malformed { .. } | Event::Xmpp(..) => 0,
        }
    }

    /// Hands over what one read of a connection brought, in order, each to its shard. It waits for room, and until all of it is
    /// taken.
    pub(crate) async fn hand_over(
        &self,
        who: Visitor,
        events: Vec<(usize, Event)>,
    ) -> Result<(), Gone> {
        let is_known = who.standing == Standing::Known;
        match &self.ways {
            Ways::Queues(queues) if is_known => return hand_over_known(queues, events).await,
            Ways::Queues(queues) => {
                for (shard, event) in events {
                    let (queue, place) = (of(queues, shard), self.turn(who).await?);
                    taken(|held| queue.put_strange(event, place, held)).await?;
                }
            }
            Ways::Taker(taker) => {
                let taker = taker.wait().await;
                for (_, event) in events {
                    // It is for looking at what came; only its own connection waits for what becomes of that.
                    let place = if is_known {
                        None
                    } else {
                        Some(self.turn(who).await?)
                    };
                    let take = |held| {
                        taker(event, held);
                        drop(place);
                    };
                    taken(take).await;
                }
            }
        }
        Ok(())
    }

    /// A stranger's place, when it is its turn.
    async fn turn(&self, who: Visitor) -> Result<Place, Gone> {
        self.strangers.turn(who).await.map_err(|_| Gone)
    }

    /// Hands over a datagram of somebody known; `false`, and it is lost, if there is no room, or they have their share of it.
    pub(crate) fn offer(&self, shard: usize, event: Event) -> bool {
        match &self.ways {
            Ways::Queues(queues) => of(queues, shard).offer(event),
            Ways::Taker(taker) => taker
                .get()
                .inspect(|taker| taker(event, Held::default()))
                .is_some(),
        }
    }

    /// Hands over what came in a datagram of a stranger.
    pub(crate) fn hand_over_strange(&self, shard: usize, event: Event, place: Place) {
        match &self.ways {
            // Nobody takes anything any more if this fails, and everybody finds out.
            Ways::Queues(queues) => {
                let _ = of(queues, shard).put_strange(event, place, Held::default());
            }
            Ways::Taker(_) => {
                self.offer(shard, event);
            }
        }
    }

    /// The last that a connection says to its shard: nobody waits until it is taken.
    pub(crate) async fn last(&self, shard: usize, event: Event) -> Result<(), Gone> {
        match &self.ways {
            Ways::Queues(queues) => of(queues, shard).put(vec![event]).await.map(drop),
            // Who came before there was a taker is known to nobody.
            Ways::Taker(_) => {
                self.offer(shard, event);
                Ok(())
            }
        }
    }

    /// Tells every shard that a flow is gone: any of them may know it.
    pub(crate) async fn closed(&self, flow: Flow) -> Result<(), Gone> {
        match &self.ways {
            Ways::Queues(queues) => {
                for queue in queues {
                    queue.put(vec![Event::Closed { flow }]).await?;
                }
                Ok(())
            }
            Ways::Taker(_) => self.last(0, Event::Closed { flow }).await,
        }
    }

    /// The same without waiting, of a flow over which nothing could be sent: a shard too busy to take it finds out by its own
    /// timers. A taker hears it from the task of the connection, which ends: it is in no other.
    pub(crate) fn try_closed(&self, flow: Flow) {
        if let Ways::Queues(queues) = &self.ways {
            for queue in queues {
                queue.offer(Event::Closed { flow });
            }
        }
    }
}

/// What is beyond the last one wraps around.
fn of(queues: &[Arc<Queue>], shard: usize) -> &Queue {
    &queues[shard % queues.len()]
}

async fn hand_over_known(queues: &[Arc<Queue>], events: Vec<(usize, Event)>) -> Result<(), Gone> {
    let mut taken = Vec::new();
    for (shard, part) in parts(events) {
        let queue = of(queues, shard);
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

/// Gives something away by this, and waits until it is taken.
async fn taken<T>(give: impl FnOnce(Held) -> T) -> T {
    let (taken, is_taken) = oneshot::channel();
    let given = give(Held(Some(taken)));
    // Its sender is dropped.
    let _ = is_taken.await;
    given
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
