//! The one seam through which a flow is asked for: whoever performs makes or finds it, and says so.

use crate::settings::{Settings, literal};
use domain::{Address, DeviceId, IdMap, Timestamp};
use sip::{Flow, Transport, Uri};
use std::net::{IpAddr, SocketAddr};

/// Requests for a flow under way at once; one more fails.
const UNDER_WAY: usize = 20_000;

/// Names a request for a flow.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReachId(pub u64);

/// What is to be reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Way {
    /// This address: a connection that there is, or a new one. `name`: what its certificate must show.
    Address {
        /// By which transport.
        transport: Transport,
        /// Where.
        address: SocketAddr,
        /// The host's name, if it has one.
        name: Option<String>,
    },
    /// This host, which must be resolved first.
    Host {
        /// By which transport.
        transport: Transport,
        /// Its name.
        host: String,
        /// Its port.
        port: u16,
        /// If it must have this address: any other is no way.
        at: Option<IpAddr>,
    },
    /// The device of another shard's user that is, or was, at this flow.
    Device {
        /// Whose device.
        user: Address,
        /// Which, if that is known.
        device: Option<DeviceId>,
        /// Where it was.
        flow: Flow,
        /// Where it went before this is known already: only a registration since then says more.
        since: Timestamp,
    },
}

impl Way {
    /// The way that a URI names (RFC 3263 §4, without DNS).
    pub(crate) fn of(uri: &Uri<'_>) -> Self {
        let (transport, port) = Transport::for_uri(uri);
        match literal(uri.host) {
            Some(ip) => Self::Address {
                transport,
                address: SocketAddr::new(ip, port),
                name: None,
            },
            None => Self::Host {
                transport,
                host: uri.host.to_owned(),
                port,
                at: None,
            },
        }
    }

    /// The way to a peer by its own URI (RFC 3261 §16.6 item 7), if that names a place at the host that the peer was heard
    /// from last. What it names elsewhere is out of our reach, as behind a NAT, or somebody else's: nobody makes us
    /// connect to another host. Who came by an edge is reached by one only.
    pub(crate) fn to_peer(uri: &str, heard: Flow, settings: &Settings) -> Option<Self> {
        let uri = Uri::parse(uri).filter(Uri::is_sip)?;
        if settings.is_ours(uri.host, uri.port) || heard.transport == Transport::Edge {
            return None;
        }
        let heard_from = heard.remote.ip().to_canonical();
        match Self::of(&uri) {
            Self::Host {
                transport,
                host,
                port,
                ..
            } => Some(Self::Host {
                transport,
                host,
                port,
                at: Some(heard_from),
            }),
            way @ Self::Address { address, .. } => {
                Some(way).filter(|_| address.ip().to_canonical() == heard_from)
            }
            Self::Device { .. } => None,
        }
    }
}

/// What waits for flows.
#[derive(Debug)]
pub(crate) struct Reaching<T> {
    waiting: IdMap<ReachId, T>,
    asked: u64,
}

impl<T> Default for Reaching<T> {
    fn default() -> Self {
        Self {
            waiting: IdMap::default(),
            asked: 0,
        }
    }
}

impl<T> Reaching<T> {
    /// This waits for a flow; handed back if too much does.
    pub(crate) fn ask(&mut self, what: T) -> Result<ReachId, T> {
        if self.waiting.len() >= UNDER_WAY {
            return Err(what);
        }
        let id = ReachId(self.asked);
        self.asked += 1;
        self.waiting.insert(id, what);
        Ok(id)
    }

    /// What waited.
    pub(crate) fn take(&mut self, id: ReachId) -> Option<T> {
        self.waiting.remove(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}
