//! Everything that is bounded in a tunnel, and what happens at the bound.

use std::sync::Arc;
use std::time::Duration;

use quinn::{AckFrequencyConfig, TransportConfig, VarInt};

/// How long a QUIC handshake may take, which is longer than a lost packet is waited for three times.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// From one handshake to the next at an edge, by strangers and by addresses from which an inside has come before, each…
pub(crate) const HANDSHAKE_EVERY: Duration = Duration::from_millis(10);

/// …but so many at once after a pause, as when several insides start…
pub(crate) const HANDSHAKES_AFTER_PAUSE: u32 = 20;

/// …of which so many are under way. One more ends the oldest, which has had more than a second by then…
pub(crate) const HANDSHAKES: usize = 128;

/// …and so many sources wait for their turn. One more is not answered. Each keeps all that the system read together with its first packet,
/// which the QUIC library does not copy: 64 KiB at most, if somebody sends it so.
pub(crate) const HANDSHAKES_WAITING: usize = 256;

/// From one first packet that is looked at to the next, whosesoever: each is answered with work for keys, and a flood of them is not to
/// take the processor that clients have.
pub(crate) const FIRST_PACKET_EVERY: Duration = Duration::from_micros(50);

/// So many at once after a pause. One more is not answered.
pub(crate) const FIRST_PACKETS: u32 = 128;

/// Octets of who waits that are kept: what a client says first, and that again.
pub(crate) const OCTETS_WAITING: u64 = 8 << 10;

/// Who says nothing for so long is gone…
const SILENT: Duration = Duration::from_secs(12);

/// …and so is asked before.
const ASK_AFTER: Duration = Duration::from_secs(4);

/// Octets of datagrams that wait to be read, or to be sent; then the oldest are dropped.
const DATAGRAMS: usize = 1_024;

/// So many packets are taken before one is acknowledged by a packet that says nothing else: QUIC asks for every second (RFC 9000 §13.2.2),
/// and what a server says to an INVITE is two, to which the edge would send such a packet first and the INVITE then. An answer that goes
/// out anyway brings the acknowledgement with it, and after the delay that both have agreed on it goes by itself, as before.
const UNACKNOWLEDGED: u32 = 8;

/// Limits of one tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Clients at once over one tunnel. One more is refused at the edge.
    pub streams: u32,
    /// Octets of one client that are on their way and not read, in each direction; more are not sent.
    pub stream_octets: u32,
    /// The same for all clients of a tunnel together.
    pub octets: u32,
    /// A stream must say whose it is within this time, and an edge that opens one waits no longer for its turn.
    pub opening: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: 20_000,
            stream_octets: 1 << 17,
            // Strangers who are signing in take up half of it at most.
            octets: 1 << 26,
            opening: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// What QUIC is told of them. Streams are opened by one side only.
    pub(crate) fn transport(&self, takes_streams: bool) -> Arc<TransportConfig> {
        let mut transport = TransportConfig::default();
        let mut acknowledged = AckFrequencyConfig::default();
        acknowledged
            .ack_eliciting_threshold(VarInt::from_u32(UNACKNOWLEDGED))
            // What is missing between two packets is told at once all the same.
            .reordering_threshold(VarInt::from_u32(1));
        let streams = if takes_streams { self.streams } else { 0 };
        transport
            .max_concurrent_bidi_streams(VarInt::from_u32(streams))
            // Each side says hello over one, and what has changed of it over the next.
            .max_concurrent_uni_streams(VarInt::from_u32(1))
            .stream_receive_window(VarInt::from_u32(self.stream_octets))
            .receive_window(VarInt::from_u32(self.octets))
            .send_window(u64::from(self.octets))
            // They bring questions and answers about the time, and only the last ones count.
            .datagram_receive_buffer_size(Some(DATAGRAMS))
            .datagram_send_buffer_size(DATAGRAMS)
            .ack_frequency_config(Some(acknowledged))
            .keep_alive_interval(Some(ASK_AFTER))
            .max_idle_timeout(SILENT.try_into().ok());
        Arc::new(transport)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::connected;
    use std::time::Instant;

    /// Well within the 25 ms after which an acknowledgement goes by itself.
    const IN_TIME: Duration = Duration::from_millis(10);

    /// A message that takes two packets, as an INVITE with its 100 does.
    const LONG: [u8; 2_000] = [b'x'; 2_000];

    #[tokio::test]
    async fn an_answer_brings_the_acknowledgement_with_it_and_no_packet_goes_out_for_that_alone() {
        const TIMES: u64 = 100;
        let transport = |takes| Limits::default().transport(takes);
        let ([inside, edge], _endpoints) = connected(transport(true), transport(false)).await;
        let asks = async {
            let (mut to, mut from) = edge.open_bi().await.unwrap();
            let (mut heard, mut late) = ([0; LONG.len()], 0);
            for _ in 0..TIMES {
                let asked = Instant::now();
                to.write_all(b"INVITE").await.unwrap();
                from.read_exact(&mut heard).await.unwrap();
                late += u64::from(asked.elapsed() > IN_TIME);
            }
            late
        };
        let answers = async {
            let (mut to, mut from) = inside.accept_bi().await.unwrap();
            for _ in 0..TIMES {
                from.read_exact(&mut [0; 6]).await.unwrap();
                to.write_all(&LONG).await.unwrap();
            }
        };
        let before = edge.stats().udp_tx.datagrams;
        let (late, ()) = tokio::join!(asks, answers);
        let sent = edge.stats().udp_tx.datagrams - before;
        // One each, and some for the path and on a machine that is busy, where an answer may be later than the delay. Otherwise it would be
        // two each.
        let most = TIMES * 3 / 2 + 2 * late;
        assert!((TIMES..most).contains(&sent), "{sent}, {late} late");
    }
}
