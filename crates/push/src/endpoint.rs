//! Where a provider's cloud, or what stands in for it, is.

use std::{fmt, str::FromStr};
use thiserror::Error;

/// A host and port that speaks HTTP/2 over TLS. Written `host`, `host:port`, `[v6]:port`, with or without `https://`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint {
    /// Name or address, without brackets; also the name that the certificate must carry.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Not an endpoint.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0:?} is not a host and port; write it like cloud.example.net:443")]
pub struct EndpointError(String);

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let bad = || EndpointError(text.to_owned());
        let authority = text.strip_prefix("https://").unwrap_or(text);
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains('@') {
            return Err(bad());
        }
        let authority: http::uri::Authority = authority.parse().map_err(|_| bad())?;
        let host = authority.host().trim_matches(['[', ']']);
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => port.parse().map_err(|_| bad())?,
            _ => 443,
        };
        if host.is_empty() || rustls::pki_types::ServerName::try_from(host).is_err() {
            return Err(bad());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_port_however_it_is_written() {
        for (text, host, port) in [
            ("cloud.example", "cloud.example", 443),
            ("cloud.example:2197", "cloud.example", 2197),
            ("https://cloud.example:2197/", "cloud.example", 2197),
            ("127.0.0.1:2197", "127.0.0.1", 2197),
            ("[::1]:2197", "::1", 2197),
            ("[::1]", "::1", 443),
        ] {
            let wanted = Endpoint {
                host: host.to_owned(),
                port,
            };
            let read: Endpoint = text.parse().unwrap();
            assert_eq!(read, wanted, "{text}");
            assert_eq!(read.to_string().parse(), Ok(wanted), "{text}");
        }
        for text in [
            "",
            ":443",
            "a b",
            "host:port",
            "host:99999",
            "http://host",
            "user@host",
            "host/path",
            "https://",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
