//! Connections that somebody else has accepted for us, and whose octets come to us by a way of theirs, such as a tunnel.

use std::net::SocketAddr;

use sip::endpoint::{Flow, Transport};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection;
use crate::framing::sip::Sip;
use crate::listen::place;
use crate::net::Net;

impl Net {
    /// Serves SIP over a connection that was accepted elsewhere, as if it had come here: with the peer's own address for limits,
    /// bans and everything that looks at flows. `local` is where it came in; with an unspecified address, by whatever name phones have
    /// for us. `transport` says what the peer speaks, whose TLS has ended there. False if there is no room for it, or its peer is banned.
    pub fn carry<S>(
        &self,
        transport: Transport,
        (local, remote): (SocketAddr, SocketAddr),
        stream: S,
    ) -> bool
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let shared = self.shared.clone();
        let flow = Flow {
            transport,
            local,
            remote,
            id: shared.connection_id(),
        };
        let Some(mut link) = place(&shared, flow) else {
            return false;
        };
        shared.clone().tasks.spawn(async move {
            let mut framing = Sip::carried(flow, &shared.limits);
            let mut halves = tokio::io::split(stream);
            connection::run(&shared, &mut link, &mut halves, &mut framing).await;
            shared.table().remove(flow.id);
            shared.closed(flow).await;
        });
        true
    }
}
