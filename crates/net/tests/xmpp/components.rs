//! Components over real sockets (XEP-0114).

use std::sync::Arc;

use net::{ComponentConfig, Config, Events, Limits, Net, XmppEvent};
use tokio::net::TcpStream;
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stream::{Components, handshake};

use crate::common::{loopback, read_to_close, read_until, write};
use crate::world::{END, element, gone, xmpp_event};

const HEADER: &str = "<stream:stream xmlns='jabber:component:accept' \
     xmlns:stream='http://etherx.jabber.org/streams' to='push.app'>";

/// A server of two shards, the second of which has the component.
async fn server(limits: Limits) -> (Net, Vec<Events>) {
    let known = [("push.app".to_owned(), "secret".to_owned())];
    let config = Config {
        components: Some(ComponentConfig {
            tcp: vec![loopback()],
            components: Components::new(known).unwrap(),
            domain: Jid::parse("example.com").unwrap(),
            steer: Arc::new(|domain| usize::from(domain == "push.app")),
        }),
        limits,
        ..Config::default()
    };
    let steer = Arc::new(|_: &_, _: &_| 0);
    Net::bind_sharded(config, 2, steer).await.unwrap()
}

/// A connection with its header answered, and the id of its stream.
async fn opened(net: &Net) -> (TcpStream, String) {
    let address = net.addresses().components[0];
    let mut component = TcpStream::connect(address).await.unwrap();
    write(&mut component, HEADER).await;
    let answer = read_until(&mut component, "'>").await;
    let (_, rest) = answer.split_once(" id='").unwrap();
    let id = rest.split_once('\'').unwrap().0.to_owned();
    (component, id)
}

#[tokio::test]
async fn a_component_is_the_shards_that_has_its_domain_once_it_has_shown_its_secret() {
    let (net, mut events) = server(Limits::default()).await;
    let (mut component, id) = opened(&net).await;
    let (another, other_id) = opened(&net).await;
    assert_ne!(id, other_id, "or what was shown once would be good again");
    drop(another);
    let shown = handshake(&id, "secret");
    // What is behind it is read when the shard has answered.
    let ping = "<iq type='get' id='1' from='push.app' to='example.com'><error/><ping xmlns='urn:xmpp:ping'/></iq>";
    write(
        &mut component,
        &format!("<handshake>{shown}</handshake>{ping}"),
    )
    .await;
    let (stream, event) = xmpp_event(&mut events[1]).await;
    assert!(matches!(event, XmppEvent::Component(domain) if &*domain == "push.app"));
    assert!(events[1].try_recv().is_none());
    net.signed_in(stream, false);
    net.write(stream, "<handshake/>".into());
    read_until(&mut component, "<handshake/>").await;
    let iq = element(&mut events[1]).await;
    // As a client's, and what is in it too.
    assert!(iq.is(ns::CLIENT, "iq") && iq.child(ns::CLIENT, "error").is_some());
    assert!(iq.child("urn:xmpp:ping", "ping").is_some());
    drop(component);
    assert_eq!(gone(&mut events[1]).await, stream);
}

#[tokio::test]
async fn whoever_does_not_know_the_secret_reaches_no_shard() {
    let (net, mut events) = server(Limits::default()).await;
    let (mut component, id) = opened(&net).await;
    let shown = handshake(&id, "guessed");
    write(&mut component, &format!("<handshake>{shown}</handshake>")).await;
    let answer = read_to_close(&mut component).await;
    assert!(
        answer.contains("<not-authorized ") && answer.ends_with(END),
        "{answer}"
    );
    let address = net.addresses().components[0];
    for (from, to, condition) in [
        ("push.app", "other.app", "host-unknown"),
        (
            "jabber:component:accept",
            "jabber:client",
            "invalid-namespace",
        ),
    ] {
        let mut component = TcpStream::connect(address).await.unwrap();
        write(&mut component, &HEADER.replace(from, to)).await;
        let answer = read_to_close(&mut component).await;
        assert!(answer.contains(&format!("<{condition} ")), "{answer}");
    }
    // Larger than whoever has not signed in may send.
    let (mut component, _) = opened(&net).await;
    let flood = format!("<handshake>{}</handshake>", "0".repeat(10_000));
    write(&mut component, &flood).await;
    let answer = read_to_close(&mut component).await;
    assert!(answer.contains("<policy-violation "), "{answer}");
    drop(net);
    assert!(events.iter_mut().all(|events| events.try_recv().is_none()));
}
