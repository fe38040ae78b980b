//! What the operator decided about calls and messages over SIP, in the form in which the role needs it.

use crate::network::Network;
use domain::{Address, AppProfile, CallKind, Slice, quota::Allowance};
use hub::Bearers;
use sip::{Flow, Transport, Uri, push_address, registrar::Policy};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// The calls of this role.
pub const CALLS: CallKind = CallKind(0);

/// Says whether an IP address is one of this host's: asked only while we listen on a wildcard.
pub type IsLocal = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// An app with what names it in a Contact.
#[derive(Clone, Debug)]
pub struct AppKey {
    /// The profile.
    pub profile: AppProfile,
    /// What `pn-param` says for it: `TEAM.bundle` (RFC 8599 §10) or the Firebase project (RFC 8599 §11); nothing for Web Push (RFC 8599 §12).
    pub param: String,
}

/// Whether media between parties of whom one is outside go by a relay.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub enum Relaying {
    /// They do not: descriptions of sessions pass unchanged.
    #[default]
    Off,
    /// They do, and a call that no relay takes is refused.
    Needed,
    /// They do if a relay takes them.
    Wanted,
}

/// Which of the shards a role belongs to.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Shard {
    /// Its number.
    pub number: u8,
    /// How many there are.
    pub of: usize,
}

impl Shard {
    /// Whether a user is this shard's.
    pub fn has(self, user: &Address) -> bool {
        Slice::of(user).shard(self.of) == usize::from(self.number)
    }
}

/// How many calls one may have that wait to be answered, and begin a minute.
#[derive(Copy, Clone, Debug)]
pub struct CallLimits {
    /// One caller.
    pub per_caller: Allowance,
    /// One callee, whoever calls.
    pub per_callee: Allowance,
    /// One server that the operator trusts, which calls for many.
    pub per_server: Allowance,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            per_caller: Allowance {
                at_once: 20,
                a_minute: 60,
            },
            per_callee: Allowance {
                at_once: 20,
                a_minute: 100,
            },
            per_server: Allowance {
                at_once: 2_000,
                a_minute: 12_000,
            },
        }
    }
}

/// Settings of the SIP role.
#[derive(Clone)]
pub struct Settings {
    /// Our domains; the first is the one of addresses that name a host of ours.
    pub domains: Arc<[String]>,
    /// The host name that phones reach us by.
    pub node: String,
    /// Of registrations.
    pub registrar: Policy,
    /// Where a call goes that reaches nobody, unless its user says otherwise.
    pub fallback: Option<String>,
    /// Servers that need no password, as addresses or networks.
    pub trusted: Vec<Network>,
    /// Whether strangers may call and write.
    pub strangers: bool,
    /// Calls at once; one more is answered 503.
    pub held_calls: usize,
    /// Calls of one caller or callee; one more is answered 503 or 480.
    pub calls: CallLimits,
    /// Requests of one user, or of one source where no user is known, that are not over; one more is answered 503.
    pub requests_per_source: u32,
    /// What is done about media of parties outside.
    pub relaying: Relaying,
    /// The apps that can be pushed to.
    pub apps: Arc<[AppKey]>,
    /// What we listen at.
    pub bound: Arc<[(Transport, SocketAddr)]>,
    /// Whether an address is this host's.
    pub is_local: IsLocal,
    /// Which shard this is.
    pub shard: Shard,
    /// What survives a restart and seals what peers hand back to us then.
    pub secret: Vec<u8>,
    /// Who knows tokens that are shown in place of passwords (RFC 8898); nobody: there are none.
    pub bearers: Option<Bearers>,
    /// Where a client gets them, as an `https` URI: told in challenges, if it is known.
    pub authz_server: Option<Box<str>>,
    /// Unlike any other start's; shared by the shards, so that a loop through two of them is found.
    pub seed: [u8; 32],
}

impl Settings {
    /// These with what may change while we run as `new` has it. What others were told of us stays: domains, addresses, secrets.
    #[must_use]
    pub fn changed_to(&self, new: Self) -> Self {
        let Self {
            registrar,
            fallback,
            trusted,
            strangers,
            held_calls,
            calls,
            apps,
            ..
        } = new;
        Self {
            registrar,
            fallback,
            trusted,
            strangers,
            held_calls,
            calls,
            apps,
            ..self.clone()
        }
    }

