//! A token that the cloud calls dead is not pushed to again; the caller does not wait for it; a new one heals it.

use std::time::{Duration, Instant};

use reveille_e2e::{Linphone, Pjsua, Reveille, SOON, Transport, iphone, new_token};

const BOB: &str = "sip:bob@localhost";

/// Well below the 13 s that a wake may take.
const AT_ONCE: Duration = Duration::from_secs(4);

#[test]
fn a_dead_token_is_not_pushed_to_again_until_a_new_one_comes() {
    let server = Reveille::started();
    let old = new_token();
    let mut bob = Linphone::registered(server.account("bob", Transport::Tcp, iphone(&old)));
    bob.kill();
    server.lab().fate(&old, 410, "Unregistered", Some(1));
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);

    assert_call_fails_at_once(&mut alice);
    let pushes = server.lab().notifications(&old);
    assert_eq!(pushes.len(), 1, "{pushes:#?}");
    assert_eq!(pushes[0].status(), 410);

    // The cloud would take it again by now; nobody may ask it.
    assert_call_fails_at_once(&mut alice);
    assert_eq!(
        server.lab().notifications(&old).len(),
        1,
        "a dead token was pushed to"
    );

    let devices = server.ask(&["device", "list"]);
    assert!(
        devices.contains("bob") && devices.contains("Unregistered"),
        "why it does not ring:\n{devices}"
    );
    let story = server.ask(&["trace", pushes[0].data("tracking")]);
    assert!(
        story.contains("Unregistered"),
        "why it did not ring:\n{story}"
    );

    let new = new_token();
    let mut bob = Linphone::registered(server.account("bob", Transport::Tcp, iphone(&new)));
    bob.kill();
    alice.call(BOB);
    server.lab().wait_for_push(&new, "call", SOON);
    bob.start();
    bob.wait_ringing(SOON);
    bob.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    alice.hang_up();
    bob.wait_call_over(SOON);
    assert_eq!(
        server.lab().notifications(&old).len(),
        1,
        "a dead token was pushed to"
    );
}

#[test]
fn a_call_to_a_phone_that_cannot_be_woken_goes_to_the_fallback_at_once() {
    let server = Reveille::started();
    server.ask(&["user", "forward", "bob", "sip:carol@localhost"]);
    let dead = new_token();
    let mut bob = Linphone::registered(server.account("bob", Transport::Tcp, iphone(&dead)));
    bob.kill();
    server.lab().fate(&dead, 410, "Unregistered", None);
    let mut carol =
        Linphone::registered(server.account("carol", Transport::Tcp, iphone(&new_token())));
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);

    let called = Instant::now();
    alice.call(BOB);
    carol.wait_ringing(SOON);
    assert!(
        called.elapsed() < AT_ONCE,
        "the fallback had to wait {:?} for a device that cannot be woken",
        called.elapsed()
    );
    carol.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    alice.hang_up();
    carol.wait_call_over(SOON);
}

fn assert_call_fails_at_once(alice: &mut Pjsua) {
    let called = Instant::now();
    alice.call(BOB);
    alice.expect("CALL DISCONNECTED 480", SOON);
    assert!(
        called.elapsed() < AT_ONCE,
        "the caller waited {:?} for a device that cannot be woken",
        called.elapsed()
    );
}
