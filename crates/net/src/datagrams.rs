//! The task that reads a UDP socket. It reads on whatever comes: what is known is handed over at once, strangers wait in turn
//! for the few places that are theirs. So a flood does not fill the shards, nor the kernel's buffer
//! as long as it can be read, and who is known goes ahead.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::batch::Buffers;
use crate::delivery::Delivery;
use crate::doorman::{Standing, Visitor};
use crate::fair::Fair;
use crate::framing::sip;
use crate::gate::{Place, Turn};
use crate::shared::Shared;
use crate::udp::Udp;
use crate::unproven::site;
use ::sip::endpoint::{Transport, may_be_answered};

/// Reads until we stop.
pub(crate) async fn read(udp: &Udp, shared: &Shared) {
    let mut buffers = Buffers::new();
    let mut strangers = Strangers {
        udp,
        shared,
        waiting: Fair::default(),
        turn: None,
    };
    loop {
        let received = tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            received = udp.receive(&mut buffers) => received,
            room = udp.has_room() => {
                if room.is_err() {
                    tokio::task::yield_now().await;
                }
                udp.flush(&shared.rim());
                continue;
            }
            place = strangers.place() => {
                strangers.hand_over(place);
                continue;
            }
        };
        if let Err(error) = received {
            // An ICMP error for something that we sent; the socket itself stays good.
            tracing::debug!(local = %udp.local, %error, "reading datagrams failed");
            tokio::task::yield_now().await;
        }
        let mut delivery = Delivery::new(shared);
        let (mut replied, mut last) = (false, None);
        for (from, octets) in buffers.received() {
            if is_keep_alive(octets) {
                continue;
            }
            let visitor = visitor(shared, &mut last, from.ip());
            match visitor.standing {
                Standing::Known => {
                    let octets = Bytes::copy_from_slice(octets);
                    replied |= take(udp, shared, &mut delivery, from, &octets);
                }
                Standing::Stranger => strangers.wait(visitor.source, from, octets),
                Standing::Banned => shared.counters.banned.add(1),
            }
        }
        if replied || udp.is_blocked() {
            // The shard whose socket this is may have nothing to do that would flush it, and there is always something to read.
            udp.flush(&shared.rim());
        }
        delivery.offer();
        if let Some(place) = strangers.try_place() {
            strangers.hand_over(place);
        }
    }
    udp.flush(&shared.rim());
}

/// Datagrams of strangers that wait for places in the shards, each source in its turn. Nothing of them is read before.
struct Strangers<'s> {
    udp: &'s Udp,
    shared: &'s Shared,
    waiting: Fair<IpAddr, (SocketAddr, Bytes)>,
    /// The turn of this socket, when it waits for one.
    turn: Option<Turn>,
}

impl Strangers<'_> {
    fn wait(&mut self, source: IpAddr, from: SocketAddr, octets: &[u8]) {
        let most = self.shared.limits.strangers_waiting;
        let datagram = || (from, Bytes::copy_from_slice(octets));
        if !self.waiting.offer(site(source), most, datagram) {
            self.shared.counters.shed.add(1);
        }
    }

    /// The next place; it never comes if nobody waits for one.
    async fn place(&mut self) -> Place {
        if self.waiting.is_empty() {
            return std::future::pending().await;
        }
        let gate = &self.shared.shards.strangers;
        // The socket is one source among those of connections.
        let who = Visitor {
            source: self.udp.local.ip(),
            standing: Standing::Stranger,
        };
        // It stays in its line when something else comes first.
        let turn = self.turn.get_or_insert_with(|| gate.turn(who));
        let place = turn.await;
        self.turn = None;
        match place {
            Ok(place) => place,
            // The gate is ours as long as we are there.
            Err(_) => std::future::pending().await,
        }
    }

    /// The same, if there is one now: also when there is always something to read, so that nobody ever waits for it.
    fn try_place(&mut self) -> Option<Place> {
        if self.waiting.is_empty() {
            return None;
        }
        let Some(turn) = &mut self.turn else {
            return self.shared.shards.strangers.try_enter();
        };
        let place = turn.try_recv().ok()?;
        self.turn = None;
        Some(place)
    }

    /// As many as there are places for.
    fn hand_over(&mut self, place: Place) {
        let mut place = Some(place);
        let mut replied = false;
        while let Some(taken) = place {
            let Some((_, (from, octets))) = self.waiting.pop() else {
                break;
            };
            let mut delivery = Delivery::new(self.shared);
            replied |= take(self.udp, self.shared, &mut delivery, from, &octets);
            delivery.hand_over_strange(taken);
            place = self.try_place();
        }
        if replied {
            self.udp.flush(&self.shared.rim());
        }
    }
}

/// Who is there: asked once for all that comes from there in a row.
fn visitor(shared: &Shared, last: &mut Option<(IpAddr, Visitor)>, from: IpAddr) -> Visitor {
    match last {
        Some((known, visitor)) if *known == from => *visitor,
        _ => last.insert((from, (shared.doorman)(from))).1,
    }
}

/// Reads a datagram. Says whether it was answered here.
fn take(
    udp: &Udp,
    shared: &Shared,
    delivery: &mut Delivery<'_>,
    from: SocketAddr,
    octets: &Bytes,
) -> bool {
    let mut replied = false;
    let framed = sip::message(udp.flow(from), octets, &shared.limits.message);
    delivery.take(framed, |reply| {
        // Nobody knows whose address that really is.
        if may_be_answered(Transport::Udp, octets.len(), reply.len()) {
            udp.send(&shared.rim(), from, reply);
            replied = true;
        }
    });
    replied
}

/// Phones keep a NAT's pinhole open with datagrams of nothing but line ends or zeros.
fn is_keep_alive(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0))
}
