//! Certificates and provider tokens ("Establishing a certificate-based connection to APNs", "… token-based …"): who sends, and whether that is still proven.

use super::{
    super::{
        config::{ApnsApp, ApnsTeam},
        jwt::{Expired, Jwt},
    },
    reason::{
        BAD_CERTIFICATE, EXPIRED_PROVIDER_TOKEN, INVALID_PROVIDER_TOKEN, MISSING_PROVIDER_TOKEN,
        Reason, TOO_MANY_PROVIDER_TOKEN_UPDATES,
    },
};
use domain::Timestamp;
use ring::signature::ECDSA_P256_SHA256_FIXED;
use serde::Deserialize;
use std::time::Duration;

/// An older token is refused.
const OLDEST: Duration = Duration::from_hours(1);
/// A connection may not get a new token sooner than this after the last.
const RENEWAL: Duration = Duration::from_mins(20);
/// A token may come from a clock that is ahead by this much.
const CLOCK_AHEAD: Duration = Duration::from_mins(5);

#[derive(Deserialize)]
struct Claims {
    iss: String,
    /// Unix seconds. Some libraries write a fraction; Apple takes none.
    iat: u64,
}

/// A token that was good when the connection saw it first.
#[derive(Clone, Debug)]
struct ProviderToken {
    text: String,
    team: String,
    issued: Timestamp,
}

/// Who sends over a connection, once that is known.
#[derive(Default)]
pub(super) struct Sender {
    certificate: Certificate,
    token: Option<ProviderToken>,
}

/// What the client showed of itself before its first request.
#[derive(Default)]
enum Certificate {
    /// Nothing: it has to show provider tokens.
    #[default]
    None,
    /// One that is no app's.
    Unknown,
    /// An app's: no provider token is looked at.
    Of {
        /// Of the team.
        team: String,
        /// The app.
        bundle: String,
    },
}

/// The token in an `authorization` header.
pub(super) fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim_start())
        .filter(|token| !token.is_empty())
}

impl Sender {
    /// At the start of a connection whose client showed this certificate.
    pub(super) fn new(certificate: Option<&[u8]>, teams: &[ApnsTeam]) -> Self {
        let of = |der: &[u8]| {
            let mut all = teams
                .iter()
                .flat_map(|team| team.certificates.iter().map(move |one| (team, one)));
            all.find(|(_, one)| one.certificate == der).map_or(
                Certificate::Unknown,
                |(team, one)| Certificate::Of {
                    team: team.team.clone(),
                    bundle: one.bundle.clone(),
                },
            )
        };
        Self {
            certificate: certificate.map_or(Certificate::None, of),
            token: None,
        }
    }

    /// Whether the certificate is an app's, or a good token was ever seen here.
    pub(super) fn is_known(&self) -> bool {
        matches!(self.certificate, Certificate::Of { .. }) || self.token.is_some()
    }

    /// Those of the team's apps that may be pushed to: all with a token, its own with a certificate.
    pub(super) fn may_push_to<'a>(&self, apps: &'a [ApnsApp]) -> &'a [ApnsApp] {
        let Certificate::Of { bundle, .. } = &self.certificate else {
            return apps;
        };
        match apps.iter().position(|app| app.bundle == *bundle) {
            Some(at) => &apps[at..=at],
            None => &[],
        }
    }

    /// The team that sends, if its token is good now.
    pub(super) fn authorise(
        &mut self,
        authorization: Option<&str>,
        teams: &[ApnsTeam],
        expired: &Expired,
        now: Timestamp,
    ) -> Result<&str, Reason> {
        match &self.certificate {
            Certificate::None => {}
            Certificate::Unknown => return Err(BAD_CERTIFICATE),
            Certificate::Of { team, .. } => return Ok(team),
        }
        let text = authorization
            .and_then(bearer)
            .ok_or(MISSING_PROVIDER_TOKEN)?;
        if expired.has(text) {
            return Err(EXPIRED_PROVIDER_TOKEN);
        }
        let known = self.token.as_ref().filter(|known| known.text == text);
        let token = if let Some(known) = known {
            known.clone()
        } else {
            let new = verify(text, teams)?;
            may_follow(&new, self.token.as_ref(), expired)?;
            new
        };
        if now.since(token.issued) > OLDEST {
            return Err(EXPIRED_PROVIDER_TOKEN);
        }
        if token.issued.since(now) > CLOCK_AHEAD {
            return Err(INVALID_PROVIDER_TOKEN);
        }
        Ok(&self.token.insert(token).team)
    }
}

/// Reads and verifies a token.
fn verify(text: &str, teams: &[ApnsTeam]) -> Result<ProviderToken, Reason> {
    let jwt = Jwt::<Claims>::read(text).ok_or(INVALID_PROVIDER_TOKEN)?;
    let signed = jwt.header.alg == "ES256"
        && teams
            .iter()
            .filter(|team| team.team == jwt.claims.iss)
            .flat_map(|team| &team.keys)
            .filter(|key| Some(&key.key_id) == jwt.header.kid.as_ref())
            .any(|key| jwt.is_signed_by(&ECDSA_P256_SHA256_FIXED, &key.public_key));
    if !signed {
        return Err(INVALID_PROVIDER_TOKEN);
    }
    Ok(ProviderToken {
        text: text.to_owned(),
        team: jwt.claims.iss,
        issued: Timestamp(jwt.claims.iat.saturating_mul(1000)),
    })
}

/// A connection serves one team, and takes a new token no sooner than 20 minutes after the last, unless that one was
/// made to expire.
fn may_follow(
    new: &ProviderToken,
    earlier: Option<&ProviderToken>,
    expired: &Expired,
) -> Result<(), Reason> {
    let Some(earlier) = earlier else {
        return Ok(());
    };
    if earlier.team != new.team {
        return Err(INVALID_PROVIDER_TOKEN);
    }
    if new.issued.since(earlier.issued) < RENEWAL && !expired.has(&earlier.text) {
        return Err(TOO_MANY_PROVIDER_TOKEN_UPDATES);
    }
    Ok(())
}
