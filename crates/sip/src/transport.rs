//! What carries messages, as one table: a new transport is a variant and a row here, a framing in the crate that has
//! the sockets, and a key in the configuration.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::Uri;

/// What carries the messages of a [`Flow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Transport {
    /// Datagrams: the endpoint retransmits.
    Udp,
    /// A TCP connection.
    Tcp,
    /// A TLS connection.
    Tls,
    /// A TLS connection to an edge of ours, which brings what comes over it. Only that edge reaches its peer.
    Edge,
}

/// Where a message came from or goes to: one connection, or one UDP peer of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// What carries it.
    pub transport: Transport,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// Number of the connection, 0 for UDP. A new connection between the same addresses is another flow.
    pub id: u64,
}

/// Octets to send over a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub flow: Flow,
    /// One whole message.
    pub bytes: Bytes,
}

/// All that tells one transport from another.
struct Row {
    transport: Transport,
    /// In configuration, traces and stored flows.
    name: &'static str,
    /// In a Via (RFC 3261 §20.42).
    via: &'static str,
    /// As `transport=` in a URI (RFC 3261 §19.1.1).
    param: &'static str,
    /// What names it at the end of a `sip` URI: nothing for the one that is meant where nothing is said.
    suffix: &'static str,
    /// Port where a URI states none (RFC 3261 §19.1.2).
    port: u16,
    /// Does it deliver what it takes?
    reliable: bool,
    /// What carries it for a `sips` URI (RFC 3263 §4.1): itself if it is secure.
    secured: Transport,
}

/// Rows stand in the order of the variants. Flows are stored by the number of the row: new ones come last.
const TABLE: [Row; 4] = [
    Row {
        transport: Transport::Udp,
        name: "udp",
        via: "UDP",
        param: "udp",
        suffix: "",
        port: 5060,
        reliable: false,
        secured: Transport::Tls,
    },
    Row {
        transport: Transport::Tcp,
        name: "tcp",
        via: "TCP",
        param: "tcp",
        suffix: ";transport=tcp",
        port: 5060,
        reliable: true,
        secured: Transport::Tls,
    },
    Row {
        transport: Transport::Tls,
        name: "tls",
        via: "TLS",
        param: "tls",
        suffix: ";transport=tls",
        port: 5061,
        reliable: true,
        secured: Transport::Tls,
    },
    // In everything that others see it is TLS.
    Row {
        transport: Transport::Edge,
        name: "edge",
        via: "TLS",
        param: "tls",
        suffix: ";transport=tls",
        port: 5061,
        reliable: true,
        secured: Transport::Edge,
    },
];

impl Transport {
    /// All of them, in the order of the table.
    pub fn all() -> impl ExactSizeIterator<Item = Self> + Clone {
        TABLE.iter().map(|row| row.transport)
    }

    /// The transport that configuration, traces and stored flows name so.
    pub fn named(name: &str) -> Option<Self> {
        find(|row| row.name == name)
    }

    /// The transport that a Via names so, in any case.
    pub fn from_via(token: &str) -> Option<Self> {
        find(|row| row.via.eq_ignore_ascii_case(token))
    }

    /// The transport that a URI's `transport=` names so, in any case.
    pub fn from_param(value: &str) -> Option<Self> {
        find(|row| row.param.eq_ignore_ascii_case(value))
    }

    /// Transport and port that a URI asks for (RFC 3263 §4.1, §4.2, without DNS): the one it names, UDP if it names
    /// none that we have, and for `sips` the secure one that carries it.
    pub fn for_uri(uri: &Uri<'_>) -> (Self, u16) {
        let named = uri
            .param("transport")
            .and_then(Self::from_param)
            .unwrap_or(Self::Udp);
        let transport = if uri.is_secure() {
            named.row().secured
        } else {
            named
        };
        (transport, uri.port.unwrap_or(transport.default_port()))
    }

    /// Its name in configuration, traces and stored flows.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Its name in a Via (RFC 3261 §20.42).
    pub fn as_str(self) -> &'static str {
        self.row().via
    }

    /// The value of `transport=` in a URI.
    pub fn param(self) -> &'static str {
        self.row().param
    }

    /// What names it at the end of a `sip` URI; empty for UDP.
    pub fn uri_suffix(self) -> &'static str {
        self.row().suffix
    }

    /// The port where a URI states none.
    pub fn default_port(self) -> u16 {
        self.row().port
    }

    /// Does it deliver what it takes, so that nothing need be sent again (RFC 3261 §17)? Then it has connections.
    pub fn is_reliable(self) -> bool {
        self.row().reliable
    }

    /// Does nobody on the way read along?
    pub fn is_secure(self) -> bool {
        self.row().secured == self
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

fn find(is: impl Fn(&Row) -> bool) -> Option<Transport> {
    TABLE.iter().find(|row| is(row)).map(|row| row.transport)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transport_is_found_by_each_of_its_names() {
        for (place, row) in TABLE.iter().enumerate() {
            let transport = row.transport;
            assert_eq!(
                transport as usize, place,
                "a row stands at its variant's place"
            );
            assert_eq!(Transport::named(transport.name()), Some(transport));
            let via = transport.as_str().to_ascii_lowercase();
            let param = transport.param().to_ascii_uppercase();
            let known = to_others(transport);
            assert_eq!(Transport::from_via(&via), Some(known));
            assert_eq!(Transport::from_param(&param), Some(known));
            assert!(row.secured.is_secure());
        }
        assert_eq!(Transport::from_via("SCTP"), None);
    }

    #[test]
    fn a_uri_says_how_it_is_reached() {
        for (uri, transport, port) in [
            ("sip:r.example", Transport::Udp, 5060),
            ("sip:r.example:5070;transport=TCP", Transport::Tcp, 5070),
            ("sip:r.example;transport=tls", Transport::Tls, 5061),
            ("sip:r.example;transport=sctp", Transport::Udp, 5060),
            ("sips:r.example", Transport::Tls, 5061),
            ("sips:r.example;transport=tcp", Transport::Tls, 5061),
        ] {
            let parsed = Uri::parse(uri).unwrap();
            assert_eq!(Transport::for_uri(&parsed), (transport, port), "{uri}");
        }
    }

    #[test]
    fn a_uri_of_ours_leads_back_to_its_transport() {
        for transport in Transport::all() {
            let uri = format!("sip:r.example{}", transport.uri_suffix());
            let (found, _) = Transport::for_uri(&Uri::parse(&uri).unwrap());
            assert_eq!(found, to_others(transport));
        }
    }

    /// Others know of no edge.
    fn to_others(transport: Transport) -> Transport {
        match transport {
            Transport::Edge => Transport::Tls,
            other => other,
        }
    }
}
