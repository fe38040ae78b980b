//! What the operator decided about calls and messages, in the form in which the role needs it.

use super::network::Network;
use crate::config::{Config, ConfigError};
use domain::{Behaviour, delivery, wake};
use sip::{Flow, Transport, registrar::Policy};
use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Settings of the call role.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our domains; the first is the one of addresses that name a host of ours.
    pub domains: Vec<String>,
    /// The host name that phones reach us by.
    pub node: String,
    /// The table.
    pub behaviour: Behaviour,
    /// Of calls.
    pub wake: wake::Timers,
    /// Of messages.
    pub delivery: delivery::Timers,
    /// Of registrations.
    pub registrar: Policy,
    /// Where a call goes that reaches nobody, unless its user says otherwise.
    pub fallback: Option<String>,
    /// Servers that need no password.
    pub(super) trusted: Vec<Network>,
    /// Whether strangers may call and write.
    pub strangers: bool,
    /// See [`crate::config::Limits`].
    pub messages_per_device: u64,
    /// See [`crate::config::Limits`].
    pub held_calls: usize,
    /// See [`crate::config::Limits`].
    pub pushes_in_flight: usize,
    /// What we listen at.
    bound: net::Addresses,
    /// The same, whatever the transport.
    ours: Arc<HashSet<SocketAddr>>,
    local: net::LocalIps,
}

impl Settings {
    /// From the configuration, and the addresses that are really bound.
    pub fn new(
        config: &Config,
        behaviour: Behaviour,
        bound: &net::Addresses,
    ) -> Result<Self, ConfigError> {
        let trusted = config
            .call
            .trusted
            .0
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, String>>();
        let trusted = trusted.map_err(|message| ConfigError::Value {
            key: "call.trusted".to_owned(),
            message,
        })?;
        let seconds =
            |span: crate::config::Span| u32::try_from(span.0.as_secs()).unwrap_or(u32::MAX);
        let call = &config.call;
        Ok(Self {
            domains: config
                .server
                .domains
                .0
                .iter()
                .map(|domain| domain.to_lowercase())
                .collect(),
            node: config.node().to_owned(),
            behaviour,
            wake: wake::Timers {
                ringing: call.ringing_after.0,
                wake: call.wake_timeout.0,
                no_answer: call.no_answer.0,
                ..wake::Timers::default()
            },
            delivery: delivery::Timers {
                acknowledge: call.message_ack.0,
                collapse: call.message_collapse.0,
                ..delivery::Timers::default()
            },
            registrar: Policy {
                min_expires: seconds(call.min_expires),
                default_expires: seconds(call.default_expires),
                max_expires: seconds(call.max_expires),
                max_bindings: config.limits.devices_per_user,
            },
            fallback: Some(call.fallback.clone()).filter(|fallback| !fallback.is_empty()),
            trusted,
            strangers: call.strangers,
            messages_per_device: config.limits.messages_per_device as u64,
            held_calls: config.limits.held_calls,
            pushes_in_flight: config.limits.pushes_in_flight,
            bound: bound.clone(),
            local: net::LocalIps::default(),
            ours: Arc::new(
                [&bound.udp, &bound.tcp, &bound.tls]
                    .into_iter()
                    .flatten()
                    .copied()
                    .collect(),
            ),
        })
    }

    /// Whether a host, with the port if one is written, is us.
    pub fn is_ours(&self, host: &str, port: Option<u16>) -> bool {
        let named = host.eq_ignore_ascii_case(&self.node)
            || self
                .domains
                .iter()
                .any(|domain| host.eq_ignore_ascii_case(domain));
        let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() else {
            return named;
        };
        named || self.listens_at(ip, port)
    }

    fn listens_at(&self, ip: IpAddr, port: Option<u16>) -> bool {
        let mut wildcard = false;
        for ours in self
            .ours
            .iter()
            .filter(|ours| port.is_none_or(|port| port == ours.port()))
        {
            if ours.ip() == ip {
                return true;
            }
            wildcard |= ours.ip().is_unspecified();
        }
        // Whoever listens everywhere is reached at every address of this host.
        wildcard && self.local.contains(ip)
    }

    /// The domain of a host of ours.
    pub fn domain_of<'a>(&'a self, host: &str) -> &'a str {
        let known = self
            .domains
            .iter()
            .find(|domain| host.eq_ignore_ascii_case(domain));
        known
            .or(self.domains.first())
            .map_or("localhost", String::as_str)
    }

    /// `host:port` by which the far side of a flow reaches us.
    pub fn sent_by(&self, local: SocketAddr) -> String {
        if local.ip().is_unspecified() {
            format!("{}:{}", self.node, local.port())
        } else {
            local.to_string()
        }
    }

    /// What each transport writes into its Via where the flow's own address would not do.
    pub fn sent_by_of_wildcards(&self, bound: &net::Addresses) -> Vec<(Transport, String)> {
        [
            (Transport::Udp, &bound.udp),
            (Transport::Tcp, &bound.tcp),
            (Transport::Tls, &bound.tls),
        ]
        .into_iter()
        .filter_map(|(transport, locals)| {
            let wildcard = locals.iter().find(|local| local.ip().is_unspecified())?;
            Some((transport, self.sent_by(*wildcard)))
        })
        .collect()
    }

    /// Our URI for a device that registers over this transport (`udp`, `tcp`, `tls`).
    pub fn register_at(&self, transport: &str) -> String {
        let (locals, suffix) = match transport {
            "tls" => (&self.bound.tls, ";transport=tls"),
            "tcp" => (&self.bound.tcp, ";transport=tcp"),
            _ => (&self.bound.udp, ""),
        };
        let at = locals.first().map(|local| self.sent_by(*local));
        format!("sip:{}{suffix}", at.as_deref().unwrap_or(&self.node))
    }

    /// The URI of us at the near end of a flow, with `user` in it.
    pub fn uri(&self, user: &str, flow: Flow) -> String {
        let transport = match flow.transport {
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
            _ => "",
        };
        let at = if user.is_empty() { "" } else { "@" };
        format!("sip:{user}{at}{}{transport}", self.sent_by(flow.local))
    }
}
