//! The device API as the app uses it: sign in, hand over tokens and key, say which mode it is in.

use std::sync::Arc;

use bytes::Bytes;
use domain::Platform;
use http::{Method, StatusCode};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::phone::PhoneConfig;
use crate::phone::machine::Word;

/// A signed-in client. Clones share its access token.
#[derive(Clone)]
pub(super) struct DeviceApi {
    url: String,
    phone: Arc<PhoneConfig>,
    tls: Option<Arc<ClientConfig>>,
    token: Arc<Mutex<Option<String>>>,
}

impl DeviceApi {
    /// The phone's client, if it is configured with a device API.
    pub(super) fn of(phone: &Arc<PhoneConfig>) -> Option<Self> {
        let url = phone.device_api.as_ref()?.trim_end_matches('/').to_owned();
        let ca = phone.ca.as_ref();
        Some(Self {
            url,
            phone: phone.clone(),
            tls: ca.and_then(|ca| net::client_config(ca.as_bytes()).ok()),
            token: Arc::default(),
        })
    }

    /// It is found there from now on.
    pub(super) fn move_to(&mut self, url: &str) {
        url.trim_end_matches('/').clone_into(&mut self.url);
    }

    pub(super) async fn tell(&self, word: Word) -> Result<(), String> {
        match word {
            Word::Device => self.publish().await,
            Word::Foreground => self.mode("foreground").await,
            Word::Suspended => self.mode("suspended").await,
        }
    }

    /// Hands over what the server needs to push to this device.
    async fn publish(&self) -> Result<(), String> {
        let phone = &self.phone;
        let (platform, os) = match phone.platform() {
            Platform::Ios => ("ios", "iOS"),
            Platform::Android => ("android", "Android"),
            Platform::Web | Platform::Unknown => ("web", "any"),
        };
        let mut device = json!({
            "app": phone.app(),
            "platform": platform,
            "os": os,
            "tokens": { "voip": phone.tokens.voip, "message": phone.tokens.message },
            "mode": "foreground",
        });
        if let Some(keys) = &phone.keys {
            let key = keys.public();
            device["encryption"] = json!({ "p256dh": key.p256dh, "auth": key.auth });
        }
        self.call(Method::PUT, "", &device).await
    }

    /// Says which mode the app is in: the server's most trusted source.
    async fn mode(&self, mode: &str) -> Result<(), String> {
        self.call(Method::POST, "/mode", &json!({ "mode": mode }))
            .await
    }

    /// Calls a path below this device, signing in first, and again when the token has expired.
    async fn call(&self, method: Method, path: &str, body: &Value) -> Result<(), String> {
        let url = format!(
            "{}/api/v1/me/devices/{}{path}",
            self.url, self.phone.instance
        );
        let ask = async |renew| {
            let token = self.token(renew).await?;
            self.ask(method.clone(), &url, Some(&token), body).await
        };
        let mut answer = ask(false).await?;
        if answer.0 == StatusCode::UNAUTHORIZED {
            answer = ask(true).await?;
        }
        if answer.0.is_success() {
            Ok(())
        } else {
            Err(refused(answer.0, &answer.1))
        }
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Result<(StatusCode, Bytes), String> {
        let answer = match &self.tls {
            Some(tls) if url.starts_with("https:") => {
                net::http::request_in_tls(tls, method, url, token, Some(body)).await
            }
            _ => net::http::request(method, url, token, Some(body)).await,
        };
        answer.map_err(|error| error.to_string())
    }

    async fn token(&self, renew: bool) -> Result<String, String> {
        let mut kept = self.token.lock().await;
        if let (Some(token), false) = (&*kept, renew) {
            return Ok(token.clone());
        }
        let body = json!({
            "grant_type": "password",
            "username": self.phone.user,
            "password": self.phone.password,
        });
        let url = format!("{}/oauth/token", self.url);
        let (status, answer) = self.ask(Method::POST, &url, None, &body).await?;
        let token = serde_json::from_slice::<Value>(&answer)
            .ok()
            .and_then(|answer| Some(answer.get("access_token")?.as_str()?.to_owned()))
            .filter(|_| status.is_success())
            .ok_or_else(|| refused(status, &answer))?;
        Ok(kept.insert(token).clone())
    }
}

/// Why it did not do what it was asked for: the detail of its problem document (RFC 7807).
fn refused(status: StatusCode, answer: &[u8]) -> String {
    let document: Value = serde_json::from_slice(answer).unwrap_or_default();
    match document.get("detail").and_then(Value::as_str) {
        Some(detail) => detail.to_owned(),
        None => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_in_its_own_words() {
        let problem = br#"{"detail":"wrong user","status":400,"title":"Bad Request"}"#;
        assert_eq!(refused(StatusCode::BAD_REQUEST, problem), "wrong user");
        assert_eq!(
            refused(StatusCode::BAD_GATEWAY, b"<html>"),
            "502 Bad Gateway"
        );
    }
}
