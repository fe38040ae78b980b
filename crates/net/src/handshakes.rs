//! TLS handshakes that we accept. The work is done in threads of its own, for a few at a time, and each source in its turn; of strangers so
//! many are under way at once.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, LazyConfigAcceptor};

use crate::gate::{Gate, Place, of_all};
use crate::hello;
use crate::under_way::{Begun, UnderWay, is_lost};
use crate::{Limits, Standing, Visitor};

/// The places for it, whatever is spoken behind TLS. Clones have the same places.
#[derive(Clone)]
pub struct Handshakes {
    gate: Gate,
    under_way: UnderWay,
}

/// Somebody's turn to begin TLS, who has said all that is said first.
pub struct Turn {
    place: Place,
    /// Of a stranger.
    begun: Option<Begun>,
}

impl Handshakes {
    /// As many, and for strangers at such a pace, as these say.
    pub fn new(limits: &Limits) -> Self {
        let per_second = limits.handshakes_per_second;
        Self {
            gate: Gate::new(limits.handshakes, per_second),
            under_way: UnderWay::new(of_all(per_second)),
        }
    }

    /// Strangers have so many a second for each processor from now on.
    pub fn set_pace(&self, per_second: u32) {
        self.gate.set_pace(per_second);
        self.under_way.set_pace(of_all(per_second));
    }

    /// Waits until all is there that the peer says first in TLS, and for its turn: nothing is made for it before.
    ///
    /// # Errors
    /// The connection ended, or what the peer says first is too long.
    pub async fn turn(
        &self,
        who: impl FnOnce() -> Visitor,
        stream: &TcpStream,
    ) -> io::Result<Turn> {
        hello::comes(stream).await?;
        let who = who();
        let place = self.gate.turn(who).await.map_err(io::Error::other)?;
        let is_stranger = who.standing != Standing::Known;
        let begun = is_stranger.then(|| self.under_way.begin(who.source));
        Ok(Turn { place, begun })
    }
}

impl Turn {
    /// Begins TLS over a connection whose turn it is. Who has said nothing in it yet has proven little: a stranger's counts as begun until
    /// what comes with it is dropped.
    ///
    /// # Errors
    /// The connection ended, the two do not agree, or it was a stranger's and made room for others.
    pub async fn begin(
        self,
        config: Arc<rustls::ServerConfig>,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<Begun>)> {
        let Self { place, mut begun } = self;
        let worked = tokio::task::spawn_blocking(move || {
            let worked = work(config, stream);
            drop(place);
            worked
        });
        let worked = worked.await.map_err(io::Error::other)??;
        let accept = match worked {
            Worked::Done(done) => return Ok((*done, begun)),
            Worked::Waits(accept) => accept,
        };
        // What is left to do is little.
        let done = tokio::select! {
            done = accept => done?,
            () = is_lost(&mut begun) => return Err(io::Error::other("it makes room for others")),
        };
        Ok((done, begun))
    }
}

/// How far a handshake is. What waits for its peer has a place of its own, since it is large and there may be many.
enum Worked {
    Waits(Box<Accept<TcpStream>>),
    Done(Box<TlsStream<TcpStream>>),
}

