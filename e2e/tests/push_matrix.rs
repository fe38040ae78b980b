//! Synapse, with our push gateway where Sygnal was.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reveille_e2e::{Reveille, SOON, Synapse, free_port, poll};
use serde_json::json;

const APP: &str = "com.example.phone.ios";

/// A push service that serves the app, and where.
fn gateway() -> (Reveille, SocketAddr) {
    let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let app = format!(
        "[{{ app_id = \"{APP}\", app = \"com.example.phone\", tenant = \"dev\", homeservers = [\"127.0.0.1\"], payload_keys = [\"cs\"] }}]"
    );
    let mut server = Reveille::new()
        .with("server", "roles", "call,push")
        .with("listen", "push", &at.to_string())
        .with("push", "matrix", &app);
    server.start();
    (server, at)
}

/// A token as APNs has it, and as an app of Matrix writes it.
fn token(octet: u8) -> (String, String) {
    (
        format!("{octet:02x}").repeat(32),
        STANDARD.encode([octet; 32]),
    )
}

#[test]
fn synapse_pushes_through_the_gateway_by_ids_alone_and_forgets_dead_keys() {
    let (server, gateway) = gateway();
    let synapse = Synapse::started();
    let [alice, bob] = ["alice", "bob"].map(|name| synapse.user(name));
    let room = alice.room_with(&bob, "bob");
    let ((short, short_key), (full, full_key)) = (token(0xb1), token(0xb2));
    let payload = json!({"default_payload": {"cs": "client-1", "aps": {"alert": "planted-alert"}}});
    let mut by_id = payload.clone();
    by_id["format"] = "event_id_only".into();
    bob.set_pusher(gateway, APP, &short_key, &by_id);
    bob.set_pusher(gateway, APP, &full_key, &payload);

    let event = alice.say(&room, "planted-text");
    for token in [&short, &full] {
        let push = server.lab().wait_for_push(token, "event", SOON);
        assert_eq!(push.data("event_id"), event, "{push:?}");
        assert_eq!(push.data("room_id"), room);
        assert_eq!(push.data("cs"), "client-1");
        assert_eq!(push.0["payload"]["aps"]["badge"], 1, "{push:?}");
        assert_eq!(push.violations(), Vec::<String>::new());
        for planted in ["planted", "alice", "bob", "m.room.message"] {
            assert!(!push.text().contains(planted), "{}", push.text());
        }
    }

    // Read elsewhere: the number on the icon is another, and nothing is shown.
    bob.read(&room, &event);
    let is_cleared = || {
        let pushes = server.lab().pushes(&short, "event");
        let badge = json!({"badge": 0});
        pushes
            .iter()
            .find(|it| it.0["payload"]["aps"] == badge)
            .map(|_| ())
    };
    poll(SOON, is_cleared).unwrap_or_else(|| panic!("{:#?}", server.lab().notifications(&short)));

    // The cloud has an outage, and Synapse asks again.
    server
        .lab()
        .fate(&short, 503, "ServiceUnavailable", Some(1));
    let event = alice.say(&room, "second");
    let has_it = || {
        let pushes = server.lab().pushes(&short, "event");
        let mut taken = pushes.iter().filter(|it| it.status() == 200);
        taken.find(|it| it.data("event_id") == event).map(|_| ())
    };
    poll(SOON, has_it).unwrap_or_else(|| panic!("{:#?}", server.lab().notifications(&short)));

    server.lab().fate(&short, 410, "Unregistered", None);
    alice.say(&room, "third");
    let is_forgotten = || (bob.pushers() == [full_key.clone()]).then_some(());
    poll(SOON, is_forgotten).unwrap_or_else(|| panic!("{:?}", bob.pushers()));
}
