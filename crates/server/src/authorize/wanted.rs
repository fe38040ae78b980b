//! What a client asks for, and what it is told by being sent back.

use super::clients::{Clients, Registered};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Octets of the longest `state` that a client gets back.
pub(super) const LONGEST_STATE: usize = 2_048;

/// Octets of a challenge: a hash in base64 (RFC 7636).
const CHALLENGE: usize = 43;

/// What a client asks for (RFC 6749 §4.1.1). What is asked twice makes no sense.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    response_type: Option<String>,
    response_mode: Option<String>,
    client_id: Option<String>,
    redirect_uri: Option<String>,
    state: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

/// What can be answered by a code.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    clients: &'a Clients,
    pub(super) client: &'a Registered,
    pub(super) redirect: String,
    pub(super) state: Option<String>,
    pub(super) challenge: String,
}

/// Why it cannot.
#[derive(Debug)]
pub(super) enum No {
    /// Nobody is known who could be told: whoever sits there is.
    Nobody(&'static str),
    /// The client is told by being sent there.
    Back(String),
}

/// What a code is bound to: nobody else can do anything with it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Bound {
    /// The client's id.
    pub(crate) client: String,
    /// Where it was sent.
    pub(crate) redirect: String,
    /// The hash of what only the client knows.
    pub(crate) challenge: String,
}

impl Clients {
    /// What can be answered by a code.
    ///
    /// # Errors
    /// What is told instead: to whoever sits there, unless it is known who asks and where that is (RFC 6749 §4.1.2.1).
    pub(super) fn wanted(&self, asked: Asked) -> Result<Wanted<'_>, No> {
        let client = asked.client_id.as_deref().and_then(|id| self.client(id));
        let client = client.ok_or(No::Nobody("This app is not known here."))?;
        let redirect = asked.redirect_uri.filter(|uri| client.has(uri));
        let redirect = redirect.ok_or(No::Nobody(
            "The app wants you sent to a place that is not known to be its own.",
        ))?;
        let mut wanted = Wanted {
            clients: self,
            client,
            redirect,
            state: asked.state,
            challenge: asked.code_challenge.unwrap_or_default(),
        };
        if wanted
            .state
            .as_ref()
            .is_some_and(|it| it.len() > LONGEST_STATE)
        {
            wanted.state = None;
            return Err(wanted.refused("invalid_request"));
        }
        let is_other =
            |asked: &Option<String>, only: &str| asked.as_ref().is_some_and(|it| it != only);
        if is_other(&asked.response_type, "code") {
            return Err(wanted.refused("unsupported_response_type"));
        }
        let is_challenge = wanted.challenge.len() == CHALLENGE
            && URL_SAFE_NO_PAD.decode(&wanted.challenge).is_ok();
        if asked.response_type.is_none()
            || is_other(&asked.response_mode, "query")
            || asked.code_challenge_method.as_deref() != Some("S256")
            || !is_challenge
        {
            return Err(wanted.refused("invalid_request"));
        }
        Ok(wanted)
    }
}

impl Wanted<'_> {
    /// Who we are for the client.
    pub(super) fn issuer(&self) -> &str {
        &self.clients.issuer
    }

    /// Where its form goes.
    pub(super) fn origin(&self) -> &str {
        &self.clients.origin
    }

    /// What the code is bound to.
    pub(super) fn bound(&self) -> Bound {
        Bound {
            client: self.client.id.to_string(),
            redirect: self.redirect.clone(),
            challenge: self.challenge.clone(),
        }
    }

    /// The client gets its code.
    pub(super) fn granted(&self, code: &str) -> String {
        self.back(("code", code))
    }

    /// Whoever sits there does not want it.
    pub(super) fn cancelled(&self) -> String {
        self.back(("error", "access_denied"))
    }

    fn refused(&self, error: &str) -> No {
        No::Back(self.back(("error", error)))
    }

    /// Where the client hears this, who says it (RFC 9207), and what it wanted back.
    fn back(&self, said: (&str, &str)) -> String {
        let mut to = self.redirect.clone();
        let state = self.state.as_deref().map(|state| ("state", state));
        let pairs = [Some(said), state, Some(("iss", &*self.clients.issuer))];
        for (name, value) in pairs.into_iter().flatten() {
            to.push(if to.contains('?') { '&' } else { '?' });
            to.push_str(name);
            to.push('=');
            encode(&mut to, value);
        }
        to
    }
}

impl Bound {
    /// Whether a client that says this is the one that the code is for.
    pub(crate) fn is_of(&self, client: &str, redirect: &str, verifier: &str) -> bool {
        let unreserved = |it: u8| it.is_ascii_alphanumeric() || b"-._~".contains(&it);
        let is_verifier = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
        let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        is_verifier
            && self.client == client
            && self.redirect == redirect
            && crate::secret::same(self.challenge.as_bytes(), hash.as_bytes())
    }
}

/// Whether a client gets a code by being sent there.
pub(crate) fn brings_code(to: &[u8]) -> bool {
    let is_code = |part: &[u8]| part.starts_with(b"code=");
    to.split(|it| b"?&".contains(it)).skip(1).any(is_code)
}

/// Writes a value as a part of a query.
pub(super) fn encode(to: &mut String, value: &str) {
    for octet in value.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                to.push(char::from(octet));
            }
            // Writing to a string does not fail.
            _ => drop(write!(to, "%{octet:02X}")),
        }
    }
}
