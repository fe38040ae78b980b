//! The header before SCRAM's first message (RFC 5802 §7): what the client says of channel binding, and as whom it wants to
//! act. OAUTHBEARER has the same.

use std::borrow::Cow;

use crate::sasl::Refusal;

/// What the client says of channel binding (RFC 5802 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flag<'a> {
    /// `n`: it cannot.
    Cannot,
    /// `y`: it could, and believes that the server cannot.
    Could,
    /// `p=`: it does, by a binding of this name.
    Does(&'a str),
}

/// The header, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gs2<'a> {
    pub(crate) flag: Flag<'a>,
    /// As whom to act.
    pub(crate) authzid: Option<Cow<'a, str>>,
    /// All of it with both commas, as it is signed.
    pub(crate) whole: &'a str,
    /// What stands behind it.
    pub(crate) rest: &'a str,
}

impl<'a> Gs2<'a> {
    pub(crate) fn read(message: &'a str) -> Result<Self, Refusal> {
        let (flag, behind) = message.split_once(',').ok_or(Refusal::Malformed)?;
        let (authzid, rest) = behind.split_once(',').ok_or(Refusal::Malformed)?;
        let flag = match flag {
            "n" => Flag::Cannot,
            "y" => Flag::Could,
            _ => {
                let name = flag.strip_prefix("p=").filter(|name| is_binding(name));
                Flag::Does(name.ok_or(Refusal::Malformed)?)
            }
        };
        let authzid = match authzid {
            "" => None,
            given => {
                let name = given.strip_prefix("a=").ok_or(Refusal::Malformed)?;
                Some(unescape(name).ok_or(Refusal::Malformed)?)
            }
        };
        Ok(Self {
            flag,
            authzid,
            whole: &message[..message.len() - rest.len()],
            rest,
        })
    }
}

/// `cb-name` of RFC 5802 §7.
fn is_binding(name: &str) -> bool {
    let sound = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-');
    !name.is_empty() && name.bytes().all(sound)
}

/// A `saslname` as it was meant. `None` if it is empty or has what must be written otherwise.
pub(crate) fn unescape(name: &str) -> Option<Cow<'_, str>> {
    if name.is_empty() || name.contains([',', '\0']) {
        return None;
    }
    if !name.contains('=') {
        return Some(Cow::Borrowed(name));
    }
    let mut parts = name.split('=');
    let mut meant = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (instead, rest) = part
            .strip_prefix("2C")
            .map(|rest| (',', rest))
            .or_else(|| part.strip_prefix("3D").map(|rest| ('=', rest)))?;
        meant.push(instead);
        meant.push_str(rest);
    }
    Some(Cow::Owned(meant))
}

/// A name as a `saslname`.
pub(crate) fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_commas_go_through_and_come_back() {
        for name in ["user", "a,b", "a=b", "=2C", ",=,", "é"] {
            assert_eq!(unescape(&escape(name)).as_deref(), Some(name));
        }
        for bad in ["", "a=b", "=", "=2", "=2c", "a,b", "=3d", "a\0b"] {
            assert_eq!(unescape(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn headers() {
        let flag = |message| Gs2::read(message).map(|read| read.flag);
        assert_eq!(flag("n,,x"), Ok(Flag::Cannot));
        assert_eq!(flag("y,a=bob,x"), Ok(Flag::Could));
        assert_eq!(flag("p=tls-exporter,,"), Ok(Flag::Does("tls-exporter")));
        for bad in [
            "", "n", "n,", "N,,", "p,,", "p=,,", "p=a b,,", "n,b,", "n,a=,", "x,,",
        ] {
            assert_eq!(flag(bad), Err(Refusal::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn the_header_is_signed_as_it_came() {
        let read = Gs2::read("n,a=b=2Cc,n=u,r=1").expect("a header");
        assert_eq!((read.whole, read.rest), ("n,a=b=2Cc,", "n=u,r=1"));
        assert_eq!(read.authzid.as_deref(), Some("b,c"));
    }
}
