//! Devices: what a user carries, the app on it, its push tokens, and where it can be reached now.

use crate::{Address, CallKind, Timestamp, behaviour::Incoming};
use serde::{Deserialize, Serialize};

crate::name::names! {
    /// Names one installation of an app on one device, for as long as it is installed.
    DeviceId;
    /// Names an app: its bundle id (Apple) or package name (Google).
    AppId;
}

impl DeviceId {
    /// The id of the device that a user's client names so: short, the same every time, never another user's. An app with two
    /// accounts is two devices.
    pub fn of(user: &Address, key: &str) -> Self {
        let digest: String = crate::name::digest(&[user.as_str(), key]);
        format!("{}-{digest}", user.name()).into()
    }
}

/// An instance id without what every one of them has, as the device API has it: the bare UUID of `<urn:uuid:…>` (RFC 5626 §4.1). A
/// device whose doors name the same one is one device, whatever protocol they speak.
pub fn instance_key(instance: &str) -> String {
    let instance = instance.trim_matches(['<', '>']);
    let key = instance.strip_prefix(UUID_URN).unwrap_or(instance);
    key.to_lowercase()
}

/// The same, of what need not name an instance: `None` if it is no UUID.
pub fn uuid_key(text: &str) -> Option<String> {
    let key = instance_key(text);
    let mut parts = key.split('-');
    let is_uuid = [8, 4, 4, 4, 12].iter().all(|length| {
        let part = parts.next().unwrap_or_default();
        part.len() == *length && part.bytes().all(|it| it.is_ascii_hexdigit())
    });
    (is_uuid && parts.next().is_none()).then_some(key)
}

/// How the URN of a UUID begins (RFC 9562).
pub const UUID_URN: &str = "urn:uuid:";

/// What the device runs.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// iPhone and iPad.
    Ios,
    /// Android.
    Android,
    /// A browser, or an app that takes Web Push from a distributor of its own choice.
    Web,
    /// Whatever it is, only the app's own server knows it.
    Unknown,
}

/// Whose cloud carries its pushes.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Apple Push Notification service.
    Apns,
    /// Firebase Cloud Messaging.
    Fcm,
    /// Whichever push service the client subscribed at (RFC 8030).
    #[serde(rename = "webpush")]
    WebPush,
    /// The app's own server, which has a cloud behind it (XEP-0357).
    AppServer,
}

impl Provider {
    /// The name in metrics, traces and configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Apns => "apns",
            Self::Fcm => "fcm",
            Self::WebPush => "webpush",
            Self::AppServer => "app_server",
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

impl Generation {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleChannel => "single-channel",
            Self::DualChannel => "dual-channel",
        }
    }
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
    /// Apart from them, by a client that takes calls of this kind: it stays until such a client takes it back.
    For(CallKind),
    /// Both: through a door, and by such a client. Each of the two goes without the other.
    Both(u32, CallKind),
}

impl Handed {
    /// Whether registrations through this door name it.
    pub fn is_through(self, door: u32) -> bool {
        matches!(self, Self::Through(it) | Self::Both(it, _) if it == door)
    }

