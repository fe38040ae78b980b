//! A small world: a server of example.com with so many shards, and clients that speak raw XML.

use std::net::SocketAddr;
use std::sync::Arc;

use net::{
    Config, Event, Events, Limits, Net, Origins, StreamLink, TlsSource, WebSocketConfig,
    XmppConfig, XmppEvent, client_config,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use xmpp::StreamId;
use xmpp::stream::{Domains, Greeted, Offer, Sasl2Offer};
use xmpp::xml::{Element, Header};

use crate::common::{event, loopback, read_until, write};

pub(crate) const HEADER: &str = "<?xml version='1.0'?><stream:stream to='example.com' version='1.0' xml:lang='de' \
     xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
pub(crate) const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
pub(crate) const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
pub(crate) const CHALLENGE: &str = "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
pub(crate) const RESPONSE: &str = "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
pub(crate) const FAILURE: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
pub(crate) const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
pub(crate) const END: &str = "</stream:stream>";
pub(crate) const FEATURES_END: &str = "</stream:features>";

/// An attempt to sign in that is steered to this shard.
pub(crate) fn auth(shard: usize) -> String {
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{shard}</auth>")
}

pub(crate) struct World {
    pub(crate) net: Net,
    pub(crate) events: Vec<Events>,
    pub(crate) certificate: rcgen::CertifiedKey<rcgen::KeyPair>,
}

/// A client's stream in TLS.
pub(crate) type Secure = TlsStream<TcpStream>;

pub(crate) async fn world(shards: usize, limits: Limits) -> World {
    let certificate = rcgen::generate_simple_self_signed(vec!["example.com".to_owned()]).unwrap();
    let (chain, key) = (
        certificate.cert.pem(),
        certificate.signing_key.serialize_pem(),
    );
    let xmpp = XmppConfig {
        tcp: vec![loopback()],
        tls: vec![loopback()],
        websocket: WebSocketConfig {
            ws: vec![loopback()],
            wss: vec![loopback()],
            path: "/xmpp-websocket".to_owned(),
            origins: Origins::new(&["example.com".to_owned()], &[]).unwrap(),
            is_proxy: Arc::new(|_| false),
        },
        domains: Domains::new("example.com", &[]).unwrap(),
        offer: Arc::new(offer),
        steer: Arc::new(|greeted| said(&greeted.element).parse().unwrap_or(0)),
    };
    let config = Config {
        tcp: vec![loopback()],
        xmpp: Some(xmpp),
        server_tls: Some(TlsSource::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()),
        limits,
        ..Config::default()
    };
    let steer = Arc::new(|_: &_, _: &_| 0);
    let (net, events) = Net::bind_sharded(config, shards, steer).await.unwrap();
    World {
        net,
        events,
        certificate,
    }
}

/// What a client says first, by SASL or by SASL2: in these tests the number of its shard.
fn said(begins: &Element) -> std::borrow::Cow<'_, str> {
    let initial = begins.child(xmpp::ns::SASL2, "initial-response");
    initial.unwrap_or(begins).text()
}

fn offer(link: &StreamLink) -> Arc<Offer> {
    assert!(link.secure);
    Arc::new(Offer {
        mechanisms: vec!["PLAIN".to_owned()],
        sasl2: Some(Sasl2Offer {
            mechanisms: vec!["PLAIN".to_owned()],
            inline: Vec::new(),
        }),
        invitations: true,
        ..Offer::default()
    })
}

impl World {
    pub(crate) fn starttls_address(&self) -> SocketAddr {
        self.net.addresses().xmpp_tcp[0]
    }

    pub(crate) async fn in_the_clear(&self) -> TcpStream {
        TcpStream::connect(self.starttls_address()).await.unwrap()
    }

    pub(crate) async fn handshake(
        &self,
        stream: TcpStream,
        alpn: &[&str],
    ) -> std::io::Result<Secure> {
        let config = Arc::new(self.trusting(alpn));
        handshake(&config, stream).await
    }

