//! The side in the DMZ: it is dialled by the insides that it knows, and opens streams to them.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{ConnectionError, Endpoint, Incoming, ServerConfig, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout};

use crate::clocks::{self, Clock};
use crate::first_packets::FirstPackets;
use crate::handshakes::{Handshakes, Place};
use crate::hello::{self, Hello};
use crate::limits::{FIRST_PACKETS, HANDSHAKE, HANDSHAKES_WAITING, OCTETS_WAITING};
use crate::pinned::{self, Known};
use crate::status::Live;
use crate::{
    Fingerprint, Header, Identity, Limits, Link, State, Stream, TunnelError, frame, socket,
};

/// Why a tunnel ends, for whoever is at the other end: an error code of the application (RFC 9000 §20.2).
pub(crate) const STOPPING: VarInt = VarInt::from_u32(0);
/// Another connection of the same inside has come.
pub(crate) const REPLACED: VarInt = VarInt::from_u32(1);
/// The other side is known no more.
const REVOKED: VarInt = VarInt::from_u32(2);
/// The other side did not say hello as it should.
const NO_HELLO: VarInt = VarInt::from_u32(3);

/// An inside that has gone dials again within so long, as when it is started again…
const EXPECTED: Duration = Duration::from_secs(30);

/// …and a client waits for that so long, which phones do not mind.
const COMES_BACK: Duration = Duration::from_secs(10);

/// An edge's listener for tunnels. Clones are the same.
#[derive(Clone)]
pub struct Edge(Arc<Shared>);

struct Shared {
    endpoint: Endpoint,
    first: Arc<FirstPackets>,
    hello: Hello,
    known: Known,
    limits: Limits,
    clock: Clock,
    insides: Mutex<Vec<Inside>>,
    /// Those that were there and are not any more; no more than are known.
    gone: Mutex<HashMap<Fingerprint, Down>>,
    since: Instant,
    /// An inside has come.
    comes: Notify,
    challenged: AtomicU64,
    unanswered: AtomicU64,
    failed: AtomicU64,
}

/// Handshakes of those who were no insides yet, since the start. Insides that dial in are challenged as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strangers {
    /// Asked to show that packets reach them where they say they are.
    pub challenged: u64,
    /// Not answered: more came than an edge looks at.
    pub unanswered: u64,
    /// Begun, and not ended as an inside ends it.
    pub failed: u64,
}

/// An inside that is there.
#[derive(Clone)]
struct Inside {
    who: Fingerprint,
    name: Box<str>,
    /// What it has said of itself.
    told: Arc<[u8]>,
    live: Live,
}

/// Nobody takes the client.
#[derive(Debug, thiserror::Error)]
#[error("no inside takes the client: {0}")]
pub struct NoInside(String);

impl Edge {
    /// Listens for the insides that are known, whose clocks are compared with this one.
    ///
    /// # Errors
    /// The address cannot be listened at, or the key cannot be used.
    pub fn listen(
        at: SocketAddr,
        name: &str,
        identity: &Identity,
        insides: impl IntoIterator<Item = Fingerprint>,
        (limits, clock): (Limits, Clock),
    ) -> Result<Self, TunnelError> {
        let known = Known::new(insides);
        let tls = pinned::server(identity, &known)?;
        let tls = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
        let mut config = ServerConfig::with_crypto(Arc::new(tls));
        config
            .transport_config(limits.transport(false))
            // Those that wait, insides' and strangers', and those that have just come of both.
            .max_incoming(2 * (HANDSHAKES_WAITING + FIRST_PACKETS as usize))
            .incoming_buffer_size(OCTETS_WAITING)
            // Both sides stand still; an inside that has moved dials anew.
            .migration(false);
        let first = Arc::new(FirstPackets::new(Instant::now()));
        let edge = Self(Arc::new(Shared {
            endpoint: socket::listening(at, config, first.clone())?,
            first,
            hello: Hello {
                name: name.into(),
                rest: Arc::default(),
            },
            known,
            limits,
            clock,
            insides: Mutex::default(),
            gone: Mutex::default(),
            since: Instant::now(),
            comes: Notify::new(),
            challenged: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }));
        tokio::spawn(edge.clone().accept());
        Ok(edge)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.endpoint.local_addr()
    }

