//! What a request looks like when it leaves (RFC 3261 §16.6), and the way of requests within a dialog.

use std::sync::Arc;

use sip::HeaderName;
use sip::endpoint::{Event, ForkError, HeaderChange};

use crate::world::{RECORD_ROUTE, World, in_dialog, message, request, response};

#[test]
fn request_is_forwarded_octet_for_octet_but_for_what_must_change() {
    let mut world = World::new();
    let text = "INVITE sip:bob@proxy.example SIP/2.0\n\
         v:  SIP/2.0/UDP 10.0.0.10:5060;branch=z9hG4bKcall ,SIP/2.0/TCP far.example;branch=1\n\
         X-Unknown: one,  two ;  three\n\
         F: \"A, B\"  <sip:alice@caller.example>;tag=alice\n\
         to: <sip:bob@proxy.example>\n\
         X-Umlaut: \u{e9}\n\
         i: call@caller.example\n\
         Max-Forwards: 12\n\
         CSeq: 1 INVITE\n\
         Subject: folded\n\
         \x20 here\n\
         Max-Breadth: 60\n\
         l: 4\n\nbody";
    let context = world.open(text);
    let target = world.target("phone");
    world
        .owner(|proxy, now| proxy.fork(now, context, &target))
        .unwrap();
    let forwarded = world.next("phone");
    let via = forwarded.header_text(HeaderName::Via).unwrap();
    assert!(
        via.starts_with("SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK") && via.ends_with(";rport"),
        "{via}"
    );
    let expected = text
        .replacen("sip:bob@proxy.example", "sip:bob@10.0.0.21", 1)
        .replacen("v:", &format!("Via: {via}\nv:"), 1)
        .replace(
            "far.example;branch=1\n",
            &format!("far.example;branch=1\nRecord-Route: {RECORD_ROUTE}\n"),
        )
        .replace("Forwards: 12", "Forwards: 11")
        .replace("Breadth: 60", "Breadth: 7");
    assert_eq!(forwarded.bytes(), message(&expected).bytes());
}

#[test]
fn path_of_the_binding_and_the_owners_changes_are_written() {
    let mut world = World::new();
    let context = world
        .open(&request("INVITE", "call").replace("To:", "Route: <sip:mine;lr>\nP-Secret: x\nTo:"));
    let mut target = world.target("phone");
    target.route = vec!["<sip:edge1;lr>".to_owned(), "<sip:edge2;lr>".to_owned()];
    target.headers = vec![
        HeaderChange::Remove(HeaderName::Other("P-Secret")),
        HeaderChange::Set(HeaderName::UserAgent, "reveille".to_owned()),
        HeaderChange::Prepend(HeaderName::HistoryInfo, "<sip:bob@b>;index=1".to_owned()),
    ];
    world
        .owner(|proxy, now| proxy.fork(now, context, &target))
        .unwrap();
    let forwarded = world.next("phone");
    let routes: Vec<_> = forwarded.values(HeaderName::Route).collect();
    assert_eq!(
        routes,
        [&b"<sip:edge1;lr>"[..], b"<sip:edge2;lr>", b"<sip:mine;lr>"]
    );
    assert!(!forwarded.has(HeaderName::Other("p-secret")));
    assert!(forwarded.has(HeaderName::UserAgent) && forwarded.has(HeaderName::HistoryInfo));
}

#[test]
fn strict_router_ahead_is_served_in_its_way() {
    let mut world = World::new();
    let context = world.call();
    let mut target = world.target("phone");
    target.route = vec!["<sip:strict.example>".to_owned()];
    world
        .owner(|proxy, now| proxy.fork(now, context, &target))
        .unwrap();
    let forwarded = world.next("phone");
    assert_eq!(forwarded.request_uri(), "sip:strict.example");
    assert_eq!(
        forwarded.header(HeaderName::Route),
        Some(&b"<sip:bob@10.0.0.21>"[..])
    );
}

#[test]
fn request_without_max_forwards_or_content_length_gets_them() {
    let mut world = World::over_tcp();
    let text = request("INVITE", "call")
        .replace("Max-Forwards: 70\n", "")
        .replace("Content-Length: 0\n", "");
    let context = world.open(&text);
    world.fork(context, "phone");
    let forwarded = world.next("phone");
    assert_eq!(forwarded.header(HeaderName::MaxForwards), Some(&b"70"[..]));
    assert_eq!(forwarded.header(HeaderName::ContentLength), Some(&b"0"[..]));
    let via = forwarded.header_text(HeaderName::Via).unwrap();
    assert!(
        via.starts_with("SIP/2.0/TCP ") && !via.contains("rport"),
        "{via}"
    );
}

