//! A world for the tests of the push client: a development CA, apps with keys, all, an observer that counts, and two
//! kinds of cloud: [`cloud::Cloud`] answers requests, [`frames`] plays HTTP/2 frame by frame.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "test code, of which each file uses a part"
)]

pub mod cloud;
pub mod frames;

use domain::{
    AppId, AppProfile, Channel, Generation, Notification, NotificationId, Outcome, Platform,
    Provider, Purpose, TrackingId,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reveille_push::{App, Credentials, Endpoint, Environment, Event, Limits, Observer, Pusher};
use rustls::{RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_rustls::TlsAcceptor;

pub const RSA_PEM: &str = include_str!("test_only_rsa.pem");

/// A CA with one certificate for 127.0.0.1.
pub struct Tls {
    pub roots: RootCertStore,
    pub acceptor: TlsAcceptor,
}

pub fn tls() -> Tls {
    tls_with_alpn(b"h2")
}

pub fn tls_with_alpn(alpn: &[u8]) -> Tls {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(ca_certificate.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    Tls {
        roots,
        acceptor: TlsAcceptor::from(Arc::new(config)),
    }
}

pub fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        host: "127.0.0.1".to_owned(),
        port,
    }
}

pub fn p256_pem() -> String {
    KeyPair::generate().unwrap().serialize_pem()
}

pub fn iphone(port: u16) -> App {
    App {
        profile: AppProfile {
            app: AppId::from("com.example.phone"),
            platform: Platform::Ios,
            provider: Provider::Apns,
            generation: Generation::DualChannel,
        },
        credentials: Credentials::Apns {
            team_id: "TEAM123456".to_owned(),
            key_id: "KEY1234567".to_owned(),
            key_pem: p256_pem(),
        },
        environment: Environment::Production,
        endpoint: Some(endpoint(port)),
    }
}

pub fn droid(port: u16) -> App {
    App {
        profile: AppProfile {
            app: AppId::from("com.example.droid"),
            platform: Platform::Android,
            provider: Provider::Fcm,
            generation: Generation::DualChannel,
        },
        credentials: Credentials::Fcm {
            project: "example-droid".to_owned(),
            client_email: "reveille@example-droid.example".to_owned(),
            private_key_pem: RSA_PEM.to_owned(),
            token_uri: format!("https://127.0.0.1:{port}/token"),
        },
        environment: Environment::Production,
        endpoint: Some(endpoint(port)),
    }
}

pub const IPHONE_TOKEN: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";

/// A call for the iPhone.
pub fn call(number: usize) -> Notification {
    Notification {
        id: NotificationId::from(format!("call-{number}")),
        app: AppId::from("com.example.phone"),
        token: IPHONE_TOKEN.to_owned(),
        channel: Channel::Voip,
        purpose: Purpose::Call {
            call: format!("call-{number}@example.org"),
            register_at: "sips:a.example.org".to_owned(),
        },
        tracking: TrackingId::from(format!("track-{number}")),
        ttl: Duration::ZERO,
        collapse: None,
        badge: None,
        sealed: None,
    }
}

/// A message for the iPhone.
pub fn message() -> Notification {
    Notification {
        channel: Channel::Message,
        purpose: Purpose::Message {
            conversation: "c7".to_owned(),
            unread: 3,
        },
        ttl: Duration::from_hours(1),
        collapse: Some("c7".to_owned()),
        ..call(1)
    }
}

/// The same for the Android phone.
pub fn for_droid(push: Notification) -> Notification {
    Notification {
        app: AppId::from("com.example.droid"),
        token: "fPq:APA91bH_x-7".to_owned(),
        ..push
    }
}

/// Limits with which a test that must run into them is short, and one that must not is safe.
pub fn limits() -> Limits {
    Limits {
        deadline: Duration::from_secs(20),
        connect: Duration::from_secs(10),
        patience: Duration::from_secs(10),
        ping: Duration::from_secs(10),
        ..Limits::default()
    }
}

pub fn pusher(apps: Vec<App>, roots: RootCertStore, limits: Limits) -> Pusher {
    Pusher::new(apps, roots, limits, Arc::new(())).unwrap()
}

/// Pushes so many calls at once.
pub async fn burst(pusher: &Pusher, size: usize) -> Vec<Outcome> {
    let mut all = tokio::task::JoinSet::new();
    for number in 0..size {
        let pusher = pusher.clone();
        all.spawn(async move { pusher.push(call(number)).await });
    }
    all.join_all().await
}

/// A push and the cloud's side of it. Neither may hang.
pub async fn play<A, B>(push: impl Future<Output = A>, cloud: impl Future<Output = B>) -> (A, B) {
    let both = async { tokio::join!(push, cloud) };
    tokio::time::timeout(Duration::from_secs(30), Box::pin(both))
        .await
        .expect("neither side waits for ever")
}

pub fn all_accepted(outcomes: &[Outcome]) -> bool {
    outcomes
        .iter()
        .all(|outcome| matches!(outcome, Outcome::Accepted { .. }))
}

/// Keeps what it is told, in words.
#[derive(Default)]
pub struct Diary(Mutex<Vec<String>>);

impl Diary {
    pub fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Diary {
    fn on(&self, event: &Event<'_>) {
        let entry = match event {
            Event::Pushed {
                app,
                provider,
                channel,
                purpose,
                outcome,
                ..
            } => format!(
                "pushed {app} {} {} {purpose} {}",
                provider.name(),
                channel.name(),
                outcome.name()
            ),
            Event::Connected { .. } => "connected".to_owned(),
            Event::Retired { reason, .. } => format!("retired: {reason}"),
            Event::Unreachable { reason, .. } => format!("unreachable: {reason}"),
            // `reach.rs` listens to these.
            Event::Reach { .. } | Event::Ready { .. } => return,
        };
        self.0.lock().unwrap().push(entry);
    }
}
