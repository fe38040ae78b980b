//! XMPP: over TCP with STARTTLS (RFC 6120 §5), and over TLS from the start (XEP-0368).

use std::sync::Arc;

use ::sip::endpoint::Transport;
use tokio::net::TcpStream;

use super::handshake::handshake;
use crate::binding::exporter;
use crate::framing::xmpp::Xmpp as Framing;
use crate::listen::Serve;
use crate::shared::Shared;
use crate::table::Link;
use crate::{StreamLink, TlsSource, XmppConfig, connection};

/// XMPP, with how streams are greeted.
#[derive(Clone)]
pub(crate) struct Xmpp {
    pub(crate) config: Arc<XmppConfig>,
    tls: TlsSource,
    /// Does TLS begin at once?
    direct: bool,
}

impl Serve for Xmpp {
    fn transport(&self) -> Transport {
        if self.direct {
            Transport::Tls
        } else {
            Transport::Tcp
        }
    }

    async fn serve(self, shared: Arc<Shared>, mut link: Link, stream: TcpStream) {
        let id = link.flow.id;
        let mut framing = Framing::new(
            id,
            self.config.clone(),
            shared.udp.len(),
            &shared.limits.xmpp,
        );
        shared.table().attach(id, framing.progress());
        self.talk(&shared, &mut link, stream, &mut framing).await;
        shared.table().remove(id);
    }
}

impl Xmpp {
    /// In the clear until a peer asks for TLS.
    pub(crate) fn new(config: XmppConfig, tls: TlsSource) -> Self {
        Self {
            config: Arc::new(config),
            tls,
            direct: false,
        }
    }

    /// The same in TLS from the start.
    pub(crate) fn direct(&self) -> Self {
        Self {
            direct: true,
            ..self.clone()
        }
    }

    async fn talk(
        &self,
        shared: &Shared,
        link: &mut Link,
        mut stream: TcpStream,
        framing: &mut Framing,
    ) {
        if !self.direct {
            let mut halves = tokio::io::split(stream);
            if !connection::run(shared, link, &mut halves, framing).await {
                return;
            }
            stream = halves.0.unsplit(halves.1);
        }
        let shown = self.tls.shown();
        let config = if self.direct {
            &shown.direct_xmpp
        } else {
            &shown.config
        };
        let limit = shared.limits.tls_handshake.min(framing.time_left());
        let handshake = handshake(shared, link.flow, config.clone(), stream, limit).await;
        let Some(mut halves) = handshake.map(|stream| {
            framing.secured(StreamLink {
                remote: link.flow.remote,
                secure: true,
                tls_exporter: exporter(stream.get_ref().1),
                tls_server_end_point: shown.server_end_point.clone(),
            });
            tokio::io::split(stream)
        }) else {
            return;
        };
        connection::run(shared, link, &mut halves, framing).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::Limits;
    use crate::shards::Shards;

    /// What an idle stream costs beside what TLS and the parser keep: most streams are idle most of the time.
    #[tokio::test]
    async fn the_task_of_a_stream_is_small() {
        let (shards, _receivers) = Shards::new(1, 1, Arc::new(|_, _| 0));
        let udp = vec![Vec::new()];
        let shared = Arc::new(Shared::new(Limits::default(), None, udp, shards));
        let config = XmppConfig {
            tcp: Vec::new(),
            tls: Vec::new(),
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
        let (_, queue) = tokio::sync::mpsc::channel(1);
        let link = Link {
            flow: ::sip::endpoint::Flow {
                transport: Transport::Tcp,
                local,
                remote: local,
                id: 1,
            },
            queue,
            queued_bytes: Arc::new(AtomicUsize::new(0)),
            abort: CancellationToken::new(),
        };
        let framing = Framing::new(1, Arc::new(config.clone()), 1, &Limits::default().xmpp);
        let task = Xmpp::new(config, tls).serve(shared, link, stream);
        let (framing, task) = (size_of_val(&framing), size_of_val(&task));
        println!("{framing} octets of framing, {task} of the task with it");
        assert!(task <= 1 << 12, "{task}");
    }
}
