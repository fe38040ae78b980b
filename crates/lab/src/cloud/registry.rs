//! The device tokens that the clouds know, and what was ordered to become of them.

use super::{
    Limits,
    config::{CloudConfig, Environment},
    entropy,
};
use domain::{Channel, Provider, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What is before the id in the address of a Web Push subscription.
pub(super) const WEB_PATH: &str = "/push/";

/// Which device tokens are good.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenMode {
    /// Every well-formed one.
    #[default]
    Any,
    /// Only registered ones.
    Known,
}

/// A device token to register.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Whose.
    pub provider: Provider,
    /// The bundle (APNs), package (FCM) or app (Web Push) that it is for. `bundle.voip` is short for the bundle's `voip` channel.
    pub app: String,
    /// The token; made up if not given.
    #[serde(default)]
    pub token: Option<String>,
    /// APNs: good for this channel's topic only. Not given: for both.
    #[serde(default)]
    pub channel: Option<Channel>,
    /// APNs: good in this environment only. Not given: in both.
    #[serde(default)]
    pub environment: Option<Environment>,
}

/// What a cloud answers for a token from now on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fate {
    /// 400 to 599; 200 takes an earlier fate back.
    pub status: u16,
    /// The platform's reason; its usual one for the status if not given.
    #[serde(default)]
    pub reason: Option<String>,
    /// For so many pushes; not given: for all.
    #[serde(default)]
    pub count: Option<u32>,
    /// With 410: since when the token is dead, Unix milliseconds; not given: since now.
    #[serde(default)]
    pub timestamp: Option<Timestamp>,
}

/// Why a token or a fate was not taken.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No such app.
    #[error("no app {app:?} at {}; there are {}", .provider.name(), .known.join(", "))]
    UnknownApp {
        /// The cloud.
        provider: Provider,
        /// The app asked for.
        app: String,
        /// Those that it knows.
        known: Vec<String>,
    },
    /// The cloud would never hand out such a token.
    #[error("{token:?} is no {} device token: {}", .provider.name(), well_formed_means(*.provider))]
    IllFormed {
        /// The cloud.
        provider: Provider,
        /// The token.
        token: String,
    },
    /// `Limits::tokens` or `Limits::orders` reached.
    #[error("the lab keeps at most {0} of these")]
    Full(usize),
    /// No status of a push answer.
    #[error("status {0} is none that a cloud answers; use 400 to 599, or 200 to take a fate back")]
    Status(u16),
    /// A fate for no push.
    #[error("count is a number of pushes, from 1; without it the fate stays")]
    Count,
}

/// A registered token.
#[derive(Clone, Debug)]
pub(super) struct KnownToken {
    pub(super) app: String,
    pub(super) channel: Option<Channel>,
    pub(super) environment: Option<Environment>,
}

/// All that is known of tokens.
#[derive(Default)]
pub(super) struct Registry {
    pub(super) mode: TokenMode,
    tokens: HashMap<(Provider, String), KnownToken>,
    fates: HashMap<String, Fate>,
}

impl Registry {
    /// Takes a token, or makes one up, and says which.
    pub(super) fn register(
        &mut self,
        new: NewToken,
        config: &CloudConfig,
    ) -> Result<String, RegistryError> {
        let provider = new.provider;
        let (app, channel) = match new.app.strip_suffix(".voip") {
            Some(bundle) if provider == Provider::Apns => (bundle.to_owned(), Some(Channel::Voip)),
            _ => (new.app, new.channel),
        };
        let known = known_apps(provider, config);
        if !known.contains(&app) {
            return Err(RegistryError::UnknownApp {
                provider,
                app,
                known,
            });
        }
        let token = new.token.unwrap_or_else(|| make_up_token(provider));
        if !is_well_formed(provider, &token) {
            return Err(RegistryError::IllFormed { provider, token });
        }
        let key = (provider, canonical(provider, &token));
        if self.tokens.len() >= config.limits.tokens && !self.tokens.contains_key(&key) {
            return Err(RegistryError::Full(config.limits.tokens));
        }
        self.tokens.insert(
            key,
            KnownToken {
                app,
                channel,
                environment: new.environment,
            },
        );
        Ok(match provider {
            Provider::Apns | Provider::Fcm | Provider::AppServer => token,
            Provider::WebPush => web_address(config, web_id(&token)),
        })
    }

    /// What is known of a token.
    pub(super) fn find(&self, provider: Provider, token: &str) -> Option<&KnownToken> {
        self.tokens.get(&(provider, canonical(provider, token)))
    }

