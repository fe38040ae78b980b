//! The bodies of pushes, as the apps read them. Pure functions. Everything in the clear is an id, a kind or a number;
//! what names a person or quotes a text is in `sealed`, which only the device opens (`behaviour.md` 9).
//!
//! The keys of both platforms are the same: `kind`, `tracking`, and by kind `call`, `register_at`, `conversation`,
//! `unread`; of what was read elsewhere `read`, the conversations with spaces between them; `sealed` is unpadded base64url. On APNs they stand beside `aps`, on FCM they are the data message.
//! What is about an event elsewhere has the names that apps of Matrix read: `event_id`, `room_id`, and `unread_count` or `unread`.

use crate::seal;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Channel, EventPush, Generation, Notification, Outcome, Purpose};
use serde::Serialize;
use std::collections::BTreeMap;

/// Most bytes of an APNs payload.
const APNS_BYTES: usize = 4096;
/// Most bytes of an APNs payload to a `.voip` topic.
const APNS_VOIP_BYTES: usize = 5120;
/// Most bytes of an FCM data message.
const FCM_BYTES: usize = 4096;
/// The longest that FCM keeps a message: 28 days.
const FCM_LONGEST_TTL: u64 = 28 * 24 * 3600;

/// What stands in a payload under a name of ours or of the platforms'.
pub(crate) const NAMES: [&str; 15] = [
    "aps",
    "kind",
    "tracking",
    "call",
    "register_at",
    "conversation",
    "read",
    "unread",
    "badge",
    "sealed",
    "event_id",
    "room_id",
    "unread_count",
    // Reserved by FCM, as is what begins with `google` and `gcm`.
    "from",
    "message_type",
];

/// What the app reads, whatever the platform.
#[derive(Default, Serialize)]
struct Data<'a> {
    kind: &'static str,
    tracking: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    register_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    badge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a str>,
    /// Of an event, on APNs; on FCM it is `unread`, since all values there are strings.
    #[serde(skip_serializing_if = "Option::is_none")]
    unread_count: Option<u32>,
    #[serde(flatten)]
    keys: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Data<'a> {
    fn of(push: &'a Notification) -> Self {
        let data = Self {
            kind: push.purpose.name(),
            tracking: push.tracking.as_str(),
            sealed: push
                .sealed
                .as_ref()
                .map(|sealed| URL_SAFE_NO_PAD.encode(sealed)),
            ..Self::default()
        };
        match &push.purpose {
            Purpose::Call { call, register_at } => Self {
                call: Some(call),
                register_at: Some(register_at),
                ..data
            },
            Purpose::CallCancelled { call } | Purpose::MissedCall { call } => Self {
                call: Some(call),
                ..data
            },
            Purpose::Refresh => data,
            Purpose::Event(event) => Self {
                event_id: event.id.as_deref(),
                room_id: event.room.as_deref(),
                unread: push.badge.map(|unread| unread.to_string()),
                keys: Some(&event.keys),
                ..data
            },
            Purpose::Message {
                conversation,
                unread,
            } => Self {
                conversation: Some(conversation),
                unread: Some(unread.to_string()),
                ..data
            },
            Purpose::Read {
                conversations,
                unread,
            } => Self {
                read: Some(conversations.join(" ")),
                unread: Some(unread.to_string()),
                ..data
            },
        }
    }
}

impl<'a> Data<'a> {
    /// What apps of Matrix read is a number there.
    fn on_apns(push: &'a Notification) -> Self {
        let data = Self::of(push);
        match push.purpose {
            Purpose::Event(_) => Self {
                unread: None,
                unread_count: push.badge,
                ..data
            },
            _ => data,
        }
    }
}

#[derive(Serialize)]
struct ApnsBody<'a> {
    aps: Aps<'a>,
    #[serde(flatten)]
    data: Data<'a>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Aps<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<Alert>,
    #[serde(skip_serializing_if = "Option::is_none")]
    badge: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sound: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<&'a str>,
    /// 1: the app's extension may open `sealed` and show what is in it instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    mutable_content: Option<u8>,
    /// 1: a background push.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_available: Option<u8>,
}

/// The key is plain English, for iOS shows the key itself when the app has no text for it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Alert {
    loc_key: &'static str,
}

