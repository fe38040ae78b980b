//! The part of the lab's control API that a phone reads: pushes, by token, with a long poll. And, on the same port, a
//! device API that remembers what it was told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

#[derive(Clone)]
pub struct Cloud {
    pub url: String,
    pushed: Arc<Mutex<Vec<Value>>>,
    told: Arc<Mutex<Vec<(String, Value)>>>,
    count: watch::Sender<usize>,
}

#[derive(Deserialize)]
struct Asked {
    token: String,
    after: usize,
    wait: u64,
}

impl Cloud {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let cloud = Self {
            url: format!("http://{address}"),
            pushed: Arc::default(),
            told: Arc::default(),
            count: watch::Sender::new(0),
        };
        let router = Router::new()
            .route("/notifications", get(notifications))
            .route("/oauth/token", post(sign_in))
            .route("/api/v1/me/devices/{id}", put(device))
            .route("/api/v1/me/devices/{id}/mode", post(device))
            .with_state(cloud.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        cloud
    }

    /// A push that the cloud has accepted for `token`.
    pub fn push(&self, token: &str, payload: &Value) {
        let mut pushed = self.pushed.lock().unwrap();
        let seq = pushed.len() + 1;
        pushed.push(
            json!({ "seq": seq, "token": token, "payload": payload, "answer": { "status": 200 } }),
        );
        self.count.send_replace(seq);
    }

    /// What the device API was told: path and body.
    pub fn told(&self) -> Vec<(String, Value)> {
        self.told.lock().unwrap().clone()
    }

    fn since(&self, asked: &Asked) -> Vec<Value> {
        let pushed = self.pushed.lock().unwrap();
        pushed
            .iter()
            .skip(asked.after)
            .filter(|push| push["token"] == asked.token)
            .cloned()
            .collect()
    }
}

async fn notifications(State(cloud): State<Cloud>, Query(asked): Query<Asked>) -> Json<Value> {
    let mut count = cloud.count.subscribe();
    let answer = async {
        loop {
            let pushes = cloud.since(&asked);
            if !pushes.is_empty() || asked.wait == 0 {
                return pushes;
            }
            count.changed().await.unwrap();
        }
    };
    let pushes = tokio::time::timeout(Duration::from_secs(asked.wait.max(1)), answer).await;
    Json(pushes.unwrap_or_default().into())
}

async fn sign_in(State(cloud): State<Cloud>, Json(body): Json<Value>) -> Json<Value> {
    cloud
        .told
        .lock()
        .unwrap()
        .push(("sign in".to_owned(), body));
    Json(json!({ "access_token": "a-token", "token_type": "Bearer" }))
}

async fn device(
    State(cloud): State<Cloud>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Json<Value> {
    cloud.told.lock().unwrap().push((id, body));
    Json(json!({}))
}
