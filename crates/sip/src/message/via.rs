//! One Via value: `SIP/2.0/UDP host:port;branch=...` (RFC 3261 §20.42, RFC 3581).

use super::lex::{find, is_token, number, octets, split_at_octet, trim_start, trim_str};
use crate::Params;

/// Start of every branch by RFC 3261 §8.1.1.7.
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// Where a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, `TLS` ... as it is written.
    pub transport: &'a str,
    /// Host of sent-by, with brackets if it is IPv6.
    pub host: &'a str,
    /// Port of sent-by, if stated.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one value (not a comma list); `None` if it is malformed.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let end = find(text, b';').unwrap_or(text.len());
        let params = Params::new(super::lex::trim(&text[end..]));
        let sent = std::str::from_utf8(&text[..end]).ok()?;
        let rest = trim_str(past_version(sent)?);
        let blank = rest.bytes().position(super::lex::is_lws)?;
        let (transport, sent_by) = rest.split_at(blank);
        let (host, port) = split_host_port(trim_str(sent_by))?;
        (is_token(transport.as_bytes()) && params.is_well_formed()).then_some(Self {
            transport,
            host,
            port,
            params,
        })
    }

    /// The branch; `None` if it is absent.
    pub fn branch(&self) -> Option<&'a str> {
        self.params
            .get("branch")
            .filter(|branch| !branch.is_empty())
    }

    /// Whether the sender asked for its port (`Some(None)`), or it is stated (`Some(Some(port))`); RFC 3581.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.get("rport").map(|port| port.parse().ok())
    }

    /// The address that the request really came from, if it was added; without the brackets that some write around
    /// IPv6 (RFC 5118 §4.5).
    pub fn received(&self) -> Option<&'a str> {
        let address = self.params.get("received")?;
        Some(
            address
                .strip_prefix('[')
                .and_then(|address| address.strip_suffix(']'))
                .unwrap_or(address),
        )
    }
}

/// What stands behind `SIP/2.0/`, which may have blanks in it.
fn past_version(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix("SIP/2.0/") {
        return Some(rest);
    }
    let (name, rest) = split_at_octet(text, b'/')?;
    let (version, rest) = split_at_octet(rest, b'/')?;
    let spoken = trim_str(name).eq_ignore_ascii_case("SIP") && trim_str(version) == "2.0";
    spoken.then_some(rest)
}

/// Splits `host`, `host : port` or `[v6]:port`. `None` if either part cannot be what it should.
fn split_host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port, rest) = read_host_port(text)?;
    trim_str(rest).is_empty().then_some((host, port))
}

/// Reads `host`, `host : port` or `[v6]:port`, and says what stands behind. `None` if it does not begin with one.
pub(crate) fn read_host_port(text: &str) -> Option<(&str, Option<u16>, &str)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inside) => {
            let (address, _) = split_at_octet(inside, b']')?;
            read_ipv6(address)?;
            text.split_at_checked(address.len() + 2)?
        }
        None => text.split_at_checked(length(text, is_name_octet))?,
    };
    if host.is_empty() {
        return None;
    }
    let Some(port) = trim_start(rest).strip_prefix(':') else {
        return Some((host, None, rest));
    };
    let port = trim_start(port);
    let (port, rest) = port.split_at_checked(length(port, |octet| octet.is_ascii_digit()))?;
    let port = number(port.as_bytes())?.try_into().ok()?;
    Some((host, Some(port), rest))
}

/// How many octets fit from the first one on.
fn length(text: &str, fits: impl Fn(u8) -> bool) -> usize {
    let end = text.bytes().position(|octet| !fits(octet));
    end.unwrap_or(text.len())
}

/// May this stand in a host name or an IPv4 address? Underscores may: real networks have them.
fn is_name_octet(octet: u8) -> bool {
    const NAME: [bool; 256] = octets!(
        octet => octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_')
    );
    NAME[usize::from(octet)]
}

/// An IPv6 address, also with the third colon that the grammar of RFC 3261 wrongly allows (RFC 5118 §4.10).
pub(crate) fn read_ipv6(text: &str) -> Option<std::net::Ipv6Addr> {
    text.parse()
        .or_else(|_| text.replacen(":::", "::", 1).parse())
        .ok()
}
