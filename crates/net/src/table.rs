//! The open connections: who may have one, and the queue that leads into each.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use sip::endpoint::{Flow, Transport};
use tokio::time::{Duration, Instant};

use crate::by_id::ById;
use crate::outbox::{Outbox, Sender, outbox};
use crate::progress::Progress;
use crate::stats::{OpenBy, Spoken};
use crate::under_way::Begun;
use crate::unproven::{Unproven, Yields};
use crate::websocket::Code;
use crate::wire::Wire;
use crate::{Doorman, Limits, Standing, Visitor};

/// Which outgoing connection serves a remote: the TLS name counts, because it is what was verified.
pub(crate) type Destination = (Transport, SocketAddr, Option<String>);

#[derive(Default)]
pub(crate) struct Table {
    connections: ById<Connection>,
    open_by: OpenBy,
    accepted: usize,
    /// By source.
    accepted_of: HashMap<IpAddr, usize>,
    /// Those of strangers, who may lose their place.
    unproven: Unproven,
    outgoing: HashMap<Destination, Flow>,
    /// We are stopping: nobody gets in any more.
    shut: bool,
}

/// The sending end of a connection.
struct Connection {
    queue: Sender,
    origin: Origin,
    spoken: Spoken,
    since: Instant,
    /// How far the stream is, if it is one of XMPP.
    progress: Option<Arc<Progress>>,
    wire: Wire,
    /// The name by which the peer asked for us in TLS (RFC 6066).
    name: Option<Box<str>>,
}

/// Whoever comes from where all places are taken ends nobody who is there for less.
const TO_PROVE: Duration = Duration::from_secs(2);

/// What a connection counts for.
enum Origin {
    /// From this source.
    Accepted(IpAddr),
    /// In a place of its own: most connections are accepted, and there may be thousands.
    Outgoing(Box<Destination>),
}

/// The receiving end: what a connection's task owns.
pub(crate) struct Link {
    pub(crate) flow: Flow,
    pub(crate) outbox: Arc<Outbox>,
    /// Since when.
    pub(crate) since: Instant,
    /// Of a stranger, in TLS, who has yet to say something there.
    pub(crate) begun: Option<Begun>,
}

/// Why there is no place for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// At a limit.
    Full,
    /// Whoever has proven nothing makes room for others, and has none for more.
    Displaced,
}

impl Table {
    /// Room for an accepted connection. When it is crowded, one of a stranger has the place of another one, if there is one.
    pub(crate) fn accept(
        &mut self,
        (flow, spoken): (Flow, Spoken),
        from: Visitor,
        (limits, doorman): (&Limits, &Doorman),
    ) -> Result<Link, NoPlace> {
        let most = most(from.standing, limits);
        // Where each proves who it is, who has not may stand in the reserve as well, and goes for others.
        let is_full = self.accepted > most && !limits.each_proves;
        if self.shut || is_full || from.standing == Standing::Banned {
            return Err(NoPlace::Full);
        }
        let is_stranger = from.standing == Standing::Stranger;
        let owes_proof = limits.each_proves || is_stranger;
        let before = self.accepted;
        if self.accepted_of(from.source) >= limits.connections_per_peer {
            let oldest = self.unproven.oldest_of(from.source);
            let oldest = oldest.filter(|id| owes_proof && self.has_had_time(*id));
            self.displace(oldest.ok_or(NoPlace::Full)?);
        } else if owes_proof && self.is_crowded(limits) {
            let made = self.make_room(from.source, (limits, doorman));
            // The known have room of their own beside it.
            if is_stranger {
                made?;
            }
        }
        // Whoever has another one's place adds nothing.
        let is_in_place = limits.each_proves && self.accepted < before;
        if self.accepted >= most && !is_in_place {
            return Err(NoPlace::Full);
        }
        self.accepted += 1;
        *self.accepted_of.entry(from.source).or_default() += 1;
        if owes_proof {
            self.unproven.add(from.source, flow.id);
        }
        Ok(self.insert(flow, spoken, Origin::Accepted(from.source)))
    }

