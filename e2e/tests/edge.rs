//! Linphone outside, by an edge of its own process: it registers, is woken, and comes back by another edge when the first is gone.

use reveille_e2e::{
    Account, Edge, Linphone, PASSWORD, Pjsua, Reveille, SOON, Transport, iphone, new_token, poll,
};

/// Waits until both tunnels of the inside are as they should be.
fn wait_tunnels(inside: &Reveille, wanted: [bool; 2]) {
    let seen = poll(SOON, || {
        let told = inside.ask(&["edge", "status", "--json"]);
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        let up = told.as_array().expect("a list").iter();
        let mut up: Vec<_> = up.map(|it| it["up"] == true).collect();
        up.sort_unstable();
        (up == wanted).then_some(())
    });
    assert!(seen.is_some(), "{}", inside.ask(&["edge", "status"]));
}

#[test]
fn linphone_outside_is_woken_and_comes_back_by_the_other_edge_when_its_own_is_killed() {
    let mut inside = Reveille::new();
    let mut edges = [Edge::of(&inside), Edge::of(&inside)];
    for edge in &mut edges {
        edge.start();
    }
    let lines = edges.each_ref().map(Edge::line).join(",");
    inside = inside.with("edge", "edges", &lines);
    inside.start();
    wait_tunnels(&inside, [true, true]);

    let token = new_token();
    let mut bob = Linphone::registered(Account {
        user: "bob".to_owned(),
        password: PASSWORD.to_owned(),
        transport: Transport::Tls,
        server: edges[0].sip_tls(),
        push: Some(iphone(&token)),
        ca: Some(edges.each_ref().map(Edge::ca).concat()),
        friends: Vec::new(),
    });
    assert!(edges[0].status().contains(" up "), "{}", edges[0].status());
    bob.kill();
    edges[0].kill();
    wait_tunnels(&inside, [false, true]);

    let mut alice = Pjsua::registered(&inside, "alice", Transport::Udp);
    alice.call("sip:bob@localhost");
    inside.lab().wait_for_push(&token, "call", SOON);
    bob.moves(edges[1].sip_tls());
    bob.start();
    bob.wait_registered();
    bob.wait_ringing(SOON);
    alice.expect("CALL EARLY 180", SOON);
    bob.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    // A BYE from outside finds the caller, and the way is that of the call.
    bob.hang_up();
    alice.expect("CALL DISCONNECTED", SOON);
    inside.assert_healthy();
}
