//! `kill -9` in the middle of a burst, and a clean stop: what was answered 200 or 202 is there after the
//! restart, and comes once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use reveille_e2e::{
    Linphone, Pjsua, Reveille, SOON, SipClient, Transport, android, new_token, poll,
};

/// Devices that keep registering, as many a user as there may be.
const REGISTERING: [(&str, usize); 2] = [("bob", 5), ("erin", 5)];
const WRITERS: usize = 4;
/// Below what may wait for one device.
const MOST_TEXTS: usize = 200;
/// The server is killed when so many of each have been answered.
const BURST: usize = 150;

/// One device's registrations: `answered` is the last that was answered 200, `sent` the last that was tried.
struct Registered {
    user: &'static str,
    token: String,
    answered: usize,
    sent: usize,
}

/// What one sender's texts came to.
struct Written {
    answered: Vec<String>,
    unanswered: Option<String>,
}

#[test]
fn what_was_answered_before_kill_9_is_there_after_it_and_comes_once() {
    let mut server = Reveille::started();
    let address = server.sip(Transport::Udp);
    let carol = android(&new_token()).in_uri();
    assert_eq!(
        SipClient::udp("carol", address).register(&carol).status,
        200
    );

    let (registered, written) = burst_and_kill(&mut server, address);
    server.start();

    for device in &registered {
        assert_registration_survived(device, address);
    }
    let texts = messages_of_carol(&carol, address, &written);
    assert_texts_survived(&written, &texts);
}

/// Many devices register again and again, many texts are written to carol, and the server is killed meanwhile.
fn burst_and_kill(server: &mut Reveille, address: SocketAddr) -> (Vec<Registered>, Vec<Written>) {
    let (registrations, texts) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        let devices: Vec<_> = REGISTERING
            .iter()
            .flat_map(|(user, devices)| std::iter::repeat_n(*user, *devices))
            .map(|user| scope.spawn(|| register_until_dead(user, address, &registrations)))
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let texts = &texts;
                    move || write_until_dead(writer, address, texts)
                })
            })
            .collect();
        let enough = poll(SOON * 3, || {
            let counts = [&registrations, &texts].map(|count| count.load(Ordering::Relaxed));
            counts.iter().all(|count| *count >= BURST).then_some(())
        });
        assert!(
            enough.is_some(),
            "the burst did not get going: {registrations:?} registrations, {texts:?} texts"
        );
        server.kill();
        (
            devices
                .into_iter()
                .map(|device| device.join().expect("a device"))
                .collect(),
            writers
                .into_iter()
                .map(|writer| writer.join().expect("a writer"))
                .collect(),
        )
    })
}

