//! SIP over TCP and TLS.

use std::sync::Arc;

use ::sip::endpoint::Transport;
use tokio::net::TcpStream;

use super::handshake::handshake;
use crate::framing::sip::Sip as Framing;
use crate::listen::Serve;
use crate::shared::Shared;
use crate::table::Link;
use crate::{TlsSource, connection};

/// SIP, with what a TLS listener shows.
#[derive(Clone)]
pub(crate) struct Sip(pub(crate) Option<TlsSource>);

impl Serve for Sip {
    fn transport(&self) -> Transport {
        if self.0.is_some() {
            Transport::Tls
        } else {
            Transport::Tcp
        }
    }

    async fn serve(self, shared: Arc<Shared>, mut link: Link, stream: TcpStream) {
        let flow = link.flow;
        let mut framing = Framing::accepted(flow, &shared.limits);
        match self.0.map(|tls| tls.current()) {
            None => {
                let mut halves = tokio::io::split(stream);
                connection::run(&shared, &mut link, &mut halves, &mut framing).await;
            }
            Some(config) => {
                let limit = shared.limits.tls_handshake;
                let handshake = handshake(&shared, flow, config, stream, limit).await;
                if let Some(mut halves) = handshake.map(tokio::io::split) {
                    connection::run(&shared, &mut link, &mut halves, &mut framing).await;
                }
            }
        }
        shared.table().remove(flow.id);
        shared.closed(flow).await;
    }
}
