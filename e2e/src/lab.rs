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

    /// Waits until a token has had `count` pushes.
    pub fn wait_for_pushes(self, token: &str, count: usize, within: Duration) -> Vec<Notification> {
        poll(within, || {
            Some(self.notifications(token)).filter(|list| list.len() >= count)
        })
        .unwrap_or_else(|| {
            panic!(
                "{count} pushes for {token} within {within:?}; there are {:#?}",
                self.notifications(token)
            )
        })
    }

    /// Forgets all pushes.
    pub fn forget(self) {
        self.call("DELETE", "/notifications", None);
    }

    /// What the cloud answers for a token from now on; with a count, for the next so many pushes.
    pub fn fate(self, token: &str, status: u16, reason: &str, count: Option<u32>) {
        let mut body = json!({"status": status, "reason": reason});
        if let Some(count) = count {
            body["count"] = count.into();
        }
        self.call("POST", &format!("/tokens/{token}/fate"), Some(&body));
    }

    /// The certificate of the development CA, PEM.
    pub fn ca(self) -> String {
        self.call("GET", "/ca.pem", None)
    }
}

impl Notification {
    /// A field as text, whatever its JSON type; empty when it is missing.
    pub fn field(&self, name: &str) -> String {
        match &self.0[name] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// The whole of it as text, for looking for what must not be there.
    pub fn text(&self) -> String {
        self.0.to_string()
    }
}
