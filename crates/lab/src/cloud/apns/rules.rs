//! What a push to APNs must look like ("Sending notification requests to APNs"), apart from who sends it and what
//! became of its token. One table of push types; the rest are single headers.

use super::{
    super::{config::ApnsApp, config::Environment},
    reason::{
        BAD_COLLAPSE_ID, BAD_EXPIRATION_DATE, BAD_MESSAGE_ID, BAD_PATH, BAD_PAYLOAD, BAD_PRIORITY,
        BAD_TOPIC, DUPLICATE_HEADERS, INVALID_PUSH_TYPE, METHOD_NOT_ALLOWED, MISSING_DEVICE_TOKEN,
        MISSING_TOPIC, PAYLOAD_EMPTY, PAYLOAD_TOO_LARGE, Reason, TOPIC_DISALLOWED,
    },
};
use bytes::Bytes;
use domain::Generation;
use http::{HeaderMap, Method, Request};
use serde_json::Value;

/// Before the device token in the path.
const PATH: &str = "/3/device/";
/// Longest payload, bytes.
const PAYLOAD: usize = 4096;
/// Longest payload of a `voip` push, bytes.
const VOIP_PAYLOAD: usize = 5120;
/// Longest `apns-collapse-id`, bytes.
const COLLAPSE_ID: usize = 64;

/// The suffix of the topic that goes with each push type.
const PUSH_TYPES: [(&str, &str); 9] = [
    ("alert", ""),
    ("background", ""),
    ("voip", VOIP_SUFFIX),
    ("complication", ".complication"),
    ("fileprovider", ".pushkit.fileprovider"),
    ("location", ".location-query"),
    ("liveactivity", ".push-type.liveactivity"),
    ("pushtotalk", ".voip-ptt"),
    ("controls", ".push-type.controls"),
];

const VOIP_SUFFIX: &str = ".voip";

/// A header's value, if it is there and text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The device token in the path, if it is a path for one.
pub(super) fn token_in(path: &str) -> Option<&str> {
    path.strip_prefix(PATH)
}

/// Method and path; says the device token.
pub(super) fn check_path(request: &Request<Bytes>) -> Result<&str, Reason> {
    if request.method() != Method::POST {
        return Err(METHOD_NOT_ALLOWED);
    }
    match token_in(request.uri().path()) {
        None => Err(BAD_PATH),
        Some("") => Err(MISSING_DEVICE_TOKEN),
        Some(token) if token.contains('/') => Err(BAD_PATH),
        Some(token) => Ok(token),
    }
}

/// The push type and the topic's app.
#[derive(Debug)]
pub(super) struct Addressed<'a> {
    pub(super) push_type: &'static str,
    pub(super) app: &'a ApnsApp,
}

impl Addressed<'_> {
    /// Whether it goes to the app's `voip` topic.
    pub(super) fn is_voip(&self) -> bool {
        self.push_type == "voip"
    }
}

/// The headers; says what kind of push it is, and for which of the sender's `apps`.
pub(super) fn check_headers<'a>(
    headers: &HeaderMap,
    apps: &'a [ApnsApp],
    environment: Environment,
) -> Result<Addressed<'a>, Reason> {
    let repeated = headers
        .keys()
        .any(|name| name.as_str().starts_with("apns-") && headers.get_all(name).iter().count() > 1);
    if repeated {
        return Err(DUPLICATE_HEADERS);
    }
    if headers.contains_key("apns-id") && !header(headers, "apns-id").is_some_and(is_uuid) {
        return Err(BAD_MESSAGE_ID);
    }
    let addressed = check_topic(headers, apps, environment)?;
    check_priority(headers, addressed.push_type)?;
    let expiration = headers.get("apns-expiration");
    if expiration.is_some_and(|value| !value.to_str().is_ok_and(|text| text.parse::<u64>().is_ok()))
    {
        return Err(BAD_EXPIRATION_DATE);
    }
    let collapse_id = headers.get("apns-collapse-id");
    if collapse_id.is_some_and(|value| value.len() > COLLAPSE_ID) {
        return Err(BAD_COLLAPSE_ID);
    }
    Ok(addressed)
}