    /// Whether a host, with the port if one is written, is us.
    pub fn is_ours(&self, host: &str, port: Option<u16>) -> bool {
        let named = |domain: &String| host.eq_ignore_ascii_case(domain);
        host.eq_ignore_ascii_case(&self.node)
            || self.domains.iter().any(named)
            || literal(host).is_some_and(|ip| self.listens_at(ip, port))
    }

    fn listens_at(&self, ip: IpAddr, port: Option<u16>) -> bool {
        let at_port =
            |(_, ours): &&(Transport, SocketAddr)| port.is_none_or(|it| it == ours.port());
        let mut ours = self.bound.iter().filter(at_port).map(|(_, ours)| ours.ip());
        // Whoever listens everywhere is reached at every address of this host.
        ours.any(|ours| ours == ip || ours.is_unspecified() && (self.is_local)(ip))
    }

    /// The user of ours that a URI names, whether or not there is one (RFC 7247, XEP-0106).
    pub fn local_address(&self, uri: &Uri<'_>) -> Option<Address> {
        if !uri.is_sip() || !self.is_ours(uri.host, uri.port) {
            return None;
        }
        let known = |domain: &&String| uri.host.eq_ignore_ascii_case(domain);
        let domain = self.domains.iter().find(known).or(self.domains.first())?;
        Address::of_name(&uri.user_decoded()?, domain).ok()
    }

    /// `host:port` by which the far side of a flow over this transport, which ends here, reaches us: an edge has our name.
    pub fn sent_by(&self, transport: Transport, local: SocketAddr) -> String {
        if transport == Transport::Edge || local.ip().is_unspecified() {
            format!("{}:{}", self.node, local.port())
        } else {
            let mut text = String::with_capacity(48);
            push_address(&mut text, local);
            text
        }
    }

    /// What each transport writes into its Via where the flow's own address would not do.
    pub fn sent_by_of_wildcards(&self) -> Vec<(Transport, String)> {
        let wildcards = self
            .bound
            .iter()
            .filter(|(_, local)| local.ip().is_unspecified());
        let wildcards =
            wildcards.map(|(transport, local)| (*transport, self.sent_by(*transport, *local)));
        // Where a client came in at an edge is none of our addresses.
        let edge = (Transport::Edge, self.node.clone());
        wildcards.chain([edge]).collect()
    }

    /// Our URI for a device that registers over this transport, at this port of ours. Over TLS by our name, which the certificate has, and
    /// which leads a device that has moved outside to an edge; with its own port, so that inside it leads to the same listener, as long as we
    /// listen there. By an edge by that name as well, which all edges have.
    pub fn register_at(&self, transport: Transport, port: u16) -> String {
        let is_bound = self
            .bound
            .iter()
            .any(|(bound, local)| (*bound, local.port()) == (transport, port));
        let port = match transport {
            Transport::Edge if port == transport.default_port() => String::new(),
            Transport::Edge => format!(":{port}"),
            _ if transport.is_secure() && is_bound => format!(":{port}"),
            _ => return self.register_elsewhere(transport),
        };
        format!("sip:{}{port}{}", self.node, transport.uri_suffix())
    }

    /// The same for who has used no port of ours, or one without TLS: at our first listener for this transport.
    fn register_elsewhere(&self, wanted: Transport) -> String {
        let mut bound = self.bound.iter();
        let over = bound.find(|(transport, _)| *transport == wanted);
        let Some((transport, local)) = over.or(self.bound.first()) else {
            return format!("sip:{}", self.node);
        };
        if transport.is_secure() {
            return self.register_at(*transport, local.port());
        }
        let here = self.sent_by(*transport, *local);
        format!("sip:{here}{}", transport.uri_suffix())
    }

    /// The URI of us at the near end of a flow, with `user` in it.
    pub fn uri(&self, user: &str, flow: Flow) -> String {
        let at = if user.is_empty() { "" } else { "@" };
        let (sent_by, suffix) = (
            self.sent_by(flow.transport, flow.local),
            flow.transport.uri_suffix(),
        );
        ["sip:", user, at, &sent_by, suffix].concat()
    }

