//! Which push may go which way, and what a token looks like: what can be refused before anything is sent.

use crate::webpush::Subscription;
use domain::{
    AppProfile, Channel, EventPush, Generation, Notification, Outcome, Platform, Provider, Purpose,
};

/// Longest token that is taken. No provider fixes a length; theirs today have 64 to about 200 characters.
const TOKEN_BYTES: usize = 2048;
/// Longest collapse key (APNs: `apns-collapse-id`).
const COLLAPSE_BYTES: usize = 64;

/// What the platforms forbid, by platform and channel: iOS 13 kills an app that takes a `voip` push and reports no call,
/// rings by CallKit only from there, and cannot be told silently that a call is over (`behaviour.md` 5.8). Nor may a browser be pushed
/// to in silence (6.11).
fn forbidden(profile: &AppProfile, channel: Channel, purpose: &Purpose) -> Option<&'static str> {
    use {
        Channel::{Message, Voip},
        Generation::{DualChannel, SingleChannel},
        Platform::{Ios, Web},
    };
    match (profile.platform, profile.generation, channel, purpose) {
        (Web, _, _, Purpose::Read { .. }) => {
            Some("a browser must show something for each push, and there is nothing to show")
        }
        (Web, _, _, Purpose::Event(EventPush { id: None, .. })) => {
            Some("a browser must show something for each push, and a number is nothing to show")
        }
        (Ios, _, _, Purpose::CallCancelled { .. }) => {
            Some("iOS takes no push for a cancelled call")
        }
        (Ios, DualChannel, Voip, Purpose::Call { .. }) => None,
        (Ios, DualChannel, Voip, _) => {
            Some("only a call may go on the voip channel of a dual-channel iOS app")
        }
        (Ios, DualChannel, Message, Purpose::Call { .. }) => {
            Some("a call must go on the voip channel of a dual-channel iOS app")
        }
        (Ios, SingleChannel, _, Purpose::Read { .. }) => {
            Some("a single-channel iOS app has no way to be told something in silence")
        }
        _ => None,
    }
}

/// Refuses what the provider would refuse, or what would harm the app, without asking the provider.
pub(crate) fn check(profile: &AppProfile, push: &Notification) -> Result<(), Outcome> {
    let refuse = |reason: &str| {
        Err(Outcome::Refused {
            reason: reason.to_owned(),
        })
    };
    if let Some(reason) = forbidden(profile, push.channel, &push.purpose) {
        return refuse(reason);
    }
    if push
        .collapse
        .as_ref()
        .is_some_and(|key| key.is_empty() || key.len() > COLLAPSE_BYTES || !printable(key))
    {
        return refuse("a collapse key has 1 to 64 bytes of visible ASCII");
    }
    if !well_formed(profile.provider, &push.token) {
        return Err(Outcome::TokenDead {
            since: None,
            reason: "not a token of this provider".to_owned(),
        });
    }
    Ok(())
}

/// APNs tokens are hexadecimal and become part of a path; FCM tokens are opaque, and without surprises;
/// those of Web Push are addresses.
fn well_formed(provider: Provider, token: &str) -> bool {
    let fits = !token.is_empty() && token.len() <= TOKEN_BYTES;
    fits && match provider {
        Provider::Apns => token.bytes().all(|byte| byte.is_ascii_hexdigit()),
        Provider::Fcm => printable(token),
        // Which hosts may be called is the app's own rule; see `webpush`.
        Provider::WebPush => Subscription::read(token).is_some(),
        // Not ours to push to: the XMPP role does.
        Provider::AppServer => false,
    }
}

fn printable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A token as it may stand in a log: enough to tell two apart, too little to use.
pub fn redact(token: &str) -> String {
    let shown = (token.chars().count() / 2).min(8);
    let head: String = token.chars().take(shown).collect();
    format!("{head}… ({} bytes)", token.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_a_log_cannot_be_used() {
        assert_eq!(
            redact("00fc13adff785122b4ad28809a342098"),
            "00fc13ad… (32 bytes)"
        );
        assert_eq!(redact("äöü"), "ä… (6 bytes)");
    }
}
