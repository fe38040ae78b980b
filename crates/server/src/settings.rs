//! What the operator decided, in the forms in which hubs and SIP roles need it.

use crate::{
    api::{AccessTokens, tokens::Kind},
    components,
    config::{Config, ConfigError, Span},
    entropy::random,
    networks::networks,
    ours::Ours,
    secret,
    shards::{app_key, name_conversations},
    web,
};
use call::{Network, Relaying, Shard};
use domain::{Behaviour, Slice, delivery, quota::Allowance, wake};
use hub::Bearers;
use ring::hmac;
use sip::{Transport, registrar::Policy};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use xmpp::{sasl::BindingKind, stream::Offer};

/// What both are made of.
pub(crate) struct Source<'a> {
    pub(crate) config: &'a Config,
    /// The product's table, but in tests.
    pub(crate) behaviour: Behaviour,
    pub(crate) apps: &'a [push::App],
    /// What is really bound.
    pub(crate) net: &'a net::Net,
    /// Outlives a restart.
    pub(crate) ours: &'a Ours,
}

/// How a device registers of which nothing else is known. With edges it may be outside: by our name in TLS it finds one there, and
/// us inside, if we listen at the port to which that leads.
fn usual(has_edges: bool, tls: &[SocketAddr]) -> Transport {
    if has_edges && is_one_at(tls, Transport::Edge.default_port()) {
        Transport::Edge
    } else {
        Transport::Udp
    }
}

/// Whether one of these listeners has this port: a name that leads outside to edges, with their port, leads to it inside.
pub(crate) fn is_one_at(listeners: &[SocketAddr], port: u16) -> bool {
    listeners.iter().any(|listener| listener.port() == port)
}

impl Source<'_> {
    /// For the hubs, beside these of the SIP role.
    pub(crate) fn hub(self, sip: &call::Settings) -> hub::Config {
        let has_edges = !self.config.edge.edges.0.is_empty();
        let usual = usual(has_edges, &self.net.addresses().tls);
        let register_at = sip.register_at(usual, usual.default_port());
        let (call, limits) = (&self.config.call, &self.config.limits);
        let domains = domains(self.config);
        hub::Config {
            behaviour: Arc::new(self.behaviour),
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
            apps: {
                let apps = self.apps.iter().map(|app| app.profile.clone());
                let components = components::domains(self.config);
                apps.chain(components.map(|it| im::app_of(&it))).collect()
            },
            devices_per_user: limits.devices_per_user,
            messages_per_device: limits.messages_per_device as u64,
            pushes_in_flight: limits.pushes_in_flight,
            idle_after: self.config.im.idle_after.0,
            register_at: register_at.into(),
            people: hub::People {
                domains,
                // With those who have asked: what is more than can be read would be lost.
                contacts: limits.contacts_per_user.min(store::limits::CONTACTS / 2),
                rosters: limits.rosters,
                ..hub::People::default()
            },
            conversations: name_conversations(&self.ours.secret),
            seed: random(),
        }
    }

    /// For the XMPP roles.
    pub(crate) fn im(&self) -> Result<im::Settings, ConfigError> {
        Ok(im::Settings {
            bearers: Some(bearers(&self.ours.tokens)),
            ..xmpp(self.config, &self.ours.secret)?
        })
    }

    /// For the SIP roles.
    pub(crate) fn call(&self) -> Result<call::Settings, ConfigError> {
        let Config { call, limits, .. } = self.config;
        let trusted = trusted(self.config)?;
        let seconds = |span: Span| u32::try_from(span.0.as_secs()).unwrap_or(u32::MAX);
        Ok(call::Settings {
            domains: domains(self.config),
            node: self.config.node().to_owned(),
            registrar: Policy {
                min_expires: seconds(call.min_expires),
                default_expires: seconds(call.default_expires),
                max_expires: seconds(call.max_expires),
                max_bindings: limits.devices_per_user,
            },
            fallback: Some(call.fallback.clone()).filter(|fallback| !fallback.is_empty()),
            trusted,
            strangers: call.strangers,
            held_calls: limits.held_calls,
            requests_per_source: limits.requests_per_source,
            relaying: match self.config.media.missing.as_str() {
                _ if !self.config.relays_media() => Relaying::Off,
                "pass" => Relaying::Wanted,
                _ => Relaying::Needed,
            },
            calls: call::CallLimits {
                per_caller: Allowance {
                    at_once: limits.calls_per_caller,
                    a_minute: limits.calls_per_caller_minute,
                },
                per_callee: Allowance {
                    at_once: limits.calls_per_callee,
                    a_minute: limits.calls_per_callee_minute,
                },
                per_server: Allowance {
                    at_once: limits.calls_per_trusted,
                    a_minute: limits.calls_per_trusted_minute,
                },
            },
            apps: self.apps.iter().map(app_key).collect(),
            bound: bound(self.net.addresses()).into(),
            is_local: {
                let locals = self.net.local_ips();
                Arc::new(move |ip| locals.contains(ip))
            },
            shard: Shard { number: 0, of: 1 },
            bearers: Some(bearers(&self.ours.tokens)),
            authz_server: self.config.oauth.issuer().map(Into::into),
            secret: self.ours.secret.clone(),
            seed: random(),
        })
    }
}