    /// Whether those who have proven nothing are to make room: strangers' room is nearly taken, and they have as much as is left or
    /// more. Where others have it, they would make room for nobody but each other.
    fn is_crowded(&self, limits: &Limits) -> bool {
        let left = most(Standing::Stranger, limits).saturating_sub(limits.silent);
        self.accepted >= limits.silent && self.unproven.count() >= left
    }

    /// Ends one for one more from there.
    fn make_room(
        &mut self,
        source: IpAddr,
        (limits, doorman): (&Limits, &Doorman),
    ) -> Result<(), NoPlace> {
        let is_known = |source| !limits.each_proves && doorman(source).standing == Standing::Known;
        match self.unproven.yields(source, is_known) {
            Yields::Nobody => {}
            Yields::Itself => return Err(NoPlace::Displaced),
            Yields::Other(id) => self.displace(id),
        }
        Ok(())
    }

    /// Whether there was time for its peer to prove who it is.
    fn has_had_time(&self, id: u64) -> bool {
        let connection = self.connections.get(&id);
        connection.is_none_or(|it| it.since.elapsed() >= TO_PROVE)
    }

    /// Ends one for another one.
    fn displace(&mut self, id: u64) {
        if let Some(connection) = self.connections.get(&id) {
            connection.queue.displace();
        }
        self.remove(id);
    }

    /// How many are from there.
    fn accepted_of(&self, source: IpAddr) -> usize {
        self.accepted_of.get(&source).copied().unwrap_or_default()
    }

    /// Whoever is there has proven who it is.
    pub(crate) fn is_proven(&mut self, id: u64) {
        if let Some(Origin::Accepted(source)) = self.connections.get(&id).map(|it| &it.origin) {
            self.unproven.remove(*source, id);
        }
    }

    /// Room for an outgoing connection, or `None` at the limit.
    pub(crate) fn connect(
        &mut self,
        flow: Flow,
        destination: Destination,
        limits: &Limits,
    ) -> Option<Link> {
        if self.shut || self.outgoing.len() >= limits.outgoing {
            return None;
        }
        self.outgoing.insert(destination.clone(), flow);
        let spoken = Spoken::sip(flow.transport);
        Some(self.insert(flow, spoken, Origin::Outgoing(Box::new(destination))))
    }

