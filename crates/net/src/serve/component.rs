//! Components of XMPP (XEP-0114): one stream, in the clear.

use std::sync::Arc;

use crate::framing::xmpp::{Peers, Xmpp as Framing};
use crate::listen::{Heard, Serve};
use crate::shared::Shared;
use crate::stats::Spoken;
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
    fn spoken(&self) -> Spoken {
        Spoken::XmppTcp
    }

    async fn serve(self, shared: Arc<Shared>, mut link: Link, (stream, _): Heard) {
        let id = link.flow.id;
        let (of, peers) = ((id, Frames::Component), Peers::Components(self.0));
        let (shards, limits) = (shared.udp.len(), &shared.limits);
        let mut framing = Framing::new(of, link.since, peers, shards, limits);
        shared.table().attach(id, framing.progress());
        let mut halves = tokio::io::split(stream);
        connection::run(&shared, &mut link, &mut halves, &mut framing).await;
        shared.table().remove(id);
    }
}
