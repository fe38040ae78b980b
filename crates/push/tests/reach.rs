//! What is known of a cloud before anybody pushes.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

mod support;

use domain::Outcome;
use reveille_push::{App, Event, Limits, Observer, Pusher};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use support::{
    cloud::{Cloud, reply},
    droid,
    frames::Listener,
    iphone, limits, tls,
};
use tokio::{sync::watch, time::timeout};

/// Hears of clouds that answer or do not, and of apps that are ready or not.
struct Ear(watch::Sender<Vec<String>>);

impl Ear {
    fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::default()))
    }

    /// Waits until it has heard so many things, and gives them.
    async fn heard(&self, count: usize) -> Vec<String> {
        let mut heard = self.0.subscribe();
        let heard = heard.wait_for(|heard| heard.len() >= count);
        let heard = timeout(Duration::from_secs(20), heard).await;
        heard.expect("it is told").unwrap().clone()
    }
}

impl Observer for Ear {
    fn on(&self, event: &Event<'_>) {
        let said = match event {
            Event::Reach { apps, reach, .. } => {
                let apps: Vec<_> = apps
                    .iter()
                    .map(|it| format!("{} {}", it.app, it.environment.name()))
                    .collect();
                let reach = reach.map_or_else(|why| why, |()| "answers");
                format!("{}: {reach}", apps.join(", "))
            }
            Event::Ready { app, ready } => {
                let ready = ready.map_or_else(Outcome::name, |()| "ready");
                format!("{}: {ready}", app.app)
            }
            _ => return,
        };
        self.0.send_modify(|heard| heard.push(said));
    }
}

fn quick() -> Limits {
    Limits {
        keep_alive: Duration::from_millis(20),
        ping: Duration::from_millis(200),
        ..limits()
    }
}

fn pusher(apps: Vec<App>, roots: rustls::RootCertStore, ear: &Arc<Ear>) -> Pusher {
    Pusher::new(apps, roots, quick(), ear.clone()).unwrap()
}

/// Without what is said of tokens.
fn of_clouds(heard: Vec<String>) -> Vec<String> {
    let of_token = |said: &String| said.ends_with(": ready");
    heard.into_iter().filter(|said| !of_token(said)).collect()
}

#[tokio::test]
async fn a_dead_cloud_is_known_before_the_first_push_and_told_once_and_so_is_its_return() {
    let tls = tls();
    let cloud = Listener::bind(tls.acceptor.clone()).await;
    let port = cloud.port();
    drop(cloud);
    let ear = Ear::new();
    let pusher = pusher(vec![iphone(port)], tls.roots, &ear);
    pusher.warm().await;
    let heard = of_clouds(ear.heard(2).await);
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].starts_with("com.example.phone production: "));
    assert!(heard[0].contains("refused"), "{heard:?}");
    let cloud = Listener::bind_at(tls.acceptor, port).await;
    let serving = async {
        let mut connection = cloud.accept(1).await;
        while connection.next().await.is_some() {}
    };
    let heard = tokio::select! {
        heard = ear.heard(3) => of_clouds(heard),
        () = serving => panic!("it stays"),
    };
    // However often it was tried meanwhile.
    assert_eq!(heard[1..], ["com.example.phone production: answers"]);
}

#[tokio::test]
async fn a_cloud_that_falls_silent_is_known_by_the_ping_that_it_does_not_answer() {
    let tls = tls();
    let cloud = Listener::bind(tls.acceptor).await;
    let ear = Ear::new();
    let pusher = pusher(vec![iphone(cloud.port())], tls.roots, &ear);
    let warm = pusher.warm();
    let apple = async {
        let mut both = [cloud.accept(1).await, cloud.accept(1).await];
        // Until it is known that it answers.
        let answering = async {
            let [one, other] = &mut both;
            tokio::join!(one.settings_taken(), other.settings_taken());
            while one.next().await.is_some() {}
        };
        tokio::select! {
            _ = ear.heard(2) => {}
            () = answering => panic!("it stays"),
        }
        both
    };
    let ((), both) = support::play(warm, apple).await;
    // From here on nobody reads what comes, and nobody listens.
    drop(cloud);
    let heard = of_clouds(ear.heard(3).await);
    assert_eq!(heard[0], "com.example.phone production: answers");
    assert_eq!(heard.len(), 2, "{heard:?}");
    drop(both);
}

#[tokio::test]
async fn credentials_that_get_no_token_are_known_before_the_first_push_and_so_is_that_they_do_again()
 {
    let (mend, mended) = watch::channel(false);
    let cloud = Cloud::start(move |asked| {
        assert_eq!(asked.path, "/token", "nobody pushes");
        if *mended.borrow() {
            reply(200, &json!({"access_token": "t", "expires_in": 3600}))
        } else {
            reply(400, &json!({"error": "invalid_grant"}))
        }
    })
    .await;
    let ear = Ear::new();
    let pusher = pusher(vec![droid(cloud.port)], cloud.roots.clone(), &ear);
    pusher.warm().await;
    let of_token = |heard: Vec<String>| {
        let mut heard = heard;
        heard.retain(|said| said.starts_with("com.example.droid: "));
        heard
    };
    let heard = of_token(ear.heard(2).await);
    assert_eq!(heard, ["com.example.droid: unauthorized"]);
    mend.send(true).unwrap();
    let heard = of_token(ear.heard(3).await);
    assert_eq!(heard[1..], ["com.example.droid: ready"]);
}