/// The body of a push to APNs, or [`Outcome::TooLarge`]. Whoever sealed too much into it must decide what to leave
/// out: nothing is dropped here.
pub fn apns(push: &Notification, generation: Generation) -> Result<Vec<u8>, Outcome> {
    // A dual-channel app rings by CallKit, from `sealed`; there is nothing for iOS to show.
    let rings = generation == Generation::DualChannel && push.channel == Channel::Voip;
    let body = ApnsBody {
        aps: if rings {
            Aps::default()
        } else {
            Aps::shown(push)
        },
        data: Data::on_apns(push),
    };
    let limit = match push.channel {
        Channel::Voip => APNS_VOIP_BYTES,
        Channel::Message => APNS_BYTES,
    };
    within(limit, serde_json::to_vec(&body))
}

impl<'a> Aps<'a> {
    /// Wakes the app for a moment and shows nothing.
    fn silent() -> Self {
        Self {
            content_available: Some(1),
            ..Self::default()
        }
    }

    fn shown(push: &'a Notification) -> Self {
        let (loc_key, badge, thread_id) = match &push.purpose {
            // Its end is not shown; it only ends what is shown.
            Purpose::CallCancelled { .. } => return Self::default(),
            Purpose::Refresh | Purpose::Read { .. } => return Self::silent(),
            Purpose::Event(EventPush { id: None, .. }) => {
                return Self {
                    badge: push.badge,
                    ..Self::default()
                };
            }
            Purpose::Event(event) => ("New message", None, event.room.as_deref()),
            Purpose::Call { .. } => ("Incoming call", None, None),
            Purpose::MissedCall { .. } => ("Missed call", None, None),
            Purpose::Message {
                conversation,
                unread,
            } => ("New message", Some(*unread), Some(conversation.as_str())),
        };
        Self {
            alert: Some(Alert { loc_key }),
            badge: push.badge.or(badge),
            sound: Some("default"),
            thread_id,
            mutable_content: Some(1),
            content_available: None,
        }
    }
}

#[derive(Serialize)]
struct FcmBody<'a> {
    message: FcmMessage<'a>,
}

#[derive(Serialize)]
struct FcmMessage<'a> {
    token: &'a str,
    data: Data<'a>,
    android: Android<'a>,
}

#[derive(Serialize)]
struct Android<'a> {
    priority: &'static str,
    ttl: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    collapse_key: Option<&'a str>,
}

/// The body of a push to FCM v1, or [`Outcome::TooLarge`], which is the caller's affair as with [`apns`]. It is a data
/// message, so that the app decides what to show; all of its values are strings, as FCM wants them.
pub fn fcm(push: &Notification) -> Result<Vec<u8>, Outcome> {
    let data = Data {
        badge: push.badge.map(|badge| badge.to_string()),
        ..Data::of(push)
    };
    within(FCM_BYTES, serde_json::to_vec(&data))?;
    let body = FcmBody {
        message: FcmMessage {
            token: &push.token,
            data,
            android: Android {
                // All but one wake somebody: a call, its end, a message to read, a registration about to end.
                // The last shows nothing, but comes once a registration, and later would be too late. What only takes
                // something away can wait until the phone is awake.
                priority: match push.purpose {
                    Purpose::Read { .. } => "NORMAL",
                    Purpose::Event(ref event) if !event.is_urgent => "NORMAL",
                    _ => "HIGH",
                },
                ttl: format!("{}s", seconds_to_live(push).min(FCM_LONGEST_TTL)),
                collapse_key: push.collapse.as_deref(),
            },
        },
    };
    within(usize::MAX, serde_json::to_vec(&body))
}

/// The plain body of a Web Push message, or [`Outcome::TooLarge`]: what the app reads, as on FCM. It is sealed as a whole.
pub fn web(push: &Notification) -> Result<Vec<u8>, Outcome> {
    let data = Data {
        badge: push.badge.map(|badge| badge.to_string()),
        ..Data::of(push)
    };
    within(seal::MAX_MESSAGE, serde_json::to_vec(&data))
}

/// How long a provider may keep it; a call and its end: now or never.
pub(crate) fn seconds_to_live(push: &Notification) -> u64 {
    match push.purpose {
        Purpose::Call { .. } | Purpose::CallCancelled { .. } => 0,
        Purpose::MissedCall { .. }
        | Purpose::Message { .. }
        | Purpose::Read { .. }
        | Purpose::Event(_)
        | Purpose::Refresh => push.ttl.as_secs(),
    }
}

fn within(limit: usize, body: serde_json::Result<Vec<u8>>) -> Result<Vec<u8>, Outcome> {
    let body = body.expect("strings and numbers are JSON");
    if body.len() > limit {
        Err(Outcome::TooLarge)
    } else {
        Ok(body)
    }
}
