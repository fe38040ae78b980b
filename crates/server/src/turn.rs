//! What users show at a TURN server that shares a secret with us: a name with the end of its time in it, and its HMAC, so that
//! the server needs to know nobody (coturn's `use-auth-secret`).

use crate::{config::Config, named_files};
use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use domain::{Address, Timestamp};
use im::{Credentials, Service, Turn};
use ring::hmac;
use std::{sync::Arc, time::Duration};

/// The ports of each kind of service that names none (RFC 7064, RFC 7065).
const PORTS: [(&str, u16); 4] = [
    ("stun", 3478),
    ("stuns", 5349),
    ("turn", 3478),
    ("turns", 5349),
];

/// What the configuration says of it, if it does.
///
/// # Errors
/// It makes no sense, or the secret cannot be read.
pub(crate) fn of(config: &Config) -> Result<Option<Turn>> {
    let turn = &config.turn;
    if turn.urls.0.is_empty() {
        return Ok(None);
    }
    let services: Vec<Service> = turn
        .urls
        .0
        .iter()
        .map(|it| service(it))
        .collect::<Result<_>>()?;
    ensure!(
        turn.ttl.0 >= Duration::from_mins(1),
        "turn.ttl is less than a minute"
    );
    let secret = if services.iter().any(Service::is_relay) {
        named_files::text(&turn.secret_file, "turn.secret_file")?
    } else {
        String::new()
    };
    let key = secret.trim().as_bytes();
    ensure!(
        !key.is_empty() || !services.iter().any(Service::is_relay),
        "turn.secret_file is empty: it has the static-auth-secret of coturn"
    );
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let ttl = turn.ttl.0;
    Ok(Some(Turn {
        services: services.into(),
        credentials: Arc::new(move |user, now| shown(&key, user, now.plus(ttl))),
    }))
}

fn shown(key: &hmac::Key, user: &Address, expires: Timestamp) -> Credentials {
    // The server counts in seconds, and so it is good for all of the last one.
    let username = format!("{}:{user}", expires.0 / 1000);
    let tag = hmac::sign(key, username.as_bytes());
    Credentials {
        password: BASE64_STANDARD.encode(tag),
        username,
        expires,
    }
}

/// Reads `turn:host:port?transport=udp`.
fn service(uri: &str) -> Result<Service> {
    let read = || {
        let (kind, rest) = uri.split_once(':')?;
        let (_, usual) = PORTS.iter().find(|(known, _)| *known == kind)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (place, *usual),
        };
        let transport = match query {
            "" if kind.ends_with('s') => "tcp",
            "" | "transport=udp" => "udp",
            "transport=tcp" => "tcp",
            _ => return None,
        };
        let is_host = !host.is_empty() && !host.contains(['/', '@', ' ']);
        is_host.then(|| Service {
            uri: uri.to_owned(),
            kind: kind.to_owned(),
            host: host.to_owned(),
            port,
            transport: transport.to_owned(),
        })
    };
    read().with_context(|| {
        format!("turn.urls: {uri:?} is no such service: write it as \"turn:turn.example.org:3478?transport=udp\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_read_from_its_uri() {
        for (uri, read) in [
            (
                "turn:t.example.org",
                Some(("turn", "t.example.org", 3478, "udp")),
            ),
            (
                "turns:t.example.org",
                Some(("turns", "t.example.org", 5349, "tcp")),
            ),
            (
                "turn:192.0.2.1:80?transport=tcp",
                Some(("turn", "192.0.2.1", 80, "tcp")),
            ),
            (
                "stun:[2001:db8::1]",
                Some(("stun", "[2001:db8::1]", 3478, "udp")),
            ),
            ("turn:", None),
            ("turn:host:port", None),
            ("http://host", None),
            ("turn:host?transport=sctp", None),
            ("host", None),
        ] {
            let service = service(uri).ok();
            let told = service
                .as_ref()
                .map(|it| (&*it.kind, &*it.host, it.port, &*it.transport));
            assert_eq!(told, read, "{uri}");
        }
    }

    #[test]
    fn what_is_shown_is_good_until_the_time_in_its_name() {
        // As `openssl dgst -sha1 -hmac secret -binary | base64` has it.
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"secret");
        let user = Address::new("alice", "example.org").unwrap();
        let shown = shown(&key, &user, Timestamp(1_700_000_000_999));
        assert_eq!(shown.username, "1700000000:alice@example.org");
        assert_eq!(shown.password, "ilWZzF8c6jFH+3PGJYYE0l3dlMI=");
    }
}
