//! What a sender and the push service say to each other, in JSON (`contract.md`, "The push service"). What may be said in
//! the clear is a field of [`Submitted`], and nothing else is taken.

use crate::outcome::{wait, word};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    AppId, Channel, EventPush, Notification, NotificationId, Outcome, Purpose, PushEnd, Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::time::Duration;

/// Longest id, tracking id and collapse key, in bytes.
pub const NAME_BYTES: usize = 64;
/// Longest name of an app, id of a call and address to register at, in bytes.
pub const TEXT_BYTES: usize = 512;
/// Most conversations that one push takes away.
pub const CONVERSATIONS: usize = 32;
/// Longest id of an event and of a room elsewhere, in bytes (Matrix, appendices, "Common Identifier Format").
pub const ID_BYTES: usize = 255;
/// Most keys of an app's own.
pub const KEYS: usize = 4;
/// The largest number: what everybody reads alike in JSON (RFC 8259).
pub const LARGEST: u64 = (1 << 53) - 1;
/// Longest token, in bytes: a Web Push subscription with its keys.
pub const TOKEN_BYTES: usize = 2048;
/// Longest sealed content, in bytes before base64url. More fits no platform.
pub const SEALED_BYTES: usize = 4096;
/// Shortest: the header of a record and one octet with its tag (RFC 8188 §2.1, RFC 8291 §4).
const SEALED_LEAST: usize = 16 + 4 + 1 + 65 + 1 + 16;
/// Where a sealed content says how long its sender's key is, and what it says.
const KEY_LENGTH: (usize, u8) = (20, 65);

/// What a push is about.
#[derive(Copy, Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A call rings.
    Call,
    /// The caller gave up.
    Cancelled,
    /// Another device of the user has taken it. The device hears the same as for [`Kind::Cancelled`].
    AnsweredElsewhere,
    /// Nobody took it.
    Missed,
    /// Messages wait.
    Message,
    /// Messages were read elsewhere: what the device shows of them is taken away.
    Read,
    /// The registration is about to expire.
    Refresh,
    /// Something happened that the app asks a server of its own about.
    Event,
}

/// A notification as it is handed in.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Submitted {
    /// The same id again within a day is the same push.
    pub id: String,
    /// The app.
    pub app: String,
    /// The device's token.
    pub token: String,
    /// Which way.
    pub channel: Channel,
    /// What about.
    pub kind: Kind,
    /// Seconds that it may be kept for a device that is off; 0: now or never.
    #[serde(default, deserialize_with = "number")]
    pub ttl: u64,
    /// Later ones with the same key replace earlier ones that are not shown yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse: Option<String>,
    /// The number on the app's icon.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "maybe_number"
    )]
    pub badge: Option<u32>,
    /// The conversations that were read, by the names that their messages were collapsed by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conversations: Vec<String>,
    /// The call's id, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Follows it through logs and into the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<String>,
    /// Where to register for the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register_at: Option<String>,
    /// For the device's eyes only (RFC 8291 `aes128gcm`), base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    /// What happened, by ids alone; for [`Kind::Event`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventPush>,
}

impl From<&Notification> for Submitted {
    fn from(push: &Notification) -> Self {
        let (kind, call, register_at) = match &push.purpose {
            Purpose::Call { call, register_at } => (Kind::Call, Some(call), Some(register_at)),
            Purpose::CallCancelled { call } => (Kind::Cancelled, Some(call), None),
            Purpose::MissedCall { call } => (Kind::Missed, Some(call), None),
            Purpose::Refresh => (Kind::Refresh, None, None),
            Purpose::Message { .. } => (Kind::Message, None, None),
            Purpose::Read { .. } => (Kind::Read, None, None),
            Purpose::Event(_) => (Kind::Event, None, None),
        };
        // What a conversation is called, and how many are unread, is what collapses and what stands on the icon.
        let (collapse, badge) = match &push.purpose {
            Purpose::Message {
                conversation,
                unread,
            } => (
                Some(conversation).filter(|it| !it.is_empty()),
                Some(*unread),
            ),
            Purpose::Read { unread, .. } => (push.collapse.as_ref(), Some(*unread)),
            _ => (push.collapse.as_ref(), push.badge),
        };
        let conversations = match &push.purpose {
            Purpose::Read { conversations, .. } => conversations.clone(),
            _ => Vec::new(),
        };
        Self {
            id: push.id.to_string(),
            app: push.app.to_string(),
            token: push.token.clone(),
            channel: push.channel,
            kind,
            ttl: push.ttl.as_secs(),
            collapse: collapse.cloned(),
            badge,
            conversations,
            call: call.cloned(),
            tracking: Some(push.tracking.to_string()),
            register_at: register_at.cloned(),
            sealed: push.sealed.as_ref().map(|it| URL_SAFE_NO_PAD.encode(it)),
            event: match &push.purpose {
                Purpose::Event(event) => Some(event.clone()),
                _ => None,
            },
        }
    }
}

