//! XMPP: over TCP with STARTTLS (RFC 6120 §5), over TLS from the start (XEP-0368), and over WebSocket (RFC 7395).

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use xmpp::stream::Framing as Frames;

use super::handshake::handshake;
use crate::binding::exporter;
use crate::connection::{self, Halves};
use crate::framing::websocket::{Handshake, WebSocket};
use crate::framing::xmpp::{Peers, Xmpp as Framing};
use crate::listen::{Heard, Serve};
use crate::shared::Shared;
use crate::stats::Spoken;
use crate::table::Link;
use crate::tls::Shown;
use crate::{StreamLink, TlsSource, XmppConfig};

/// The subprotocol (RFC 7395 §3.1).
const SUBPROTOCOL: &str = "xmpp";

/// XMPP, with how streams are greeted.
#[derive(Clone)]
pub(crate) struct Xmpp {
    config: Arc<XmppConfig>,
    begins: Begins,
}

/// How a connection begins, and what it shows when that is TLS.
#[derive(Clone)]
pub(crate) enum Begins {
    /// In the clear, until the peer asks for TLS.
    Starttls(TlsSource),
    /// In TLS.
    Tls(TlsSource),
    /// As a WebSocket in the clear: TLS is a proxy's.
    Ws,
    /// As a WebSocket in TLS.
    Wss(TlsSource),
}

impl Xmpp {
    pub(crate) fn new(config: Arc<XmppConfig>, begins: Begins) -> Self {
        Self { config, begins }
    }
}

impl Begins {
    fn framing(&self) -> Frames {
        match self {
            Self::Starttls(_) | Self::Tls(_) => Frames::Tcp,
            Self::Ws | Self::Wss(_) => Frames::WebSocket,
        }
    }
}

impl Serve for Xmpp {
    fn spoken(&self) -> Spoken {
        match self.begins {
            Begins::Starttls(_) => Spoken::XmppTcp,
            Begins::Tls(_) => Spoken::XmppTls,
            Begins::Ws => Spoken::XmppWs,
            Begins::Wss(_) => Spoken::XmppWss,
        }
    }

    async fn serve(self, shared: Arc<Shared>, mut link: Link, (stream, turn): Heard) {
        let id = link.flow.id;
        let mut framing = Framing::new(
            (id, self.begins.framing()),
            link.since,
            Peers::Clients(self.config.clone()),
            shared.udp.len(),
            &shared.limits,
        );
        shared.table().attach(id, framing.progress());
        let talk = Talk {
            config: &self.config,
            shared: &shared,
            link: &mut link,
            framing: &mut framing,
        };
        match self.begins {
            Begins::Starttls(tls) => talk.starttls(&tls, stream).await,
            Begins::Tls(tls) => talk.tls(&tls, (stream, turn)).await,
            // In a place of its own: the task of a stream that is none is not to be as large.
            Begins::Ws => Box::pin(talk.ws(stream)).await,
            Begins::Wss(tls) => Box::pin(talk.wss(&tls, (stream, turn))).await,
        }
        shared.table().remove(id);
    }
}

/// One connection.
struct Talk<'a> {
    config: &'a XmppConfig,
    shared: &'a Shared,
    link: &'a mut Link,
    framing: &'a mut Framing,
}

