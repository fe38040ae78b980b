//! Signing in on one connection: from the header of the first stream to the features of the second (RFC 6120 §6), by
//! SCRAM-SHA-256. Whoever signs in in fewer steps takes its place: what it ends with is all that the client needs.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use xmpp::ns;
use xmpp::sasl::Hash;
use xmpp::sasl::scram::{Advertised, Client, ClientBinding, Ending, NONCE_ENTROPY};
use xmpp::xml::{Element, Item};

use super::framed::{header, octets};
use super::vocabulary::Account;

/// The one mechanism.
const MECHANISM: &str = "SCRAM-SHA-256";

/// What is to be done.
pub(super) enum Step {
    Write(Bytes),
    /// The server's stream begins anew behind what was read.
    Restart,
    /// It is signed in; these are its features.
    Done(Element),
    /// It is not, and the connection is of no use.
    Failed(String),
}

enum Stage {
    /// Features of the first stream.
    Offer,
    Challenge(Client, Advertised),
    Proof(Ending),
    /// Features of the second stream.
    Features,
    Over,
}

pub(super) struct SignIn {
    account: Arc<Account>,
    entropy: [u8; NONCE_ENTROPY],
    stage: Stage,
    /// Answers of the server so far, each to a question of ours.
    pub(super) round_trips: u32,
}

impl SignIn {
    /// Of a client whose connection is open: what it says first. The entropy must never be used twice.
    pub(super) fn begin(account: Arc<Account>, entropy: [u8; NONCE_ENTROPY]) -> (Self, Bytes) {
        let header = header(account.framing, &account.domain);
        let sign_in = Self {
            account,
            entropy,
            stage: Stage::Offer,
            round_trips: 0,
        };
        (sign_in, header)
    }

    pub(super) fn handle(&mut self, item: Item) -> Vec<Step> {
        let element = match item {
            Item::Open(_) | Item::KeepAlive => return Vec::new(),
            Item::Close => return failed("the server closed the stream"),
            Item::Element(element) => element,
        };
        if element.is(ns::STREAM, "error") || element.is(ns::SASL, "failure") {
            return failed(&condition(&element));
        }
        self.round_trips += 1;
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Offer if is_features(&element) => self.opens(&element),
            Stage::Challenge(client, offer) if element.is(ns::SASL, "challenge") => {
                self.answers(client, &offer, &element)
            }
            Stage::Proof(ending) if element.is(ns::SASL, "success") => {
                self.checks(ending, &element)
            }
            Stage::Features if is_features(&element) => vec![Step::Done(element)],
            _ => failed(&format!(
                "the server said <{}/> out of turn",
                element.local()
            )),
        }
    }

    fn opens(&mut self, features: &Element) -> Vec<Step> {
        let offer = advertised(features);
        if !offer.mechanisms.iter().any(|it| it == MECHANISM) {
            return failed(&format!("the server does not offer {MECHANISM}"));
        }
        let user = &self.account.user;
        let opened = Client::open(
            Hash::Sha256,
            user,
            None,
            ClientBinding::Cannot,
            &self.entropy,
        );
        let (first, client) = match opened {
            Ok(opened) => opened,
            Err(refusal) => return failed(&refusal.to_string()),
        };
        self.stage = Stage::Challenge(client, offer);
        let auth = Element::new(ns::SASL, "auth").with_attr("mechanism", MECHANISM);
        let auth = auth.with_text(&STANDARD.encode(first));
        vec![Step::Write(octets(self.account.framing, &auth))]
    }

    fn answers(&mut self, client: Client, offer: &Advertised, element: &Element) -> Vec<Step> {
        let (account, challenge) = (&self.account, decode(element));
        let answered = client.answer(&challenge, &account.password, offer, account.scram);
        let (last, ending) = match answered {
            Ok(answered) => answered,
            Err(error) => return failed(&error.to_string()),
        };
        self.stage = Stage::Proof(ending);
        let response = Element::new(ns::SASL, "response").with_text(&STANDARD.encode(last));
        vec![Step::Write(octets(self.account.framing, &response))]
    }

    fn checks(&mut self, ending: Ending, element: &Element) -> Vec<Step> {
        if let Err(error) = ending.check(&decode(element)) {
            return failed(&error.to_string());
        }
        self.stage = Stage::Features;
        let header = header(self.account.framing, &self.account.domain);
        vec![Step::Restart, Step::Write(header)]
    }
}

fn failed(why: &str) -> Vec<Step> {
    vec![Step::Failed(why.to_owned())]
}

fn is_features(element: &Element) -> bool {
    element.is(ns::STREAM, "features")
}

/// What the features say of SASL, as the hash over them needs it (XEP-0474 §6.1).
fn advertised(features: &Element) -> Advertised {
    let mechanisms = features.child(ns::SASL, "mechanisms");
    let names = mechanisms.into_iter().flat_map(Element::children);
    let bindings = features.child(ns::CHANNEL_BINDING, "sasl-channel-binding");
    let kinds = |bindings: &Element| {
        let kinds = bindings.children().filter_map(|it| it.attr("type"));
        kinds.map(str::to_owned).collect()
    };
    Advertised {
        mechanisms: names.map(|it| it.text().trim().to_owned()).collect(),
        bindings: bindings.map(kinds),
    }
}

/// Why, in the server's words: the condition, and its text if there is one.
pub(super) fn condition(element: &Element) -> String {
    let mut children = element.children();
    let first = children.next().map_or("", Element::local).to_owned();
    match children.find(|it| it.local() == "text") {
        Some(text) => format!("{first}: {}", text.text()),
        None => first,
    }
}

fn decode(element: &Element) -> Vec<u8> {
    // What cannot be read is no message of the mechanism, which says so.
    STANDARD.decode(element.text().trim()).unwrap_or_default()
}