#[test]
fn breadth_is_shared_between_branches_and_comes_back_from_those_that_ended() {
    let mut world = World::new();
    let context = world.open(&request("INVITE", "call").replace("To:", "Max-Breadth: 2\nTo:"));
    let breadth = |message: &sip::Message| {
        message
            .header_text(HeaderName::Other("Max-Breadth"))
            .unwrap()
            .to_owned()
    };
    world.fork(context, "phone");
    let first = world.next("phone");
    world.fork(context, "tablet");
    assert_eq!(
        (breadth(&first), breadth(&world.next("tablet"))),
        ("1".to_owned(), "1".to_owned())
    );
    let target = world.target("desk");
    let refused = world.owner(|proxy, now| proxy.fork(now, context, &target));
    assert_eq!(refused, Err(ForkError::Breadth));
    world.answer("phone", &first, 486);
    world.fork(context, "desk");
    assert_eq!(breadth(&world.next("desk")), "1");
}

#[test]
fn requests_in_the_dialog_follow_the_record_route_both_ways() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone"]);
    world.answer("phone", &invites[0], 200);
    world.next("caller");
    let accepted = world.next("caller");
    // The push token stays here.
    assert_eq!(
        accepted.header(HeaderName::Contact),
        Some(&b"<sip:bob@10.0.0.21>"[..])
    );
    assert_eq!(
        accepted.header(HeaderName::RecordRoute),
        Some(RECORD_ROUTE.as_bytes())
    );
    world.told();

    // BYE from the caller, and a method that nobody has heard of from the phone.
    let context = world.open(&in_dialog("BYE", "bye", 2, &accepted));
    let mut target = world.target("phone");
    target.record_route = None;
    world
        .owner(|proxy, now| proxy.fork(now, context, &target))
        .unwrap();
    let bye = world.next("phone");
    assert_eq!(bye.request_uri(), "sip:bob@10.0.0.21");
    assert!(!bye.has(HeaderName::Route));
    assert_eq!(
        bye.header(HeaderName::Other("Max-Breadth")),
        Some(&b"60"[..])
    );
    world.answer("phone", &bye, 481);
    assert_eq!(world.seen("caller"), ["481 BYE"]);

    let text = in_dialog("FROB", "frob", 1, &accepted)
        .replace("10.0.0.10:5060;branch", "10.0.0.21:5060;branch");
    world.told();
    world.send("phone", &text);
    let txn = world.arrived();
    let mut target = world.target("caller");
    target.record_route = None;
    world.owner(|proxy, now| {
        let context = proxy.open(now, txn).unwrap();
        proxy.fork(now, context, &target).unwrap();
    });
    let frob = world.next("caller");
    world.send_message("caller", response("caller", &frob, 200));
    assert_eq!(world.seen("phone"), ["200 FROB"]);
    world.ends_clean();
}

