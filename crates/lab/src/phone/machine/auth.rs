//! Digest credentials as the app keeps them: the nonce that signed us in is used again, so that a woken phone needs
//! one round trip to register, not two (`behaviour.md` 7).

use sip::digest::{Challenge, Login};
use sip::{HeaderName, Message, Method};

use super::PhoneConfig;
use crate::rng::Rng;

/// A nonce and how often it was used.
#[derive(Default)]
pub(super) struct Auth {
    kept: Option<(Challenge, u32)>,
}

impl Auth {
    /// Keeps the challenge of a 401 or 407, and says whether to try again: it is one that we can answer, and either
    /// the first that we see for this request, or told to be about the nonce and not the password.
    pub(super) fn learn(&mut self, response: &Message, first: bool) -> bool {
        self.kept = challenge(response).map(|(_, challenge)| (challenge, 0));
        self.kept
            .as_ref()
            .is_some_and(|(challenge, _)| first || challenge.stale)
    }

    /// Credentials for a request, with the kept nonce; `None` before the first challenge.
    pub(super) fn credentials(
        &mut self,
        phone: &PhoneConfig,
        method: Method<'_>,
        uri: &str,
        rng: &mut Rng,
    ) -> Option<String> {
        let (challenge, uses) = self.kept.as_mut()?;
        *uses += 1;
        Some(answer(challenge, *uses, phone, method, uri, rng))
    }
}

/// The credentials that a 401 or 407 asks for, and the header that they go into.
pub(super) fn answer_once(
    response: &Message,
    phone: &PhoneConfig,
    method: Method<'_>,
    uri: &str,
    rng: &mut Rng,
) -> Option<(HeaderName<'static>, String)> {
    let (header, challenge) = challenge(response)?;
    Some((header, answer(&challenge, 1, phone, method, uri, rng)))
}

fn answer(
    challenge: &Challenge,
    uses: u32,
    phone: &PhoneConfig,
    method: Method<'_>,
    uri: &str,
    rng: &mut Rng,
) -> String {
    let login = Login {
        user: &phone.user,
        password: &phone.password,
    };
    challenge.answer(login, method, uri, uses, &rng.hex(8))
}

fn challenge(response: &Message) -> Option<(HeaderName<'static>, Challenge)> {
    let (asked, answered) = match response.status()? {
        401 => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
        407 => (
            HeaderName::ProxyAuthenticate,
            HeaderName::ProxyAuthorization,
        ),
        _ => return None,
    };
    Some((answered, Challenge::strongest(response.headers(asked))?))
}
