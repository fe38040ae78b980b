//! What stands at the beginning of a stream: whose it is.
//!
//! One octet of version, one that says what is spoken, the client's address (family, octets, port), the port at which the
//! edge listens, and three strings with an octet of length before each: the name by which the client asked for the edge, and
//! what a sign-in can be bound to. All numbers are big-endian.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A header of another version is for somebody else.
const VERSION: u8 = 2;

/// The longest name of a host (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 253;

/// Octets of a `tls-exporter` (RFC 9266).
const EXPORTER: usize = 32;

/// Octets of the longest hash that a `tls-server-end-point` can be (RFC 5929).
const LONGEST_END_POINT: usize = 64;

/// The longest header there can be.
pub(crate) const LONGEST: usize =
    2 + 1 + 16 + 2 + 2 + 1 + LONGEST_NAME + 1 + EXPORTER + 1 + LONGEST_END_POINT;

/// Who is at the other end of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the client speaks.
    pub spoken: Spoken,
    /// Where the client is.
    pub client: SocketAddr,
    /// At which port of the edge it came in; 0 where nothing depends on that.
    pub port: u16,
    /// The name by which it asked for the edge in TLS (RFC 6066), if it did.
    pub name: Option<Box<str>>,
    /// The `tls-exporter` of the client's TLS (RFC 9266), if what it speaks can be bound to it.
    pub exporter: Option<[u8; EXPORTER]>,
    /// The `tls-server-end-point` of the certificate that the edge has shown it (RFC 5929), likewise.
    pub end_point: Option<Box<[u8]>>,
}

/// What a client speaks. The edge has ended its TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// SIP over TLS.
    SipTls,
    /// XMPP as over TCP (RFC 6120), whatever it was framed as at the edge.
    Xmpp,
    /// HTTP/1.1: one request of the device API, and its answer.
    Http,
}

/// Each with its octet.
const SPOKEN: &[(Spoken, u8)] = &[(Spoken::SipTls, 1), (Spoken::Xmpp, 2), (Spoken::Http, 3)];

/// Why octets are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They say another version.
    #[error("it has another version: the two sides run different releases")]
    Version,
    /// What the client speaks is not known here.
    #[error("what the client speaks is not known: the edge runs a later release")]
    Spoken,
    /// They are cut short, or something stands behind.
    #[error("it is cut short or too long")]
    Length,
    /// The name is none, the address of no family, or a binding of another length.
    #[error("it makes no sense")]
    Nonsense,
}

impl Header {
    /// As it is on the wire.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LONGEST);
        let spoken = SPOKEN.iter().find(|(spoken, _)| *spoken == self.spoken);
        out.extend([VERSION, spoken.map_or(0, |(_, octet)| *octet)]);
        match self.client.ip().to_canonical() {
            IpAddr::V4(ip) => {
                out.push(4);
                out.extend(ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(6);
                out.extend(ip.octets());
            }
        }
        out.extend(self.client.port().to_be_bytes());
        out.extend(self.port.to_be_bytes());
        let name = self.name.as_deref().unwrap_or_default();
        for octets in [
            name.as_bytes(),
            self.exporter.as_ref().map_or(&[], |it| &it[..]),
            self.end_point.as_deref().unwrap_or_default(),
        ] {
            // What is longer than it can be is left out.
            let length = u8::try_from(octets.len()).unwrap_or_default();
            out.push(length);
            out.extend(&octets[..usize::from(length)]);
        }
        out
    }

