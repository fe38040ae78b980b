//! Whether a provider takes our credentials, asked without pushing to anybody: by a push to a token that is nobody's (APNs), one
//! that is only to be looked at (FCM `validate_only`), or by an access token (a push service).

use crate::client::Client;
use domain::{AppId, Channel, Notification, Outcome, Provider, Purpose};
use std::time::Duration;

/// What no device has been given. APNs looks at credentials before it looks at the token.
const NOBODY: [(Provider, &str); 2] = [
    (
        Provider::Apns,
        "0000000000000000000000000000000000000000000000000000000000000000",
    ),
    (Provider::Fcm, "nobody:reveille-doctor"),
];

/// A push that reaches nobody.
fn to_nobody(app: &AppId, provider: Provider) -> Notification {
    let token = NOBODY.iter().find(|(of, _)| *of == provider);
    Notification {
        id: "reveille-doctor".into(),
        app: app.clone(),
        token: token
            .map(|(_, token)| *token)
            .unwrap_or_default()
            .to_owned(),
        channel: Channel::Message,
        purpose: Purpose::Refresh,
        tracking: "reveille-doctor".into(),
        ttl: Duration::ZERO,
        collapse: None,
        badge: None,
        sealed: None,
    }
}

impl Client {
    /// See the module. Only `Unauthorized` and `Unavailable` say something bad; that nobody has the token is as it should be.
    pub(crate) async fn probe(&self, app: &AppId) -> Outcome {
        let taken = Outcome::Accepted {
            provider_id: String::new(),
        };
        match self {
            Self::Apns(client) => client.push(&to_nobody(app, Provider::Apns)).await,
            Self::Fcm(client) => client.validate(&to_nobody(app, Provider::Fcm)).await,
            // The key is read, and nobody but a browser's own service judges it.
            Self::WebPush(_) => taken,
            Self::Service(client) => match client.warm().await {
                Ok(()) => taken,
                Err(outcome) => outcome,
            },
        }
    }
}
