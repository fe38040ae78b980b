//! What a client says first, read without looking anything up: by what it wants to sign in, and whose its stream is.

use crate::vocabulary::Link;
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::Address;
use xmpp::{
    sasl::{
        Binding, BindingKind, Failure, Hash,
        mechanism::{self, Mechanism, Needs, Situation},
        plain::Credentials,
        prep,
    },
    stream::Greeted,
    xml::Element,
};

/// Octets of the tag of a language: room for all of its parts.
const LONGEST_LANG: usize = 35;
/// Hash functions for which an account may have keys.
const HASHES: [Hash; 2] = [Hash::Sha256, Hash::Sha1];

/// The mechanisms that are offered over a connection that has these channel bindings, the preferred one first.
pub fn offered(bindings: &[BindingKind]) -> Vec<Mechanism> {
    mechanism::offered(&situation(bindings))
}

/// What there is to choose from.
pub(crate) fn situation(bindings: &[BindingKind]) -> Situation<'_> {
    Situation {
        tls: true,
        bindings,
        keys: &HASHES,
        passwords: true,
        bearers: false,
        tokens: false,
    }
}

/// Whose a stream is that begins like this, as far as it says: the user whom the first message of a mechanism names.
pub fn steer(greeted: &Greeted) -> Option<Address> {
    let octets = message(&greeted.element).ok()?;
    let text = std::str::from_utf8(&octets).ok()?;
    let domain = greeted.opened.to.domain();
    let name = match Mechanism::named(greeted.element.attr("mechanism")?)?.needs() {
        Needs::Password => Credentials::read(&octets, domain).ok()?.user,
        // RFC 5802 §7: the header of the channel binding, then the name, in which two characters are written otherwise.
        Needs::Keys(_) => {
            let bare = text.splitn(3, ',').nth(2)?;
            let name = bare.split(',').find_map(|part| part.strip_prefix("n="))?;
            let name = name.replace("=2C", ",").replace("=3D", "=");
            prep::prepare(&name).ok()?.into_owned()
        }
        Needs::Bearer | Needs::Token => return None,
    };
    Address::new(&name, domain).ok()
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