    /// Reads what is on the wire.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn read(octets: &[u8]) -> Result<Self, Malformed> {
        let mut rest = octets;
        if one(&mut rest)? != VERSION {
            return Err(Malformed::Version);
        }
        let said = one(&mut rest)?;
        let spoken = SPOKEN.iter().find(|(_, octet)| *octet == said);
        let spoken = spoken.ok_or(Malformed::Spoken)?.0;
        let ip: IpAddr = match one(&mut rest)? {
            4 => Ipv4Addr::from(take::<4>(&mut rest)?).into(),
            6 => Ipv6Addr::from(take::<16>(&mut rest)?).into(),
            _ => return Err(Malformed::Nonsense),
        };
        let client = SocketAddr::new(ip, u16::from_be_bytes(take(&mut rest)?));
        let port = u16::from_be_bytes(take(&mut rest)?);
        let [name, exporter, end_point] =
            [string(&mut rest)?, string(&mut rest)?, string(&mut rest)?];
        if !rest.is_empty() {
            return Err(Malformed::Length);
        }
        let is_name = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._".contains(octet);
        if name.len() > LONGEST_NAME
            || !name.iter().all(is_name)
            || end_point.len() > LONGEST_END_POINT
        {
            return Err(Malformed::Nonsense);
        }
        let name: String = name.iter().map(|&octet| char::from(octet)).collect();
        let exporter = match exporter {
            [] => None,
            octets => Some(octets.try_into().map_err(|_| Malformed::Nonsense)?),
        };
        Ok(Self {
            spoken,
            client,
            port,
            name: (!name.is_empty()).then(|| name.into_boxed_str()),
            exporter,
            end_point: (!end_point.is_empty()).then(|| end_point.into()),
        })
    }
}

fn one(rest: &mut &[u8]) -> Result<u8, Malformed> {
    take::<1>(rest).map(|[octet]| octet)
}

/// So many octets as the first one says.
fn string<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::from(one(rest)?);
    let (taken, left) = rest.split_at_checked(length).ok_or(Malformed::Length)?;
    *rest = left;
    Ok(taken)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (taken, left) = rest.split_first_chunk().ok_or(Malformed::Length)?;
    *rest = left;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers() -> impl Strategy<Value = Header> {
        let name = proptest::option::of("[a-z0-9._-]{1,253}");
        let spoken = prop_oneof![Just(Spoken::SipTls), Just(Spoken::Xmpp), Just(Spoken::Http)];
        let end_point = proptest::option::of(proptest::collection::vec(any::<u8>(), 1..=64));
        let bindings = (any::<Option<[u8; EXPORTER]>>(), end_point);
        let rest = (name, bindings);
        (spoken, any::<SocketAddr>(), any::<u16>(), rest).prop_map(
            |(spoken, client, port, (name, (exporter, end_point)))| Header {
                spoken,
                client: SocketAddr::new(client.ip().to_canonical(), client.port()),
                port,
                name: name.map(String::into_boxed_str),
                exporter,
                end_point: end_point.map(Vec::into_boxed_slice),
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(header in headers()) {
            let octets = header.octets();
            prop_assert!(octets.len() <= LONGEST);
            prop_assert_eq!(Header::read(&octets), Ok(header));
            for cut in 0..octets.len() {
                prop_assert!(Header::read(&octets[..cut]).is_err());
            }
        }

        #[test]
        fn nothing_makes_it_fall_over(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(header) = Header::read(&octets) {
                prop_assert!(header.name.is_none_or(|name| name.len() <= LONGEST_NAME));
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let header = Header {
            spoken: Spoken::SipTls,
            client: "192.0.2.1:5061".parse().unwrap(),
            port: 5061,
            name: Some("edge.example.org".into()),
            exporter: Some([7; EXPORTER]),
            end_point: None,
        };
        let with = |at: usize, octet: u8| {
            let mut octets = header.octets();
            octets[at] = octet;
            Header::read(&octets)
        };
        assert_eq!(with(0, 1), Err(Malformed::Version));
        assert_eq!(with(1, 77), Err(Malformed::Spoken));
        assert_eq!(with(2, 5), Err(Malformed::Nonsense));
        assert_eq!(with(12, b'\n'), Err(Malformed::Nonsense));
        assert_eq!(with(11, 3), Err(Malformed::Length));
        let mut short = Header {
            exporter: None,
            ..header
        }
        .octets();
        // An exporter of one octet in the place of none.
        let bindings = short.len() - 2;
        short.splice(bindings.., [1, 7, 0]);
        assert_eq!(Header::read(&short), Err(Malformed::Nonsense));
        short.push(0);
        assert_eq!(Header::read(&short), Err(Malformed::Length));
    }
}
