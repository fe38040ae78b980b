//! SASL (RFC 6120 §6): the mechanisms by which a client shows who it is. Octets in, octets out: the XML around them, base64
//! and the look-up of accounts are the caller's. Entropy and times are arguments.
//!
//! [`offered`](mechanism::offered) says what to offer. For each mechanism there is a machine whose states are types: what
//! was read cannot be verified twice, and nothing succeeds that was not verified. What a machine refuses is a [`Refusal`],
//! which knows its [`Failure`] on the wire.

mod binding;
mod error;
pub mod fast;
mod gs2;
mod hash;
pub mod mechanism;
pub mod oauthbearer;
pub mod plain;
pub mod prep;
pub mod scram;

pub use binding::{Binding, BindingKind};
pub use error::{Failure, Refusal};
pub use hash::Hash;

/// Octets of a key or of a hash.
pub type Key = smallvec::SmallVec<[u8; 32]>;

/// Longest message read, in octets: a token of OAuth may have two thousand, all else is far below it.
pub const MAX_MESSAGE: usize = 8 * 1024;

/// Longest user name and longest password, in octets (RFC 4616: at least 255).
pub const MAX_NAME: usize = 1023;

/// The octets as text, if they are not too many and are UTF-8.
fn text(octets: &[u8]) -> Result<&str, Refusal> {
    if octets.len() > MAX_MESSAGE {
        return Err(Refusal::TooLong);
    }
    std::str::from_utf8(octets).map_err(|_| Refusal::Malformed)
}

/// Whether a client that is `user` of `domain` may act as `authzid`: as itself alone, by its name or by its bare
/// address (RFC 6120 §6.3.8).
fn may_act_as(authzid: &str, user: &str, domain: &str) -> bool {
    let (authzid, user) = (authzid.to_lowercase(), user.to_lowercase());
    let of_domain = authzid.strip_suffix(&domain.to_lowercase());
    let name = of_domain.and_then(|name| name.strip_suffix('@'));
    authzid == user || name == Some(user.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_acts_as_oneself_alone() {
        for (authzid, may) in [
            ("alice", true),
            ("alice@example.org", true),
            ("Alice@Example.ORG", true),
            ("bob", false),
            ("bob@example.org", false),
            ("alice@example.com", false),
            ("aliceexample.org", false),
            ("@example.org", false),
            ("", false),
        ] {
            assert_eq!(
                may_act_as(authzid, "alice", "example.org"),
                may,
                "{authzid}"
            );
        }
    }
}
