//! From the first octet to the sign-in: STARTTLS, direct TLS, and what strangers are told.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::HandshakeKind;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use xmpp::ns;

use crate::common::{read_to_close, read_until, write};
use crate::world::{
    CHALLENGE, END, FEATURES_END, HEADER, PROCEED, RESPONSE, STARTTLS, SUCCESS, auth, element,
    gone, greeting, handshake, let_in, opened, world, xmpp_event,
};
use net::{Limits, XmppEvent};

#[tokio::test]
async fn a_client_signs_in_over_starttls_and_opens_its_stream_anew() {
    let mut world = world(1, Limits::default()).await;
    let mut client = world.in_the_clear().await;
    let local = client.local_addr().unwrap();
    write(&mut client, HEADER).await;
    let features = read_until(&mut client, FEATURES_END).await;
    assert!(features.contains("<required/>"), "{features}");
    assert!(!features.contains("PLAIN"), "{features}");
    write(&mut client, STARTTLS).await;
    assert_eq!(read_until(&mut client, PROCEED).await, PROCEED);

    let mut client = world.handshake(client, &[]).await.unwrap();
    write(&mut client, HEADER).await;
    let again = read_until(&mut client, FEATURES_END).await;
    assert!(again.contains("<mechanism>PLAIN</mechanism>"), "{again}");
    let id_of = |text: &str| text.split(" id='").nth(1).unwrap()[..32].to_owned();
    assert_ne!(id_of(&features), id_of(&again));

    write(&mut client, &auth(0)).await;
    let (id, greeted, link) = greeting(&mut world.events[0]).await;
    assert_eq!(greeted.opened.to.as_str(), "example.com");
    assert_eq!(greeted.opened.lang.as_deref(), Some("de"));
    assert_eq!(greeted.element.text(), "0");
    assert_eq!((link.remote, link.secure), (local, true));

    world.say(id, CHALLENGE);
    read_until(&mut client, CHALLENGE).await;
    write(&mut client, RESPONSE).await;
    assert!(element(&mut world.events[0]).await.is(ns::SASL, "response"));
    world.net.signed_in(id, true);
    world.say(id, SUCCESS);
    read_until(&mut client, SUCCESS).await;
    write(&mut client, &format!("{HEADER}<iq xmlns='jabber:client'/>")).await;
    assert_eq!(opened(&mut world.events[0]).await.to(), Some("example.com"));
    assert!(element(&mut world.events[0]).await.is(ns::CLIENT, "iq"));
    drop(client);
    assert_eq!(gone(&mut world.events[0]).await, id);
    assert_eq!(world.net.stats().accepted, 1);
}

#[tokio::test]
async fn who_was_invited_asks_before_they_sign_in() {
    let mut world = world(2, Limits::default()).await;
    let mut client = world.greeted().await;
    let preauth = "<iq type='set' id='1'><preauth xmlns='urn:xmpp:pars:0' token='x'/></iq>";
    write(&mut client, preauth).await;
    let (id, greeted, _) = greeting(&mut world.events[0]).await;
    assert!(greeted.element.is(ns::CLIENT, "iq"));
    world.say(id, "<iq type='result' id='1'/>");
    read_until(&mut client, "id='1'/>").await;
    // What follows is for the same shard, until the client signs in.
    let register = "<iq type='set' id='2'><query xmlns='jabber:iq:register'/></iq>";
    write(&mut client, register).await;
    assert_eq!(element(&mut world.events[0]).await.attr("id"), Some("2"));
    world.say(id, "<iq type='result' id='2'/>");
    read_until(&mut client, "id='2'/>").await;
    write(&mut client, &auth(1)).await;
    assert_eq!(gone(&mut world.events[0]).await, id);
    let (id_there, greeted, _) = greeting(&mut world.events[1]).await;
    assert_eq!((id_there, &*greeted.element.text()), (id, "1"));
}

#[tokio::test]
async fn both_ends_know_what_a_sign_in_is_bound_to() {
    let mut world = world(1, Limits::default()).await;
    let mut client = world.greeted().await;
    write(&mut client, &auth(0)).await;
    let (_, _, link) = greeting(&mut world.events[0]).await;
    let exported = client
        .get_ref()
        .1
        .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]))
        .unwrap();
    assert_eq!(link.tls_exporter, Some(exported));
    let hash = digest(&SHA256, world.certificate.cert.der());
    assert_eq!(link.tls_server_end_point.as_deref(), Some(hash.as_ref()));
}

#[tokio::test]
async fn a_port_of_direct_tls_is_asked_for_xmpp_or_for_nothing() {
    let world = world(1, Limits::default()).await;
    for (asked, answered) in [
        (&["xmpp-client"][..], Some(&b"xmpp-client"[..])),
        (&["h2", "xmpp-client"], Some(b"xmpp-client")),
        (&[], None),
    ] {
        let mut client = world.direct(asked).await.unwrap();
        assert_eq!(client.get_ref().1.alpn_protocol(), answered);
        write(&mut client, HEADER).await;
        read_until(&mut client, "<mechanism>PLAIN</mechanism>").await;
    }
    assert!(world.direct(&["h2"]).await.is_err());
}

