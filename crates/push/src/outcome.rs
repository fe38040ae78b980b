//! What a provider's answer means: one table, and nowhere else. A row says what to do with a status and a reason; the
//! first that fits holds.

use domain::{Outcome, Provider, Timestamp};
use serde::Deserialize;
use std::time::Duration;

/// A provider's answer to a push.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Whose.
    pub provider: Provider,
    /// HTTP status.
    pub status: u16,
    /// The `retry-after` header, if there is one.
    pub retry_after: Option<&'a str>,
    /// The header that names the push at the provider, if there is one: `apns-id`, `location` (RFC 8030 §5).
    pub id: Option<&'a str>,
    /// JSON; or anything, from something between us and the provider.
    pub body: &'a [u8],
}

/// What to do with an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The push has this outcome.
    Final(Outcome),
    /// Our token for the provider has expired: renew it and ask again, once. Then it is
    /// [`Unauthorized`](Outcome::Unauthorized) with this reason.
    RenewToken(String),
}

#[derive(Clone, Copy, Debug)]
enum Meaning {
    Accepted,
    Dead,
    Refused,
    TooLarge,
    Unauthorized,
    Renew,
    /// Wait as the provider says, else for so many seconds and some more.
    Throttled(u64),
    /// Wait as the provider says, else for so many seconds and some more.
    Unavailable(u64),
}

struct Row {
    provider: Provider,
    /// One status, or a range of them.
    status: (u16, u16),
    /// `None`: any reason.
    reason: Option<&'static str>,
    meaning: Meaning,
}

const fn apns(low: u16, high: u16, reason: Option<&'static str>, meaning: Meaning) -> Row {
    Row {
        provider: Provider::Apns,
        status: (low, high),
        reason,
        meaning,
    }
}

const fn fcm(low: u16, high: u16, reason: Option<&'static str>, meaning: Meaning) -> Row {
    Row {
        provider: Provider::Fcm,
        status: (low, high),
        reason,
        meaning,
    }
}

const fn web(low: u16, high: u16, meaning: Meaning) -> Row {
    Row {
        provider: Provider::WebPush,
        status: (low, high),
        reason: None,
        meaning,
    }
}

/// The reason of an FCM answer that says that the token is the bad field.
const BAD_TOKEN_FIELD: &str = "INVALID_ARGUMENT: message.token";
/// The reason of an answer that is not the provider's JSON.
const FOREIGN: &str = "not the provider's answer";
/// The status of a JSON error from Google that names no FCM error code.
const NOT_FOUND: &str = "NOT_FOUND";

use Meaning::{Accepted, Dead, Refused, Renew, Throttled, TooLarge, Unauthorized, Unavailable};

/// Sources: `behaviour.md` 8 and 12; Apple "Handling notification responses from APNs"; Firebase "FCM error codes".
const TABLE: &[Row] = &[
    apns(200, 200, None, Accepted),
    apns(400, 400, Some("BadDeviceToken"), Dead),
    apns(400, 400, Some("DeviceTokenNotForTopic"), Dead),
    // This key may not push to this app: the token is innocent.
    apns(400, 400, Some("TopicDisallowed"), Unauthorized),
    apns(400, 499, Some("Unregistered"), Dead),
    apns(400, 499, Some("ExpiredToken"), Dead),
    apns(410, 410, None, Dead),
    apns(403, 403, Some("ExpiredProviderToken"), Renew),
    apns(401, 401, None, Unauthorized),
    apns(403, 403, None, Unauthorized),
    apns(413, 413, None, TooLarge),
    apns(400, 499, Some("PayloadTooLarge"), TooLarge),
    // Too many for this device.
    apns(429, 429, None, Throttled(60)),
    apns(400, 499, None, Refused),
    // "A long pause."
    apns(500, 599, None, Unavailable(60)),
    apns(0, u16::MAX, None, Unavailable(60)),
    //
    fcm(200, 200, None, Accepted),
    fcm(400, 499, Some("UNREGISTERED"), Dead),
    fcm(400, 499, Some("SENDER_ID_MISMATCH"), Dead),
    fcm(400, 400, Some(BAD_TOKEN_FIELD), Dead),
    fcm(404, 404, Some(NOT_FOUND), Dead),
    // A page of some proxy, or of a wrong endpoint, must not kill every token.
    fcm(404, 404, Some(FOREIGN), Unavailable(60)),
    fcm(404, 404, None, Dead),
    fcm(401, 401, Some("THIRD_PARTY_AUTH_ERROR"), Unauthorized),
    fcm(401, 401, None, Renew),
    fcm(403, 403, None, Unauthorized),
    fcm(413, 413, None, TooLarge),
    fcm(429, 429, None, Throttled(60)),
    fcm(400, 499, None, Refused),
    fcm(500, 599, None, Unavailable(10)),
    fcm(0, u16::MAX, None, Unavailable(60)),
    // 202 promises a receipt that we did not ask for; a service that says so has the push all the same (RFC 8030 §5.1).
    web(200, 202, Accepted),
    // RFC 8030 §7.3.
    web(404, 404, Dead),
    web(410, 410, Dead),
    // RFC 8292 §4.2: no token, or one of another key than the subscription is for.
    web(401, 401, Unauthorized),
    web(403, 403, Unauthorized),
    web(413, 413, TooLarge),
    // RFC 8030 §8.4.
    web(429, 429, Throttled(60)),
    web(400, 499, Refused),
    web(500, 599, Unavailable(10)),
    web(0, u16::MAX, Unavailable(60)),
];

/// Longest reason that is kept.
const REASON_CHARS: usize = 200;
/// Longest wait that a provider can ask for.
const LONGEST_WAIT: u64 = 24 * 3600;

