//! Devices: what a user carries, the app on it, its push tokens, and where it can be reached now.

use crate::{Address, Mode, Timestamp, behaviour::Happening};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names one installation of an app on one device, for as long as it is installed.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceId(pub String);

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names an app: its bundle id (Apple) or package name (Google).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppId(pub String);

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the device runs.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// iPhone and iPad.
    Ios,
    /// Android.
    Android,
}

/// Whose cloud carries its pushes.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Apple Push Notification service.
    Apns,
    /// Firebase Cloud Messaging.
    Fcm,
}

impl Provider {
    /// The name in metrics, traces and configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Apns => "apns",
            Self::Fcm => "fcm",
        }
    }
}

/// How many ways a push can take to an app.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Generation {
    /// iOS 12 and older: one token and one channel for calls and messages.
    SingleChannel,
    /// iOS 13 and newer, Android: calls and messages apart.
    DualChannel,
}

/// The way that a push takes.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// For calls. On dual-channel iOS the platform kills an app that gets anything else on it.
    Voip,
    /// For everything that is no call.
    Message,
}

impl Channel {
    /// The name in metrics, traces and configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Voip => "voip",
            Self::Message => "message",
        }
    }
}

/// What the operator says of an app: the part that the domain needs. Credentials stay with the push client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AppProfile {
    /// Bundle or package id.
    pub app: AppId,
    /// What it runs on.
    pub platform: Platform,
    /// Which cloud.
    pub provider: Provider,
    /// One channel or two.
    pub generation: Generation,
}

/// A push token and what became of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// As the client handed it over; opaque, of no fixed length.
    pub value: String,
    /// When the client handed it over last.
    pub given_at: Timestamp,
    /// Set when the provider said that it is dead: never pushed to again.
    pub dead: Option<DeadToken>,
    /// How the client handed it over.
    pub handed: Handed,
}

/// How a client hands over a token.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handed {
    /// In its registrations: one without it takes it back.
    InRegistration,
    /// Apart from them: it stays.
    Apart,
}

/// The provider's word on a dead token.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct DeadToken {
    /// When we were told.
    pub at: Timestamp,
    /// The provider's reason, as it wrote it.
    pub reason: String,
}

/// The tokens of a device. A single-channel app has one of them.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    /// For calls.
    pub voip: Option<Token>,
    /// For messages.
    pub message: Option<Token>,
}

impl Tokens {
    fn slots(&mut self) -> [&mut Option<Token>; 2] {
        [&mut self.voip, &mut self.message]
    }
}

/// The device's key for sealed pushes (RFC 8291 §3.1): only the device can open what is sealed with it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct SealingKey {
    /// P-256 public key, uncompressed, 65 bytes, as unpadded base64url.
    pub p256dh: String,
    /// Authentication secret, 16 bytes, as unpadded base64url.
    pub auth: String,
}

/// Where a device can be reached, for how long, and what the signalling role needs to get there. The strings are that
/// role's own; the domain only keeps them.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// The contact as registered.
    pub contact: String,
    /// Where the registration came from: `transport/address:port`.
    pub source: String,
    /// Preference in thousandths, 0 to 1000.
    pub q: u16,
    /// After this it is gone.
    pub expires_at: Timestamp,
    /// Orders the registrations of one client.
    pub call_id: String,
    /// Orders the registrations of one client.
    pub cseq: u32,
    /// Hops between us and the device, outermost first.
    pub path: Vec<String>,
    /// What the client calls itself.
    pub user_agent: String,
}

/// A device of a user.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Its name, for as long as the app is installed.
    pub id: DeviceId,
    /// Whose it is.
    pub user: Address,
    /// The app, if it is one that can be pushed to.
    pub app: Option<AppId>,
    /// Its push tokens.
    pub tokens: Tokens,
    /// Its key for sealed pushes, if it handed one over.
    pub key: Option<SealingKey>,
    /// The client's own word on its mode, if it gave one since it connected last.
    pub word: Option<Mode>,
    /// Where it can be reached; `None` once it unregistered or expired.
    pub binding: Option<Binding>,
    /// When it was first seen.
    pub created_at: Timestamp,
    /// When it registered last.
    pub seen_at: Timestamp,
}

impl Device {
    /// A device seen for the first time.
    pub fn new(id: DeviceId, user: Address, now: Timestamp) -> Self {
        Self {
            id,
            user,
            app: None,
            tokens: Tokens::default(),
            key: None,
            word: None,
            binding: None,
            created_at: now,
            seen_at: now,
        }
    }

