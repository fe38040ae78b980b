//! Values that can be written and make no sense, each found with its key, what it says, and what to write instead. What lies
//! outside the configuration (files, certificates, the store) is looked at by `reveille check` and when the server starts.

use super::{Addresses, Config, ConfigError, Limits, MOST_SHARDS, Span, clients, error::wrong};
use crate::pairs;
use std::{collections::HashSet, net::IpAddr, time::Duration};
use tracing_subscriber::filter::LevelFilter;

/// What a process may do.
const ROLES: [&str; 3] = ["call", "push", "edge"];

/// Everything that is wrong.
pub(super) fn check(config: &Config) -> Vec<ConfigError> {
    let mut found = Vec::new();
    names(config, &mut found);
    tunnels(config, &mut found);
    if let Some(issuer) = config.oauth.issuer().filter(|it| !is_issuer(it)) {
        found.push(wrong(
            "oauth.issuer",
            format!("{issuer:?} is no issuer: write it as \"https://sip.example.org\", with a port if it is not 443, and nothing behind it"),
        ));
    }
    clients::check(config, &mut found);
    media(config, &mut found);
    listeners(config, &mut found);
    times(config, &mut found);
    limits(&config.limits, &mut found);
    let fallback = &config.call.fallback;
    if !fallback.is_empty() && sip::Uri::parse(fallback).is_none_or(|uri| !uri.is_sip()) {
        found.push(wrong(
            "call.fallback",
            format!("{fallback:?} is no SIP URI: write it as \"sip:voicemail@example.org\""),
        ));
    }
    for trusted in &config.call.trusted.0 {
        if trusted.ends_with("/0") {
            found.push(wrong(
                "call.trusted",
                format!("{trusted:?} trusts everybody: name the addresses of your PBX and trunks"),
            ));
        }
    }
    if let Err(error) = log_filter(&config.observe.log) {
        found.push(wrong("observe.log", error));
    }
    found
}

/// The filter of the log.
///
/// # Errors
/// It is none, or it names a level that there is not.
pub fn log_filter(text: &str) -> Result<tracing_subscriber::EnvFilter, String> {
    let wrong = |why: &str| {
        format!(
            "{text:?} {why}: write a level (off, error, warn, info, debug, trace), or \"info,reveille=debug\""
        )
    };
    // A single word that is no level is taken for the name of a module, and nothing is logged.
    let words = text.split(',').map(str::trim);
    for word in words {
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if plain && word.parse::<LevelFilter>().is_err() {
            return Err(wrong(&format!("names no level in {word:?}")));
        }
    }
    let filter = tracing_subscriber::EnvFilter::try_new(text);
    filter.map_err(|error| wrong(&format!("is no log filter ({error})")))
}

fn names(config: &Config, found: &mut Vec<ConfigError>) {
    let server = &config.server;
    if server.domains.0.is_empty() {
        found.push(wrong("server.domains", "name at least one domain"));
    }
    let mut known = HashSet::new();
    for domain in &server.domains.0 {
        if !is_host(domain) {
            found.push(wrong(
                "server.domains",
                format!("{domain:?} is no domain: write it as \"example.org\""),
            ));
        } else if !known.insert(domain.to_lowercase()) {
            found.push(wrong(
                "server.domains",
                format!("{domain:?} stands there twice"),
            ));
        }
    }
    if !server.node.is_empty() && !is_host(&server.node) {
        let node = &server.node;
        found.push(wrong(
            "server.node",
            format!("{node:?} is no host name: write it as \"sip.example.org\", without a port"),
        ));
    }
    if server.shards > MOST_SHARDS {
        found.push(wrong(
            "server.shards",
            format!(
                "{} is more than {MOST_SHARDS}: 0 is one a core",
                server.shards
            ),
        ));
    }
    let roles = &server.roles.0;
    if let Some(role) = roles.iter().find(|role| !ROLES.contains(&role.as_str())) {
        let known = ROLES.join(", ");
        found.push(wrong(
            "server.roles",
            format!("there is no role {role:?} in this version; it has: {known}"),
        ));
    }
    if roles.is_empty() {
        found.push(wrong("server.roles", "name at least one role"));
    }
    if config.has_role("edge") && roles.len() > 1 {
        found.push(wrong(
            "server.roles",
            "an edge has no other role: it stands where nothing else should be",
        ));
    }
}

