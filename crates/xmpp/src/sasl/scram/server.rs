//! The server's side (RFC 5802 §5).

use subtle::ConstantTimeEq;

use super::keys::combined;
use super::message::{Final, First};
use super::{Advertised, NONCE_ENTROPY, StoredKeys, encode};
use crate::sasl::gs2::{Flag, Gs2};
use crate::sasl::{Binding, BindingKind, Hash, Refusal, may_act_as, text};

/// What the server has and said before the client opened.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The hash function of the mechanism that the client chose.
    pub hash: Hash,
    /// Did it choose the one with channel binding, `-PLUS`?
    pub plus: bool,
    /// What it was offered.
    pub advertised: &'a Advertised,
    /// What is known of its connection.
    pub bindings: &'a [Binding],
    /// Where its accounts are.
    pub domain: &'a str,
}

/// The client's first message, read. Next the keys of its [user](Self::user) are looked up.
#[derive(Debug)]
pub struct Opening {
    hash: Hash,
    user: String,
    /// `client-first-message-bare`, which is signed.
    bare: String,
    nonce: String,
    /// What the client must send for its channel binding: header and data.
    binding: Vec<u8>,
    /// The hash of what was offered (XEP-0474).
    offered: String,
}

impl Opening {
    /// Reads the client's first message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(terms: &Terms<'_>, message: &[u8]) -> Result<Self, Refusal> {
        let gs2 = Gs2::read(text(message)?)?;
        let data = bound(terms, gs2.flag)?;
        let first = First::read(gs2.rest)?;
        if let Some(authzid) = &gs2.authzid
            && !may_act_as(authzid, &first.user, terms.domain)
        {
            return Err(Refusal::ForeignAuthzid);
        }
        Ok(Self {
            hash: terms.hash,
            nonce: first.nonce.to_owned(),
            user: first.user,
            bare: gs2.rest.to_owned(),
            binding: [gs2.whole.as_bytes(), data].concat(),
            offered: terms.advertised.digest(terms.hash),
        })
    }

    /// Who wants to sign in: prepared, and in the case as it was given.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The challenge, and what waits for its answer. `keys` are those of the user for this hash function, `None` if there
    /// are none: then keys are made up from `secret`, which must stay the same for as long as accounts do. The entropy must
    /// never be used twice.
    pub fn challenge(
        self,
        keys: Option<&StoredKeys>,
        secret: &[u8; 32],
        entropy: &[u8; NONCE_ENTROPY],
    ) -> (Vec<u8>, Exchange) {
        self.challenge_with(keys, secret, &encode(entropy))
    }

    /// With a nonce as it stands in the examples of the RFCs.
    pub(super) fn challenge_with(
        self,
        keys: Option<&StoredKeys>,
        secret: &[u8; 32],
        nonce: &str,
    ) -> (Vec<u8>, Exchange) {
        // Made up for a known user too, so that the time taken does not tell who is one.
        let made_up = StoredKeys::made_up(self.hash, secret, &self.user);
        let is_known = keys.is_some();
        let keys = keys.unwrap_or(&made_up);
        let nonce = self.nonce + nonce;
        let challenge = format!(
            "r={nonce},s={},i={},h={}",
            encode(&keys.salt),
            keys.iterations,
            self.offered
        );
        let exchange = Exchange {
            hash: self.hash,
            user: self.user,
            is_known,
            keys: keys.clone(),
            signed: self.bare + "," + &challenge + ",",
            nonce,
            binding: self.binding,
        };
        (challenge.into_bytes(), exchange)
    }

    /// Without the hash of what was offered, as in the examples of the RFCs.
    #[cfg(test)]
    pub(super) fn challenge_of_old(self, keys: &StoredKeys, nonce: &str) -> (Vec<u8>, Exchange) {
        let end = format!(",h={}", self.offered);
        let (challenge, mut exchange) = self.challenge_with(Some(keys), &[0; 32], nonce);
        exchange.signed = exchange.signed.replace(&end, "");
        let challenge = String::from_utf8(challenge).expect("text");
        (challenge.replace(&end, "").into_bytes(), exchange)
    }
}

/// The octets that the channel binding must have, if the client may say of it what it says (RFC 5802 §6).
fn bound<'a>(terms: &Terms<'a>, flag: Flag<'_>) -> Result<&'a [u8], Refusal> {
    match flag {
        Flag::Does(_) if !terms.plus => Err(Refusal::BindingUnexpected),
        Flag::Does(name) => BindingKind::named(name)
            .and_then(|kind| Binding::find(terms.bindings, kind))
            .ok_or(Refusal::BindingUnknown),
        _ if terms.plus => Err(Refusal::BindingMissing),
        Flag::Could if terms.advertised.can_bind() => Err(Refusal::Downgrade),
        Flag::Could | Flag::Cannot => Ok(&[]),
    }
}

/// A challenge that waits for its answer.
#[derive(Debug)]
pub struct Exchange {
    hash: Hash,
    user: String,
    is_known: bool,
    keys: StoredKeys,
    /// What both ends sign, as far as it is known.
    signed: String,
    nonce: String,
    binding: Vec<u8>,
}

/// Who has signed in, and what to tell them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The user, as in [`Opening::user`].
    pub user: String,
    /// Goes with the success: the server's own proof.
    pub message: Vec<u8>,
}

impl Exchange {
    /// Verifies the client's proof.
    ///
    /// # Errors
    /// What is wrong: an unknown user is found out here at the earliest, and looks like a wrong password.
    pub fn verify(self, message: &[u8]) -> Result<Verified, Refusal> {
        let given = Final::read(text(message)?)?;
        if !bool::from(given.binding.ct_eq(&self.binding)) {
            return Err(Refusal::BindingMismatch);
        }
        if given.nonce != self.nonce {
            return Err(Refusal::WrongNonce);
        }
        let signed = [self.signed.as_bytes(), given.without_proof.as_bytes()];
        let signature = self.hash.hmac(&self.keys.stored_key, &signed);
        // The proof is the client's key under this signature: whoever has the key has hashed the password.
        let client_key = combined(&signature, &given.proof);
        let is_key = self
            .hash
            .digest(&[&client_key])
            .ct_eq(&self.keys.stored_key);
        let is_whole = given.proof.len() == signature.len();
        if !(bool::from(is_key) && is_whole && self.is_known) {
            return Err(Refusal::BadCredentials);
        }
        let signature = self.hash.hmac(&self.keys.server_key, &signed);
        Ok(Verified {
            user: self.user,
            message: format!("v={}", encode(&signature)).into_bytes(),
        })
    }
}