    /// Where a push about `happening` goes: a single-channel app has one token, and its kind names the channel for
    /// calls and messages alike; a dual-channel app has one for each. `None`: the client gave no token for it.
    pub fn push_target(
        &self,
        happening: Happening,
        generation: Generation,
    ) -> Option<(Channel, &Token)> {
        let voip = self
            .tokens
            .voip
            .as_ref()
            .map(|token| (Channel::Voip, token));
        let message = self
            .tokens
            .message
            .as_ref()
            .map(|token| (Channel::Message, token));
        match (generation, happening) {
            (Generation::SingleChannel, _) => voip.or(message),
            (Generation::DualChannel, Happening::Call) => voip,
            (Generation::DualChannel, Happening::Message) => message,
        }
    }

    /// Takes the token that the client hands over for `channel`, and says whether it is another one than before. A
    /// token that died stays dead when the client repeats it: only a new one heals (`behaviour.md` 8).
    pub fn give_token(
        &mut self,
        channel: Channel,
        value: &str,
        handed: Handed,
        now: Timestamp,
    ) -> bool {
        let slot = match channel {
            Channel::Voip => &mut self.tokens.voip,
            Channel::Message => &mut self.tokens.message,
        };
        let known = slot.take().filter(|old| old.value == value);
        let is_new = known.is_none();
        *slot = Some(Token {
            value: value.to_owned(),
            given_at: now,
            // What a registration once named, a registration can take back.
            handed: known
                .as_ref()
                .map_or(handed, |old| match (old.handed, handed) {
                    (Handed::Apart, Handed::Apart) => Handed::Apart,
                    _ => Handed::InRegistration,
                }),
            dead: known.and_then(|old| old.dead),
        });
        is_new
    }

    /// Takes back the tokens that registrations named: the client registered without them and wants no pushes any more.
    /// Says whether there were any.
    pub fn take_tokens_back(&mut self) -> bool {
        let mut changed = false;
        for slot in self.tokens.slots() {
            let named = |token: &mut Token| token.handed == Handed::InRegistration;
            changed |= slot.take_if(named).is_some();
        }
        changed
    }

    /// Marks `value` dead. `since` is the provider's own time: a token that was handed over later is alive. Says whether
    /// anything changed.
    pub fn kill_token(
        &mut self,
        value: &str,
        since: Option<Timestamp>,
        reason: &str,
        now: Timestamp,
    ) -> bool {
        let mut changed = false;
        for token in self.tokens.slots().into_iter().flatten() {
            let handed_over_later = since.is_some_and(|since| token.given_at > since);
            if token.value == value && token.dead.is_none() && !handed_over_later {
                token.dead = Some(DeadToken {
                    at: now,
                    reason: reason.to_owned(),
                });
                changed = true;
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        let bob = Address::new("bob", "localhost").unwrap();
        Device::new(DeviceId("a".to_owned()), bob, Timestamp(0))
    }

    #[test]
    fn a_dead_token_stays_dead_until_the_client_hands_over_another() {
        let mut device = device();
        let give = |device: &mut Device, value: &str| {
            device.give_token(Channel::Voip, value, Handed::InRegistration, Timestamp(5))
        };
        assert!(give(&mut device, "t1"));
        assert!(device.kill_token("t1", None, "Unregistered", Timestamp(9)));
        assert!(!give(&mut device, "t1"));
        assert!(device.tokens.voip.as_ref().unwrap().dead.is_some());
        assert!(give(&mut device, "t2"));
        assert_eq!(device.tokens.voip.unwrap().dead, None);
    }

    #[test]
    fn a_token_handed_over_after_the_providers_time_of_death_is_alive() {
        let mut device = device();
        device.give_token(Channel::Voip, "t1", Handed::InRegistration, Timestamp(5));
        assert!(!device.kill_token("t1", Some(Timestamp(4)), "Unregistered", Timestamp(9)));
        assert!(device.kill_token("t1", Some(Timestamp(5)), "Unregistered", Timestamp(9)));
    }

    #[test]
    fn a_registration_takes_back_what_registrations_named_and_nothing_else() {
        let mut device = device();
        device.give_token(Channel::Voip, "t1", Handed::InRegistration, Timestamp(1));
        device.give_token(Channel::Message, "t2", Handed::Apart, Timestamp(1));
        device.give_token(Channel::Voip, "t1", Handed::Apart, Timestamp(2));
        assert!(device.take_tokens_back());
        assert!(!device.take_tokens_back());
        assert_eq!(device.tokens.voip, None);
        assert_eq!(device.tokens.message.unwrap().value, "t2");
    }
}
