//! Every limit of the push clients, in one place, with what happens at it.

use std::time::Duration;

/// What a [`Pusher`](crate::Pusher) allows itself.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the call of `push` to its outcome, retries and waiting in the queue included. At it the outcome is
    /// [`Unavailable`](domain::Outcome::Unavailable). Well under the 13 s after which a wake has failed.
    pub deadline: Duration,
    /// For one connection: name resolution, TCP, TLS. At it the attempt has failed.
    pub connect: Duration,
    /// Without an answer for so long, a request makes its connection prove by a PING that it still lives. After twice
    /// as long nothing new goes over it.
    pub patience: Duration,
    /// For the answer to a PING. At it the connection is dead and what it carried is tried on another one.
    pub ping: Duration,
    /// Between two PINGs on a connection, give or take a fifth: as Google's own clients do on connections that are quiet. So
    /// long a cloud may be silent before anybody knows; as often access tokens are looked at.
    pub keep_alive: Duration,
    /// A connection that nothing was sent over for so long is closed, unless it is one of `warm_connections`: a burst opens
    /// many, and its end lets them go. Looked at as often as `keep_alive` says.
    pub idle: Duration,
    /// Connections to one provider with the same credentials. At it pushes wait for a free stream.
    pub connections: usize,
    /// Connections that [`warm`](crate::Pusher::warm) opens and keeps open; no more than `connections`.
    pub warm_connections: usize,
    /// Streams on one connection at once, if the provider's SETTINGS allow as many. At it pushes wait or another
    /// connection opens.
    pub streams: usize,
    /// Pushes that wait for a free stream of one provider and credentials: so many calls, and so many others, whom
    /// calls go before. At it a push is [`Unavailable`](domain::Outcome::Unavailable) at once.
    pub queue: usize,
    /// How often a push that the provider certainly did not process (GOAWAY, `REFUSED_STREAM`) is sent again.
    pub unprocessed_retries: u32,
    /// Bytes of a provider's answer that are read; the rest is not.
    pub answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            connect: Duration::from_secs(3),
            patience: Duration::from_secs(1),
            ping: Duration::from_secs(1),
            keep_alive: Duration::from_secs(30),
            idle: Duration::from_mins(10),
            connections: 8,
            warm_connections: 2,
            streams: 1000,
            queue: 10_000,
            unprocessed_retries: 4,
            answer_bytes: 16 * 1024,
        }
    }
}