    /// Orders what becomes of pushes to `token`.
    pub(super) fn set_fate(
        &mut self,
        token: &str,
        mut fate: Fate,
        now: Timestamp,
        limits: &Limits,
    ) -> Result<(), RegistryError> {
        if fate.count == Some(0) {
            return Err(RegistryError::Count);
        }
        let key = fate_key(token);
        match fate.status {
            200 => {
                self.fates.remove(&key);
                Ok(())
            }
            400..=599 => {
                if self.fates.len() >= limits.orders && !self.fates.contains_key(&key) {
                    return Err(RegistryError::Full(limits.orders));
                }
                fate.timestamp.get_or_insert(now);
                self.fates.insert(key, fate);
                Ok(())
            }
            status => Err(RegistryError::Status(status)),
        }
    }

    /// Whether anything was ordered for pushes to `token`.
    pub(super) fn has_fate(&self, token: &str) -> bool {
        self.fates.contains_key(&fate_key(token))
    }

    /// The fate of the next push to `token`; counted down.
    pub(super) fn take_fate(&mut self, token: &str) -> Option<Fate> {
        let key = fate_key(token);
        let fate = self.fates.get_mut(&key)?;
        let answer = fate.clone();
        if let Some(count) = &mut fate.count {
            *count -= 1;
            if *count == 0 {
                self.fates.remove(&key);
            }
        }
        Some(answer)
    }
}

/// A fate names a token and no provider, so it finds APNs' tokens in either case.
fn fate_key(token: &str) -> String {
    web_id(token).to_ascii_lowercase()
}

fn known_apps(provider: Provider, config: &CloudConfig) -> Vec<String> {
    match provider {
        Provider::Apns => config
            .apns_teams
            .iter()
            .flat_map(|team| team.apps.iter().map(|app| app.bundle.clone()))
            .collect(),
        Provider::Fcm => config
            .fcm_projects
            .iter()
            .flat_map(|project| project.packages.iter().cloned())
            .collect(),
        Provider::WebPush => config
            .webpush_apps
            .iter()
            .map(|app| app.app.clone())
            .collect(),
        // None is simulated.
        Provider::AppServer => Vec::new(),
    }
}

/// The address of a Web Push subscription by its id.
pub(super) fn web_address(config: &CloudConfig, id: &str) -> String {
    format!("https://localhost:{}{WEB_PATH}{id}", config.webpush.port())
}

/// The id in the address of a Web Push subscription; any other token is itself.
fn web_id(token: &str) -> &str {
    let address = token.split('#').next().unwrap_or_default();
    address.rsplit_once(WEB_PATH).map_or(token, |(_, id)| id)
}

/// APNs reads tokens as hexadecimal, so their case does not count; FCM's count as they are, and so do the ids of Web Push.
fn canonical(provider: Provider, token: &str) -> String {
    match provider {
        Provider::Apns => token.to_ascii_lowercase(),
        Provider::Fcm | Provider::AppServer => token.to_owned(),
        Provider::WebPush => web_id(token).to_owned(),
    }
}

/// Whether the platform could have handed out such a token.
pub(super) fn is_well_formed(provider: Provider, token: &str) -> bool {
    match provider {
        Provider::Apns => {
            (64..=200).contains(&token.len())
                && token.len().is_multiple_of(2)
                && token.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        Provider::Fcm => {
            (32..=512).contains(&token.len())
                && token
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b":-_".contains(&byte))
        }
        Provider::WebPush => {
            let id = web_id(token);
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            (16..=512).contains(&id.len()) && id.bytes().all(known)
        }
        Provider::AppServer => false,
    }
}

fn well_formed_means(provider: Provider) -> &'static str {
    match provider {
        Provider::Apns => "64 to 200 hexadecimal digits, an even number",
        Provider::Fcm => "32 to 512 letters, digits, ':', '-' and '_'",
        Provider::WebPush => {
            "the address of a subscription, or the 16 to 512 letters, digits, '-' and '_' at its end"
        }
        Provider::AppServer => "none: no app's own server is simulated",
    }
}

fn make_up_token(provider: Provider) -> String {
    match provider {
        Provider::Apns => entropy::hex(32),
        Provider::Fcm => format!(
            "{}:APA91b{}",
            entropy::base64url(16),
            entropy::base64url(100)
        ),
        Provider::WebPush | Provider::AppServer => entropy::base64url(32),
    }
}