/// Hears what the peer has said, makes the keys and the signature, in a thread where nobody waits behind it, and sends them.
fn work(config: Arc<rustls::ServerConfig>, stream: TcpStream) -> io::Result<Worked> {
    // Whoever waits for the rest asks again.
    let mut context = Context::from_waker(Waker::noop());
    let mut hears = LazyConfigAcceptor::new(Acceptor::default(), stream);
    let Poll::Ready(heard) = Pin::new(&mut hears).poll(&mut context) else {
        return Err(io::Error::other("it does not begin as TLS does"));
    };
    let mut accept = Box::new(heard?.into_stream(config));
    Ok(match Pin::new(&mut accept).poll(&mut context) {
        Poll::Ready(done) => Worked::Done(Box::new(done?)),
        Poll::Pending => Worked::Waits(accept),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TlsSource;
    use crate::peek::tests::pair;
    use std::net::IpAddr;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    type Accepted = io::Result<(TlsStream<TcpStream>, Option<Begun>)>;

    struct World {
        server: TlsSource,
        client: Arc<rustls::ClientConfig>,
    }

    impl World {
        fn new() -> Self {
            let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let (chain, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
            Self {
                server: TlsSource::from_pem(chain.as_bytes(), key.as_bytes()).unwrap(),
                client: crate::client_config(chain.as_bytes()).unwrap(),
            }
        }

        fn peer(&self) -> rustls::ClientConnection {
            let name = "localhost".try_into().unwrap();
            rustls::ClientConnection::new(self.client.clone(), name).unwrap()
        }

        /// One from such a source who has begun, and has yet to answer.
        async fn begins(
            &self,
            handshakes: &Handshakes,
            source: u8,
        ) -> (TcpStream, rustls::ClientConnection, JoinHandle<Accepted>) {
            let (mut client, stream) = pair().await;
            let (mut peer, mut hello) = (self.peer(), Vec::new());
            peer.write_tls(&mut hello).unwrap();
            client.write_all(&hello).await.unwrap();
            let turn = handshakes.turn(|| stranger(source), &stream).await.unwrap();
            let begins = tokio::spawn(turn.begin(self.server.current(), stream));
            // It is there that the server has begun.
            client.readable().await.unwrap();
            (client, peer, begins)
        }
    }

    fn stranger(source: u8) -> Visitor {
        Visitor {
            source: IpAddr::from([192, 0, 2, source]),
            standing: Standing::Stranger,
        }
    }

    #[tokio::test]
    async fn nobody_is_worked_for_without_a_place_and_who_waits_is_when_there_is_one() {
        let world = World::new();
        let (client, stream) = pair().await;
        let connector = tokio_rustls::TlsConnector::from(world.client.clone());
        let name = "localhost".try_into().unwrap();
        let connecting = tokio::spawn(connector.connect(name, client));
        let handshakes = Handshakes::new(&Limits {
            handshakes: 1,
            ..Limits::default()
        });
        let taken = handshakes.gate.try_enter().unwrap();
        let mut turn = Box::pin(handshakes.turn(|| stranger(1), &stream));
        let early = timeout(Duration::from_millis(300), &mut turn).await;
        assert!(early.is_err(), "it did not wait");
        drop(taken);
        let turn = turn.await.unwrap();
        turn.begin(world.server.current(), stream).await.unwrap();
        connecting.await.unwrap().unwrap();
        assert!(
            handshakes.gate.try_enter().is_some(),
            "the place is given back"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_begins_and_goes_no_further_makes_room_and_a_slow_phone_goes_on() {
        let world = World::new();
        let handshakes = Handshakes {
            gate: Gate::new(4, 1_000_000),
            under_way: UnderWay::with_room_for(3),
        };
        let (mut phone, mut peer, begins) = world.begins(&handshakes, 1).await;
        let mut others = Vec::new();
        for _ in 0..5 {
            // None of them has just begun.
            tokio::time::advance(Duration::from_secs(3)).await;
            others.push(world.begins(&handshakes, 2).await);
        }
        let stay = others.split_off(3);
        for (mut client, _, begins) in others {
            assert!(begins.await.unwrap().is_err());
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).await.unwrap();
        }
        assert!(stay.iter().all(|(.., begins)| !begins.is_finished()));
        while peer.is_handshaking() {
            let mut heard = [0; 4_096];
            let length = phone.read(&mut heard).await.unwrap();
            peer.read_tls(&mut &heard[..length]).unwrap();
            peer.process_new_packets().unwrap();
        }
        let mut answer = Vec::new();
        while peer.wants_write() {
            peer.write_tls(&mut answer).unwrap();
        }
        phone.write_all(&answer).await.unwrap();
        let (_stream, begun) = begins.await.unwrap().unwrap();
        assert!(begun.is_some(), "it has said nothing in TLS");
    }

    /// What a handshake that has begun costs beside what TLS keeps: strangers may have hundreds.
    #[tokio::test]
    async fn what_waits_for_a_peer_s_part_of_a_handshake_is_small() {
        let world = World::new();
        let (_client, stream) = pair().await;
        let handshakes = Handshakes::new(&Limits::default());
        let turn = Turn {
            place: handshakes.gate.try_enter().unwrap(),
            begun: Some(handshakes.under_way.begin(stranger(1).source)),
        };
        let begins = turn.begin(world.server.current(), stream);
        let (begins, accept) = (size_of_val(&begins), size_of::<Accept<TcpStream>>());
        println!("{begins} octets, and {accept} of TLS");
        assert!(begins <= 512, "{begins}");
    }
}