impl Submitted {
    /// What is to be pushed; or what is wrong, for people.
    pub fn notification(self) -> Result<Notification, String> {
        visible("id", &self.id, NAME_BYTES)?;
        visible("app", &self.app, TEXT_BYTES)?;
        visible("token", &self.token, TOKEN_BYTES)?;
        for (name, value, most) in [
            ("collapse", &self.collapse, NAME_BYTES),
            ("tracking", &self.tracking, NAME_BYTES),
            ("call", &self.call, TEXT_BYTES),
            ("register_at", &self.register_at, TEXT_BYTES),
        ] {
            value
                .as_deref()
                .map_or(Ok(()), |it| visible(name, it, most))?;
        }
        let needed = |name: &str, value: Option<String>| {
            value.ok_or_else(|| format!("{name} is needed for this kind"))
        };
        let read = &self.conversations;
        if read.len() > CONVERSATIONS || read.is_empty() == (self.kind == Kind::Read) {
            return Err(format!(
                "conversations are 1 to {CONVERSATIONS} for the kind read, and none for another"
            ));
        }
        for name in read {
            visible("conversations", name, NAME_BYTES)?;
        }
        if self.event.is_some() != (self.kind == Kind::Event) {
            return Err("event is for the kind event, which needs it".to_owned());
        }
        self.event.as_ref().map_or(Ok(()), event)?;
        let purpose = match self.kind {
            Kind::Call => Purpose::Call {
                call: needed("call", self.call)?,
                register_at: needed("register_at", self.register_at)?,
            },
            Kind::Cancelled | Kind::AnsweredElsewhere => Purpose::CallCancelled {
                call: needed("call", self.call)?,
            },
            Kind::Missed => Purpose::MissedCall {
                call: needed("call", self.call)?,
            },
            Kind::Refresh => Purpose::Refresh,
            Kind::Message => Purpose::Message {
                conversation: self.collapse.clone().unwrap_or_default(),
                unread: self.badge.unwrap_or(1),
            },
            Kind::Read => Purpose::Read {
                conversations: self.conversations,
                unread: self.badge.unwrap_or(0),
            },
            Kind::Event => Purpose::Event(self.event.unwrap_or_default()),
        };
        let tracking = self.tracking.unwrap_or_else(|| self.id.clone());
        Ok(Notification {
            id: NotificationId::from(self.id),
            app: AppId::from(self.app),
            token: self.token,
            channel: self.channel,
            purpose,
            tracking: tracking.into(),
            ttl: Duration::from_secs(self.ttl),
            collapse: self.collapse,
            badge: self.badge,
            sealed: self.sealed.map(|it| sealed(&it)).transpose()?,
        })
    }
}

/// What a provider, the queue, or the service itself says of a push. In an answer it stands in a problem document
/// (RFC 9457) where the push was not taken.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Verdict {
    /// `accepted`, `token_dead`, `refused`, `throttled`, `unavailable`, `unauthorized`, `too_large`; of what was queued
    /// also `queued`, `replaced`, `expired`.
    #[serde(default)]
    pub outcome: String,
    /// The provider's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// The provider's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when the token is dead, in milliseconds since the Unix epoch, where the provider says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Seconds to wait before the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl From<&Outcome> for Verdict {
    fn from(outcome: &Outcome) -> Self {
        let bare = Self {
            outcome: outcome.name().to_owned(),
            reason: Some(outcome.reason().to_owned()).filter(|it| !it.is_empty()),
            ..Self::default()
        };
        match outcome {
            Outcome::Accepted { provider_id } => Self {
                provider_id: Some(provider_id.clone()),
                ..bare
            },
            Outcome::TokenDead { since, .. } => Self {
                since: since.map(|at| at.0),
                ..bare
            },
            Outcome::Throttled { retry_after, .. } | Outcome::Unavailable { retry_after, .. } => {
                Self {
                    retry_after: Some(whole_seconds(*retry_after)),
                    ..bare
                }
            }
            Outcome::Refused { .. } | Outcome::Unauthorized { .. } | Outcome::TooLarge => bare,
        }
    }
}

impl From<&PushEnd> for Verdict {
    fn from(end: &PushEnd) -> Self {
        match end {
            PushEnd::Told(outcome) => outcome.into(),
            PushEnd::Replaced => Self::bare("replaced"),
            PushEnd::Expired { reason } => Self {
                reason: Some(reason.clone()).filter(|it| !it.is_empty()),
                ..Self::bare("expired")
            },
        }
    }
}

impl Verdict {
    /// One that says nothing but this.
    pub fn bare(outcome: &str) -> Self {
        Self {
            outcome: outcome.to_owned(),
            ..Self::default()
        }
    }