    pub(crate) fn open(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn open_by(&self) -> OpenBy {
        self.open_by
    }

    pub(crate) fn outgoing(&self, destination: &Destination) -> Option<Flow> {
        self.outgoing.get(destination).copied()
    }

    fn insert(&mut self, flow: Flow, spoken: Spoken, origin: Origin) -> Link {
        let (queue, outbox) = outbox();
        let since = Instant::now();
        let connection = Connection {
            queue,
            origin,
            spoken,
            since,
            progress: None,
            wire: Wire::default(),
            name: None,
        };
        self.open_by.opens(spoken);
        self.connections.insert(flow.id, connection);
        Link {
            flow,
            outbox,
            since,
            begun: None,
        }
    }

    /// The connection carries a stream of XMPP from now on.
    pub(crate) fn attach(&mut self, id: u64, progress: Arc<Progress>) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.progress = Some(progress);
        }
    }

    /// The peer has asked for us by this name.
    pub(crate) fn asked_for(&mut self, id: u64, name: Option<&str>) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.name = name.map(Into::into);
        }
    }

    /// By which name the peer has asked for us, if it has.
    pub(crate) fn name(&self, id: u64) -> Option<Box<str>> {
        self.connections.get(&id)?.name.clone()
    }

    pub(crate) fn is_open(&self, id: u64) -> bool {
        self.connections.contains_key(&id)
    }

    /// What is written to the connection is a message of a WebSocket from now on.
    pub(crate) fn becomes_websocket(&mut self, id: u64) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.wire = Wire::WebSocket;
        }
    }

    /// An accepted connection counts for this visitor's source from now on: its peer is a proxy. False, and nothing changes, if
    /// there is no room for one more of that, or for such visitors.
    pub(crate) fn hails_from(&mut self, id: u64, from: Visitor, limits: &Limits) -> bool {
        let most = most(from.standing, limits);
        let Some(connection) = self.connections.get_mut(&id) else {
            return false;
        };
        let Origin::Accepted(known) = connection.origin else {
            return false;
        };
        // It has its place already.
        if self.accepted > most {
            return false;
        }
        if known == from.source {
            return true;
        }
        let of_source = self.accepted_of.entry(from.source).or_default();
        if *of_source >= limits.connections_per_peer {
            return false;
        }
        *of_source += 1;
        connection.origin = Origin::Accepted(from.source);
        self.unproven.remove(known, id);
        if limits.each_proves || from.standing == Standing::Stranger {
            self.unproven.add(from.source, id);
        }
        self.forget_one_of(known);
        true
    }

    /// How far a stream is; `None` if there is none.
    pub(crate) fn progress(&self, id: u64) -> Option<&Progress> {
        self.connections.get(&id)?.progress.as_deref()
    }

    /// Queues `bytes`. False if there is no such connection. A full queue aborts the connection: its peer does not
    /// read, and its task says that it is closed.
    pub(crate) fn send(&mut self, id: u64, bytes: Bytes, limits: &Limits) -> bool {
        let connection = self.connections.get(&id);
        connection
            .inspect(|it| it.queue.send(it.wire.message(bytes), limits))
            .is_some()
    }

    /// The same for what a framing answers, which is as it is to be on the wire.
    pub(crate) fn reply(&mut self, id: u64, bytes: Bytes, limits: &Limits) {
        if let Some(connection) = self.connections.get(&id) {
            connection.queue.send(bytes, limits);
        }
    }

    /// Closes a connection after what is queued, in the words that its wire has for that.
    pub(crate) fn end(&mut self, id: u64, limits: &Limits) {
        let connection = self.connections.get(&id);
        if let Some((connection, end)) =
            connection.and_then(|it| Some((it, it.wire.end(Code::Normal)?)))
        {
            connection.queue.send(end, limits);
        }
        self.remove(id);
    }

    /// Forgets a connection; no effect if there is none. If its task is still running, it writes what is queued and
    /// then ends, because the sender of its outbox is dropped here.
    pub(crate) fn remove(&mut self, id: u64) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        self.open_by.closes(connection.spoken);
        match connection.origin {
            Origin::Outgoing(destination) => {
                self.outgoing.remove(&destination);
            }
            Origin::Accepted(source) => {
                self.accepted -= 1;
                self.forget_one_of(source);
                self.unproven.remove(source, id);
            }
        }
    }

    fn forget_one_of(&mut self, source: IpAddr) {
        if let Some(count) = self.accepted_of.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.accepted_of.remove(&source);
            }
        }
    }

    /// Closes all for good, each after what it has queued. A stream says why.
    pub(crate) fn shut(&mut self, limits: &Limits) {
        for connection in self.connections.values() {
            let last_words = connection.progress.as_ref().and_then(|it| it.last_words());
            let end = connection.wire.end(Code::GoingAway);
            for last_words in last_words.into_iter().chain(end) {
                connection.queue.send(last_words, limits);
            }
        }
        *self = Self {
            shut: true,
            ..Self::default()
        };
    }
}

/// How many may be accepted when one of these is the last.
fn most(standing: Standing, limits: &Limits) -> usize {
    match standing {
        Standing::Known => limits.connections,
        Standing::Stranger => limits.connections.saturating_sub(limits.reserved),
        Standing::Banned => 0,
    }
}
