//! The client's side: reads a challenge and answers it.

use super::algorithm::{Algorithm, Exchange, ha1};
use super::fields::Fields;
use crate::Method;
use crate::lex::quoted;

/// A challenge that we can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Whose password is asked for.
    pub realm: String,
    /// The server's nonce; may be used again with a higher count.
    pub nonce: String,
    /// The hash function.
    pub algorithm: Algorithm,
    /// The password was right, only the nonce was not.
    pub stale: bool,
    opaque: Option<String>,
}

/// User and password.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The user name.
    pub user: &'a str,
    /// The password.
    pub password: &'a str,
}

impl Challenge {
    /// Reads one value of WWW-Authenticate or Proxy-Authenticate; `None` if we cannot answer it: another scheme or
    /// algorithm, or no `qop=auth`.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let fields = Fields::read(value)?;
        fields
            .get("qop")?
            .split(',')
            .find(|qop| qop.trim().eq_ignore_ascii_case("auth"))?;
        Some(Self {
            realm: fields.get("realm")?.to_owned(),
            nonce: fields.get("nonce")?.to_owned(),
            algorithm: Algorithm::named(fields.get("algorithm"))?,
            stale: fields
                .get("stale")
                .is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            opaque: fields.get("opaque").map(str::to_owned),
        })
    }

    /// The strongest of several that we can answer.
    pub fn strongest<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> Option<Self> {
        values
            .into_iter()
            .filter_map(Self::parse)
            .reduce(|one, other| {
                if other.algorithm.strength() > one.algorithm.strength() {
                    other
                } else {
                    one
                }
            })
    }

    /// The value for Authorization or Proxy-Authorization. `nc` counts the uses of this nonce from 1; `cnonce` is
    /// random.
    pub fn answer(
        &self,
        login: Login<'_>,
        method: Method<'_>,
        uri: &str,
        nc: u32,
        cnonce: &str,
    ) -> String {
        let nc = format!("{nc:08x}");
        let exchange = Exchange {
            method: method.as_str(),
            uri,
            nonce: &self.nonce,
            nc: &nc,
            cnonce,
        };
        let ha1 = ha1(self.algorithm, login.user, &self.realm, login.password);
        let response = exchange.response(self.algorithm, ha1.as_bytes());
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\", algorithm={}, qop=auth, \
             nc={nc}, cnonce={}",
            quoted(login.user),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(uri),
            response.as_str(),
            self.algorithm.name(),
            quoted(cnonce),
        );
        if let Some(opaque) = &self.opaque {
            value.push_str(", opaque=");
            value.push_str(&quoted(opaque));
        }
        value
    }
}