#[test]
fn received_and_rport_say_where_a_request_really_came_from() {
    let mut world = World::new();
    let text =
        request("OPTIONS", "o").replace("10.0.0.10:5060;", "192.168.1.9:5099;rport;x=\"y\";");
    world.send("caller", &text);
    let events = world.told();
    let [Event::Request { txn, request, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        request.header_text(HeaderName::Via),
        Some("SIP/2.0/UDP 192.168.1.9:5099;rport=5060;x=\"y\";branch=z9hG4bKo;received=10.0.0.10")
    );
    // And the answer finds its way (`next` looks under the source address).
    world.owner(|proxy, now| proxy.answer(now, *txn, 200, ""));
    assert_eq!(
        world.next("caller").header(HeaderName::Via),
        request.header(HeaderName::Via)
    );
}

#[test]
fn without_rport_the_answer_goes_to_the_port_of_sent_by() {
    let mut world = World::new();
    let text = request("OPTIONS", "o").replace("10.0.0.10:5060;", "alice.example:5060;");
    let mut flow = world.flow("caller");
    flow.remote.set_port(40_000);
    world.owner(|proxy, now| {
        let message = message(&text);
        proxy.handle(now, sip::endpoint::Input::Received { flow, message });
    });
    let txn = world.arrived();
    world.owner(|proxy, now| proxy.answer(now, txn, 200, ""));
    let via = world
        .next("caller")
        .header_text(HeaderName::Via)
        .map(str::to_owned);
    assert_eq!(
        via.as_deref(),
        Some("SIP/2.0/UDP alice.example:5060;branch=z9hG4bKo;received=10.0.0.10")
    );
}

fn credentials(realm: &str) -> String {
    format!(
        "Digest username=\"alice\", realm=\"{realm}\", nonce=\"n\", uri=\"sip:b\", response=\"r\""
    )
}

#[test]
fn only_credentials_of_our_own_realm_come_off() {
    let mut world = World::new();
    let lines = format!(
        "Proxy-Authorization: {}\nProxy-Authorization:  {}\nAuthorization: {}\nTo:",
        credentials("proxy.example"),
        credentials("gateway"),
        credentials("gateway"),
    );
    let context = world.open(&request("INVITE", "call").replace("To:", &lines));
    let mut target = world.target("phone");
    let realms: Arc<[String]> = ["proxy.example", "other.example"].map(str::to_owned).into();
    target.headers = [HeaderName::ProxyAuthorization, HeaderName::Authorization]
        .map(|header| HeaderChange::RemoveCredentials {
            header,
            realms: realms.clone(),
        })
        .into();
    world
        .owner(|proxy, now| proxy.fork(now, context, &target))
        .unwrap();
    let invite = world.next("phone");
    for name in [HeaderName::ProxyAuthorization, HeaderName::Authorization] {
        let left: Vec<_> = invite.headers(name).collect();
        assert_eq!(left, [credentials("gateway").as_bytes()], "{name}");
    }
    let text = String::from_utf8_lossy(invite.bytes());
    assert!(
        text.contains("\r\nProxy-Authorization:  Digest"),
        "octet for octet"
    );
}

#[test]
fn a_token_goes_to_nobody_further_on_also_in_an_ack() {
    let shown = "Proxy-Authorization: Bearer secret\nAuthorization: bearer  secret\nTo:";
    let mut world = World::new();
    let context = world.open(&request("INVITE", "call").replace("To:", shown));
    world.fork(context, "phone");
    let invite = world.next("phone");
    world.answer("phone", &invite, 200);
    assert_eq!(world.next("caller").status(), Some(100));
    let accepted = world.next("caller");
    world.told();
    world.send(
        "caller",
        &in_dialog("ACK", "ack", 1, &accepted).replace("To:", shown),
    );
    let told = world.told();
    let [Event::Ack { request, .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(request.has(HeaderName::Authorization));
    let flow = world.flow("phone");
    world.owner(|proxy, _| proxy.proxy_ack(flow, request));
    for passed in [invite, world.next("phone")] {
        let text = String::from_utf8_lossy(passed.bytes());
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn a_challenge_of_the_callee_reaches_the_caller_as_it_is() {
    for (status, name) in [
        (407, HeaderName::ProxyAuthenticate),
        (401, HeaderName::WwwAuthenticate),
    ] {
        let mut world = World::new();
        let (_, invites) = world.call_to(&["phone"]);
        let challenge = "Digest  realm=\"gateway\",nonce=\"1\", algorithm=MD5";
        let response = response("phone", &invites[0], status);
        let response = sip::Edit::new(&response).append(name, challenge).finish();
        world.send_message("phone", response);
        assert_eq!(world.next("caller").status(), Some(100));
        let refusal = world.next("caller");
        assert_eq!(refusal.status(), Some(status));
        let challenges: Vec<_> = refusal.headers(name).collect();
        assert_eq!(challenges, [challenge.as_bytes()]);
        world.send("caller", &crate::world::for_invite("ACK", ""));
        world.ends_clean();
    }
}

#[test]
fn a_finished_call_leaves_nothing() {
    for mut world in [World::new(), World::over_tcp()] {
        let (_, invites) = world.call_to(&["phone"]);
        world.answer("phone", &invites[0], 180);
        world.answer("phone", &invites[0], 200);
        assert_eq!(world.next("caller").status(), Some(100));
        assert_eq!(world.next("caller").status(), Some(180));
        let accepted = world.next("caller");
        world.told();
        world.send("caller", &in_dialog("ACK", "ack", 1, &accepted));
        let told = world.told();
        let [
            Event::Ack {
                txn: None, request, ..
            },
        ] = &told[..]
        else {
            panic!("{told:?}")
        };
        let flow = world.flow("phone");
        world.owner(|proxy, _| proxy.proxy_ack(flow, request));
        let context = world.open(&in_dialog("BYE", "bye", 2, &accepted));
        world.fork(context, "phone");
        assert_eq!(world.next("phone").method(), Some(sip::Method::Ack));
        let bye = world.next("phone");
        world.answer("phone", &bye, 200);
        assert_eq!(world.seen("caller"), ["200 BYE"]);
        world.ends_clean();
    }
}