    /// As it is when it is handed over like this as well. What a registration once named, a registration can take back.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Through(door) | Self::Both(door, _), Self::For(kind))
            | (Self::For(kind) | Self::Both(_, kind), Self::Through(door)) => {
                Self::Both(door, kind)
            }
            (Self::Through(_) | Self::Both(..), Self::Apart) => self,
            (_, other) => other,
        }
    }

    /// As it is when that is taken back; `None`: it is not handed over any more.
    fn but(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Both(door, kind), Self::Through(it)) if it == door => Some(Self::For(kind)),
            (Self::Both(door, kind), Self::For(it)) if it == kind => Some(Self::Through(door)),
            (own, other) if own == other => None,
            (own, _) => Some(own),
        }
    }
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
        known.handed = known.handed.and(handed);
        if !known.on_probation && known.dead.take_if(|dead| now > dead.since).is_some() {
            known.on_probation = true;
        }
        false
    }

    /// Takes back the tokens that were handed over so, but for `kept`: the client registered without them and wants no
    /// pushes there any more. Says whether there were any.
    pub fn take_tokens_back(&mut self, handed: Handed, kept: &[&str]) -> bool {
        let mut changed = false;
        for slot in self.tokens.slots() {
            let left = match slot {
                Some(token) if !kept.contains(&&*token.value) => token.handed.but(handed),
                _ => continue,
            };
            changed |= slot.as_ref().map(|it| it.handed) != left;
            match left {
                Some(left) => slot.iter_mut().for_each(|it| it.handed = left),
                None => *slot = None,
            }
        }
        changed
    }

    /// Gives up what another device of its user has handed over: it is the same app on the same device, which has another
    /// name now. What a registration named is left, since the next one would name it again. Says whether there was any.
    pub fn yields_tokens(&mut self, values: &[&str]) -> bool {
        let mut changed = false;
        for slot in self.tokens.slots() {
            let Some(token) = slot.as_mut().filter(|it| values.contains(&&*it.value)) else {
                continue;
            };
            match token.handed {
                Handed::Through(_) => continue,
                Handed::Both(door, _) => token.handed = Handed::Through(door),
                Handed::Apart | Handed::For(_) => *slot = None,
            }
            changed = true;
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
    fn a_token_of_both_doors_goes_with_neither_alone() {
        let (kind, other) = (CallKind(1), CallKind(2));
        for first in [HANDED, Handed::For(kind)] {
            let mut device = device();
            for handed in [first, HANDED, Handed::For(kind), first] {
                device.give_token(Channel::Voip, "t1", handed, Timestamp(1));
            }
            let handed = |device: &Device| device.tokens.voip.as_ref().map(|it| it.handed);
            assert_eq!(handed(&device), Some(Handed::Both(0, kind)));
            assert!(!device.take_tokens_back(HANDED, &["t1"]));
            assert!(!device.take_tokens_back(Handed::For(other), &[]));
            let mut without = device.clone();
            assert!(without.take_tokens_back(HANDED, &[]));
            assert_eq!(handed(&without), Some(Handed::For(kind)));
            assert!(without.take_tokens_back(Handed::For(kind), &[]));
            assert_eq!(handed(&without), None);
            assert!(device.yields_tokens(&["t1"]));
            assert_eq!(handed(&device), Some(HANDED));
        }
    }

    #[test]
    fn an_instance_is_the_same_however_it_is_written() {
        let uuid = "F81D4FAE-7dec-11d0-a765-00a0c91e6bf6";
        let key = uuid.to_lowercase();
        for text in [
            uuid.to_owned(),
            format!("<urn:uuid:{uuid}>"),
            format!("urn:uuid:{uuid}"),
        ] {
            assert_eq!(uuid_key(&text).as_deref(), Some(&*key), "{text}");
        }
        for text in [
            "",
            "phone",
            &uuid[1..],
            &format!("{uuid}-0"),
            &uuid.replace('F', "g"),
        ] {
            assert_eq!(uuid_key(text), None, "{text}");
        }
        let (bob, carol) = (
            Address::new("bob", "localhost").unwrap(),
            Address::new("carol", "localhost").unwrap(),
        );
        assert_ne!(DeviceId::of(&bob, &key), DeviceId::of(&carol, &key));
    }

    #[test]
    fn a_registration_takes_back_what_registrations_named_and_nothing_else() {
        let mut device = device();
        device.give_token(Channel::Voip, "t1", HANDED, Timestamp(1));
        device.give_token(Channel::Message, "t2", Handed::Apart, Timestamp(1));
        device.give_token(Channel::Voip, "t1", Handed::Apart, Timestamp(2));
        assert!(!device.take_tokens_back(Handed::Through(0), &["t1"]));
        assert!(!device.take_tokens_back(Handed::Through(1), &[]));
        assert!(device.take_tokens_back(Handed::Through(0), &[]));
        assert!(!device.take_tokens_back(Handed::Through(0), &[]));
        assert_eq!(device.tokens.voip, None);
        assert_eq!(&*device.tokens.message.unwrap().value, "t2");
    }
}
