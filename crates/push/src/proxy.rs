//! The way out of a network that lets nobody out but its proxy: HTTP `CONNECT` (RFC 9110 §9.3.6). TLS begins behind it, so
//! the proxy sees where we go and nothing else.

use crate::endpoint::Endpoint;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::RootCertStore;
use std::{fmt, io, str::FromStr};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Longest answer of a proxy, in bytes; with a longer one it is no proxy of ours.
const ANSWER_BYTES: usize = 8 * 1024;

/// How the providers are reached.
#[derive(Clone, Debug)]
pub struct Route {
    /// Who may vouch for a provider's certificate: the system's, or a development CA.
    pub roots: RootCertStore,
    /// Through this proxy; else directly.
    pub proxy: Option<Proxy>,
}

impl From<RootCertStore> for Route {
    /// Directly.
    fn from(roots: RootCertStore) -> Self {
        Self { roots, proxy: None }
    }
}

/// An HTTP proxy. Written `host:port`, or `http://user:password@host:port` with what is special in them escaped (`%40`).
#[derive(Clone, Eq, PartialEq)]
pub struct Proxy {
    endpoint: Endpoint,
    /// Of `Proxy-Authorization`.
    credentials: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Not a proxy. Does not quote it: there may be a password in it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "not a proxy; write it like proxy.example.net:3128 or http://user:password@proxy.example.net:3128"
)]
pub struct ProxyError;

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let rest = text.strip_prefix("http://").unwrap_or(text);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, host) = match rest.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, rest),
        };
        // None is usual for proxies, so a port is said.
        let (_, port) = host.rsplit_once(':').ok_or(ProxyError)?;
        if host.contains('/') || port.parse::<u16>().is_err() {
            return Err(ProxyError);
        }
        let credentials = match login {
            Some(login) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                let (user, password) = (unescape(user)?, unescape(password)?);
                if user.contains(&b':') {
                    // Basic could not tell where it ends (RFC 7617 §2).
                    return Err(ProxyError);
                }
                let pair = [user, b":".to_vec(), password].concat();
                Some(format!("Basic {}", STANDARD.encode(pair)))
            }
            None => None,
        };
        Ok(Self {
            endpoint: host.parse().map_err(|_| ProxyError)?,
            credentials,
        })
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, ProxyError> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            octets.push(first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or(ProxyError)?;
        let digits = std::str::from_utf8(digits).map_err(|_| ProxyError)?;
        octets.push(u8::from_str_radix(digits, 16).map_err(|_| ProxyError)?);
        rest = after;
    }
    Ok(octets)
}

impl Proxy {
    /// Where it is.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Has the proxy, to which `tcp` leads, connect us to `target`.
    pub(crate) async fn tunnel(
        &self,
        mut tcp: TcpStream,
        target: &Endpoint,
    ) -> io::Result<TcpStream> {
        let authorization = match &self.credentials {
            Some(credentials) => format!("Proxy-Authorization: {credentials}\r\n"),
            None => String::new(),
        };
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n");
        tcp.write_all(request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(256);
        // By octets, so that nothing of what is behind it is taken. The target says nothing before we begin TLS.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() == ANSWER_BYTES {
                return Err(io::Error::other("the proxy's answer has no end"));
            }
            let octet = tcp
                .read_u8()
                .await
                .map_err(|error| io::Error::new(error.kind(), "the proxy closed the connection"))?;
            answer.push(octet);
        }
        let line = answer.split(|octet| *octet == b'\r').next();
        let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
        let mut words = line.split(' ');
        let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
        match words.next().filter(|_| is_http) {
            Some(status) if status.len() == 3 && status.starts_with('2') => Ok(tcp),
            Some("407") => Err(io::Error::other(
                "the proxy wants another user and password than push.proxy has",
            )),
            _ => Err(io::Error::other(format!("the proxy answers {line:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_host_and_port_with_or_without_a_login() {
        let read = |text: &str| text.parse::<Proxy>();
        let plain = read("proxy.example:3128").unwrap();
        assert_eq!(plain.endpoint.to_string(), "proxy.example:3128");
        assert_eq!(plain.credentials, None);
        assert_eq!(read("http://proxy.example:3128/"), Ok(plain));
        let login = read("http://us%65r:p%40ss:w@[::1]:8080").unwrap();
        assert_eq!(login.endpoint.to_string(), "[::1]:8080");
        let credentials = login.credentials.clone().unwrap();
        let pair = STANDARD.decode(credentials.strip_prefix("Basic ").unwrap());
        assert_eq!(pair.unwrap(), b"user:p@ss:w");
        assert!(!format!("{login:?}").contains(&credentials));
        for text in [
            "",
            "proxy.example",
            "https://proxy.example:3128",
            "socks5://proxy.example:1080",
            "http://proxy.example:3128/path",
            "http://a%zz@proxy.example:3128",
            "http://a%3Ab:c@proxy.example:3128",
            "proxy.example:99999",
        ] {
            assert_eq!(read(text), Err(ProxyError), "{text}");
        }
    }
}