    /// What it means to whoever waits for the provider's word; `None`: it says none.
    pub fn outcome(&self) -> Option<Outcome> {
        let reason = word(self.reason.as_deref().unwrap_or_default());
        let retry_after = wait(self.retry_after.unwrap_or(10));
        Some(match self.outcome.as_str() {
            "accepted" => Outcome::Accepted {
                provider_id: self.provider_id.clone().unwrap_or_default(),
            },
            "token_dead" => Outcome::TokenDead {
                since: self.since.map(Timestamp),
                reason,
            },
            "refused" => Outcome::Refused { reason },
            "throttled" => Outcome::Throttled {
                retry_after,
                reason,
            },
            "unavailable" => Outcome::Unavailable {
                reason,
                retry_after,
            },
            "unauthorized" => Outcome::Unauthorized { reason },
            "too_large" => Outcome::TooLarge,
            _ => return None,
        })
    }
}

/// No sooner than it was asked for.
fn whole_seconds(wait: Duration) -> u64 {
    let more = u64::from(wait.subsec_nanos() > 0);
    (wait.as_secs() + more).max(1)
}

/// A whole number, which JSON may also write as `3.0` or `3e2`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    Float(f64),
}

impl Number {
    fn whole<E: serde::de::Error>(self) -> Result<u64, E> {
        match self {
            Self::Plain(number) if number <= LARGEST => Ok(number),
            Self::Plain(number) => Err(E::custom(format!("{number} is more than {LARGEST}"))),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "up to the largest, each is itself as a float"
            )]
            Self::Float(number)
                if number.fract() == 0.0 && (0.0..=LARGEST as f64).contains(&number) =>
            {
                Ok(number as u64)
            }
            Self::Float(number) => Err(E::custom(format!(
                "{number} is no whole number from 0 to {LARGEST}"
            ))),
        }
    }
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Number::deserialize(deserializer)?.whole()
}

fn maybe_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let number = u32::try_from(number.whole::<D::Error>()?);
    number.map(Some).map_err(serde::de::Error::custom)
}

/// Names go into headers, logs and payloads.
///
/// # Errors
/// What is wrong with this one, for people.
pub fn visible(name: &str, value: &str, most: usize) -> Result<(), String> {
    if !is_visible(value, most) {
        return Err(format!("{name} has 1 to {most} visible ASCII characters"));
    }
    Ok(())
}

/// An event is ids, and no more.
fn event(event: &EventPush) -> Result<(), String> {
    for (name, id) in [("event.id", &event.id), ("event.room", &event.room)] {
        id.as_deref()
            .map_or(Ok(()), |it| visible(name, it, ID_BYTES))?;
    }
    if event.keys.len() > KEYS {
        return Err(format!("event.keys are at most {KEYS}"));
    }
    for (name, id) in &event.keys {
        if !is_key(name) {
            return Err(format!(
                "{name:?} in event.keys is none: a name has 1 to {NAME_BYTES} letters, digits and underscores, and is none of ours"
            ));
        }
        visible("event.keys", id, NAME_BYTES)?;
    }
    Ok(())
}