    /// Knows these insides from now on; whoever is not among them is sent away.
    pub fn know(&self, insides: impl IntoIterator<Item = Fingerprint>) {
        self.0.known.replace(insides);
        for inside in &*self.0.insides() {
            if !self.0.known.contains(&inside.who) {
                inside.live.connection.close(REVOKED, b"revoked");
            }
        }
        self.0.gone().retain(|who, _| self.0.known.contains(who));
    }

    /// Opens a stream for a client, to the inside that has such as `whose`, or to the next one if that is not there: the same one
    /// at every edge. If the last one has gone just now, it is waited for: a client that is told to come again may stay away for long.
    ///
    /// # Errors
    /// No inside is there, or none has room.
    pub async fn open(&self, whose: &[u8], header: &Header) -> Result<Stream, NoInside> {
        // From here on, so that nobody comes unseen.
        let mut comes = Box::pin(self.0.comes.notified());
        comes.as_mut().enable();
        let opened = self.try_open(whose, header).await;
        if opened.is_ok() || !self.0.is_about_to_come() {
            return opened;
        }
        // Whether anybody has come or not.
        let _ = timeout(COMES_BACK, comes).await;
        self.try_open(whose, header).await
    }

    async fn try_open(&self, whose: &[u8], header: &Header) -> Result<Stream, NoInside> {
        let mut insides = self.0.insides().clone();
        insides.sort_by_cached_key(|inside| rank(&inside.who, whose));
        let mut why = "none is connected".to_owned();
        for inside in insides {
            let opened = timeout(self.0.limits.opening, inside.opened(header)).await;
            match opened {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => why = error.to_string(),
                Err(_) => "there is no room for another client".clone_into(&mut why),
            }
        }
        Err(NoInside(why))
    }

    /// The insides that are known, whether they are there or not.
    pub fn status(&self) -> Vec<Link> {
        let (insides, gone) = (self.0.insides(), self.0.gone());
        let known = self.0.known.all();
        let link = |&who: &Fingerprint| {
            let at: Box<str> = who.to_string().into();
            let state = match (insides.iter().find(|it| it.who == who), gone.get(&who)) {
                (Some(inside), _) => (inside.name.clone(), inside.live.state()),
                (None, Some(down)) => (down.name.clone(), down.state.clone()),
                (None, None) => {
                    let down = State::Down {
                        since: self.0.since,
                        why: "it has not dialled yet".into(),
                        reached: true,
                    };
                    (at.clone(), down)
                }
            };
            let (name, state) = state;
            Link {
                who,
                at,
                name,
                state,
            }
        };
        known.iter().map(link).collect()
    }

    /// Whether an inside calls itself so, of those that are there, and those that were a moment ago.
    pub fn is_name(&self, name: &str) -> bool {
        let (insides, gone) = (self.0.insides(), self.0.gone());
        let there = insides.iter().map(|inside| &inside.name);
        let expected = gone.values().filter(|down| down.is_recent());
        let mut names = there.chain(expected.map(|down| &down.name));
        names.any(|it| it.eq_ignore_ascii_case(name))
    }

    /// What the insides have told of themselves: those that are there, and those that were a moment ago and are expected as they were.
    pub fn told(&self) -> Vec<Arc<[u8]>> {
        let (insides, gone) = (self.0.insides(), self.0.gone());
        let there = insides.iter().map(|inside| &inside.told);
        let expected = gone.values().filter(|down| down.is_recent());
        there
            .chain(expected.map(|down| &down.told))
            .cloned()
            .collect()
    }

    /// Ends all tunnels and listens no more.
    pub async fn shutdown(&self) {
        self.0.endpoint.close(STOPPING, b"stopping");
        // The other sides hear of it, or do not answer: QUIC waits no longer than that takes.
        let _ = timeout(HANDSHAKE, self.0.endpoint.wait_idle()).await;
    }

