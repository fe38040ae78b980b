//! The work of TLS handshakes that we accept: in threads of its own, for a few at a time, and each source in its turn.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio::task::unconstrained;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, LazyConfigAcceptor, StartHandshake};

use crate::gate::{Gate, Place};
use crate::hello;
use crate::{Limits, Visitor};

/// The places for it, whatever is spoken behind TLS. Clones have the same places.
#[derive(Clone)]
pub struct Handshakes(Gate);

impl Handshakes {
    /// As many, and for strangers at such a pace, as these say.
    pub fn new(limits: &Limits) -> Self {
        Self(Gate::new(limits.handshakes, limits.handshakes_per_second))
    }

    /// Strangers have so many a second for each processor from now on.
    pub fn set_pace(&self, per_second: u32) {
        self.0.set_pace(per_second);
    }

    /// Begins TLS. Waits until all is there that the peer says first, and for its turn to do the work: nothing is made before.
    ///
    /// # Errors
    /// The connection ended, or the two do not agree.
    pub async fn accept(
        &self,
        who: impl FnOnce() -> Visitor,
        config: Arc<rustls::ServerConfig>,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        hello::comes(&stream).await?;
        let place = self.0.turn(who()).await;
        let place = place.map_err(io::Error::other)?;
        Box::pin(async {
            let heard = heard(stream).await?;
            agreed(heard.into_stream(config), place).await
        })
        .await
    }
}

/// Hears what the peer can do, which it has said: nobody is waited for in this place.
async fn heard(stream: TcpStream) -> io::Result<StartHandshake<TcpStream>> {
    let mut hears = pin!(LazyConfigAcceptor::new(Acceptor::default(), stream));
    let heard = poll_fn(|context| Poll::Ready(hears.as_mut().poll(context)));
    match unconstrained(heard).await {
        Poll::Ready(heard) => heard,
        Poll::Pending => Err(io::Error::other("it does not begin as TLS does")),
    }
}

/// Does the work in a thread for it, and waits for the peer's part.
async fn agreed(accept: Accept<TcpStream>, place: Place) -> io::Result<TlsStream<TcpStream>> {
    let worked = tokio::task::spawn_blocking(move || {
        let worked = work(accept);
        drop(place);
        worked
    });
    match worked.await.map_err(io::Error::other)? {
        (_, Poll::Ready(done)) => done,
        // What is left to do is little.
        (accept, Poll::Pending) => accept.await,
    }
}

/// Makes the keys and the signature, in a thread where nobody waits behind it, and sends them.
fn work(
    mut accept: Accept<TcpStream>,
) -> (Accept<TcpStream>, Poll<io::Result<TlsStream<TcpStream>>>) {
    // Whoever waits for the rest asks again.
    let mut context = Context::from_waker(Waker::noop());
    let done = Pin::new(&mut accept).poll(&mut context);
    (accept, done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Standing, TlsSource};
    use std::net::IpAddr;
    use std::time::Duration;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    #[tokio::test]
    async fn nobody_is_worked_for_without_a_place_and_who_waits_is_when_there_is_one() {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (chain, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
        let server = TlsSource::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let client = crate::client_config(chain.as_bytes()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let connecting = tokio::spawn(async move {
            let stream = TcpStream::connect(at).await.unwrap();
            let name = "localhost".try_into().unwrap();
            tokio_rustls::TlsConnector::from(client)
                .connect(name, stream)
                .await
        });
        let (stream, from) = listener.accept().await.unwrap();
        let handshakes = Handshakes::new(&Limits {
            handshakes: 1,
            ..Limits::default()
        });
        let taken = handshakes.0.try_enter().unwrap();
        let who = || Visitor {
            source: IpAddr::from([192, 0, 2, 1]),
            standing: Standing::Stranger,
        };
        let mut accepting = Box::pin(handshakes.accept(who, server.current(), stream));
        let early = timeout(Duration::from_millis(300), &mut accepting).await;
        assert!(early.is_err(), "{from} did not wait");
        drop(taken);
        accepting.await.unwrap();
        connecting.await.unwrap().unwrap();
        assert!(
            handshakes.0.try_enter().is_some(),
            "the place is given back"
        );
    }
}