impl Talk<'_> {
    async fn starttls(mut self, tls: &TlsSource, stream: TcpStream) {
        let mut halves = tokio::io::split(stream);
        if connection::run(self.shared, self.link, &mut halves, self.framing).await {
            let stream = halves.0.unsplit(halves.1);
            let shown = tls.shown();
            let secured = self.secured((&shown, &shown.config), (stream, None), Instant::now());
            if let Some(mut halves) = secured.await {
                connection::run(self.shared, self.link, &mut halves, self.framing).await;
            }
        }
    }

    async fn tls(mut self, tls: &TlsSource, heard: Heard) {
        let shown = tls.shown();
        let secured = self.secured((&shown, &shown.direct_xmpp), heard, self.link.since);
        if let Some(mut halves) = secured.await {
            connection::run(self.shared, self.link, &mut halves, self.framing).await;
        }
    }

    async fn ws(self, stream: TcpStream) {
        self.framing.secured(StreamLink {
            local: self.link.flow.local,
            carried: false,
            remote: self.link.flow.remote,
            framing: Frames::WebSocket,
            // Only proxies get here, and whoever is on this machine.
            secure: true,
            tls_exporter: None,
            tls_server_end_point: None,
        });
        self.websocket(tokio::io::split(stream), false).await;
    }

    async fn wss(mut self, tls: &TlsSource, heard: Heard) {
        let shown = tls.shown();
        let secured = self.secured((&shown, &shown.http), heard, self.link.since);
        if let Some(halves) = secured.await {
            self.websocket(halves, true).await;
        }
    }

    /// Begins TLS, for which there is time since then; what the stream says is for that from then on.
    async fn secured(
        &mut self,
        (shown, config): (&Shown, &Arc<rustls::ServerConfig>),
        heard: Heard,
        since: Instant,
    ) -> Option<Halves<TlsStream<TcpStream>>> {
        let by = since + self.shared.limits.tls_handshake;
        let by = self.framing.signs_in_by().map_or(by, |last| last.min(by));
        let flow = self.link.flow;
        let stream = handshake(self.shared, self.link, config.clone(), heard, by).await?;
        self.framing.secured(StreamLink {
            local: flow.local,
            carried: false,
            remote: flow.remote,
            framing: self.framing.framing(),
            secure: true,
            tls_exporter: exporter(stream.get_ref().1),
            tls_server_end_point: shown.server_end_point.clone(),
        });
        Some(tokio::io::split(stream))
    }

    async fn websocket<S: AsyncRead + AsyncWrite>(self, mut halves: Halves<S>, is_secure: bool) {
        let Self {
            config,
            shared,
            link,
            framing,
        } = self;
        let mut begins = Handshake::new(shared, &config.websocket, SUBPROTOCOL, link, is_secure);
        if !connection::run(shared, link, &mut halves, &mut begins).await {
            return;
        }
        if let Some(client) = begins.client() {
            framing.comes_from(client);
        }
        shared.table().becomes_websocket(link.flow.id);
        let mut framing = WebSocket::new(framing, &shared.limits.websocket);
        connection::run(shared, link, &mut halves, &mut framing).await;
    }
}

#[cfg(test)]
mod tests {
    use ::sip::endpoint::Transport;
    use tokio::net::TcpListener;

    use super::*;
    use crate::Limits;

    /// What an idle stream costs beside what TLS and the parser keep: most streams are idle most of the time.
    #[tokio::test]
    async fn the_task_of_a_stream_is_small() {
        let shared = Shared::alone();
        let config = XmppConfig {
            tcp: Vec::new(),
            tls: Vec::new(),
            websocket: crate::WebSocketConfig::default(),
            domains: xmpp::stream::Domains::new("example.com", &[]).unwrap(),
            offer: Arc::new(|_| Arc::default()),
            steer: Arc::new(|_| 0),
        };
        let certified = rcgen::generate_simple_self_signed(vec!["example.com".to_owned()]).unwrap();
        let (chain, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
        let tls = TlsSource::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let local = listener.local_addr().unwrap();
        let stream = TcpStream::connect(local).await.unwrap();
        let link = Link {
            flow: ::sip::endpoint::Flow {
                transport: Transport::Tcp,
                local,
                remote: local,
                id: 1,
            },
            outbox: crate::outbox::outbox().1,
            since: Instant::now(),
            begun: None,
        };
        let config = Arc::new(config);
        let framing = (1, Frames::Tcp);
        let peers = Peers::Clients(config.clone());
        let framing = Framing::new(framing, link.since, peers, 1, &Limits::default());
        let task = Xmpp::new(config, Begins::Starttls(tls)).serve(shared, link, (stream, None));
        let (framing, task) = (size_of_val(&framing), size_of_val(&task));
        println!("{framing} octets of framing, {task} of the task with it");
        assert!(task <= 1 << 12, "{task}");
    }
}
