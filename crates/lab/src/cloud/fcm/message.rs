//! What a message to FCM must look like (the v1 API's `projects.messages` resource). Only what the lab's own clients
//! use is understood in depth; of the rest, the names are known.

use super::error::GoogleError;
use bytes::Bytes;
use serde_json::{Map, Value};

/// Longest data, keys and values together, bytes.
const DATA: usize = 4096;
/// FCM keeps a message for at most 28 days.
const LONGEST_TTL: u64 = 28 * 24 * 3600;
/// Data keys that FCM keeps for itself; with a final `*`, all that begin so.
const RESERVED: [&str; 4] = ["from", "message_type", "google.*", "gcm.*"];

/// Names known in each object, in proto form. JSON may also write them in camel case.
const REQUEST: [&str; 2] = ["validate_only", "message"];
const MESSAGE: [&str; 10] = [
    "name",
    "data",
    "notification",
    "android",
    "webpush",
    "apns",
    "fcm_options",
    "token",
    "topic",
    "condition",
];
const ANDROID: [&str; 10] = [
    "collapse_key",
    "priority",
    "ttl",
    "restricted_package_name",
    "data",
    "notification",
    "fcm_options",
    "direct_boot_ok",
    "bandwidth_constrained_ok",
    "restricted_satellite_ok",
];

/// A message that FCM understands.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) token: String,
    pub(super) collapse_key: Option<String>,
    /// Seconds that FCM keeps it for a device that is not there.
    pub(super) ttl: u64,
    pub(super) package: Option<String>,
    pub(super) validate_only: bool,
    /// What the device would take amiss.
    pub(super) violations: Vec<String>,
}

/// A member by its proto name or that name in camel case.
pub(super) fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object
        .get(name)
        .or_else(|| object.get(camel(name)))
        .filter(|value| !value.is_null())
}

impl Message {
    /// Reads and checks a request's body.
    pub(super) fn read(body: &Bytes) -> Result<Self, GoogleError> {
        let request: Value = serde_json::from_slice(body).map_err(|error| {
            GoogleError::field(
                "",
                format!("Invalid JSON payload received. Parser error: {error}"),
            )
        })?;
        object(&request, "", &REQUEST)?;
        let message = member(&request, "message")
            .ok_or_else(|| GoogleError::field("message", "Message is not set."))?;
        object(message, "message", &MESSAGE)?;
        let token = match member(message, "token") {
            Some(Value::String(token)) => token.clone(),
            Some(other) => return Err(not_a_string("message.token", other)),
            None => {
                return Err(GoogleError::field(
                    "message",
                    "Exactly one of token, topic or condition is required; the lab delivers to tokens only.",
                ));
            }
        };
        if member(message, "topic").is_some() || member(message, "condition").is_some() {
            return Err(GoogleError::field(
                "message",
                "oneof field 'target' is already set.",
            ));
        }
        let nothing = Value::Null;
        let android = member(message, "android").unwrap_or(&nothing);
        if !android.is_null() {
            object(android, "message.android", &ANDROID)?;
        }
        check_data(message, "message")?;
        check_data(android, "message.android")?;
        check_priority(android)?;
        Ok(Self {
            token,
            collapse_key: text(android, "collapse_key")?,
            ttl: check_ttl(android)?,
            package: text(android, "restricted_package_name")?,
            validate_only: member(&request, "validate_only") == Some(&Value::Bool(true)),
            violations: violations(message, android),
        })
    }
}

/// What the device would take amiss, although FCM accepts it.
fn violations(message: &Value, android: &Value) -> Vec<String> {
    let data = member(android, "data").or_else(|| member(message, "data"));
    let is_call = data.is_some_and(|data| data["kind"] == "call");
    let high = member(android, "priority")
        .and_then(Value::as_str)
        .is_some_and(|priority| priority.eq_ignore_ascii_case("high"));
    let in_vain = is_call && !high;
    in_vain
        .then(|| "a call without priority high: a device in Doze is not woken".to_owned())
        .into_iter()
        .collect()
}

