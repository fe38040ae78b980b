//! One call of a webhook: over TLS to an address that is public, or in the clear to this host, for whoever tries it out. A redirect is
//! not followed. Names are looked up once, and what was looked at is what is called.

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, Uri, header};
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// A call, from its beginning to its answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest address.
const LONGEST: usize = 1_024;
/// What the signature stands in.
const SIGNATURE: &str = "reveille-signature";

/// Where a webhook is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    uri: Uri,
    host: String,
    port: u16,
    is_tls: bool,
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || format!("{text:?} is no https address, as \"https://pbx.example.net/hook\"");
        ensure!(
            text.len() <= LONGEST,
            "the address is longer than {LONGEST}"
        );
        let uri: Uri = text.parse().with_context(wrong)?;
        let authority = uri.authority().with_context(wrong)?;
        ensure!(!authority.as_str().contains('@'), "{}", wrong());
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let is_tls = uri.scheme_str() == Some("https");
        let is_here = host.parse().is_ok_and(|it: IpAddr| it.is_loopback());
        ensure!(
            is_tls || (uri.scheme_str() == Some("http") && is_here),
            "{} (http only to 127.0.0.1, to try it out)",
            wrong()
        );
        let address: Option<IpAddr> = host.parse().ok();
        ensure!(
            address.is_none_or(|it| is_public(it) || (!is_tls && it.is_loopback())),
            "{text:?} is inside of a network: a webhook is at a public address"
        );
        let port = authority.port_u16();
        Ok(Self {
            port: port.unwrap_or(if is_tls { 443 } else { 80 }),
            host,
            is_tls,
            uri,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Target {
    /// Brings this; the status of the answer.
    pub(crate) async fn post(
        &self,
        tls: &Arc<rustls::ClientConfig>,
        signature: &str,
        body: String,
    ) -> Result<u16> {
        let called = timeout(PATIENCE, self.called(tls, signature, body));
        called.await.context("it does not answer in time")?
    }

    async fn called(
        &self,
        tls: &Arc<rustls::ClientConfig>,
        signature: &str,
        body: String,
    ) -> Result<u16> {
        let stream = self.connected().await?;
        if !self.is_tls {
            return self.ask(stream, signature, body).await;
        }
        let name = ServerName::try_from(self.host.clone())?;
        let secured = TlsConnector::from(tls.clone()).connect(name, stream);
        let secured = secured.await.with_context(|| format!("TLS with {self}"))?;
        self.ask(secured, signature, body).await
    }

    /// To the first of its addresses that may be called and answers.
    async fn connected(&self) -> Result<TcpStream> {
        let found = lookup_host((&*self.host, self.port)).await;
        let found = found.with_context(|| format!("there is no address of {}", self.host))?;
        let may = |it: &SocketAddr| is_public(it.ip()) || (!self.is_tls && it.ip().is_loopback());
        let mut last = None;
        for address in found.filter(may) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) => Err(error).with_context(|| format!("cannot connect to {self}")),
            None => bail!("{} has no public address", self.host),
        }
    }

    async fn ask<S>(&self, stream: S, signature: &str, body: String) -> Result<u16>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let path = self.uri.path_and_query().map_or("/", |it| it.as_str());
        let host = self.uri.authority().map_or("", |it| it.as_str());
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .header(SIGNATURE, signature)
            .body(Full::new(Bytes::from(body)))?;
        let answer: http::Response<Incoming> = sender.send_request(request).await?;
        // What else it says is of no interest.
        connection.abort();
        Ok(answer.status().as_u16())
    }
}

/// Whether an address is everybody's, and nothing inside of a network (RFC 6890, RFC 4291, RFC 4193).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let is_special = v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_broadcast()
        || v4.is_documentation();
    // This network, carriers' NAT, protocol assignments, benchmarks, what is reserved.
    let is_ours = a == 0
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && b & 0xfe == 18)
        || a >= 240;
    !is_special && !is_ours
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let segments = v6.segments();
    // Global unicast, without documentation, benchmarks and what carries an IPv4 address (6to4, Teredo, NAT64 is not in it).
    let is_global = segments[0] & 0xe000 == 0x2000;
    let is_special = (segments[0] == 0x2001 && (segments[1] == 0xdb8 || segments[1] < 0x200))
        || segments[0] == 0x2002;
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::tls_trusting;

    #[test]
    fn nobody_makes_us_call_into_a_network() {
        for address in ["192.0.3.7", "93.184.216.34", "2606:2800:220:1::1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_webhook_is_https_or_here() {
        for good in [
            "https://pbx.example.net/hook?a=b",
            "https://pbx.example.net:8443",
            "http://127.0.0.1:9999/hook",
            "http://[::1]:9999/",
        ] {
            assert!(good.parse::<Target>().is_ok(), "{good}");
        }
        for bad in [
            "http://pbx.example.net/",
            "https://127.0.0.1/",
            "https://10.0.0.1/",
            "https://[fd00::1]/",
            "https://user@pbx.example.net/",
            "ftp://pbx.example.net/",
            "pbx.example.net",
            "/hook",
            "",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_into_a_network_is_not_called() {
        let target: Target = "https://localhost/hook".parse().unwrap();
        let tls = tls_trusting(rustls::RootCertStore::empty()).unwrap();
        let error = target.post(&tls, "s", String::new()).await.unwrap_err();
        assert!(
            format!("{error:#}").contains("no public address"),
            "{error:#}"
        );
    }
}