/// The topic must be an app of the team, with the suffix that the push type wants.
fn check_topic<'a>(
    headers: &HeaderMap,
    apps: &'a [ApnsApp],
    environment: Environment,
) -> Result<Addressed<'a>, Reason> {
    let topic = match headers.get("apns-topic") {
        None => return Err(MISSING_TOPIC),
        Some(topic) => topic.to_str().map_err(|_| BAD_TOPIC)?,
    };
    if topic.is_empty() {
        return Err(MISSING_TOPIC);
    }
    let well_formed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if !topic.chars().all(well_formed) {
        return Err(BAD_TOPIC);
    }
    // Without a type, as from the days before iOS 13, the topic says it.
    let wanted = match headers.get("apns-push-type") {
        None if topic.ends_with(VOIP_SUFFIX) => "voip",
        None => "alert",
        Some(value) => value.to_str().map_err(|_| INVALID_PUSH_TYPE)?,
    };
    let (push_type, suffix) = PUSH_TYPES
        .into_iter()
        .find(|(name, _)| *name == wanted)
        .ok_or(INVALID_PUSH_TYPE)?;
    let find = |bundle: &str| {
        apps.iter()
            .find(|app| app.bundle == bundle && app.environments.contains(&environment))
    };
    if let Some(app) = topic.strip_suffix(suffix).and_then(find) {
        return Ok(Addressed { push_type, app });
    }
    // An app of ours with another type's suffix is a bad topic for this type; anything else is not ours.
    let of_another_type = PUSH_TYPES
        .iter()
        .any(|(_, suffix)| topic.strip_suffix(suffix).and_then(find).is_some());
    Err(if of_another_type {
        BAD_TOPIC
    } else {
        TOPIC_DISALLOWED
    })
}

/// 10 if not given. A background push must be 5.
fn check_priority(headers: &HeaderMap, push_type: &str) -> Result<(), Reason> {
    let priority = match headers.get("apns-priority") {
        None => "10",
        Some(value) => value.to_str().map_err(|_| BAD_PRIORITY)?,
    };
    match (priority, push_type) {
        ("5", _) => Ok(()),
        ("10" | "1", other) if other != "background" => Ok(()),
        _ => Err(BAD_PRIORITY),
    }
}

/// The payload: there, not too large, a JSON object.
pub(super) fn check_payload(body: &[u8], voip: bool) -> Result<Value, Reason> {
    let most = if voip { VOIP_PAYLOAD } else { PAYLOAD };
    if body.is_empty() {
        return Err(PAYLOAD_EMPTY);
    }
    if body.len() > most {
        return Err(PAYLOAD_TOO_LARGE);
    }
    serde_json::from_slice(body)
        .ok()
        .filter(Value::is_object)
        .ok_or(BAD_PAYLOAD)
}

/// What the device will take amiss, although APNs accepts it.
pub(super) fn violations(
    addressed: &Addressed<'_>,
    headers: &HeaderMap,
    body: &Value,
) -> Vec<String> {
    let aps = &body["aps"];
    let shows = ["alert", "badge", "sound"]
        .iter()
        .any(|key| aps.get(key).is_some());
    let rules = [
        (
            addressed.is_voip()
                && addressed.app.generation == Generation::DualChannel
                && !is_call(body),
            "a VoIP push that is no call: iOS 13 and newer kill the app, and then send it no more VoIP pushes",
        ),
        (
            addressed.push_type == "alert" && !shows,
            "an alert push without aps.alert, aps.badge or aps.sound: nothing is shown",
        ),
        (
            addressed.push_type == "background" && aps["content-available"] != 1,
            "a background push without aps.content-available 1: the app is not woken",
        ),
        (
            !headers.contains_key("apns-push-type"),
            "no apns-push-type: iOS 13 and newer may drop it",
        ),
    ];
    rules
        .into_iter()
        .filter(|(broken, _)| *broken)
        .map(|(_, text)| text.to_owned())
        .collect()
}

/// Whether the app can report a call to CallKit from it: it names the call, and does not say that it is something else.
fn is_call(body: &Value) -> bool {
    let named = body["call"].as_str().is_some_and(|call| !call.is_empty());
    named && body.get("kind").is_none_or(|kind| kind == "call")
}

pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
