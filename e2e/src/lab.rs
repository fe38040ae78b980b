//! The control API of the simulated clouds: what was pushed, and what they shall answer from now on.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::{http, poll};

/// The lab's control API.
#[derive(Clone, Copy)]
pub struct LabApi {
    address: SocketAddr,
}

/// One push, as the cloud saw it.
#[derive(Clone, Debug)]
pub struct Notification(pub Value);

impl LabApi {
    /// The API at this address.
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    fn call(self, method: &str, path: &str, body: Option<&Value>) -> String {
        let answer = http(self.address, method, path, body).expect("the lab's control API answers");
        assert!(
            (200..300).contains(&answer.status),
            "{method} {path}: {} {}",
            answer.status,
            answer.body
        );
        answer.body
    }

    /// Every push for a token so far, taken or refused, oldest first.
    pub fn notifications(self, token: &str) -> Vec<Notification> {
        let body = self.call("GET", &format!("/notifications?token={token}"), None);
        let parsed: Value = serde_json::from_str(&body).expect("the lab answers in JSON");
        let list = parsed
            .get("notifications")
            .unwrap_or(&parsed)
            .as_array()
            .cloned();
        list.unwrap_or_else(|| panic!("a list of notifications: {body}"))
            .into_iter()
            .map(Notification)
            .collect()
    }

    /// The pushes of one kind (`call`, `message`, `missed_call`, `call_cancelled`) for a token so far.
    pub fn pushes(self, token: &str, kind: &str) -> Vec<Notification> {
        self.notifications(token)
            .into_iter()
            .filter(|push| push.data("kind") == kind)
            .collect()
    }

    /// Waits until a token has had a push of this kind, and returns the first.
    pub fn wait_for_push(self, token: &str, kind: &str, within: Duration) -> Notification {
        poll(within, || self.pushes(token, kind).into_iter().next()).unwrap_or_else(|| {
            panic!(
                "no {kind} push for {token} within {within:?}; there are {:#?}",
                self.notifications(token)
            )
        })
    }

    /// What the cloud answers for a token from now on; with a count, for the next so many pushes.
    pub fn fate(self, token: &str, status: u16, reason: &str, count: Option<u32>) {
        let mut body = json!({"status": status, "reason": reason});
        if let Some(count) = count {
            body["count"] = count.into();
        }
        self.call("POST", &format!("/tokens/{token}/fate"), Some(&body));
    }

    /// From now on a cloud has this fault, for so many requests.
    pub fn fault(self, provider: &str, kind: &str, count: u32) {
        let order = json!({ "provider": provider, "kind": kind, "count": count });
        self.call("POST", "/faults", Some(&order));
    }

    /// No cloud has a fault any more.
    pub fn no_faults(self) {
        self.call("DELETE", "/faults", None);
    }

    /// The certificate of the development CA, PEM.
    pub fn ca(self) -> String {
        self.call("GET", "/ca.pem", None)
    }
}

impl Notification {
    /// A field of the record, as text: `provider`, `type`, `topic`, `priority`. Empty when it is missing.
    pub fn field(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// What the app reads in the payload: `kind`, `tracking`, `call`. APNs has it beside `aps`, FCM in a data message.
    pub fn data(&self, name: &str) -> &str {
        let payload = &self.0["payload"];
        let data = if payload["message"].is_object() {
            &payload["message"]["data"]
        } else {
            payload
        };
        data[name].as_str().unwrap_or_default()
    }

    /// The status that the cloud answered.
    pub fn status(&self) -> u64 {
        self.0["answer"]["status"].as_u64().unwrap_or_default()
    }

    /// What the platform would take amiss although its cloud took the push.
    pub fn violations(&self) -> Vec<String> {
        let list = self.0["violations"].as_array().cloned().unwrap_or_default();
        list.iter().map(Value::to_string).collect()
    }

    /// The whole of it as text, for looking for what must not be there.
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// Whether one of the words in it is this one, whatever the case. Words, since what is drawn at random may well
    /// have the three letters of a name in it.
    pub fn says(&self, word: &str) -> bool {
        let text = self.text();
        let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
        words.any(|said| said.eq_ignore_ascii_case(word))
    }
}