/// Must be an object with no name that the API does not have.
fn object(value: &Value, path: &str, known: &[&str]) -> Result<(), GoogleError> {
    let Some(object) = value.as_object() else {
        return Err(GoogleError::field(
            path,
            format!("Invalid value at '{path}', expected an object."),
        ));
    };
    let unknown = object
        .keys()
        .find(|key| !known.iter().any(|name| name == key || camel(name) == **key));
    match unknown {
        None => Ok(()),
        Some(key) => Err(GoogleError::field(
            path,
            format!(
                "Invalid JSON payload received. Unknown name \"{key}\" at '{path}': Cannot find field."
            ),
        )),
    }
}

/// Values must be strings, keys must not be Google's own, all together must fit.
fn check_data(parent: &Value, path: &str) -> Result<(), GoogleError> {
    let path = format!("{path}.data");
    let empty = Map::new();
    let data = match member(parent, "data") {
        None => &empty,
        Some(Value::Object(data)) => data,
        Some(_) => {
            return Err(GoogleError::field(
                &path,
                format!("Invalid value at '{path}', expected a map of strings."),
            ));
        }
    };
    let mut bytes = 0;
    for (index, (key, value)) in data.iter().enumerate() {
        let Value::String(value) = value else {
            return Err(not_a_string(&format!("{path}[{index}].value"), value));
        };
        if is_reserved(key) {
            return Err(GoogleError::field(
                &format!("{path}[{index}].key"),
                format!("Invalid data payload key: {key}"),
            ));
        }
        bytes += key.len() + value.len();
    }
    if bytes > DATA {
        return Err(GoogleError::too_big());
    }
    Ok(())
}

fn is_reserved(key: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| match reserved.strip_suffix('*') {
            Some(start) => key.starts_with(start),
            None => key == *reserved,
        })
}

fn check_priority(android: &Value) -> Result<(), GoogleError> {
    let Some(priority) = member(android, "priority") else {
        return Ok(());
    };
    let known = ["high", "HIGH", "normal", "NORMAL"];
    if priority.as_str().is_some_and(|word| known.contains(&word)) {
        return Ok(());
    }
    let path = "message.android.priority";
    Err(GoogleError::field(
        path,
        format!("Invalid value at '{path}' (TYPE_ENUM), {priority}; use \"high\" or \"normal\""),
    ))
}

/// A JSON duration: seconds, perhaps with a fraction, and an `s`. FCM rounds down.
fn check_ttl(android: &Value) -> Result<u64, GoogleError> {
    let path = "message.android.ttl";
    let Some(ttl) = member(android, "ttl") else {
        return Ok(LONGEST_TTL);
    };
    let seconds = ttl
        .as_str()
        .and_then(|text| text.strip_suffix('s'))
        .and_then(duration);
    match seconds {
        None => Err(GoogleError::field(
            path,
            format!(
                "Invalid value at '{path}' (type.googleapis.com/google.protobuf.Duration), \
                 Field '{path}', Illegal duration format; duration must end with 's'"
            ),
        )),
        Some(seconds) if seconds > LONGEST_TTL => Err(GoogleError::field(
            path,
            format!("Invalid ttl: it must be between 0 and {LONGEST_TTL} seconds."),
        )),
        Some(seconds) => Ok(seconds),
    }
}

fn duration(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(fraction) && fraction.len() <= 9)
        .then(|| whole.parse().ok())
        .flatten()
}

fn text(android: &Value, name: &str) -> Result<Option<String>, GoogleError> {
    match member(android, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(not_a_string(&format!("message.android.{name}"), other)),
    }
}

fn not_a_string(path: &str, value: &Value) -> GoogleError {
    GoogleError::field(
        path,
        format!("Invalid value at '{path}' (TYPE_STRING), {value}"),
    )
}

/// `collapse_key` as `collapseKey`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        name.push_str(&initial.to_ascii_uppercase());
        name.push_str(rest);
        name
    })
}
