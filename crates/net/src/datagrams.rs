//! The task that reads a UDP socket.

use crate::batch::{BATCH, Buffers};
use crate::delivery::Delivery;
use crate::framing::sip;
use crate::shared::Shared;
use crate::udp::Udp;

/// Reads until we stop. A full event queue pauses reading (also of what is for other shards than the one that is full):
/// then the kernel drops, as it must.
pub(crate) async fn read(udp: &Udp, shared: &Shared) {
    let mut buffers = Buffers::new();
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let received = tokio::select! {
            received = udp.receive(&mut buffers, &mut batch) => received,
            room = udp.has_room() => {
                if room.is_ok() {
                    udp.flush(&shared.rim());
                }
                continue;
            }
            () = shared.stop.cancelled() => break,
        };
        if let Err(error) = received {
            // An ICMP error for something that we sent; the socket itself stays good.
            tracing::debug!(local = %udp.local, %error, "reading datagrams failed");
            tokio::task::yield_now().await;
        }
        let mut delivery = Delivery::new(shared);
        let mut replied = false;
        for (from, octets) in batch.drain(..) {
            if !is_keep_alive(&octets) {
                let framed = sip::message(udp.flow(from), &octets, &shared.limits.message);
                delivery.take(framed, |reply| {
                    udp.send(&shared.rim(), from, reply);
                    replied = true;
                });
            }
        }
        if replied {
            // The shard whose socket this is may have nothing to do that would flush it.
            udp.flush(&shared.rim());
        }
        delivery.hand_over().await;
    }
    udp.flush(&shared.rim());
}

/// Phones keep a NAT's pinhole open with datagrams of nothing but line ends or zeros.
fn is_keep_alive(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0))
}
