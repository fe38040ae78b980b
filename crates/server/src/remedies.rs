//! What an operator does about a push that was not taken: one table, by what the provider said.

use domain::Outcome;

/// By the outcome, and by a word of the provider's where that tells more; the first row that fits counts.
const REMEDIES: [(&str, &str, &str); 17] = [
    (
        "unauthorized",
        "InvalidProviderToken",
        "key_id, team_id and key_file of the app do not belong together, or the key was revoked (developer.apple.com, Keys): put the right one there, and `reveille reload`",
    ),
    (
        "unauthorized",
        "ExpiredProviderToken",
        "the clock of this host is wrong: let it be set by NTP",
    ),
    (
        "unauthorized",
        "BadEnvironmentKeyInToken",
        "the key is for Apple's other cloud: set environment of the app, or make a key for both",
    ),
    (
        "unauthorized",
        "invalid_grant",
        "Google does not take the service account's key: is the clock of this host right, and was the key revoked?",
    ),
    (
        "unauthorized",
        "push service",
        "push.client_id and push.client_secret_file are not those that the push service gave out",
    ),
    (
        "unauthorized",
        "",
        "the provider does not take our credentials: `reveille doctor` asks it, then mend the key of the [[push.app]]",
    ),
    (
        "token_dead",
        "BadDeviceToken",
        "the token is of Apple's other cloud: set environment of the app to \"sandbox\" for builds from Xcode; else let the app hand over a new token",
    ),
    (
        "token_dead",
        "DeviceTokenNotForTopic",
        "the token is another app's: the app of the device and the bundle id of the token differ",
    ),
    (
        "token_dead",
        "SENDER_ID_MISMATCH",
        "the token is of another Firebase project than the service account",
    ),
    (
        "token_dead",
        "",
        "the app must hand over a new token: open it on the device; it was removed there, or its token has changed",
    ),
    (
        "refused",
        "TopicDisallowed",
        "the key may not push to this bundle id: name the app in [[push.app]] as it is in the developer account",
    ),
    (
        "refused",
        "app",
        "describe the app in [[push.app]], and `reveille reload`",
    ),
    (
        "refused",
        "",
        "the provider takes no such push: the reason is its own word",
    ),
    (
        "throttled",
        "",
        "the provider wants us to wait: try again later, and see whether this device is pushed to in a loop",
    ),
    (
        "unavailable",
        "the push service",
        "the push service at push.url cannot be reached, or is not well: let this host connect to it (a firewall, push.proxy, push.ca, DNS), and ask whoever runs it",
    ),
    (
        "unavailable",
        "",
        "the provider cannot be reached: let this host connect to it (a firewall, push.proxy, push.ca, DNS)",
    ),
    ("too_large", "", "this is a bug of ours: please report it"),
];

/// What to do; nothing about a push that was taken.
pub(crate) fn of(outcome: &Outcome) -> Option<&'static str> {
    let fits = |(name, word, _): &&(&str, &str, &str)| {
        *name == outcome.name() && outcome.reason().contains(word)
    };
    let row = REMEDIES.iter().find(fits)?;
    Some(row.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_something_to_do_about_whatever_was_not_taken() {
        let reason = |reason: &str| reason.to_owned();
        let wait = std::time::Duration::ZERO;
        let all = [
            Outcome::TokenDead {
                since: None,
                reason: reason("Unregistered"),
            },
            Outcome::Refused {
                reason: reason("BadPriority"),
            },
            Outcome::Throttled {
                retry_after: wait,
                reason: reason("TooManyRequests"),
            },
            Outcome::Unavailable {
                retry_after: wait,
                reason: reason("cannot connect"),
            },
            Outcome::Unauthorized {
                reason: reason("MissingProviderToken"),
            },
            Outcome::TooLarge,
        ];
        assert!(all.iter().all(|outcome| of(outcome).is_some()));
        let taken = Outcome::Accepted {
            provider_id: reason("1"),
        };
        assert_eq!(of(&taken), None);
        let clock = Outcome::Unauthorized {
            reason: reason("ExpiredProviderToken"),
        };
        assert!(of(&clock).unwrap().contains("clock"));
    }
}