/// Whether this is an address, or a host name in letters of any script.
fn is_host(text: &str) -> bool {
    let address = text.trim_start_matches('[').trim_end_matches(']');
    if address.parse::<IpAddr>().is_ok() {
        return true;
    }
    let is_label = |label: &str| {
        let good = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(good)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// Whether this is how an issuer of ours is written (RFC 8414): its documents are at the root of a host.
fn is_issuer(text: &str) -> bool {
    let Some(at) = text.strip_prefix("https://") else {
        return false;
    };
    let (host, port) = match at.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (at, None),
    };
    // As browsers write it, which tell us by it from where a form was sent.
    let is_port = |text: &str| {
        let port = text.parse::<u16>();
        port.is_ok_and(|port| port > 0 && port.to_string() == text)
    };
    at.is_ascii() && is_host(host) && port.is_none_or(is_port)
}

/// What stands between parties of whom one is outside.
fn media(config: &Config, found: &mut Vec<ConfigError>) {
    let media = &config.media;
    for (key, value, known) in [
        ("call.media", &config.call.media, ["none", "rtpengine"]),
        ("media.missing", &media.missing, ["refuse", "pass"]),
    ] {
        if !known.contains(&value.as_str()) {
            let [one, other] = known;
            let why = format!("{value:?} is neither {one:?} nor {other:?}");
            found.push(wrong(key, why));
        }
    }
    if config.relays_media() && media.rtpengine.0.is_empty() {
        found.push(wrong(
            "media.rtpengine",
            "call.media needs at least one: the address of a daemon's listen-ng, as \"127.0.0.1:2223\"",
        ));
    }
    if media.inside.is_empty() != media.outside.is_empty() {
        found.push(wrong(
            "media.inside",
            "name both interfaces, media.inside and media.outside, or none",
        ));
    }
    let (least, most) = (Duration::from_millis(50), Duration::from_secs(5));
    if !(least..=most).contains(&media.answer_within.0) {
        found.push(wrong(
            "media.answer_within",
            "the caller waits for it: write 50ms to 5s",
        ));
    }
}

/// Who is at the other end of a tunnel.
fn tunnels(config: &Config, found: &mut Vec<ConfigError>) {
    let mut keys = HashSet::new();
    let edges = config.edge.edges.0.iter().map(|it| match pairs::edge(it) {
        Ok(edge) if !keys.insert(edge.key) => Some(format!(
            "{it:?} has the key of another edge: each has one of its own, which `reveille edge pair` prints there"
        )),
        edge => edge.err(),
    });
    let insides = config
        .edge
        .insides
        .0
        .iter()
        .map(|it| pairs::inside(it).err());
    found.extend(edges.flatten().map(|why| wrong("edge.edges", why)));
    found.extend(insides.flatten().map(|why| wrong("edge.insides", why)));
    let listen = &config.listen;
    for (key, addresses) in [
        ("listen.sip_udp", &listen.sip_udp),
        ("listen.sip_tcp", &listen.sip_tcp),
    ] {
        if config.has_role("edge") && !addresses.0.is_empty() {
            found.push(wrong(
                key,
                "an edge lets nobody in without TLS: write it as [], and open listen.sip_tls",
            ));
        }
    }
}

/// Two listeners of connections at one address: the second could not be opened.
fn listeners(config: &Config, found: &mut Vec<ConfigError>) {
    let listen = &config.listen;
    let none = Addresses::of(&[]);
    let [push, push_tls] =
        [&listen.push, &listen.push_tls].map(|it| if config.has_role("push") { it } else { &none });
    let all: [(&str, &Addresses); 12] = [
        ("listen.sip_tcp", &listen.sip_tcp),
        ("listen.sip_tls", &listen.sip_tls),
        ("listen.xmpp_tcp", &listen.xmpp_tcp),
        ("listen.xmpp_tls", &listen.xmpp_tls),
        ("listen.xmpp_ws", &listen.xmpp_ws),
        ("listen.xmpp_wss", &listen.xmpp_wss),
        ("listen.admin", &listen.admin),
        ("listen.device", &listen.device),
        ("listen.device_tls", &listen.device_tls),
        ("listen.health", &listen.health),
        ("listen.push", push),
        ("listen.push_tls", push_tls),
    ];
    let mut known = Vec::new();
    let each = all
        .iter()
        .flat_map(|(key, it)| it.0.iter().map(move |at| (*key, *at)));
    for (key, address) in each.filter(|(_, address)| address.port() != 0) {
        let taken = known
            .iter()
            .find(|(_, other): &&(&str, std::net::SocketAddr)| {
                other.port() == address.port()
                    && other.is_ipv4() == address.is_ipv4()
                    && (*other == address
                        || other.ip().is_unspecified()
                        || address.ip().is_unspecified())
            });
        if let Some((other, at)) = taken {
            found.push(wrong(
                key,
                format!("{address} is taken by {other} ({at}): give one of them another port"),
            ));
        }
        known.push((key, address));
    }
}

fn times(config: &Config, found: &mut Vec<ConfigError>) {
    let (access, refresh) = (config.oauth.access.0, config.oauth.refresh.0);
    if access < Duration::from_mins(1) || refresh <= access {
        found.push(wrong(
            "oauth.access",
            "a minute at least, and shorter than oauth.refresh",
        ));
    }
    let call = &config.call;
    let never_zero = [
        ("call.no_answer", call.no_answer),
        ("call.wake_timeout", call.wake_timeout),
        ("call.min_expires", call.min_expires),
        ("call.message_ack", call.message_ack),
        ("observe.retention", config.observe.retention),
    ];
    for (key, _) in never_zero.iter().filter(|(_, span)| span.0.is_zero()) {
        let example = match *key {
            "observe.retention" => "30d",
            _ => "60s",
        };
        found.push(wrong(
            key,
            format!("no time at all makes no sense: write it as \"{example}\""),
        ));
    }
    if call.min_expires.0 > call.default_expires.0 || call.default_expires.0 > call.max_expires.0 {
        found.push(wrong(
            "call.default_expires",
            format!(
                "{} must lie between call.min_expires ({}) and call.max_expires ({})",
                call.default_expires, call.min_expires, call.max_expires
            ),
        ));
    }
    if call.ringing_after.0 >= call.wake_timeout.0 {
        found.push(wrong(
            "call.ringing_after",
            format!(
                "{} must be shorter than call.wake_timeout ({})",
                call.ringing_after, call.wake_timeout
            ),
        ));
    }
    // A Timer B of RFC 3261 ends an INVITE after three minutes; nobody waits so long for a phone.
    if call.wake_timeout.0 > Span::seconds(180).0 {
        found.push(wrong(
            "call.wake_timeout",
            format!(
                "{} is longer than a caller waits (3m at most)",
                call.wake_timeout
            ),
        ));
    }
}

/// A message of SIP has at least so many octets of room: less would refuse every REGISTER.
const LEAST_MESSAGE: usize = 1_300;

fn limits(limits: &Limits, found: &mut Vec<ConfigError>) {
    let table = toml::Table::try_from(limits).unwrap_or_default();
    for (key, value) in &table {
        if value.as_integer() == Some(0) {
            found.push(wrong(
                &format!("limits.{key}"),
                "0 lets nothing through: take the key out for its default, or write a larger number",
            ));
        }
    }
    if (1..LEAST_MESSAGE).contains(&limits.message_bytes) {
        found.push(wrong(
            "limits.message_bytes",
            format!(
                "{} is less than phones send: write at least {LEAST_MESSAGE}",
                limits.message_bytes
            ),
        ));
    }
}