/// Whether a key of an app's own may have this name: none that means something in a payload already.
pub fn is_key(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_name = (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(plain);
    let is_reserved = name.starts_with("google") || name.starts_with("gcm");
    is_name && !is_reserved && !crate::payload::NAMES.contains(&name)
}

pub(crate) fn is_visible(value: &str, most: usize) -> bool {
    let fits = (1..=most).contains(&value.len());
    fits && value.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Nothing that anybody could read passes for something that only the device can.
fn sealed(text: &str) -> Result<Vec<u8>, String> {
    let octets = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| "sealed is base64url without padding".to_owned())?;
    let (at, length) = KEY_LENGTH;
    let fits = (SEALED_LEAST..=SEALED_BYTES).contains(&octets.len());
    if !fits || octets.get(at) != Some(&length) {
        return Err(format!(
            "sealed is one record of aes128gcm with the sender's key (RFC 8291), at most {SEALED_BYTES} bytes"
        ));
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(purpose: Purpose) -> Notification {
        let mut sealed = vec![7; SEALED_LEAST];
        sealed[KEY_LENGTH.0] = KEY_LENGTH.1;
        Notification {
            id: "id".into(),
            app: "com.example.phone".into(),
            token: "aa".to_owned(),
            channel: Channel::Message,
            purpose,
            tracking: "t".into(),
            ttl: Duration::from_mins(1),
            collapse: Some("c".to_owned()),
            badge: Some(2),
            sealed: Some(sealed),
        }
    }

    #[test]
    fn every_push_is_the_same_on_the_other_side() {
        let call = || "c@1".to_owned();
        for purpose in [
            Purpose::Call {
                call: call(),
                register_at: "here".to_owned(),
            },
            Purpose::CallCancelled { call: call() },
            Purpose::MissedCall { call: call() },
            Purpose::Refresh,
            Purpose::Message {
                conversation: "c".to_owned(),
                unread: 2,
            },
            Purpose::Read {
                conversations: vec!["c".to_owned(), "d".to_owned()],
                unread: 2,
            },
            Purpose::Event(EventPush {
                id: Some("$event".to_owned()),
                room: Some("!room:example.org".to_owned()),
                is_urgent: true,
                keys: [("cs".to_owned(), "a1".to_owned())].into(),
            }),
        ] {
            let push = notification(purpose);
            let json = serde_json::to_string(&Submitted::from(&push)).unwrap();
            let read: Submitted = serde_json::from_str(&json).unwrap();
            assert_eq!(read.notification(), Ok(push), "{json}");
        }
    }

    #[test]
    fn a_whole_number_may_be_written_as_a_float() {
        let read = |ttl: &str, badge: &str| {
            let json = format!(
                r#"{{"id": "i", "app": "a", "token": "t", "channel": "message", "kind": "message", "ttl": {ttl}, "badge": {badge}}}"#
            );
            let read = serde_json::from_str::<Submitted>(&json);
            read.ok().map(|it| (it.ttl, it.badge))
        };
        assert_eq!(read("60", "null"), Some((60, None)));
        assert_eq!(read("6e1", "2.0"), Some((60, Some(2))));
        assert_eq!(read("9007199254740991", "0"), Some((LARGEST, Some(0))));
        for (ttl, badge) in [
            ("9007199254740992", "1"),
            ("0.5", "1"),
            ("-1", "1"),
            ("1", "4294967296"),
            ("1e300", "1"),
            ("\"1\"", "1"),
        ] {
            assert_eq!(read(ttl, badge), None, "{ttl} {badge}");
        }
    }

    #[test]
    fn an_event_is_ids_and_no_more() {
        let text = |it: &str| it.to_owned();
        let with = |id: &str, name: &str, value: &str| EventPush {
            id: Some(text(id)),
            keys: [(text(name), text(value))].into(),
            ..EventPush::default()
        };
        assert_eq!(event(&with("$1", "cs", "a1")), Ok(()));
        for wrong in [
            with("see you at eight", "cs", "a1"),
            with(&"a".repeat(ID_BYTES + 1), "cs", "a1"),
            with("$1", "aps", "a1"),
            with("$1", "sealed", "a1"),
            with("$1", "a b", "a1"),
            with("$1", "cs", "see you at eight"),
        ] {
            assert!(event(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn every_outcome_is_the_same_on_the_other_side() {
        let reason = || "why".to_owned();
        let retry_after = Duration::from_secs(3);
        for outcome in [
            Outcome::Accepted {
                provider_id: "p".to_owned(),
            },
            Outcome::TokenDead {
                since: Some(Timestamp(7)),
                reason: reason(),
            },
            Outcome::Refused { reason: reason() },
            Outcome::Throttled {
                retry_after,
                reason: reason(),
            },
            Outcome::Unavailable {
                reason: reason(),
                retry_after,
            },
            Outcome::Unauthorized { reason: reason() },
            Outcome::TooLarge,
        ] {
            assert_eq!(Verdict::from(&outcome).outcome(), Some(outcome));
        }
        assert_eq!(Verdict::bare("queued").outcome(), None);
    }

    #[test]
    fn what_is_not_on_the_list_or_could_be_read_is_refused() {
        let good = serde_json::to_value(Submitted::from(&notification(Purpose::Refresh))).unwrap();
        let mut more = good.clone();
        more["text"] = "hello".into();
        assert!(serde_json::from_value::<Submitted>(more).is_err());
        let clear = URL_SAFE_NO_PAD.encode([b'a'; 200]);
        for (name, value) in [
            ("sealed", clear.as_str()),
            ("sealed", "?"),
            ("id", ""),
            ("id", "a b"),
            ("token", "é"),
            ("tracking", &"a".repeat(65)),
        ] {
            let mut bad = good.clone();
            bad[name] = value.into();
            let read: Submitted = serde_json::from_value(bad).unwrap();
            assert!(read.notification().unwrap_err().contains(name), "{name}");
        }
        for (kind, conversations, expected) in [
            ("call", vec![], "call"),
            ("read", vec![], "conversations"),
            ("message", vec!["c"], "conversations"),
            ("read", vec!["a text"], "conversations"),
            ("read", vec!["c"; CONVERSATIONS + 1], "conversations"),
            ("event", vec![], "event"),
        ] {
            let mut bad = good.clone();
            bad["kind"] = kind.into();
            bad["conversations"] = conversations.into();
            let read: Submitted = serde_json::from_value(bad).unwrap();
            let error = read.notification().unwrap_err();
            assert!(error.contains(expected), "{kind}: {error}");
        }
    }
}