/// Our domains, as addresses write them.
fn domains(config: &Config) -> Arc<[String]> {
    let domains = config.server.domains.0.iter();
    domains.map(|domain| domain.to_lowercase()).collect()
}

/// Finds what can be wrong here.
pub(crate) fn check(config: &Config) -> Result<(), ConfigError> {
    xmpp(config, &[])?;
    trusted(config)?;
    web::config(config).map(drop)
}

fn xmpp(config: &Config, secret: &[u8]) -> Result<im::Settings, ConfigError> {
    let key = secret::key_for("xmpp", secret);
    let mut made = [0; 32];
    made.copy_from_slice(&hmac::sign(&key, b"").as_ref()[..32]);
    let settings = im::Settings::new(&config.server.domains.0, made);
    let settings = settings.map_err(|error| ConfigError::Value {
        key: "server.domains".to_owned(),
        message: error.to_string(),
    })?;
    Ok(im::Settings {
        sessions_per_user: config.limits.devices_per_user,
        hibernation: config.im.hibernation.0,
        user_stanzas: config.limits.stanzas_per_user_minute,
        hibernation_with_push: config.im.hibernation_with_push.0,
        check_key: |key| push::seal::check_key(key).map_err(|error| error.to_string()),
        ..settings
    })
}

/// Who knows the tokens of the device API (`behaviour.md` 7).
fn bearers(tokens: &Arc<AccessTokens>) -> Bearers {
    let (tokens, known) = (tokens.clone(), tokens.clone());
    Bearers {
        made: Arc::new(move |token, now| {
            let made = tokens.made(token, Kind::Access, now)?;
            Some((made.sub, made.pw))
        }),
        is_of: Arc::new(move |pw, user| known.is_of(pw, user)),
    }
}

/// How streams of XMPP are greeted, if any are served: what is offered over a connection follows from how its TLS can be named.
pub(crate) fn greeting(config: &Config) -> Result<Option<net::XmppConfig>, ConfigError> {
    let listen = &config.listen;
    if !listen.serves_xmpp() {
        return Ok(None);
    }
    let shards = config.shards();
    Ok(Some(net::XmppConfig {
        tcp: listen.xmpp_tcp.0.clone(),
        tls: listen.xmpp_tls.0.clone(),
        websocket: web::config(config)?,
        domains: xmpp(config, &[])?.domains,
        offer: Arc::new(|link| Arc::new(offer(link))),
        steer: Arc::new(move |greeted| {
            im::steer(greeted, AccessTokens::claimed)
                .map_or(0, |user| Slice::of(&user).shard(shards))
        }),
    }))
}

/// What an edge offers: ways to sign in by a password as long as it lets those through.
pub(crate) fn offer_at_edge(passwords: Arc<AtomicBool>) -> net::OfferTo {
    Arc::new(move |link| {
        Arc::new(if passwords.load(Ordering::Relaxed) {
            offer(link)
        } else {
            im::offer_to_bearers()
        })
    })
}

fn offer(link: &net::StreamLink) -> Offer {
    let kinds = [
        (BindingKind::TlsExporter, link.tls_exporter.is_some()),
        (
            BindingKind::TlsServerEndPoint,
            link.tls_server_end_point.is_some(),
        ),
    ];
    let kinds = kinds.into_iter().filter(|(_, there)| *there);
    let kinds: Vec<BindingKind> = kinds.map(|(kind, _)| kind).collect();
    Offer {
        invitations: true,
        ..im::offer(&kinds, true)
    }
}

/// The servers that the operator trusts.
pub(crate) fn trusted(config: &Config) -> Result<Vec<Network>, ConfigError> {
    networks(&config.call.trusted, "call.trusted")
}

/// What is bound, by transport.
fn bound(addresses: &net::Addresses) -> Vec<(Transport, SocketAddr)> {
    let over = |transport, locals: &[SocketAddr]| {
        let locals = locals.iter();
        locals.map(|local| (transport, *local)).collect::<Vec<_>>()
    };
    [
        over(Transport::Udp, &addresses.udp),
        over(Transport::Tcp, &addresses.tcp),
        over(Transport::Tls, &addresses.tls),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_of_which_nothing_is_known_is_led_to_an_edge_only_where_that_leads_inside_as_well() {
        let at = |ports: &[u16]| -> Vec<SocketAddr> {
            let ports = ports.iter();
            ports.map(|port| ([127, 0, 0, 1], *port).into()).collect()
        };
        assert_eq!(usual(true, &at(&[5071, 5061])), Transport::Edge);
        assert_eq!(usual(true, &at(&[5071])), Transport::Udp);
        assert_eq!(usual(true, &[]), Transport::Udp);
        assert_eq!(usual(false, &at(&[5061])), Transport::Udp);
    }
}
