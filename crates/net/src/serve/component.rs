//! Components of XMPP (XEP-0114): one stream, in the clear.

use std::sync::Arc;

use ::sip::endpoint::Transport;
use tokio::net::TcpStream;

use crate::framing::xmpp::{Peers, Xmpp as Framing};
use crate::listen::Serve;
use crate::shared::Shared;
use crate::table::Link;
use crate::{ComponentConfig, connection};
use xmpp::stream::Framing as Frames;

/// Components, with which there are.
#[derive(Clone)]
pub(crate) struct Component(Arc<ComponentConfig>);

impl Component {
    pub(crate) fn new(config: ComponentConfig) -> Self {
        Self(Arc::new(config))
    }
}

impl Serve for Component {
    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    async fn serve(self, shared: Arc<Shared>, mut link: Link, stream: TcpStream) {
        let id = link.flow.id;
        let (peers, limits) = (Peers::Components(self.0), &shared.limits.xmpp);
        let mut framing = Framing::new((id, Frames::Component), peers, shared.udp.len(), limits);
        shared.table().attach(id, framing.progress());
        let mut halves = tokio::io::split(stream);
        connection::run(&shared, &mut link, &mut halves, &mut framing).await;
        shared.table().remove(id);
    }
}
