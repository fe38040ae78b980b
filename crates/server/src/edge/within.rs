//! The inside's end: edges are dialled, and clients that come by one are connections like those that come here.

use super::{gate::Refused, look::Links};
use crate::{
    api::{AccessTokens, not_found},
    clock::clock,
    config::Config,
    doorkeeper::Doorkeeper,
    http,
    metrics::Metrics,
    pairs,
    room::{Room, part_of_one},
    settings,
};
use anyhow::{Context, Result, anyhow};
use axum::Router;
use net::{Carried, Standing};
use std::{net::SocketAddr, sync::Arc};
use tokio::{sync::mpsc, task::JoinHandle};
use tunnel::{Arrival, Inside, Limits, Spoken, Stream};

/// The tunnels to our edges, if there are any.
pub(crate) struct Within(Option<Dialled>);

struct Dialled {
    inside: Inside,
    /// Until somebody takes them.
    arrivals: Option<mpsc::Receiver<Arrival>>,
    task: Option<JoinHandle<()>>,
}

impl Within {
    /// Dials the edges of the configuration, and tells them how they can tell our tokens. What comes by them waits until it is taken.
    pub(crate) fn dial(config: &Config, tokens: &AccessTokens) -> Result<Self> {
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
        let (inside, arrivals) = Inside::dial(
            (config.node(), tokens.keys.told()),
            &identity,
            &edges,
            (limits, clock()),
        )
        .context("the tunnels of edge.edges")?;
        Ok(Self(Some(Dialled {
            inside,
            arrivals: Some(arrivals),
            task: None,
        })))
    }

    /// Begins to take who comes by them: connections of `net`'s, and requests of the device API, of which so many at once have room.
    pub(crate) fn take(
        &mut self,
        (net, metrics): (&net::Net, &Arc<Metrics>),
        device: Router,
        (room, keeper): (usize, &Doorkeeper),
    ) {
        let Some(dialled) = &mut self.0 else {
            return;
        };
        let taking = Taking {
            net: net.clone(),
            metrics: metrics.clone(),
            tls: net.addresses().tls.clone(),
            is_told: false,
            device: device.fallback(not_found),
            room: (room, Arc::default()),
            keeper: keeper.clone(),
        };
        let arrivals = dialled.arrivals.take();
        dialled.task = arrivals.map(|arrivals| tokio::spawn(taking.run(arrivals)));
    }

    /// How they are.
    pub(crate) fn links(&self) -> Links {
        let inside = self.0.as_ref().map(|dialled| dialled.inside.clone());
        Arc::new(move || inside.as_ref().map(Inside::status).unwrap_or_default())
    }

    /// Ends them.
    pub(crate) async fn shutdown(self) {
        if let Some(Dialled { inside, task, .. }) = self.0 {
            inside.shutdown().await;
            if let Some(task) = task {
                task.abort();
            }
        }
    }
}

/// Takes what comes by the tunnels.
struct Taking {
    net: net::Net,
    metrics: Arc<Metrics>,
    /// Our listeners of SIP in TLS.
    tls: Vec<SocketAddr>,
    /// Whether it was said that none of them has the port of an edge.
    is_told: bool,
    device: Router,
    /// For so many requests of that.
    room: (usize, Arc<Room>),
    keeper: Doorkeeper,
}

impl Taking {
    async fn run(mut self, mut arrivals: mpsc::Receiver<Arrival>) {
        while let Some(arrival) = arrivals.recv().await {
            let client = arrival.header.client;
            // Dropped, its stream ends, and the edge closes its connection.
            if !self.takes(arrival) {
                tracing::debug!(%client, "a client that comes by an edge is not taken");
                self.metrics.edge_refused(Refused::NotTaken.name(), 1);
            }
        }
    }

    fn takes(&mut self, arrival: Arrival) -> bool {
        let Arrival {
            edge,
            at,
            header,
            stream,
        } = arrival;
        let from = header.client.ip();
        // No client outside is where the operator's servers are, whatever an edge says.
        if self.keeper.trusts(from) {
            return false;
        }
        let (spoken, name) = (header.spoken, header.name.as_deref());
        tracing::debug!(%edge, client = %header.client, ?spoken, name, "a client comes by an edge");
        let what = match header.spoken {
            Spoken::SipTls => {
                self.looks_at(header.port);
                Carried::Sip
            }
            Spoken::Xmpp => Carried::Xmpp {
                tls_exporter: header.exporter,
                tls_server_end_point: header.end_point.map(Into::into),
            },
            Spoken::Http => return self.asks(header.client, stream),
        };
        // It came in at the edge, which has another address for clients; but this is the one that our operator knows.
        let local = SocketAddr::new(at.ip().to_canonical(), header.port);
        let at = (local, header.client);
        self.net.carry(what, sip::Transport::Edge, at, stream)
    }

    /// Says once that phones which come by this port outside would not find us by it inside.
    fn looks_at(&mut self, port: u16) {
        if !self.is_told && !settings::is_one_at(&self.tls, port) {
            self.is_told = true;
            tracing::warn!(
                port,
                "phones come by an edge at a port that listen.sip_tls does not have"
            );
        }
    }

    /// A request of the device API.
    fn asks(&self, from: SocketAddr, stream: Stream) -> bool {
        let visitor = self.keeper.visitor(from.ip());
        if visitor.standing == Standing::Banned {
            return false;
        }
        let (most, room) = &self.room;
        let Some(place) = room.take(visitor.source, (*most, part_of_one(*most))) else {
            return false;
        };
        let (device, keeper) = (self.device.clone(), self.keeper.clone());
        tokio::spawn(async move {
            http::carried(stream, from, device, &keeper).await;
            drop(place);
        });
        true
    }
}
