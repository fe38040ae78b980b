//! The client's side (RFC 5802 §5), for the simulated phone and for tests.

use subtle::ConstantTimeEq;

use super::keys::{client_key, combined, server_key};
use super::message::Challenge;
use super::{Advertised, NONCE_ENTROPY, decode, encode};
use crate::sasl::{Binding, Hash, Key, Refusal, gs2, prep, text};

/// What a client does about channel binding (RFC 5802 §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientBinding {
    /// It cannot.
    Cannot,
    /// It could, but the server did not offer it.
    Could,
    /// It does: for a mechanism `-PLUS`.
    Does(Binding),
}

/// What a client puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientSettings {
    /// Fewer iterations than this are refused: a server that asks for few wants to guess (RFC 7677 §4).
    pub min_iterations: u32,
    /// More than this are refused: they would cost the phone's time.
    pub max_iterations: u32,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            min_iterations: 4096,
            max_iterations: 1_000_000,
        }
    }
}

/// Why a client does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// What the server sent is no SCRAM.
    #[error("the server sent no message of this mechanism: {0}")]
    Unreadable(Refusal),
    /// The nonce does not begin with ours, or adds nothing to it.
    #[error("the server answered with another nonce")]
    WrongNonce,
    /// Too few or too many iterations.
    #[error("the server asks for {0} iterations")]
    Iterations(u32),
    /// What was offered is not what the server offered (XEP-0474 §6.2).
    #[error("the offer of the server was changed on the way")]
    Downgrade,
    /// The server does not know the password's keys: it is not our server.
    #[error("the server has not proved who it is")]
    Impostor,
}

/// A client that has opened.
#[derive(Debug)]
pub struct Client {
    hash: Hash,
    bare: String,
    nonce: String,
    /// Header and data of the channel binding.
    binding: Vec<u8>,
}

impl Client {
    /// Opens: the first message, and what waits for the challenge. The entropy must never be used twice.
    ///
    /// # Errors
    /// [`Refusal::BadName`] if nobody can have this user name.
    pub fn open(
        hash: Hash,
        user: &str,
        authzid: Option<&str>,
        binding: ClientBinding,
        entropy: &[u8; NONCE_ENTROPY],
    ) -> Result<(Vec<u8>, Self), Refusal> {
        Self::open_with(hash, user, authzid, binding, encode(entropy))
    }

    /// With a nonce as it stands in the examples of the RFCs.
    pub(super) fn open_with(
        hash: Hash,
        user: &str,
        authzid: Option<&str>,
        binding: ClientBinding,
        nonce: String,
    ) -> Result<(Vec<u8>, Self), Refusal> {
        let (flag, data) = match binding {
            ClientBinding::Cannot => ("n".to_owned(), Vec::new()),
            ClientBinding::Could => ("y".to_owned(), Vec::new()),
            ClientBinding::Does(Binding { kind, data }) => (format!("p={}", kind.name()), data),
        };
        let authzid = authzid.map(|name| format!("a={}", gs2::escape(name)));
        let header = format!("{flag},{},", authzid.unwrap_or_default());
        let user = gs2::escape(&prep::prepare(user)?);
        let bare = format!("n={user},r={nonce}");
        let message = format!("{header}{bare}").into_bytes();
        let client = Self {
            hash,
            bare,
            nonce,
            binding: [header.into_bytes(), data].concat(),
        };
        Ok((message, client))
    }

    /// Answers the challenge. `advertised` is what the client saw in the stream features.
    ///
    /// # Errors
    /// Why it does not.
    pub fn answer(
        self,
        challenge: &[u8],
        password: &str,
        advertised: &Advertised,
        settings: ClientSettings,
    ) -> Result<(Vec<u8>, Ending), ClientError> {
        let challenge = text(challenge).map_err(ClientError::Unreadable)?;
        let read = Challenge::read(challenge).map_err(ClientError::Unreadable)?;
        if read.nonce == self.nonce || !read.nonce.starts_with(&self.nonce) {
            return Err(ClientError::WrongNonce);
        }
        if !(settings.min_iterations..=settings.max_iterations).contains(&read.iterations) {
            return Err(ClientError::Iterations(read.iterations));
        }
        if let Some(offered) = read.offered
            && offered != advertised.digest(self.hash)
        {
            return Err(ClientError::Downgrade);
        }
        let password = prep::prepare(password).map_err(ClientError::Unreadable)?;
        let hash = self.hash;
        let salted = hash.stretch(password.as_bytes(), &read.salt, read.iterations);
        let without_proof = format!("c={},r={}", encode(&self.binding), read.nonce);
        let signed = format!("{},{challenge},{without_proof}", self.bare);
        let signed = [signed.as_bytes()];
        let key = client_key(hash, &salted);
        let signature = hash.hmac(&hash.digest(&[&key]), &signed);
        let proof = encode(&combined(&key, &signature));
        let ending = Ending {
            wanted: hash.hmac(&server_key(hash, &salted), &signed),
        };
        Ok((format!("{without_proof},p={proof}").into_bytes(), ending))
    }
}

/// A client that has sent its proof and waits for the server's.
#[derive(Debug)]
pub struct Ending {
    wanted: Key,
}

impl Ending {
    /// Checks the server's proof. Before this the client knows nothing of who it talks to.
    ///
    /// # Errors
    /// [`ClientError::Impostor`] if it does not prove anything.
    pub fn check(self, success: &[u8]) -> Result<(), ClientError> {
        let success = text(success).map_err(ClientError::Unreadable)?;
        let given = success.split(',').next().unwrap_or_default();
        let given = given.strip_prefix("v=").and_then(decode);
        let is_server = given.is_some_and(|given| bool::from(given.ct_eq(&self.wanted)));
        is_server.then_some(()).ok_or(ClientError::Impostor)
    }
}
