//! The task that reads a UDP socket. It reads on whatever comes: what is known is handed over at once, strangers wait in turn
//! for the few places that are theirs. So a flood does not fill the shards, nor the kernel's buffer
//! as long as it can be read, and who is known goes ahead.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::batch::{BATCH, Buffers};
use crate::delivery::Delivery;
use crate::doorman::{Standing, Visitor};
use crate::fair::Fair;
use crate::framing::sip;
use crate::shards::Place;
use crate::shared::Shared;
use crate::udp::Udp;
use ::sip::endpoint::{Transport, may_be_answered};

/// Reads until we stop. A full event queue pauses reading (also of what is for other shards than the one that is full):
/// then the kernel drops, as it must.
pub(crate) async fn read(udp: &Udp, shared: &Shared) {
    let mut buffers = Buffers::new();
    let mut batch = Vec::with_capacity(BATCH);
    let mut strangers = Fair::new(shared.limits.strangers_waiting);
    loop {
        let received = tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            received = udp.receive(&mut buffers, &mut batch) => received,
            room = udp.has_room() => {
                if room.is_ok() {
                    udp.flush(&shared.rim());
                }
                continue;
            }
            place = shared.place(), if !strangers.is_empty() => {
                hand_over_strangers(udp, shared, &mut strangers, place);
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
        for (from, octets) in batch.drain(..) {
            if is_keep_alive(&octets) {
                continue;
            }
            let visitor = visitor(shared, &mut last, from.ip());
            match visitor.standing {
                Standing::Known => replied |= take(udp, shared, &mut delivery, from, &octets),
                Standing::Stranger => {
                    if !strangers.push(visitor.source, (from, octets)) {
                        shared.counters.shed.add(1);
                    }
                }
                Standing::Banned => shared.counters.banned.add(1),
            }
        }
        if replied {
            // The shard whose socket this is may have nothing to do that would flush it.
            udp.flush(&shared.rim());
        }
        delivery.hand_over().await;
        let place = shared.try_place();
        hand_over_strangers(udp, shared, &mut strangers, place);
    }
    udp.flush(&shared.rim());
}

/// Who is there: asked once for all that comes from there in a row.
fn visitor(shared: &Shared, last: &mut Option<(IpAddr, Visitor)>, from: IpAddr) -> Visitor {
    match last {
        Some((known, visitor)) if *known == from => *visitor,
        _ => last.insert((from, (shared.doorman)(from))).1,
    }
}

/// As many as there are places for, each source in its turn.
fn hand_over_strangers(
    udp: &Udp,
    shared: &Shared,
    strangers: &mut Fair<(SocketAddr, Bytes)>,
    mut place: Option<Place>,
) {
    let mut replied = false;
    while let Some(taken) = place {
        let Some((from, octets)) = strangers.pop() else {
            break;
        };
        let mut delivery = Delivery::new(shared);
        replied |= take(udp, shared, &mut delivery, from, &octets);
        delivery.hand_over_strange(taken);
        place = shared.try_place();
    }
    if replied {
        udp.flush(&shared.rim());
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
