//! A client that has signed in gets an address.

use std::sync::Arc;

use xmpp::jid::Jid;
use xmpp::stanza::{StanzaCondition, StanzaError};
use xmpp::stream::{
    BindRequest, Binder, BinderThen, BoundOffer, ConflictPolicy, Framing, Opened, Settled,
};
use xmpp::xml::{Item, Limits, Reader};

use crate::client::{ANSWER, HEADER, domains, text};

const FEATURES: &str = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><required/></bind>\
    <session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session><sm xmlns='urn:xmpp:sm:3'/>\
    <ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/></stream:features>";

struct Client {
    reader: Reader,
    binder: Binder,
}

fn juliet() -> Jid {
    Jid::parse("juliet@im.example.com").expect("an address")
}

fn offer() -> Arc<BoundOffer> {
    Arc::new(BoundOffer {
        stream_management: true,
        roster_versioning: true,
        pre_approval: true,
        others: Vec::new(),
    })
}

impl Client {
    fn new() -> Self {
        Self {
            reader: Reader::new(Limits::default()),
            binder: Binder::new(Framing::Tcp, domains(), juliet(), offer()),
        }
    }

    fn open() -> Self {
        let mut client = Self::new();
        client.says(HEADER);
        client
    }

    fn says(&mut self, octets: &str) -> (String, BinderThen) {
        self.reader.push(octets.as_bytes());
        let item = self.reader.next().expect("a stream").expect("an item");
        let (answer, then) = self.binder.handle(item, "i1");
        (text(&answer), then)
    }

    fn asks(&mut self, resource: &str) -> BindRequest {
        let (sent, then) = self.says(&bind(resource));
        assert_eq!(sent, "");
        match then {
            BinderThen::Bind(request) => request,
            other => panic!("{other:?}"),
        }
    }
}

fn bind(content: &str) -> String {
    format!(
        "<iq type='set' id='b1' to='im.example.com'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{content}</bind></iq>"
    )
}

#[test]
fn a_new_stream_offers_what_is_left_to_negotiate() {
    let (sent, then) = Client::new().says(HEADER);
    let header = ANSWER.replace("id='i1'", "id='i1' to='juliet@im.example.com'");
    assert_eq!(sent, header + FEATURES);
    assert_eq!(then, BinderThen::Read);
}

#[test]
fn after_sasl2_the_features_come_in_the_same_stream() {
    let opened = Opened {
        to: Jid::parse("im.example.com").unwrap(),
        from: None,
        lang: None,
    };
    let (mut binder, answer) =
        Binder::in_the_same_stream(Framing::Tcp, domains(), juliet(), offer(), opened);
    assert_eq!(text(&answer), FEATURES);
    let (answer, then) = binder.handle(Item::KeepAlive, "i1");
    assert_eq!((text(&answer), then), (String::new(), BinderThen::Read));
}

#[test]
fn a_client_gets_the_resource_that_it_wants_or_one_of_ours() {
    for (content, wanted) in [
        (
            "<resource>balcony</resource>",
            Some("juliet@im.example.com/balcony"),
        ),
        ("<resource/>", None),
        ("", None),
    ] {
        let mut client = Client::open();
        let request = client.asks(content);
        assert_eq!(request.wanted.as_ref().map(Jid::as_str), wanted);
        let generated = juliet().with_resource("g1").unwrap();
        let settled = request.settle(ConflictPolicy::Override, |_| false, generated.clone());
        let address = request.wanted.clone().unwrap_or(generated);
        assert_eq!(settled, Settled::Free(address.clone()));
        assert_eq!(
            text(&client.binder.bound(&request, &address)),
            format!(
                "<iq id='b1' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{address}</jid></bind></iq>"
            )
        );
    }
}

#[test]
fn a_resource_in_use_is_dealt_with_by_policy() {
    let request = Client::open().asks("<resource>balcony</resource>");
    let generated = juliet().with_resource("g1").unwrap();
    let settle = |policy| request.settle(policy, |_| true, generated.clone());
    assert_eq!(
        settle(ConflictPolicy::Override),
        Settled::Free(generated.clone())
    );
    let wanted = juliet().with_resource("balcony").unwrap();
    assert_eq!(settle(ConflictPolicy::Replace), Settled::Replaces(wanted));
    let Settled::Refused(error) = settle(ConflictPolicy::Refuse) else {
        panic!("refused");
    };
    assert_eq!(error.condition, StanzaCondition::Conflict);
    let client = Client::open();
    assert_eq!(
        text(&client.binder.refused(&request, &error)),
        "<iq id='b1' type='error'><error type='modify'>\
         <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    );
}

#[test]
fn a_resource_that_is_none_is_refused_and_may_be_asked_for_again() {
    let mut client = Client::open();
    let (sent, then) = client.says(&bind("<resource> x</resource>"));
    assert!(sent.contains("<bad-request "), "{sent}");
    assert_eq!(then, BinderThen::Read);
    let request = client.asks("<resource>x</resource>");
    let error = StanzaError::new(StanzaCondition::ResourceConstraint);
    assert!(text(&client.binder.refused(&request, &error)).contains("type='wait'"));
    for _ in 0..3 {
        client.asks("");
    }
    let (sent, then) = client.says(&bind(""));
    assert!(sent.contains("<policy-violation "), "{sent}");
    assert_eq!(then, BinderThen::Close);
}

#[test]
fn stream_management_may_come_instead_and_nothing_else_before() {
    let mut client = Client::open();
    let (sent, then) = client.says("<resume xmlns='urn:xmpp:sm:3' previd='1' h='0'/>");
    assert_eq!(sent, "");
    assert!(matches!(then, BinderThen::StreamManagement(_)));
    for element in [
        "<message/>",
        "<iq type='get' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>",
    ] {
        let (sent, then) = Client::open().says(element);
        assert!(sent.starts_with("<stream:error><not-authorized "), "{sent}");
        assert_eq!(then, BinderThen::Close);
    }
}

#[test]
fn a_client_does_not_change_its_domain() {
    let header = HEADER.replace("to='im.example.com'", "to='other.example'");
    let (sent, then) = Client::new().says(&header);
    assert!(sent.contains("<not-authorized "), "{sent}");
    assert_eq!(then, BinderThen::Close);
}
