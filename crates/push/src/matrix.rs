//! What a homeserver of Matrix says to a push gateway (Push Gateway API, `POST /_matrix/push/v1/notify`), read. Only ids and numbers
//! are: who wrote, what it says and what the room is called are stepped over, and never held.

use crate::rest::wire::{ID_BYTES, NAME_BYTES, TOKEN_BYTES, is_key, is_visible};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use domain::{EventPush, Provider, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longest body, in bytes: an event of Matrix has 65,536, and some more is said about it.
pub const BODY_BYTES: usize = 128 * 1024;
/// Most devices of one request.
pub const DEVICES: usize = 50;

/// Why a body is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Wrong {
    /// It is no JSON.
    #[error("this is no JSON: {0}")]
    NotJson(String),
    /// It is JSON, and not this.
    #[error("{0}")]
    BadJson(String),
    /// Too many devices.
    #[error("at most {DEVICES} devices at once")]
    TooMany,
}

#[derive(Deserialize)]
struct Body {
    notification: Notify,
}

/// What happened, and who is to hear of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Notify {
    #[serde(default)]
    event_id: Option<String>,
    #[serde(default)]
    room_id: Option<String>,
    #[serde(default)]
    prio: Option<String>,
    #[serde(default)]
    counts: Option<Counts>,
    /// At least one, at most [`DEVICES`].
    pub devices: Vec<Device>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Counts {
    #[serde(default)]
    unread: Option<u64>,
}

/// A pusher of a user.
#[derive(Clone, Debug, Deserialize)]
pub struct Device {
    /// What the app calls itself.
    pub app_id: String,
    /// The app's token, as the app has written it.
    pub pushkey: String,
    /// Since when the homeserver has it, in seconds.
    #[serde(default)]
    pushkey_ts: Option<u64>,
    #[serde(default)]
    data: Option<Data>,
}

/// What the app has said when it registered the pusher.
#[derive(Clone, Debug, Default, Deserialize)]
struct Data {
    #[serde(default)]
    default_payload: Option<Map<String, Value>>,
    /// Web Push: the subscription's address, whose key is the `pushkey`, and its secret.
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    auth: Option<String>,
}

/// Reads a body.
///
/// # Errors
/// Why it is none, for whoever has sent it.
pub fn read(body: &[u8]) -> Result<Notify, Wrong> {
    let Body { notification } = serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            Wrong::BadJson(error.to_string())
        } else {
            Wrong::NotJson(error.to_string())
        }
    })?;
    match notification.devices.len() {
        0 => Err(Wrong::BadJson("devices names nobody".to_owned())),
        1..=DEVICES => Ok(notification),
        _ => Err(Wrong::TooMany),
    }
}

impl Notify {
    /// The id of the event; none: only the counts are said.
    pub fn event(&self) -> Option<&str> {
        self.event_id.as_deref().filter(|it| is_id(it))
    }

    /// How many are unread.
    pub fn unread(&self) -> Option<u32> {
        let unread = self.counts.as_ref()?.unread?;
        Some(u32::try_from(unread).unwrap_or(u32::MAX))
    }

    /// What a device is told of it, with those of its app's own keys that are let through.
    pub fn push(&self, device: &Device, keys: &[String]) -> EventPush {
        let id = self.event().map(str::to_owned);
        EventPush {
            room: self.room_id.clone().filter(|it| id.is_some() && is_id(it)),
            // Left out, it is high.
            is_urgent: id.is_some() && self.prio.as_deref() != Some("low"),
            keys: keys.iter().filter_map(|name| device.key(name)).collect(),
            id,
        }
    }
}

impl Device {
    /// A key of the app's own, by which it tells whose a push is: an id, and no text.
    fn key(&self, name: &str) -> Option<(String, String)> {
        let payload = self.data.as_ref()?.default_payload.as_ref()?;
        let value = payload.get(name)?.as_str()?;
        let is_good = is_key(name) && is_visible(value, NAME_BYTES);
        is_good.then(|| (name.to_owned(), value.to_owned()))
    }

    /// Its token as the provider has it; `None`: it is none.
    pub fn token(&self, provider: Provider) -> Option<String> {
        let key = self.pushkey.as_str();
        if !is_visible(key, TOKEN_BYTES) {
            return None;
        }
        match provider {
            Provider::Apns => apns_token(key),
            Provider::WebPush => {
                let data = self.data.as_ref()?;
                let (endpoint, auth) = (data.endpoint.as_ref()?, data.auth.as_ref()?);
                let token = format!("{endpoint}#p256dh={key}&auth={auth}");
                is_visible(&token, TOKEN_BYTES).then_some(token)
            }
            Provider::Fcm | Provider::AppServer => Some(key.to_owned()),
        }
    }