/// Says what `answer` means. `entropy` spreads the retries of many: a wait that the provider did not set is up to half
/// as long again.
pub fn classify(answer: &Answer<'_>, entropy: u64) -> Verdict {
    let said = match answer.provider {
        Provider::Apns => Said::apns(answer),
        Provider::Fcm => Said::fcm(answer),
        // An app's own server answers nothing over HTTP.
        Provider::WebPush | Provider::AppServer => Said::web(answer),
    };
    let meaning = TABLE
        .iter()
        .find(|row| {
            row.provider == answer.provider
                && (row.status.0..=row.status.1).contains(&answer.status)
                && row.reason.is_none_or(|reason| reason == said.reason)
        })
        .map_or(Unavailable(60), |row| row.meaning);
    let wait = |seconds| {
        asked_wait(answer).unwrap_or_else(|| spread(Duration::from_secs(seconds), entropy))
    };
    let reason = said.text(answer.status);
    Verdict::Final(match meaning {
        Accepted => Outcome::Accepted {
            provider_id: said.id,
        },
        Dead => Outcome::TokenDead {
            since: said.since,
            reason,
        },
        Refused => Outcome::Refused { reason },
        TooLarge => Outcome::TooLarge,
        Unauthorized => Outcome::Unauthorized { reason },
        Throttled(seconds) => Outcome::Throttled {
            retry_after: wait(seconds),
            reason,
        },
        Unavailable(seconds) => Outcome::Unavailable {
            retry_after: wait(seconds),
            reason,
        },
        Renew => return Verdict::RenewToken(reason),
    })
}

/// The outcome when a provider could not be asked, or did not answer.
pub(crate) fn unavailable(reason: impl Into<String>, entropy: u64) -> Outcome {
    Outcome::Unavailable {
        reason: reason.into(),
        retry_after: spread(Duration::from_secs(10), entropy),
    }
}

/// `base` and up to half as much again.
fn spread(base: Duration, entropy: u64) -> Duration {
    let half = u64::try_from(base.as_millis() / 2).unwrap_or(u64::MAX - 1);
    base + Duration::from_millis(entropy % (half + 1))
}

/// `retry-after` in seconds (RFC 9110 §10.2.3). The providers do not use its other form, a date.
fn asked_wait(answer: &Answer<'_>) -> Option<Duration> {
    let seconds: u64 = answer.retry_after?.trim().parse().ok()?;
    Some(wait(seconds))
}

/// As long as whoever pushes for us asks us to wait, within reason.
pub(crate) fn wait(seconds: u64) -> Duration {
    Duration::from_secs(seconds.min(LONGEST_WAIT))
}

/// Somebody else's word, as it may stand in a log.
pub(crate) fn word(said: &str) -> String {
    let visible = said.chars().filter(|c| !c.is_control());
    visible.take(REASON_CHARS).collect()
}

/// What an answer says, in the same form for every provider.
struct Said {
    reason: String,
    id: String,
    since: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
struct ApnsBody {
    #[serde(default)]
    reason: String,
    /// Milliseconds (not seconds, as older documents say).
    timestamp: Option<u64>,
}

#[derive(Default, Deserialize)]
struct FcmBody {
    #[serde(default)]
    name: String,
    error: Option<FcmError>,
}

#[derive(Deserialize)]
struct FcmError {
    #[serde(default)]
    status: String,
    #[serde(default)]
    details: Vec<FcmDetail>,
}

/// Either `google.firebase.fcm.v1.FcmError` or `google.rpc.BadRequest`, by `@type`; the fields do not overlap.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FcmDetail {
    #[serde(rename = "@type", default)]
    kind: String,
    #[serde(default)]
    error_code: String,
    #[serde(default)]
    field_violations: Vec<FieldViolation>,
}

#[derive(Deserialize)]
struct FieldViolation {
    #[serde(default)]
    field: String,
}

impl Said {
    fn apns(answer: &Answer<'_>) -> Self {
        let body: ApnsBody = serde_json::from_slice(answer.body).unwrap_or_default();
        Self {
            reason: body.reason,
            id: answer.id.unwrap_or_default().to_owned(),
            since: body.timestamp.map(Timestamp),
        }
    }

    fn fcm(answer: &Answer<'_>) -> Self {
        let body: FcmBody = serde_json::from_slice(answer.body).unwrap_or_default();
        let reason = match &body.error {
            Some(error) => error.reason(),
            None => FOREIGN.to_owned(),
        };
        Self {
            reason,
            id: body.name,
            since: None,
        }
    }

    /// Web Push has no words of its own: the status says all.
    fn web(answer: &Answer<'_>) -> Self {
        Self {
            reason: String::new(),
            id: answer.id.unwrap_or_default().to_owned(),
            since: None,
        }
    }

    /// For people: the provider's word, else the status.
    fn text(&self, status: u16) -> String {
        let word = word(&self.reason);
        match word.as_str() {
            "" => format!("HTTP {status}"),
            FOREIGN => format!("HTTP {status}: {FOREIGN}"),
            _ => word,
        }
    }
}

impl FcmError {
    /// FCM's own error code, or the field that is wrong, or Google's general status.
    fn reason(&self) -> String {
        let code = self
            .details
            .iter()
            .find(|d| d.kind.ends_with("FcmError") && !d.error_code.is_empty());
        let code = code.map_or(&self.status, |detail| &detail.error_code);
        let field = self
            .details
            .iter()
            .filter(|detail| detail.kind.ends_with("BadRequest"))
            .flat_map(|detail| &detail.field_violations)
            .next();
        match field {
            Some(violation) if code == "INVALID_ARGUMENT" => format!("{code}: {}", violation.field),
            _ => code.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
