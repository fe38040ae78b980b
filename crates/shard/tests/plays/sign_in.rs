//! How a client signs in.

use crate::{
    users::{DOMAIN, PASSWORD},
    world::World,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use xmpp::{
    ns,
    sasl::{
        Hash, fast,
        mechanism::Mechanism,
        scram::{Client, ClientBinding, ClientSettings},
    },
    xml::Element,
};

impl World {
    /// A client connects, shows who it is, and gets its address. `alice/desk#2` is another client that wants to be
    /// `alice@localhost/desk`.
    pub(crate) fn signs_in(&mut self, name: &str, lang: Option<&str>) -> Result<(), String> {
        self.shows_itself(name, lang)?;
        self.binds(name)
    }

    /// A client connects and shows who it is.
    pub(crate) fn shows_itself(&mut self, name: &str, lang: Option<&str>) -> Result<(), String> {
        self.arrives(name);
        let who = name.split('#').next().unwrap_or_default();
        let (user, _) = who.split_once('/').ok_or("user/resource")?;
        self.opens(name, lang)?;
        self.numbers += 1;
        let mut entropy = [0; 18];
        entropy[..4].copy_from_slice(&self.numbers.to_be_bytes());
        let hash = Hash::Sha256;
        let opened = Client::open(hash, user, None, ClientBinding::Cannot, &entropy);
        let (first, scram) = opened.map_err(|it| format!("{it:?}"))?;
        let auth = Element::new(ns::SASL, "auth").with_attr("mechanism", "SCRAM-SHA-256");
        self.says(name, &auth.with_text(&STANDARD.encode(first)))?;
        let challenge = self.hears_octets(name, "challenge")?;
        let advertised = im::advertised(&[], true);
        let settings = ClientSettings {
            min_iterations: 1,
            ..ClientSettings::default()
        };
        let answered = scram.answer(&challenge, PASSWORD, &advertised, settings);
        let (last, ending) = answered.map_err(|it| it.to_string())?;
        let response = Element::new(ns::SASL, "response");
        self.says(name, &response.with_text(&STANDARD.encode(last)))?;
        let success = self.hears_octets(name, "success")?;
        ending.check(&success).map_err(|it| it.to_string())?;
        self.opens(name, lang)
    }

    /// A client signs in by SASL2 with a token (XEP-0484 §3.4), and wants these things.
    pub(crate) fn shows_token(
        &mut self,
        name: &str,
        mechanism: &str,
        token: &str,
        wishes: &str,
    ) -> Result<(), String> {
        let (user, _) = name.split_once('/').ok_or("user/resource")?;
        let chosen = Mechanism::named(mechanism).ok_or("no mechanism")?;
        let first = fast::initiate(user, token, chosen, &[]).map_err(|it| it.to_string())?;
        let first = STANDARD.encode(first);
        self.writes(
            name,
            &format!(
                "<authenticate xmlns='{}' mechanism='{mechanism}'><initial-response>{first}</initial-response>{wishes}\
                 </authenticate>",
                ns::SASL2
            ),
        )
    }

    /// A client gets its address.
    pub(crate) fn binds(&mut self, name: &str) -> Result<(), String> {
        let who = name.split('#').next().unwrap_or_default();
        let (user, resource) = who.split_once('/').ok_or("user/resource")?;
        let wanted = format!(
            "<iq type='set' id='bind'><bind xmlns='{}'><resource>{resource}</resource></bind></iq>",
            ns::BIND
        );
        self.writes(name, &wanted)?;
        let bound = self.next(name)?;
        let bind = bound.child(ns::BIND, "bind");
        let jid = bind.and_then(|it| it.child(ns::BIND, "jid"));
        let jid = jid.map(|it| it.text().into_owned());
        let right = jid == Some(format!("{user}@{DOMAIN}/{resource}"));
        right.then_some(()).ok_or(format!("bound: {bound:?}"))
    }

    /// Opens a stream, and takes its features.
    pub(crate) fn opens(&mut self, name: &str, lang: Option<&str>) -> Result<(), String> {
        let lang = lang.map(|it| format!(" xml:lang='{it}'"));
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}' to='{DOMAIN}' version='1.0'{}>",
            ns::CLIENT,
            ns::STREAM,
            lang.unwrap_or_default()
        );
        self.writes(name, &header)?;
        let features = self.next(name)?;
        let is_it = features.is(ns::STREAM, "features");
        is_it.then_some(()).ok_or(format!("{features:?}"))
    }

    fn says(&mut self, name: &str, element: &Element) -> Result<(), String> {
        self.writes(name, &format!("{element:?}"))
    }

    fn hears_octets(&mut self, name: &str, wanted: &str) -> Result<Vec<u8>, String> {
        let got = self.next(name)?;
        if !got.is(ns::SASL, wanted) {
            return Err(format!("{wanted}: {got:?}"));
        }
        STANDARD.decode(&*got.text()).map_err(|it| it.to_string())
    }

    pub(crate) fn next(&mut self, name: &str) -> Result<Element, String> {
        let next = self.client(name)?.inbox.pop_front();
        next.ok_or_else(|| format!("{name} got nothing"))
    }
}