    /// What a client needs for TLS; it keeps what it is given for the next time.
    pub(crate) fn trusting(&self, alpn: &[&str]) -> ClientConfig {
        let trusted = client_config(self.certificate.cert.pem().as_bytes()).unwrap();
        let mut config = Arc::unwrap_or_clone(trusted);
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    pub(crate) async fn direct(&self, alpn: &[&str]) -> std::io::Result<Secure> {
        let address = self.net.addresses().xmpp_tls[0];
        let stream = TcpStream::connect(address).await.unwrap();
        self.handshake(stream, alpn).await
    }

    /// A client that has opened its stream in TLS and knows what it is offered.
    pub(crate) async fn greeted(&self) -> Secure {
        let mut client = self.direct(&["xmpp-client"]).await.unwrap();
        write(&mut client, HEADER).await;
        read_until(&mut client, FEATURES_END).await;
        client
    }

    /// One that begins to sign in at this shard.
    pub(crate) async fn asking(&mut self, shard: usize) -> (Secure, StreamId) {
        let mut client = self.greeted().await;
        write(&mut client, &auth(shard)).await;
        let (id, _, _) = greeting(&mut self.events[shard]).await;
        (client, id)
    }

    /// One that has signed in at this shard, and whose stream goes on.
    pub(crate) async fn signed_in(&mut self, shard: usize) -> (Secure, StreamId) {
        let (mut client, id) = self.asking(shard).await;
        self.net.signed_in(id, false);
        self.say(id, SUCCESS);
        read_until(&mut client, SUCCESS).await;
        (client, id)
    }

    pub(crate) fn say(&self, id: StreamId, text: &str) {
        self.net.write(id, text.to_owned().into());
    }
}

pub(crate) async fn handshake(
    config: &Arc<ClientConfig>,
    stream: TcpStream,
) -> std::io::Result<Secure> {
    let name = ServerName::try_from("example.com").unwrap();
    TlsConnector::from(config.clone())
        .connect(name, stream)
        .await
}

pub(crate) async fn xmpp_event(events: &mut Events) -> (StreamId, XmppEvent) {
    match event(events).await {
        Event::Xmpp(id, event) => (id, event),
        other => panic!("expected something of a stream, got {other:?}"),
    }
}

pub(crate) async fn greeting(events: &mut Events) -> (StreamId, Greeted, Arc<StreamLink>) {
    match xmpp_event(events).await {
        (id, XmppEvent::Greeted(greeted, link)) => (id, *greeted, link),
        other => panic!("expected a sign-in, got {other:?}"),
    }
}

pub(crate) async fn element(events: &mut Events) -> Element {
    match xmpp_event(events).await {
        (_, XmppEvent::Element(element)) => element,
        other => panic!("expected an element, got {other:?}"),
    }
}

pub(crate) async fn opened(events: &mut Events) -> Header {
    match xmpp_event(events).await {
        (_, XmppEvent::Opened(header)) => header,
        other => panic!("expected a header, got {other:?}"),
    }
}

pub(crate) async fn gone(events: &mut Events) -> StreamId {
    match xmpp_event(events).await {
        (id, XmppEvent::Gone) => id,
        other => panic!("expected a stream to go, got {other:?}"),
    }
}

/// Tries until a connection is let in and greeted, as it is once another one is forgotten.
pub(crate) async fn let_in(address: SocketAddr) {
    let tried = async {
        loop {
            let mut client = TcpStream::connect(address).await.unwrap();
            let mut octet = [0];
            // It may be refused before it has said anything.
            let _ = client.write_all(HEADER.as_bytes()).await;
            if let Ok(1) = client.read(&mut octet).await {
                return;
            }
        }
    };
    tokio::time::timeout(crate::common::PATIENCE, tried)
        .await
        .expect("let in in time");
}
