//! The inside's end: edges are dialled, and clients that come by one are connections like those that come here.

use super::{gate::Refused, look::Links};
use crate::{config::Config, metrics::Metrics, pairs, settings};
use anyhow::{Context, Result, anyhow};
use call::Network;
use net::Carried;
use std::{
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
};
use tokio::{sync::mpsc, task::JoinHandle};
use tunnel::{Arrival, Inside, Limits, Spoken};

/// The tunnels to our edges, if there are any.
pub(crate) struct Within(Option<Dialled>);

struct Dialled {
    inside: Inside,
    task: JoinHandle<()>,
}

impl Within {
    /// Dials the edges of the configuration.
    pub(crate) fn dial(config: &Config, net: &net::Net, metrics: &Arc<Metrics>) -> Result<Self> {
        let edges = config.edge.edges.0.iter().map(|edge| pairs::edge(edge));
        let edges = edges.collect::<Result<Vec<_>, _>>();
        let edges = edges.map_err(|error| anyhow!("edge.edges: {error}"))?;
        if edges.is_empty() {
            return Ok(Self(None));
        }
        let identity = pairs::identity(&config.server.data_dir)?;
        let limits = Limits {
            streams: u32::try_from(config.limits.connections).unwrap_or(u32::MAX),
            ..Limits::default()
        };
        let (inside, arrivals) = Inside::dial(config.node(), &identity, &edges, limits)
            .context("the tunnels of edge.edges")?;
        let taking = Taking {
            net: net.clone(),
            metrics: metrics.clone(),
            trusted: settings::trusted(config)?,
        };
        let task = tokio::spawn(taking.run(arrivals));
        Ok(Self(Some(Dialled { inside, task })))
    }

    /// How they are.
    pub(crate) fn links(&self) -> Links {
        let inside = self.0.as_ref().map(|dialled| dialled.inside.clone());
        Arc::new(move || inside.as_ref().map(Inside::status).unwrap_or_default())
    }

    /// Ends them.
    pub(crate) async fn shutdown(self) {
        if let Some(Dialled { inside, task }) = self.0 {
            inside.shutdown().await;
            task.abort();
        }
    }
}

/// Takes what comes by the tunnels.
struct Taking {
    net: net::Net,
    metrics: Arc<Metrics>,
    /// Where the operator's servers are: no client outside is there, whatever an edge says.
    trusted: Vec<Network>,
}

impl Taking {
    async fn run(self, mut arrivals: mpsc::Receiver<Arrival>) {
        while let Some(arrival) = arrivals.recv().await {
            let client = arrival.header.client;
            // Dropped, its stream ends, and the edge closes its connection.
            if !self.takes(arrival) {
                tracing::debug!(%client, "a client that comes by an edge is not taken");
                self.metrics.edge_refused(Refused::NotTaken.name(), 1);
            }
        }
    }

    fn takes(&self, arrival: Arrival) -> bool {
        let Arrival {
            edge,
            header,
            stream,
        } = arrival;
        let from = header.client.ip();
        if self.trusted.iter().any(|network| network.contains(from)) {
            return false;
        }
        let what = match header.spoken {
            Spoken::SipTls => Carried::Sip,
            Spoken::Xmpp => Carried::Xmpp {
                tls_exporter: header.exporter,
                tls_server_end_point: header.end_point.map(Into::into),
            },
        };
        tracing::debug!(%edge, client = %header.client, name = ?header.name, ?what, "a client comes by an edge");
        // Where it came in is the edge's, which clients find by our name.
        let local = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), header.port);
        let at = (local, header.client);
        self.net.carry(what, sip::Transport::Edge, at, stream)
    }
}