    /// Of those that were no insides.
    pub fn strangers(&self) -> Strangers {
        Strangers {
            challenged: self.0.challenged.load(Ordering::Relaxed),
            unanswered: self.0.unanswered.load(Ordering::Relaxed) + self.0.first.dropped(),
            failed: self.0.failed.load(Ordering::Relaxed),
        }
    }

    async fn accept(self) {
        let mut handshakes = Handshakes::new(Instant::now());
        loop {
            while let Some((incoming, place)) = handshakes.next(Instant::now()) {
                tokio::spawn(self.clone().admit(incoming, place));
            }
            let turn = async {
                match handshakes.due() {
                    Some(due) => sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                incoming = self.0.endpoint.accept() => match incoming {
                    Some(incoming) => self.comes(incoming, &mut handshakes),
                    None => return,
                },
                () = turn => {}
            }
        }
    }

    /// Somebody dials.
    fn comes(&self, incoming: Incoming, handshakes: &mut Handshakes<Incoming>) {
        // Who has not shown that packets reach it costs nothing but one (RFC 9000 §8.1.2).
        if !incoming.remote_address_validated() && incoming.may_retry() {
            self.0.challenged.fetch_add(1, Ordering::Relaxed);
            // It may retry, as was just asked.
            let _ = incoming.retry();
            return;
        }
        let from = incoming.remote_address().ip();
        let is_of_inside = self.0.first.knows(from);
        if let Some(too_many) = handshakes.comes(from, is_of_inside, incoming) {
            self.0.unanswered.fetch_add(1, Ordering::Relaxed);
            too_many.ignore();
        }
    }

    async fn admit(self, incoming: Incoming, mut place: Place) {
        let from = incoming.remote_address();
        let connected = tokio::select! {
            connected = timeout(HANDSHAKE, self.connected(incoming)) => connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            () = place.is_taken_away() => Err(io::Error::other("others wait")),
        };
        drop(place);
        let inside = match connected {
            Ok(inside) => inside,
            Err(error) => {
                self.0.failed.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%from, %error, "no tunnel");
                return;
            }
        };
        self.0.first.is_of_inside(from.ip());
        tracing::info!(%from, inside = %inside.name, key = %inside.who, "a tunnel is up");
        let why = tokio::select! {
            why = self.0.hears(&inside) => why,
            why = self.0.compared(&inside.live) => why,
        };
        self.0.is_gone(&inside, &why);
        tracing::warn!(%from, inside = %inside.name, ?why, "a tunnel is down: its clients connect again");
    }

    async fn connected(&self, incoming: Incoming) -> io::Result<Inside> {
        let connection = incoming.accept()?.await?;
        let who = peer(&connection)?;
        let Ok(hello) = hello::exchanged(&connection, &self.0.hello).await else {
            connection.close(NO_HELLO, b"no hello");
            return Err(io::Error::other("it said no hello"));
        };
        let live = Live::new(connection);
        let Hello { name, rest: told } = hello;
        let inside = Inside {
            who,
            name,
            told,
            live,
        };
        let mut insides = self.0.insides();
        // It may be known no more since it came.
        if !self.0.known.contains(&who) {
            inside.live.connection.close(REVOKED, b"revoked");
            return Err(io::Error::other("it is known no more"));
        }
        // Whoever has the key is the same inside, started again before we saw that it was gone.
        insides.retain(|former| {
            let stays = former.who != who;
            if !stays {
                former.live.connection.close(REPLACED, b"replaced");
            }
            stays
        });
        insides.push(inside.clone());
        self.0.gone().remove(&who);
        self.0.comes.notify_waiters();
        Ok(inside)
    }
}

/// An inside that was there.
struct Down {
    name: Box<str>,
    told: Arc<[u8]>,
    state: State,
}

impl Down {
    /// Whether it was there a moment ago.
    fn is_recent(&self) -> bool {
        match self.state {
            State::Down { since, .. } => since.elapsed() < EXPECTED,
            State::Up { .. } => false,
        }
    }
}

