//! What a client says first, read without looking anything up: by what it wants to sign in, and whose its stream is.

use crate::vocabulary::Link;
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::Address;
use xmpp::{
    ns,
    sasl::{
        Binding, BindingKind, Failure, Hash, fast,
        mechanism::{self, Mechanism, Needs, Situation},
        oauthbearer,
        plain::Credentials,
        prep,
        scram::Advertised,
    },
    sasl2::{self, Request},
    stream::{Greeted, Offer, Sasl2Offer},
    xml::Element,
};

/// Octets of the tag of a language: room for all of its parts.
const LONGEST_LANG: usize = 35;
/// Hash functions for which an account may have keys.
const HASHES: [Hash; 2] = [Hash::Sha256, Hash::Sha1];

/// The mechanisms that are offered over a connection that has these channel bindings, the preferred one first.
pub(crate) fn offered(bindings: &[BindingKind], bearers: bool) -> Vec<Mechanism> {
    mechanism::offered(&situation(bindings, bearers))
}

/// What a client is offered over a connection that has these channel bindings, by SASL and the same by SASL2; with tokens of
/// OAuth, if somebody knows their `bearers`.
pub fn offer(bindings: &[BindingKind], bearers: bool) -> Offer {
    let named = |all: Vec<Mechanism>| -> Vec<String> {
        all.into_iter().map(|it| it.name().to_owned()).collect()
    };
    let mechanisms = named(offered(bindings, bearers));
    Offer {
        channel_bindings: bindings.iter().map(|it| it.name().to_owned()).collect(),
        sasl2: Some(Sasl2Offer {
            mechanisms: mechanisms.clone(),
            inline: sasl2::inline(&mechanism::offered_fast(&situation(bindings, bearers))),
        }),
        mechanisms,
        ..Offer::default()
    }
}

/// What a client is offered that may sign in by tokens of OAuth alone.
pub fn offer_to_bearers() -> Offer {
    let mechanisms = vec![Mechanism::OauthBearer.name().to_owned()];
    Offer {
        sasl2: Some(Sasl2Offer {
            mechanisms: mechanisms.clone(),
            inline: sasl2::inline(&[]),
        }),
        mechanisms,
        ..Offer::default()
    }
}

/// The token of OAuth by which a client wants to sign in, if it is by one.
pub fn bearer(greeted: &Greeted) -> Option<String> {
    let mechanism = Mechanism::named(greeted.element.attr("mechanism")?)?;
    let octets = first_message(&greeted.element).ok()?;
    let token = || oauthbearer::Request::read(&octets).ok();
    (mechanism.needs() == Needs::Bearer)
        .then(token)?
        .map(|it| it.token)
}

/// The same, as the hash over it needs it (XEP-0474 §6.1): no channel bindings are spoken of where there are none.
pub fn advertised(bindings: &[BindingKind], bearers: bool) -> Advertised {
    let named = Some(bindings).filter(|it| !it.is_empty());
    mechanism::advertised(&offered(bindings, bearers), named)
}

/// What there is to choose from.
pub(crate) fn situation(bindings: &[BindingKind], bearers: bool) -> Situation<'_> {
    Situation {
        tls: true,
        bindings,
        keys: &HASHES,
        passwords: true,
        bearers,
        tokens: true,
    }
}

/// Whose a stream is that begins like this, as far as it says: the user whom the first message of a mechanism names, or who a
/// bearer's token is `claimed` to be of.
pub fn steer(greeted: &Greeted, claimed: fn(&str) -> Option<Address>) -> Option<Address> {
    let octets = first_message(&greeted.element).ok()?;
    let domain = greeted.opened.to.domain();
    let name = match Mechanism::named(greeted.element.attr("mechanism")?)?.needs() {
        Needs::Password => Credentials::read(&octets, domain).ok()?.user,
        // RFC 5802 §7: the header of the channel binding, then the name, in which two characters are written otherwise.
        Needs::Keys(_) => {
            let text = std::str::from_utf8(&octets).ok()?;
            let bare = text.splitn(3, ',').nth(2)?;
            let name = bare.split(',').find_map(|part| part.strip_prefix("n="))?;
            let name = name.replace("=2C", ",").replace("=3D", "=");
            prep::prepare(&name).ok()?.into_owned()
        }
        Needs::Token => {
            let name = fast::Attempt::read(&octets).ok()?.user;
            prep::prepare(&name).ok()?.into_owned()
        }
        Needs::Bearer => return claimed(&oauthbearer::Request::read(&octets).ok()?.token),
    };
    Address::new(&name, domain).ok()
}

/// The first message of a mechanism, by SASL or by SASL2.
pub(crate) fn first_message(element: &Element) -> Result<Vec<u8>, Failure> {
    if element.is(ns::SASL2, "authenticate") {
        return Ok(Request::read(element)?.initial.unwrap_or_default());
    }
    message(element)
}

/// The octets in an element of SASL: base64, in which `=` stands for none (RFC 6120 §6.4.2).
pub(crate) fn message(element: &Element) -> Result<Vec<u8>, Failure> {
    match element.text().trim() {
        "=" => Ok(Vec::new()),
        text => STANDARD
            .decode(text)
            .map_err(|_| Failure::IncorrectEncoding),
    }
}

/// By what the connection can be told from others.
pub(crate) fn bindings(link: &Link) -> Vec<Binding> {
    let of = |kind, data: Option<&[u8]>| {
        data.map(|data| Binding {
            kind,
            data: data.to_vec(),
        })
    };
    let exporter = link.exporter.as_ref().map(|octets| &octets[..]);
    [
        of(BindingKind::TlsExporter, exporter),
        of(BindingKind::TlsServerEndPoint, link.end_point.as_deref()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether a text looks like the tag of a language (RFC 6120 §8.1.5): what is put on stanzas is no longer than one.
pub(crate) fn is_lang(text: &str) -> bool {
    let is_part = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    (1..=LONGEST_LANG).contains(&text.len()) && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmpp::{jid::Jid, stream::Opened};

    fn steered(mechanism: &str, message: &[u8]) -> Option<String> {
        let initial = Element::new(ns::SASL2, "initial-response");
        let initial = initial.with_text(&STANDARD.encode(message));
        let element = Element::new(ns::SASL2, "authenticate")
            .with_attr("mechanism", mechanism)
            .with_child(initial);
        let opened = Opened {
            to: Jid::parse("example.com").unwrap(),
            from: None,
            lang: None,
        };
        let greeted = Greeted {
            opened,
            secure: true,
            element,
        };
        steer(&greeted, |_| None).map(|user| user.as_str().to_owned())
    }

    #[test]
    fn whose_a_stream_is_stands_in_the_first_message_of_every_mechanism() {
        // What proves a token is no text, but for a stroke of luck.
        let token = [b"alice\0".as_slice(), &[0xff; 32]].concat();
        for (mechanism, message) in [
            ("PLAIN", b"\0alice\0secret".as_slice()),
            ("SCRAM-SHA-256", b"n,,n=alice,r=abc"),
            ("SCRAM-SHA-256-PLUS", b"p=tls-exporter,,n=alice,r=abc"),
            ("HT-SHA-256-NONE", &token),
        ] {
            let user = steered(mechanism, message);
            assert_eq!(user.as_deref(), Some("alice@example.com"), "{mechanism}");
        }
        assert_eq!(steered("SCRAM-SHA-256", b"n,,n=\xff,r=abc"), None);
    }
}
