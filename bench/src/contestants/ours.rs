//! Our own push client as a contestant, in a process of its own.

use super::{APP, Order, Said};
use anyhow::{Context, Result};
use domain::{
    AppId, AppProfile, Channel, Generation, Notification, Outcome, Platform, Provider, Purpose,
};
use push::{App, Credentials, Endpoint, Environment, Limits, Observer, Pusher};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{
    fs,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Nobody watches.
struct Nobody;

impl Observer for Nobody {
    fn on(&self, _: &push::Event<'_>) {}
}

#[derive(Debug, Default)]
struct Count {
    next: AtomicU32,
    taken: AtomicU32,
    failed: AtomicU32,
    reason: Mutex<String>,
}

/// Does what is ordered, and prints what came of it.
pub(crate) fn push(order: &str) -> Result<()> {
    let order: Order = serde_json::from_str(order)?;
    let pusher = pusher(&order)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let said = runtime.block_on(async {
        let lasts = Duration::from_secs_f64(order.seconds);
        if order.burst == 0 {
            // The connection is there, and its first pushes are over.
            push_all(&pusher, order.in_flight, Duration::ZERO).await;
        }
        let begun = Instant::now();
        let count = match order.burst {
            0 => push_all(&pusher, order.in_flight, lasts).await,
            burst => push_all(&pusher, burst, Duration::ZERO).await,
        };
        let reason = count.reason.lock().unwrap_or_else(PoisonError::into_inner);
        Said {
            taken: count.taken.load(Ordering::Relaxed),
            failed: count.failed.load(Ordering::Relaxed),
            seconds: begun.elapsed().as_secs_f64(),
            reason: reason.clone(),
            cpu: 0.0,
        }
    });
    println!("{}", serde_json::to_string(&said)?);
    Ok(())
}

/// So many push at once, one after the other, until the time is over.
async fn push_all(pusher: &Pusher, at_once: u32, lasts: Duration) -> Arc<Count> {
    let (count, begun) = (Arc::new(Count::default()), Instant::now());
    let mut all = JoinSet::new();
    for _ in 0..at_once {
        let (pusher, count) = (pusher.clone(), count.clone());
        all.spawn(async move {
            loop {
                push_one(&pusher, &count).await;
                if begun.elapsed() >= lasts {
                    break;
                }
            }
        });
    }
    all.join_all().await;
    count
}

async fn push_one(pusher: &Pusher, count: &Count) {
    let number = count.next.fetch_add(1, Ordering::Relaxed);
    let push = Notification {
        id: format!("6f9619ff-8b86-d011-b42d-{number:012x}").into(),
        app: AppId::from(APP),
        token: format!("{number:064x}"),
        channel: Channel::Message,
        purpose: Purpose::MissedCall {
            call: String::new(),
        },
        tracking: "bench".into(),
        ttl: Duration::from_hours(1),
        collapse: None,
        badge: None,
        sealed: None,
    };
    match pusher.push(push).await {
        Outcome::Accepted { .. } => count.taken.fetch_add(1, Ordering::Relaxed),
        other => {
            let mut reason = count.reason.lock().unwrap_or_else(PoisonError::into_inner);
            other.reason().clone_into(&mut reason);
            count.failed.fetch_add(1, Ordering::Relaxed)
        }
    };
}

fn pusher(order: &Order) -> Result<Pusher> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(&order.ca)? {
        roots.add(root?)?;
    }
    let endpoint: Endpoint = format!("{}:{}", order.host, order.port).parse()?;
    let app = App {
        profile: AppProfile {
            app: AppId::from(APP),
            platform: Platform::Ios,
            provider: Provider::Apns,
            generation: Generation::DualChannel,
        },
        credentials: Credentials::Apns {
            team_id: order.team.clone(),
            key_id: order.key_id.clone(),
            key_pem: fs::read_to_string(&order.key).context("the key")?,
        },
        environment: Environment::Production,
        endpoint: Some(endpoint),
    };
    Ok(Pusher::new(
        vec![app],
        roots,
        Limits::default(),
        Arc::new(Nobody),
    )?)
}
