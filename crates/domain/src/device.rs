//! Devices: what a user carries, the app on it, its push tokens, and where it can be reached now.

use crate::{Address, Timestamp, behaviour::Incoming};
use serde::{Deserialize, Serialize};

crate::name::names! {
    /// Names one installation of an app on one device, for as long as it is installed.
    DeviceId;
    /// Names an app: its bundle id (Apple) or package name (Google).
    AppId;
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
    pub value: Box<str>,
    /// When the client handed it over last.
    pub given_at: Timestamp,
    /// Set when the provider said that it is dead: never pushed to again, but for one new chance.
    pub dead: Option<Box<DeadToken>>,
    /// It died once and was handed over again after that: the next verdict is final.
    pub on_probation: bool,
    /// How the client handed it over.
    pub handed: Handed,
}

impl Token {
    /// Whether it is meant where `value` is said to be dead. `since` is the provider's own time: a token that was handed
    /// over later is alive.
    pub fn dies(&self, value: &str, since: Option<Timestamp>) -> bool {
        let handed_over_later = since.is_some_and(|since| self.given_at > since);
        *self.value == *value && self.dead.is_none() && !handed_over_later
    }
}

/// How a client hands over a token.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handed {
    /// In its registrations through this door: it goes with the door, and a registration without it takes it back.
    Through(u32),
    /// Apart from them: it stays.
    Apart,
}

/// The provider's word on a dead token.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct DeadToken {
    /// Since when: the provider's own time where it gives one, else when we were told.
    pub since: Timestamp,
    /// The provider's reason, as it wrote it.
    pub reason: Box<str>,
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
    /// The token for a channel.
    pub fn get(&self, channel: Channel) -> Option<&Token> {
        match channel {
            Channel::Voip => self.voip.as_ref(),
            Channel::Message => self.message.as_ref(),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Token> {
        self.voip.iter().chain(&self.message)
    }

    fn slot(&mut self, channel: Channel) -> &mut Option<Token> {
        match channel {
            Channel::Voip => &mut self.voip,
            Channel::Message => &mut self.message,
        }
    }

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

/// A device of a user: what changes rarely. How it can be reached is in its [doors](crate::Door).
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
    pub key: Option<Box<SealingKey>>,
    /// When it was first seen.
    pub created_at: Timestamp,
    /// When it was seen last before its last door went; while it has one, that door knows better.
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
            created_at: now,
            seen_at: now,
        }
    }

    /// Where a push about `incoming` goes: a single-channel app has one token, and its kind names the channel for
    /// calls and messages alike; a dual-channel app has one for each. `None`: the client gave no token for it.
    pub fn push_target(
        &self,
        incoming: Incoming,
        generation: Generation,
    ) -> Option<(Channel, &Token)> {
        let of = |channel| Some((channel, self.tokens.get(channel)?));
        match (generation, incoming) {
            (Generation::SingleChannel, _) => of(Channel::Voip).or(of(Channel::Message)),
            (Generation::DualChannel, Incoming::Call) => of(Channel::Voip),
            (Generation::DualChannel, Incoming::Message) => of(Channel::Message),
        }
    }

    /// Takes the token that the client hands over for `channel`, and says whether it is another one than before. A
    /// token that died gets one new chance when the client hands it over again after its death: it may have been our
    /// own settings that were wrong. If it dies again, only a new one heals (`behaviour.md` 8).
    pub fn give_token(
        &mut self,
        channel: Channel,
        value: &str,
        handed: Handed,
        now: Timestamp,
    ) -> bool {
        let slot = self.tokens.slot(channel);
        let Some(known) = slot.as_mut().filter(|known| *known.value == *value) else {
            *slot = Some(Token {
                value: value.into(),
                given_at: now,
                dead: None,
                on_probation: false,
                handed,
            });
            return true;
        };
        known.given_at = now;
        // What a registration once named, a registration can take back.
        if known.handed == Handed::Apart || handed != Handed::Apart {
            known.handed = handed;
        }
        if !known.on_probation && known.dead.take_if(|dead| now > dead.since).is_some() {
            known.on_probation = true;
        }
        false
    }

    /// Takes back the tokens that registrations through this door named, but for `kept`: the client registered without
    /// them and wants no pushes there any more. Says whether there were any.
    pub fn take_tokens_back(&mut self, door: u32, kept: &[&str]) -> bool {
        let mut changed = false;
        for slot in self.tokens.slots() {
            let named = |token: &mut Token| {
                token.handed == Handed::Through(door) && !kept.contains(&&*token.value)
            };
            changed |= slot.take_if(named).is_some();
        }
        changed
    }

    /// Marks `value` dead where it [dies](Token::dies). Says whether anything changed.
    pub fn kill_token(
        &mut self,
        value: &str,
        since: Option<Timestamp>,
        reason: &str,
        now: Timestamp,
    ) -> bool {
        let mut changed = false;
        for token in self.tokens.slots().into_iter().flatten() {
            if token.dies(value, since) {
                token.dead = Some(Box::new(DeadToken {
                    since: since.unwrap_or(now),
                    reason: reason.into(),
                }));
                changed = true;
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDED: Handed = Handed::Through(0);

    fn device() -> Device {
        let bob = Address::new("bob", "localhost").unwrap();
        Device::new("a".into(), bob, Timestamp(0))
    }

    fn is_dead(device: &Device) -> bool {
        device.tokens.voip.as_ref().unwrap().dead.is_some()
    }

    #[test]
    fn a_dead_token_that_is_handed_over_again_gets_one_new_chance() {
        let mut device = device();
        let give = |device: &mut Device, value: &str, at| {
            device.give_token(Channel::Voip, value, HANDED, Timestamp(at))
        };
        assert!(give(&mut device, "t1", 5));
        assert!(device.kill_token("t1", None, "BadDeviceToken", Timestamp(9)));
        // The registration that was on its way when the verdict came is no new word.
        assert!(!give(&mut device, "t1", 9));
        assert!(is_dead(&device));
        assert!(!give(&mut device, "t1", 10));
        assert!(!is_dead(&device));
        assert!(device.kill_token("t1", None, "BadDeviceToken", Timestamp(11)));
        assert!(!give(&mut device, "t1", 12));
        assert!(is_dead(&device), "its chance is gone");
        assert!(give(&mut device, "t2", 13));
        assert!(!is_dead(&device));
    }

    #[test]
    fn a_token_handed_over_after_the_providers_time_of_death_is_alive() {
        let mut device = device();
        device.give_token(Channel::Voip, "t1", HANDED, Timestamp(5));
        assert!(!device.kill_token("t1", Some(Timestamp(4)), "Unregistered", Timestamp(9)));
        assert!(device.kill_token("t1", Some(Timestamp(5)), "Unregistered", Timestamp(9)));
    }

    #[test]
    fn a_registration_takes_back_what_registrations_named_and_nothing_else() {
        let mut device = device();
        device.give_token(Channel::Voip, "t1", HANDED, Timestamp(1));
        device.give_token(Channel::Message, "t2", Handed::Apart, Timestamp(1));
        device.give_token(Channel::Voip, "t1", Handed::Apart, Timestamp(2));
        assert!(!device.take_tokens_back(0, &["t1"]));
        assert!(!device.take_tokens_back(1, &[]));
        assert!(device.take_tokens_back(0, &[]));
        assert!(!device.take_tokens_back(0, &[]));
        assert_eq!(device.tokens.voip, None);
        assert_eq!(&*device.tokens.message.unwrap().value, "t2");
    }
}