/// A device whose Contact changes with each REGISTER; being the same device, each replaces the one before.
fn register_until_dead(user: &'static str, address: SocketAddr, count: &AtomicUsize) -> Registered {
    let mut client = SipClient::udp(user, address);
    let token = new_token();
    let mut device = Registered {
        user,
        token,
        answered: 0,
        sent: 0,
    };
    loop {
        device.sent += 1;
        let contact = client.contact(&format!(
            "{};n={}",
            android(&device.token).in_uri(),
            device.sent
        ));
        match client.register_contact(&contact) {
            Some(answer) => assert_eq!(answer.status, 200, "{}", answer.text),
            None => return device,
        }
        device.answered = device.sent;
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn write_until_dead(writer: usize, address: SocketAddr, count: &AtomicUsize) -> Written {
    let mut alice = SipClient::udp("alice", address);
    let mut written = Written {
        answered: Vec::new(),
        unanswered: None,
    };
    for serial in 0..MOST_TEXTS {
        let text = format!("writer {writer} text {serial:04}");
        let Some(answer) = alice.message("carol", &text) else {
            written.unanswered = Some(text);
            break;
        };
        assert_eq!(answer.status, 202, "{}", answer.text);
        written.answered.push(text);
        count.fetch_add(1, Ordering::Relaxed);
    }
    written
}

fn assert_registration_survived(device: &Registered, address: SocketAddr) {
    assert!(
        device.answered > 0,
        "a device of {} never got through",
        device.user
    );
    let bindings = SipClient::udp(device.user, address).bindings();
    let ours: Vec<usize> = bindings
        .iter()
        .filter(|binding| binding.contains(&device.token))
        .filter_map(|binding| {
            binding
                .split(";n=")
                .nth(1)?
                .split([';', '>'])
                .next()?
                .parse()
                .ok()
        })
        .collect();
    let [there] = ours[..] else {
        panic!(
            "{}: one binding of the device with {}: {bindings:?}",
            device.user, device.token
        )
    };
    assert!(
        (device.answered..=device.sent).contains(&there),
        "{}: registration {} was answered, {} was tried, {there} is there",
        device.user,
        device.answered,
        device.sent
    );
}

/// Carol's device comes back and takes its messages, until all that were answered have come and then none for a while.
fn messages_of_carol(push: &str, address: SocketAddr, written: &[Written]) -> Vec<String> {
    let mut carol = SipClient::udp("carol", address);
    assert_eq!(carol.register(push).status, 200);
    let owed: usize = written.iter().map(|written| written.answered.len()).sum();
    let mut texts = Vec::new();
    loop {
        let patience = if texts.len() < owed {
            SOON
        } else {
            Duration::from_secs(2)
        };
        let Some(request) = carol.wait_incoming(patience) else {
            return texts;
        };
        if request.method == "MESSAGE" {
            texts.push(request.body().to_owned());
        }
    }
}

fn assert_texts_survived(written: &[Written], texts: &[String]) {
    let mut came: BTreeMap<&str, usize> = BTreeMap::new();
    for text in texts {
        *came.entry(text).or_default() += 1;
    }
    for Written {
        answered,
        unanswered,
    } in written
    {
        assert!(!answered.is_empty(), "a writer never got through");
        for text in answered {
            assert_eq!(
                came.remove(text.as_str()),
                Some(1),
                "{text:?} was answered 202"
            );
        }
        if let Some(text) = unanswered {
            assert!(
                came.remove(text.as_str()).unwrap_or(1) == 1,
                "{text:?} came more than once"
            );
        }
        let of_one: Vec<&String> = texts
            .iter()
            .filter(|text| answered.contains(text))
            .collect();
        assert!(
            of_one.is_sorted(),
            "the texts of one sender keep their order: {of_one:?}"
        );
    }
    assert!(came.is_empty(), "nobody wrote {came:?}");
}

#[test]
fn a_call_that_is_up_outlives_kill_9_and_can_be_hung_up() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut server = Reveille::started();
        let phone = server.account("bob", transport, android(&new_token()));
        let mut bob = Linphone::registered(phone);
        let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);
        alice.call("sip:bob@localhost");
        bob.wait_ringing(SOON);
        bob.answer();
        alice.expect("CALL CONFIRMED 200", SOON);
        // Without it the call is not up for him: he would go on repeating his answer, and register when that is over.
        bob.expect("ACK sip:bob", SOON);

        // It tries at once, and then not again for minutes: it must not try before the server is back.
        bob.process().freeze();
        server.kill();
        server.start();
        bob.process().thaw();
        if transport == Transport::Tcp {
            // It sees that its connection broke, and opens another.
            bob.expect("to [LinphoneRegistrationOk]", SOON);
        }
        alice.hang_up();
        bob.wait_call_over(SOON);
        alice.expect("CALL DISCONNECTED", SOON);
    }
}

#[test]
fn a_phone_that_sleeps_through_kill_9_is_woken_after_it() {
    let mut server = Reveille::started();
    let token = new_token();
    let phone = server.account("bob", Transport::Tcp, android(&token));
    let mut bob = Linphone::registered(phone);
    bob.kill();

    server.kill();
    server.start();
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);
    alice.call("sip:bob@localhost");
    server.lab().wait_for_push(&token, "call", SOON);
    bob.start();
    bob.wait_ringing(SOON);
    bob.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    alice.hang_up();
    bob.wait_call_over(SOON);
}

#[test]
fn a_clean_stop_answers_the_caller_and_keeps_what_is_owed() {
    let mut server = Reveille::started();
    let address = server.sip(Transport::Udp);
    let token = new_token();
    let phone = android(&token).in_uri();
    assert_eq!(SipClient::udp("bob", address).register(&phone).status, 200);
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);
    alice.message("sip:bob@localhost", "kept over the stop");
    alice.expect("SENT 202", SOON);
    alice.call("sip:bob@localhost");
    server.lab().wait_for_push(&token, "call", SOON);

    server.stop();
    alice.expect("CALL DISCONNECTED 503", SOON);

    server.start();
    let mut bob = SipClient::udp("bob", address);
    assert_eq!(bob.register(&phone).status, 200);
    let kept =
        std::iter::from_fn(|| bob.wait_incoming(SOON)).find(|request| request.method == "MESSAGE");
    assert_eq!(kept.expect("the message").body(), "kept over the stop");
}