    /// Whether the app has handed its token over after that.
    pub fn was_given_after(&self, moment: Timestamp) -> bool {
        let given = self.pushkey_ts.map(|at| at.saturating_mul(1000));
        given.is_some_and(|at| at > moment.0)
    }
}

/// Apps of Matrix write the octets of their token in base64, and some in hexadecimal digits. Tokens have 32 octets and more, and so many in base64
/// that are all hexadecimal digits do not happen.
fn apns_token(key: &str) -> Option<String> {
    if key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(key.to_owned());
    }
    let decoded = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD]
        .into_iter()
        .find_map(|base64| base64.decode(key).ok())?;
    let digits = decoded.iter().map(|octet| format!("{octet:02x}"));
    Some(digits.collect())
}

fn is_id(text: &str) -> bool {
    is_visible(text, ID_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Synapse 1.163 writes it (`synapse/push/httppusher.py`).
    const FULL: &str = r#"{"notification": {"id": "$e", "event_id": "$e", "room_id": "!r:hs", "type": "m.room.message",
        "sender": "@a:hs", "prio": "low", "counts": {"unread": 2}, "content": {"body": "planted"},
        "sender_display_name": "planted", "room_name": "planted", "devices": [{"app_id": "app", "pushkey": "AP8=",
        "pushkey_ts": 5, "tweaks": {"sound": "default"},
        "data": {"default_payload": {"cs": "a1", "text": "see you", "aps": {"alert": "planted"}}}}]}}"#;

    #[test]
    fn only_ids_and_numbers_are_read() {
        let read = read(FULL.as_bytes()).unwrap();
        let keys = ["cs", "text", "aps", "none"].map(str::to_owned);
        let push = read.push(&read.devices[0], &keys);
        assert_eq!(push.id.as_deref(), Some("$e"));
        assert_eq!(push.room.as_deref(), Some("!r:hs"));
        assert!(!push.is_urgent);
        assert_eq!(push.keys, [("cs".to_owned(), "a1".to_owned())].into());
        assert_eq!(read.unread(), Some(2));
        assert!(!format!("{push:?}").contains("planted"));
    }

    #[test]
    fn counts_alone_are_no_event() {
        let badge = r#"{"notification": {"id": "", "type": null, "sender": "", "counts": {"unread": 0},
            "devices": [{"app_id": "app", "pushkey": "k", "pushkey_ts": 5, "data": {}}]}}"#;
        let read = read(badge.as_bytes()).unwrap();
        assert_eq!((read.event(), read.unread()), (None, Some(0)));
        assert_eq!(read.push(&read.devices[0], &[]), EventPush::default());
    }

    #[test]
    fn a_token_is_what_the_provider_calls_it() {
        let device = |pushkey: &str, data: &str| -> Device {
            let json = format!(r#"{{"app_id": "app", "pushkey": "{pushkey}", "data": {data}}}"#);
            serde_json::from_str(&json).unwrap()
        };
        let token = |key: &str, provider| device(key, "{}").token(provider);
        assert_eq!(token("AP8=", Provider::Apns).as_deref(), Some("00ff"));
        assert_eq!(token("AP8", Provider::Apns).as_deref(), Some("00ff"));
        assert_eq!(token("00FF", Provider::Apns).as_deref(), Some("00FF"));
        assert_eq!(token("no token", Provider::Apns), None);
        assert_eq!(token("!", Provider::Apns), None);
        assert_eq!(token("a:b", Provider::Fcm).as_deref(), Some("a:b"));
        assert_eq!(token("key", Provider::WebPush), None);
        let web = device(
            "key",
            r#"{"endpoint": "https://push.example/1", "auth": "a"}"#,
        );
        assert_eq!(
            web.token(Provider::WebPush).as_deref(),
            Some("https://push.example/1#p256dh=key&auth=a")
        );
    }

    #[test]
    fn what_is_none_is_refused() {
        let devices = |count: usize| {
            let one = r#"{"app_id": "a", "pushkey": "k"}"#;
            let all = vec![one; count].join(",");
            format!(r#"{{"notification": {{"devices": [{all}]}}}}"#)
        };
        assert!(read(devices(DEVICES).as_bytes()).is_ok());
        assert_eq!(
            read(devices(DEVICES + 1).as_bytes()).unwrap_err(),
            Wrong::TooMany
        );
        assert!(matches!(read(b"{"), Err(Wrong::NotJson(_))));
        for wrong in [
            "{}",
            &devices(0),
            r#"{"notification": []}"#,
            r#"{"notification": {"devices": [{"app_id": 1, "pushkey": "k"}]}}"#,
        ] {
            assert!(
                matches!(read(wrong.as_bytes()), Err(Wrong::BadJson(_))),
                "{wrong}"
            );
        }
    }
}