#[tokio::test]
async fn what_strangers_are_told_wakes_no_shard() {
    let mut world = world(1, Limits::default()).await;
    for (said, told) in [
        (
            HEADER.replace("example.com", "example.net"),
            "<host-unknown ",
        ),
        (
            HEADER.replace("'1.0' xml:", "'0.9' xml:"),
            "<unsupported-version ",
        ),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "<not-well-formed "),
        (format!("{HEADER}<message/>"), "<not-authorized "),
        (format!("{HEADER}<!-- -->"), "<restricted-xml "),
        (format!("{HEADER}</stream:stream>"), FEATURES_END),
        (format!("{HEADER}{}", auth(0)), "<encryption-required/>"),
    ] {
        let mut stranger = world.in_the_clear().await;
        write(&mut stranger, &said).await;
        if told == "<encryption-required/>" {
            read_until(&mut stranger, told).await;
            continue;
        }
        let answer = read_to_close(&mut stranger).await;
        assert!(answer.contains(told), "{said}: {answer}");
        assert!(answer.contains("<stream:stream "), "{said}: {answer}");
        assert!(answer.ends_with(END), "{said}: {answer}");
    }
    assert!(world.events[0].try_recv().is_none());
}

#[tokio::test]
async fn what_came_behind_starttls_in_the_clear_is_never_used() {
    let mut world = world(1, Limits::default()).await;
    for behind in [auth(0), HEADER.to_owned(), "\0".to_owned()] {
        let mut client = world.in_the_clear().await;
        write(&mut client, &format!("{HEADER}{STARTTLS}{behind}")).await;
        let answer = read_to_close(&mut client).await;
        assert!(answer.contains("<policy-violation "), "{answer}");
        assert!(!answer.contains(PROCEED), "{answer}");
    }
    // A moment later it is taken for a handshake, and is none.
    let mut client = world.in_the_clear().await;
    write(&mut client, &format!("{HEADER}{STARTTLS}")).await;
    read_until(&mut client, PROCEED).await;
    write(&mut client, &format!("{HEADER}{}", auth(0))).await;
    let mut rest = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut client, &mut rest).await;
    assert!(!rest.starts_with(b"<"));
    assert!(world.events[0].try_recv().is_none());
}

#[tokio::test]
async fn a_failed_handshake_gives_its_place_back_and_is_told_to_nobody() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let mut world = world(1, limits).await;
    let mut client = world.in_the_clear().await;
    write(&mut client, &format!("{HEADER}{STARTTLS}")).await;
    read_until(&mut client, PROCEED).await;
    client.shutdown().await.unwrap();
    read_to_close(&mut client).await;
    let_in(world.starttls_address()).await;
    assert!(world.events[0].try_recv().is_none());
}

#[tokio::test]
async fn white_space_between_elements_is_a_keep_alive_at_any_time() {
    let mut world = world(1, Limits::default()).await;
    let mut client = world.in_the_clear().await;
    write(&mut client, &format!("\n{HEADER}\n \n{STARTTLS}")).await;
    read_until(&mut client, PROCEED).await;
    let (mut client, id) = world.signed_in(0).await;
    write(&mut client, " \n <presence/> ").await;
    assert_eq!(element(&mut world.events[0]).await.local(), "presence");
    write(&mut client, END).await;
    let (over, ended) = xmpp_event(&mut world.events[0]).await;
    assert!(matches!(ended, XmppEvent::Ended));
    assert_eq!(over, id);
}

#[tokio::test]
async fn a_client_that_comes_back_after_many_others_needs_no_full_handshake() {
    let world = world(1, Limits::default()).await;
    let config = Arc::new(world.trusting(&["xmpp-client"]));
    let address = world.net.addresses().xmpp_tls[0];
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut client = handshake(&config, stream).await.unwrap();
        write(&mut client, HEADER).await;
        read_until(&mut client, FEATURES_END).await;
        assert_eq!(client.get_ref().1.handshake_kind(), Some(expected));
        // More than a table of sessions would hold.
        for _ in 0..300 {
            world.direct(&["xmpp-client"]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn who_does_not_say_at_once_who_it_is_is_asked() {
    let mut world = world(1, Limits::default()).await;
    let mut client = world.greeted().await;
    for (begins, namespace, message) in [
        (
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
            ns::SASL,
            None,
        ),
        (
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><bind xmlns='urn:xmpp:bind:0'/></authenticate>",
            ns::SASL2,
            Some("initial-response"),
        ),
    ] {
        let challenge = format!("<challenge xmlns='{namespace}'/>");
        write(&mut client, begins).await;
        read_until(&mut client, &challenge).await;
        write(&mut client, &format!("<abort xmlns='{namespace}'/>")).await;
        let failure = read_until(&mut client, "</failure>").await;
        assert!(failure.contains("<aborted"), "{failure}");
        assert!(failure.contains(namespace), "{failure}");
        write(&mut client, begins).await;
        read_until(&mut client, &challenge).await;
        write(
            &mut client,
            &format!("<response xmlns='{namespace}'>0</response>"),
        )
        .await;
        let (id, greeted, _) = greeting(&mut world.events[0]).await;
        let said = message.map_or(Some(&greeted.element), |it| {
            greeted.element.child(namespace, it)
        });
        assert_eq!(said.map(|it| it.text().into_owned()).as_deref(), Some("0"));
        world.say(id, "<failure/>");
        read_until(&mut client, "<failure/>").await;
    }
}
