//! The platform's delivery of pushes to the phone: a long poll of the simulated clouds, which runs whether the app
//! does or not.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Channel;
use http::{Method, StatusCode};
use push::seal::{KeyPair, unseal};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::phone::machine::{Push, opened};
use crate::phone::{PhoneError, PushService};

/// One long poll, in seconds.
const WAIT: u64 = 30;

/// Pause before the clouds are asked again when they do not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// What the control API tells of a push.
#[derive(Deserialize)]
struct Record {
    seq: u64,
    payload: Value,
}

/// Where the pushes of one token come from.
pub(super) struct Inbox {
    /// The control API.
    pub(super) lab: String,
    pub(super) token: String,
    /// `None`: the token serves both channels, the payload tells.
    pub(super) channel: Option<Channel>,
    pub(super) keys: Option<KeyPair>,
    /// What was pushed up to here is over.
    after: u64,
}

impl Inbox {
    /// An inbox that takes what is pushed from now on.
    pub(super) async fn open(
        lab: &str,
        token: String,
        channel: Option<Channel>,
        (service, keys): (&PushService, Option<KeyPair>),
    ) -> Result<Self, PhoneError> {
        let mut inbox = Self {
            lab: lab.trim_end_matches('/').to_owned(),
            token,
            channel,
            keys,
            after: 0,
        };
        if let PushService::WebPush { app, .. } = service {
            inbox.subscribe(app).await?;
        }
        while let Some(newest) = inbox.ask(0).await?.last() {
            inbox.after = newest.seq;
        }
        Ok(inbox)
    }

    /// Delivers pushes until nobody takes them any more.
    pub(super) async fn run(mut self, pushes: mpsc::Sender<Push>) {
        loop {
            let records = match self.ask(WAIT).await {
                Ok(records) => records,
                Err(error) => {
                    tracing::debug!(%error, "no pushes from the clouds");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            for record in records {
                self.after = record.seq;
                let Some(push) = self.read(&record.payload) else {
                    tracing::warn!("a push that is not sealed for this phone");
                    continue;
                };
                if pushes.send(push).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn ask(&self, wait: u64) -> Result<Vec<Record>, PhoneError> {
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", &self.token)
            .append_pair("accepted", "true")
            .append_pair("after", &self.after.to_string())
            .append_pair("wait", &wait.to_string())
            .finish();
        let url = format!("{}/notifications?{query}", self.lab);
        let (status, body) = net::http::request(Method::GET, &url, None, None)
            .await
            .map_err(|error| PhoneError::Lab(error.to_string()))?;
        if status != StatusCode::OK {
            return Err(PhoneError::Lab(format!(
                "{status}: {}",
                String::from_utf8_lossy(&body)
            )));
        }
        serde_json::from_slice(&body).map_err(|error| PhoneError::Lab(error.to_string()))
    }

    /// A browser subscribes for a page with the key of whoever may push to it (RFC 8292 §4.1); from then on nobody else may.
    async fn subscribe(&self, app: &str) -> Result<(), PhoneError> {
        let url = format!("{}/tokens", self.lab);
        let token = json!({ "provider": "webpush", "app": app, "token": self.token });
        let (status, body) = net::http::request(Method::POST, &url, None, Some(&token))
            .await
            .map_err(|error| PhoneError::Lab(error.to_string()))?;
        if status.is_success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&body);
        Err(PhoneError::Lab(format!("{status}: {why}")))
    }

    fn read(&self, payload: &Value) -> Option<Push> {
        let keys = self.keys.as_ref();
        let payload = opened(payload, keys)?;
        Some(Push::read(&payload, self.channel, |sealed| {
            let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
            unseal(keys?, &sealed).ok()
        }))
    }
}
