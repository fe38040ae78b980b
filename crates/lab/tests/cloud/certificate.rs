//! APNs by an app's certificate instead of a provider token: our own push client against the simulated cloud.

use crate::world::{DEVICE, TEAM, World};
use domain::{
    AppId, AppProfile, Channel, Generation, Notification, NotificationId, Outcome, Platform,
    Provider, Purpose, TrackingId,
};
use lab::cloud::ApnsCertificate;
use push::{App, Credentials, Endpoint, Environment, Limits, Pusher};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

const PHONE: &str = "com.example.phone";
const PHONE12: &str = "com.example.phone12";

/// A lab whose certificate is for the phone, and that certificate with its key.
async fn world() -> (World, String) {
    let mut pem = String::new();
    let world = World::with(|config| {
        let certificate = &config.apns_teams[0].certificates[0];
        assert_eq!(certificate.bundle, PHONE);
        pem.clone_from(&certificate.pem);
    })
    .await;
    (world, pem)
}

fn app(world: &World, bundle: &str, pem: &str) -> App {
    App {
        profile: AppProfile {
            app: AppId::from(bundle),
            platform: Platform::Ios,
            provider: Provider::Apns,
            generation: Generation::DualChannel,
        },
        credentials: Credentials::ApnsCertificate {
            team_id: TEAM.to_owned(),
            certificate_pem: pem.to_owned(),
            key_pem: pem.to_owned(),
        },
        environment: Environment::Production,
        endpoint: Some(Endpoint {
            host: "localhost".to_owned(),
            port: world.clouds.addresses().apns.port(),
        }),
    }
}

fn pusher(world: &World, bundle: &str, pem: &str) -> Pusher {
    let apps = vec![app(world, bundle, pem)];
    Pusher::new(apps, world.ca.root_store(), Limits::default(), Arc::new(())).unwrap()
}

fn call_to(bundle: &str, number: usize) -> Notification {
    Notification {
        id: NotificationId::from(format!("call-{number}")),
        app: AppId::from(bundle),
        token: DEVICE.to_owned(),
        channel: Channel::Voip,
        purpose: Purpose::Call {
            call: "c1".to_owned(),
            register_at: "localhost".to_owned(),
        },
        tracking: TrackingId::from("t1"),
        ttl: Duration::ZERO,
        collapse: None,
        badge: None,
        sealed: None,
    }
}

#[tokio::test]
async fn an_app_with_a_certificate_needs_no_provider_token_and_no_first_stream_alone() {
    let (world, pem) = world().await;
    let pusher = pusher(&world, PHONE, &pem);
    let mut all = JoinSet::new();
    for number in 0..50 {
        let pusher = pusher.clone();
        all.spawn(async move { pusher.push(call_to(PHONE, number)).await });
    }
    for outcome in all.join_all().await {
        assert_eq!(outcome.name(), "accepted", "{outcome:?}");
    }
    let message = Notification {
        channel: Channel::Message,
        purpose: Purpose::MissedCall { call: "c1".into() },
        ..call_to(PHONE, 50)
    };
    let outcome = pusher.push(message).await;
    assert_eq!(outcome.name(), "accepted", "{outcome:?}");
    let record = world.last_record();
    assert_eq!(record.topic.as_deref(), Some(PHONE));
    assert_eq!(record.violations, [""; 0]);
}

#[tokio::test]
async fn a_certificate_is_good_for_its_own_app_alone() {
    let (world, pem) = world().await;
    let outcome = pusher(&world, PHONE12, &pem)
        .push(call_to(PHONE12, 1))
        .await;
    assert_eq!(
        outcome,
        Outcome::Unauthorized {
            reason: "TopicDisallowed".to_owned()
        }
    );
}

#[tokio::test]
async fn a_certificate_of_no_app_is_refused() {
    let (world, _) = world().await;
    let other = ApnsCertificate::issue(&world.ca, PHONE).unwrap();
    let outcome = pusher(&world, PHONE, &other.pem)
        .push(call_to(PHONE, 1))
        .await;
    assert_eq!(
        outcome,
        Outcome::Unauthorized {
            reason: "BadCertificate".to_owned()
        }
    );
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_an_error_at_start() {
    let (world, pem) = world().await;
    let another = ApnsCertificate::issue(&world.ca, PHONE).unwrap();
    let (_, key_of_another) = another
        .pem
        .split_at(another.pem.find("-----BEGIN PRIVATE").unwrap());
    let (certificate, _) = pem.split_at(pem.find("-----BEGIN PRIVATE").unwrap());
    for (certificate_pem, key_pem) in [
        ("", pem.as_str()),
        ("nonsense", &pem),
        (&pem, ""),
        (&pem, certificate),
        (&pem, key_of_another),
    ] {
        let credentials = Credentials::ApnsCertificate {
            team_id: TEAM.to_owned(),
            certificate_pem: certificate_pem.to_owned(),
            key_pem: key_pem.to_owned(),
        };
        let app = App {
            credentials,
            ..app(&world, PHONE, &pem)
        };
        let roots = world.ca.root_store();
        let error = Pusher::new(vec![app], roots, Limits::default(), Arc::new(())).unwrap_err();
        assert!(error.to_string().contains("export it anew"), "{error}");
    }
}
