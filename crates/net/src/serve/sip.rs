//! SIP over TCP and TLS.

use std::sync::Arc;

use super::handshake::handshake;
use crate::framing::sip::Sip as Framing;
use crate::listen::{Heard, Serve};
use crate::shared::Shared;
use crate::stats::Spoken;
use crate::table::Link;
use crate::{TlsSource, connection};

/// SIP, with what a TLS listener shows.
#[derive(Clone)]
pub(crate) struct Sip(pub(crate) Option<TlsSource>);

impl Serve for Sip {
    fn spoken(&self) -> Spoken {
        if self.0.is_some() {
            Spoken::SipTls
        } else {
            Spoken::SipTcp
        }
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn keeps its arguments twice, and a task that waits is small"
    )]
    fn serve(
        self,
        shared: Arc<Shared>,
        mut link: Link,
        (stream, turn): Heard,
    ) -> impl Future<Output = ()> + Send {
        async move {
            let mut framing = Framing::accepted(link.flow, link.since, &shared.limits);
            match self.0.map(|tls| tls.current()) {
                None => {
                    let mut halves = tokio::io::split(stream);
                    connection::run(&shared, &mut link, &mut halves, &mut framing).await;
                }
                Some(config) => {
                    let by = link.since + shared.limits.tls_handshake;
                    let handshake = handshake(&shared, &mut link, config, (stream, turn), by);
                    if let Some(mut halves) = handshake.await.map(tokio::io::split) {
                        connection::run(&shared, &mut link, &mut halves, &mut framing).await;
                    }
                }
            }
            shared.table().remove(link.flow.id);
            shared.closed(link.flow).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use ::sip::endpoint::Transport;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::outbox::outbox;

    /// What a silent phone costs beside what TLS keeps: most are silent most of the time.
    #[tokio::test]
    async fn the_task_of_a_connection_is_small() {
        let shared = Shared::alone();
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (chain, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
        let tls = TlsSource::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let local = listener.local_addr().unwrap();
        let stream = TcpStream::connect(local).await.unwrap();
        let flow = ::sip::endpoint::Flow {
            transport: Transport::Tls,
            local,
            remote: local,
            id: 1,
        };
        let link = Link {
            flow,
            outbox: outbox().1,
            since: tokio::time::Instant::now(),
            begun: None,
        };
        let task = Sip(Some(tls)).serve(shared, link, (stream, None));
        let task = size_of_val(&task);
        println!("{task} octets of the task");
        assert!(task < 1 << 11, "{task}");
    }
}
