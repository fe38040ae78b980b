//! What an exchange with any provider has in common: how urgent it is, what comes of the answer, and the time.

use crate::{
    chance::entropy,
    outcome::{Answer, Verdict, classify, unavailable},
    pool::{Fault, Reply, Urgency},
};
use domain::{Notification, Provider, Purpose};
use http::{HeaderName, header};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const APNS_ID: HeaderName = HeaderName::from_static("apns-id");

/// Who goes first where streams are scarce.
pub(crate) fn urgency(push: &Notification) -> Urgency {
    match push.purpose {
        Purpose::Call { .. } | Purpose::CallCancelled { .. } => Urgency::Call,
        Purpose::MissedCall { .. }
        | Purpose::Message { .. }
        | Purpose::Read { .. }
        | Purpose::Event(_)
        | Purpose::Refresh => Urgency::Rest,
    }
}

/// What an answer, or that there is none, means.
pub(crate) fn verdict(provider: Provider, reply: Result<Reply, Fault>) -> Verdict {
    let reply = match reply {
        Ok(reply) => reply,
        Err(fault) => return Verdict::Final(unavailable(fault.to_string(), entropy())),
    };
    let text = |name: HeaderName| {
        reply
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let answer = Answer {
        provider,
        status: reply.status.as_u16(),
        retry_after: text(header::RETRY_AFTER),
        id: match provider {
            Provider::Apns => text(APNS_ID),
            // Its own is in the body; an app's own server is not asked over HTTP.
            Provider::Fcm | Provider::AppServer => None,
            Provider::WebPush => text(header::LOCATION),
        },
        body: &reply.body,
    };
    classify(&answer, entropy())
}

/// Seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