impl Shared {
    fn gone(&self) -> MutexGuard<'_, HashMap<Fingerprint, Down>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody is there, and somebody was a moment ago.
    fn is_about_to_come(&self) -> bool {
        self.insides().is_empty() && self.gone().values().any(Down::is_recent)
    }

    /// Hears what is to be known of an inside, as it changes, until its connection is gone; says why it is.
    async fn hears(&self, inside: &Inside) -> ConnectionError {
        let connection = &inside.live.connection;
        loop {
            match hello::hear_anew(connection).await {
                Ok(told) => {
                    let mut insides = self.insides();
                    let id = connection.stable_id();
                    let known = insides.iter_mut();
                    for it in known.filter(|it| it.live.connection.stable_id() == id) {
                        it.told = told.clone();
                    }
                }
                Err(error) => {
                    if let Some(why) = connection.close_reason() {
                        return why;
                    }
                    tracing::debug!(inside = %inside.name, %error, "what it tells of itself makes no sense");
                    // Rather nobody than one who is known as it was before.
                    connection.close(NO_HELLO, b"no hello");
                    return connection.closed().await;
                }
            }
        }
    }

    /// Compares our clock with an inside's until its connection is gone; says why it is.
    async fn compared(&self, live: &Live) -> ConnectionError {
        clocks::compared(&live.connection, &live.skew, &self.clock).await
    }

    fn is_gone(&self, inside: &Inside, why: &ConnectionError) {
        let id = inside.live.connection.stable_id();
        let mut insides = self.insides();
        let place = insides
            .iter()
            .position(|it| it.live.connection.stable_id() == id);
        // One that was replaced is there.
        let Some(place) = place else {
            return;
        };
        let inside = insides.swap_remove(place);
        if self.known.contains(&inside.who) {
            let state = State::Down {
                since: Instant::now(),
                why: why.to_string().into(),
                reached: true,
            };
            let down = Down {
                name: inside.name,
                told: inside.told,
                state,
            };
            self.gone().insert(inside.who, down);
        }
    }

    /// Held for a look-up only, never across an await.
    fn insides(&self) -> MutexGuard<'_, Vec<Inside>> {
        self.insides.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    async fn opened(&self, header: &Header) -> io::Result<Stream> {
        let (mut send, receive) = self.live.connection.open_bi().await?;
        frame::write(&mut send, &header.octets()).await?;
        Ok(self.live.stream((send, receive)))
    }
}

/// The lowest has the client (rendezvous hashing): so all edges agree, and when an inside goes only its clients move.
fn rank(inside: &Fingerprint, whose: &[u8]) -> [u8; 8] {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    hash.update(inside.octets());
    hash.update(whose);
    let mut rank = [0; 8];
    rank.copy_from_slice(&hash.finish().as_ref()[..8]);
    rank
}

/// The key of who is at the other end; TLS has verified that it has it.
fn peer(connection: &quinn::Connection) -> io::Result<Fingerprint> {
    let identity = connection.peer_identity();
    let chain = identity.and_then(|it| it.downcast::<Vec<CertificateDer<'static>>>().ok());
    let chain = chain.ok_or_else(|| io::Error::other("it showed no certificate"))?;
    let certificate = chain.first().ok_or(io::ErrorKind::InvalidData)?;
    Fingerprint::of(certificate).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_shared_out_and_only_those_of_who_goes_move() {
        let key = || Identity::from_pem(&Identity::generate().unwrap()).unwrap();
        let insides: Vec<_> = (0..3).map(|_| key().fingerprint()).collect();
        let of = |insides: &[Fingerprint], user: u32| {
            let whose = user.to_be_bytes();
            *insides.iter().min_by_key(|it| rank(it, &whose)).unwrap()
        };
        let mut counts = [0; 3];
        for user in 0..3_000 {
            let first = of(&insides, user);
            counts[insides.iter().position(|it| *it == first).unwrap()] += 1;
            let without_last = of(&insides[..2], user);
            assert!(first == without_last || first == insides[2]);
        }
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
    }
}