    /// Whether those at the far ends of two flows have one URI for us.
    pub fn is_known_alike(one: Flow, other: Flow) -> bool {
        let is_edge = one.transport == Transport::Edge;
        one.transport == other.transport
            && (one.local == other.local || is_edge && one.local.port() == other.local.port())
    }

    /// Whether the other end of a flow is one of the operator's servers.
    pub fn trusts(&self, flow: Flow) -> bool {
        let address = flow.remote.ip();
        // Whoever comes by an edge is outside, and may have any address there.
        flow.transport != Transport::Edge
            && self.trusted.iter().any(|network| network.contains(address))
    }

    /// The flow by which a request of ours to another user of ours comes to their shard (a spiral, RFC 3261 §6): no
    /// socket has it.
    pub fn spiral(&self) -> Flow {
        let mut bound = self.bound.iter();
        let reliable = bound.find(|(transport, _)| transport.is_reliable());
        let (transport, local) = reliable.copied().unwrap_or_else(|| {
            let any = self.bound.first().map(|(_, local)| *local);
            let nowhere = SocketAddr::from(([0; 4], 0));
            (Transport::Tcp, any.unwrap_or(nowhere))
        });
        Flow {
            transport,
            local,
            remote: SocketAddr::new(local.ip(), 0),
            id: 0,
        }
    }
}

/// Whether what goes over this flow comes back to us.
pub fn is_spiral(flow: Flow) -> bool {
    flow.transport.is_reliable() && flow.id == 0 && flow.remote.port() == 0
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("domains", &self.domains)
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

/// The IP address that a host is, if it is one.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(bound: &[(Transport, &str)]) -> Settings {
        let bound = bound.iter();
        let bound = bound.map(|(transport, at)| (*transport, at.parse().unwrap()));
        Settings {
            domains: ["r.example".to_owned()].into(),
            node: "sip.r.example".to_owned(),
            registrar: Policy::default(),
            fallback: None,
            trusted: Vec::new(),
            strangers: false,
            held_calls: 1,
            calls: CallLimits::default(),
            requests_per_source: 1,
            relaying: Relaying::Off,
            apps: Arc::new([]),
            bound: bound.collect(),
            is_local: Arc::new(|_| false),
            shard: Shard { number: 0, of: 1 },
            secret: Vec::new(),
            bearers: None,
            authz_server: None,
            seed: [0; 32],
        }
    }

    #[test]
    fn a_device_registers_again_at_the_listener_that_it_used() {
        let settings = settings(&[
            (Transport::Udp, "192.0.2.1:5060"),
            (Transport::Tcp, "0.0.0.0:5060"),
            (Transport::Tls, "192.0.2.1:5061"),
            (Transport::Tls, "192.0.2.2:5071"),
        ]);
        for (transport, port, right) in [
            (Transport::Tls, 5061, "sip:sip.r.example:5061;transport=tls"),
            (Transport::Tls, 5071, "sip:sip.r.example:5071;transport=tls"),
            (Transport::Edge, 5061, "sip:sip.r.example;transport=tls"),
            (
                Transport::Edge,
                5071,
                "sip:sip.r.example:5071;transport=tls",
            ),
            (Transport::Udp, 5060, "sip:192.0.2.1:5060"),
            (Transport::Tcp, 5060, "sip:sip.r.example:5060;transport=tcp"),
        ] {
            assert_eq!(settings.register_at(transport, port), right);
        }
    }

    #[test]
    fn who_used_nothing_that_there_is_registers_at_our_first_listener() {
        let udp = |bound| settings(bound).register_at(Transport::Udp, 5060);
        let secure = &[(Transport::Tls, "192.0.2.1:5071")];
        assert_eq!(udp(secure), "sip:sip.r.example:5071;transport=tls");
        // Its port before a restart, or that from which we had dialled it.
        let tls = |bound| settings(bound).register_at(Transport::Tls, 49_152);
        assert_eq!(tls(secure), "sip:sip.r.example:5071;transport=tls");
        let unsecured = &[(Transport::Udp, "192.0.2.1:5060")];
        assert_eq!(tls(unsecured), udp(unsecured));
        assert_eq!(udp(&[]), "sip:sip.r.example");
    }
}
