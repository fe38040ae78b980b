//! What was read at one client of a user is taken back where it stands, also if the push for it was still on its way.

use std::time::{Duration, Instant};

use lab::phone::PhoneEvent;
use lab::phone::machine::Order;
use lab::plays::JABBER_DROID;
use lab::sim::Fate;
use lab::sim::whole::{DOMAIN, Doors, Stage};

const SECOND: Duration = Duration::from_secs(1);

fn client(stage: &mut Stage, user: &str) -> usize {
    let service = lab::phone::PushService::Fcm {
        project: "sim-droid".to_owned(),
        package: "example.droid".to_owned(),
    };
    let doors = Doors {
        xmpp: true,
        ..Doors::default()
    };
    let (transport, generation) = (JABBER_DROID.transport, JABBER_DROID.generation);
    stage
        .phone_by(doors, user, transport, service, generation)
        .unwrap()
}

#[test]
fn what_is_read_while_its_push_is_on_its_way_is_taken_back() {
    for (shards, slow) in [1, 2, 4].into_iter().flat_map(|it| [(it, 0), (it, 3)]) {
        let mut stage = Stage::new(Instant::now(), shards, &["alice", "bob"]);
        let alice = client(&mut stage, "alice");
        let (pocket, desk) = (client(&mut stage, "bob"), client(&mut stage, "bob"));
        let token = stage.config(pocket).tokens.message.clone();
        // It is delivered at once; that it was taken the server hears later.
        stage.decide(&token, Fate::prompt().slow(slow * SECOND));
        stage.order(pocket, Order::Suspend).unwrap();
        stage.run_for(SECOND).unwrap();
        let (uri, text) = (format!("xmpp:bob@{DOMAIN}"), "Lunch?".to_owned());
        stage.order(alice, Order::Send { uri, text }).unwrap();
        stage.run_for(SECOND).unwrap();
        let shows = |stage: &Stage, wanted: fn(&PhoneEvent) -> bool| {
            stage.seen(pocket).filter(|(_, it)| wanted(it)).count()
        };
        let is_shown = |it: &PhoneEvent| matches!(it, PhoneEvent::NotificationShown { .. });
        assert_eq!(shows(&stage, is_shown), 1);
        stage.order(desk, Order::Read).unwrap();
        stage.run_for(6 * SECOND).unwrap();
        let is_gone =
            |it: &PhoneEvent| matches!(it, PhoneEvent::NotificationsRemoved { removed: 1, .. });
        assert_eq!(shows(&stage, is_gone), 1, "{shards} {slow}");
        stage.order(pocket, Order::Resume).unwrap();
        stage.ends().unwrap();
    }
}
