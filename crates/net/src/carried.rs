//! Connections that somebody else has accepted for us, and whose octets come to us by a way of theirs, such as a tunnel.

use std::net::SocketAddr;
use std::sync::Arc;

use sip::endpoint::{Flow, Transport};
use tokio::io::{AsyncRead, AsyncWrite};
use xmpp::stream::Framing as Frames;

use crate::connection::{self, Halves};
use crate::framing::sip::Sip;
use crate::framing::xmpp::{Peers, Xmpp};
use crate::listen::place;
use crate::net::Net;
use crate::shared::Shared;
use crate::stats::Spoken;
use crate::table::Link;
use crate::{StreamLink, XmppConfig};

/// What is spoken over such a connection. The peer's TLS has ended where it was accepted.
#[derive(Debug)]
pub enum Carried {
    /// SIP, as over TCP.
    Sip,
    /// XMPP, as over TCP, from the first header that its peer has sent in TLS.
    Xmpp {
        /// See [`StreamLink::tls_exporter`].
        tls_exporter: Option<[u8; 32]>,
        /// See [`StreamLink::tls_server_end_point`]; of the certificate that was shown.
        tls_server_end_point: Option<Arc<[u8]>>,
    },
}

impl Net {
    /// Serves a connection that was accepted elsewhere, as if it had come here: with the peer's own address for limits, bans and
    /// everything that looks at flows. `local` is where it came in, `transport` the flow's. False if there is no room for it, its peer is banned, or what it speaks is not served.
    pub fn carry<S>(
        &self,
        what: Carried,
        transport: Transport,
        (local, remote): (SocketAddr, SocketAddr),
        stream: S,
    ) -> bool
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let shared = self.shared.clone();
        let spoken = match what {
            Carried::Sip => Spoken::SipTls,
            Carried::Xmpp { .. } => Spoken::XmppTls,
        };
        let stream_of = match (what, &self.xmpp) {
            (Carried::Sip, _) => None,
            (Carried::Xmpp { .. }, None) => return false,
            (
                Carried::Xmpp {
                    tls_exporter,
                    tls_server_end_point,
                },
                Some(config),
            ) => {
                let over = StreamLink {
                    local,
                    carried: true,
                    remote,
                    framing: Frames::Tcp,
                    secure: true,
                    tls_exporter,
                    tls_server_end_point,
                };
                Some((config.clone(), over))
            }
        };
        let flow = Flow {
            transport,
            local,
            remote,
            id: shared.connection_id(),
        };
        let Some(link) = place(&shared, flow, spoken) else {
            return false;
        };
        let (tasks, halves) = (shared.tasks.clone(), tokio::io::split(stream));
        match stream_of {
            None => tasks.spawn(sip(shared, link, halves)),
            Some(of) => tasks.spawn(xmpp(shared, link, of, halves)),
        };
        true
    }
}

async fn sip<S: AsyncRead + AsyncWrite>(
    shared: Arc<Shared>,
    mut link: Link,
    mut halves: Halves<S>,
) {
    let flow = link.flow;
    let mut framing = Sip::carried(flow, link.since, &shared.limits);
    connection::run(&shared, &mut link, &mut halves, &mut framing).await;
    shared.table().remove(flow.id);
    shared.closed(flow).await;
}

async fn xmpp<S: AsyncRead + AsyncWrite>(
    shared: Arc<Shared>,
    mut link: Link,
    (config, over): (Arc<XmppConfig>, StreamLink),
    mut halves: Halves<S>,
) {
    let id = link.flow.id;
    let (of, peers) = ((id, over.framing), Peers::Clients(config));
    let mut framing = Xmpp::new(of, link.since, peers, shared.udp.len(), &shared.limits);
    shared.table().attach(id, framing.progress());
    framing.secured(over);
    connection::run(&shared, &mut link, &mut halves, &mut framing).await;
    shared.table().remove(id);
}
