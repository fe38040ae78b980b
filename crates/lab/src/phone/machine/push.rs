//! A push as the platform hands it to the app.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Channel;
use push::seal::{KeyPair, unseal};
use serde::Deserialize;
use serde_json::Value;

use super::Caller;

/// A push as the app sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Push {
    /// Which way it came.
    pub channel: Channel,
    /// `domain::Purpose::name`, or nothing.
    pub kind: String,
    /// The call that it is about.
    pub call: Option<String>,
    /// The conversation that it is about, by an opaque name.
    pub conversation: Option<String>,
    /// The conversations that were read elsewhere.
    pub read: Vec<String>,
    /// The tracking id.
    pub tracking: Option<String>,
    /// Where the server wants the phone to register for a call: a URI.
    pub register_at: Option<String>,
    /// How many messages wait.
    pub unread: Option<u32>,
    /// Who calls or writes, if it was sealed for this phone.
    pub caller: Option<Caller>,
    /// The text, if it was sealed into it.
    pub text: Option<String>,
}

/// What the server seals for a phone: JSON with these keys, each of them optional.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sealed {
    /// Who calls or writes, to show.
    name: String,
    /// Their number or address.
    #[serde(alias = "from")]
    number: String,
    /// The message.
    text: Option<String>,
}

/// What of a payload the app gets: JSON as it is, from Apple and Google. What a push service of the web carries is sealed as a whole
/// (RFC 8291), and in the lab's journal base64url: what is in it, if these keys open it. A push without a body says nothing and wakes all the
/// same (RFC 8599 §12).
pub fn opened(payload: &Value, keys: Option<&KeyPair>) -> Option<Value> {
    let Value::String(sealed) = payload else {
        return Some(payload.clone());
    };
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let plain = unseal(keys?, &sealed).ok()?;
    serde_json::from_slice(&plain).ok()
}

impl Push {
    /// Reads a payload: APNs has the app's own keys beside `aps`, FCM in `message.data`, all strings (`push::payload`).
    /// `channel` is the token's; `None` if it serves both: then the payload tells. `unseal` opens what was sealed.
    pub fn read(
        payload: &Value,
        channel: Option<Channel>,
        unseal: impl FnOnce(&str) -> Option<Vec<u8>>,
    ) -> Self {
        let data = payload.pointer("/message/data").unwrap_or(payload);
        let text = |key| data.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key| match data.get(key)? {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64().and_then(|number| u32::try_from(number).ok()),
        };
        let kind = text("kind").unwrap_or_default();
        let sealed = text("sealed")
            .and_then(|sealed| unseal(&sealed))
            .and_then(|plain| serde_json::from_slice(&plain).ok());
        let (caller, message) = match sealed {
            Some(Sealed { name, number, text }) => (Some(Caller { name, number }), text),
            None => (None, None),
        };
        Self {
            channel: channel.unwrap_or(if kind.starts_with("call") {
                Channel::Voip
            } else {
                Channel::Message
            }),
            call: text("call").filter(|call| !call.is_empty()),
            conversation: text("conversation"),
            read: text("read")
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            tracking: text("tracking"),
            register_at: text("register_at"),
            unread: number("unread"),
            kind,
            caller,
            text: message,
        }
    }
}
