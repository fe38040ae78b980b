//! a2 as a contestant: pushes as it is ordered to, and says how many were taken.

use a2::{Client, DefaultNotificationBuilder, NotificationBuilder, NotificationOptions, PushType};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

#[derive(Default)]
struct Count {
    next: AtomicU64,
    taken: AtomicU64,
    failed: AtomicU64,
    reason: Mutex<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let order = std::env::args().nth(1).expect("an order");
    let order: Value = serde_json::from_str(&order).expect("an order in JSON");
    let client = client(&order);
    let number = |name: &str| order[name].as_u64().expect("a number");
    let (in_flight, burst) = (number("in_flight"), number("burst"));
    let lasts = Duration::from_secs_f64(order["seconds"].as_f64().expect("seconds"));
    if burst == 0 {
        // The connection is there, and its first pushes are over.
        push_all(&client, in_flight, Duration::ZERO).await;
    }
    let begun = Instant::now();
    let count = match burst {
        0 => push_all(&client, in_flight, lasts).await,
        burst => push_all(&client, burst, Duration::ZERO).await,
    };
    let said = json!({
        "taken": count.taken.load(Relaxed), "failed": count.failed.load(Relaxed),
        "seconds": begun.elapsed().as_secs_f64(), "reason": *count.reason.lock().unwrap(),
    });
    println!("{said}");
}

/// So many push at once, one after the other, until the time is over.
async fn push_all(client: &Client, at_once: u64, lasts: Duration) -> Arc<Count> {
    let (count, begun) = (Arc::new(Count::default()), Instant::now());
    let mut all = JoinSet::new();
    for _ in 0..at_once {
        let (client, count) = (client.clone(), count.clone());
        all.spawn(async move {
            loop {
                push(&client, &count).await;
                if begun.elapsed() >= lasts {
                    break;
                }
            }
        });
    }
    all.join_all().await;
    count
}

async fn push(client: &Client, count: &Count) {
    let token = format!("{:064x}", count.next.fetch_add(1, Relaxed));
    let options = NotificationOptions {
        apns_topic: Some("com.example.phone"),
        apns_push_type: Some(PushType::Alert),
        ..NotificationOptions::default()
    };
    let payload = DefaultNotificationBuilder::new()
        .set_body("New message")
        .build(&token, options);
    match client.send(payload).await {
        Ok(_) => count.taken.fetch_add(1, Relaxed),
        Err(error) => {
            *count.reason.lock().unwrap() = error.to_string();
            count.failed.fetch_add(1, Relaxed)
        }
    };
}

/// One that trusts the sink alone, and differs from what a2 makes by itself in whether Nagle's algorithm is off.
fn client(order: &Value) -> Client {
    let text = |name: &str| order[name].as_str().expect("a text");
    let read = |name: &str| std::fs::read(text(name)).expect("a file");
    let mut roots = rustls::RootCertStore::empty();
    for root in rustls_pemfile::certs(&mut &*read("ca")) {
        roots.add(root.expect("a certificate")).expect("a root");
    }
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(order["nodelay"].as_bool().expect("nodelay"));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_http2()
        .wrap_connector(http);
    Client::at(connector, &read("key"), text("key_id"), text("team"))
}
