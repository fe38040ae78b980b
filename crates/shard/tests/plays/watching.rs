//! Phones that watch others and publish what their users do.

use crate::{phone::contact, users::DOMAIN, world::World};
use sip::{Contacts, HeaderName, Message};
use xmpp::xml::{Element, Limits, document};

impl World {
    pub(crate) fn phone_watches(&mut self, user: &str, peer: &str) -> Result<(), String> {
        let flow = self.flow_of(user)?;
        let headers = format!(
            "Event: presence\r\nAccept: application/pidf+xml\r\nExpires: 600\r\nContact: {}\r\n",
            contact(user, flow)
        );
        let uri = format!("sip:{peer}@{DOMAIN}");
        let answer = self.asks(flow, "SUBSCRIBE", &uri, (user, peer), &headers, "", 200)?;
        let key = (user.to_owned(), peer.to_owned());
        self.phones.watched.insert(key, answer);
        Ok(())
    }

    /// Within the subscription that it has, for so many seconds.
    pub(crate) fn phone_watches_on(
        &mut self,
        user: &str,
        peer: &str,
        seconds: u32,
        wanted: u16,
    ) -> Result<(), String> {
        let flow = self.flow_of(user)?;
        let key = (user.to_owned(), peer.to_owned());
        let answer = self.phones.watched.get(&key).ok_or("does not watch them")?;
        let text = |name| answer.header_text(name).unwrap_or_default().to_owned();
        let dialog = [HeaderName::From, HeaderName::To, HeaderName::CallId].map(text);
        let Ok(Contacts::List(contacts)) = answer.contacts() else {
            return Err("no contact".to_owned());
        };
        let uri = contacts[0].uri.as_str().to_owned();
        let headers = format!(
            "Event: presence\r\nExpires: {seconds}\r\nContact: {}\r\n",
            contact(user, flow)
        );
        self.asks_within(flow, "SUBSCRIBE", &uri, user, &dialog, &headers, "", wanted)
            .map(drop)
    }

    /// Within a subscription, from somebody whose it is not: refused at once.
    pub(crate) fn phone_watches_as(
        &mut self,
        user: &str,
        other: &str,
        peer: &str,
    ) -> Result<(), String> {
        let key = (user.to_owned(), peer.to_owned());
        let known = self.phones.watched.get(&key);
        let known = known.ok_or("does not watch them")?.clone();
        let from = format!(
            "<sip:{other}@{DOMAIN}>;tag={}",
            known.from_tag().unwrap_or_default()
        );
        let others = sip::Edit::new(&known).set(HeaderName::From, &from).finish();
        self.phones.watched.insert(key.clone(), others);
        let before = self.numbers;
        let refused = self.phone_watches_on(user, peer, 600, 403);
        self.phones.watched.insert(key, known);
        refused?;
        let is_asked_once = self.numbers == before + 1;
        is_asked_once
            .then_some(())
            .ok_or("it was asked who it is".to_owned())
    }

    pub(crate) fn phone_sees(&mut self, user: &str, wanted: Option<&str>) -> Result<(), String> {
        let flow = self.flow_of(user)?;
        let told = self.phones.told.entry(flow.remote).or_default();
        let got = told.pop_front();
        match (got, wanted) {
            (None, None) => Ok(()),
            (Some(got), Some(wanted)) if got == wanted => Ok(()),
            (got, _) => Err(format!("but {got:?}, then {told:?}")),
        }
    }

    /// Publishes this, `open` or an activity; for no time if it is taken back.
    pub(crate) fn phone_publishes(&mut self, user: &str, what: &str) -> Result<(), String> {
        let flow = self.flow_of(user)?;
        let known = self.phones.published.get(user);
        let known = known.map_or_else(String::new, |tag| format!("SIP-If-Match: {tag}\r\n"));
        let seconds = if what == "nothing" { 0 } else { 300 };
        let headers = format!(
            "Event: presence\r\nExpires: {seconds}\r\nContent-Type: application/pidf+xml\r\n{known}"
        );
        let body = match what {
            "nothing" | "the same" => String::new(),
            what => document_of(what),
        };
        let uri = format!("sip:{user}@{DOMAIN}");
        let answer = self.asks(flow, "PUBLISH", &uri, (user, user), &headers, &body, 200)?;
        let tag = answer.header_text(HeaderName::SipEtag).ok_or("no tag")?;
        self.phones
            .published
            .insert(user.to_owned(), tag.to_owned());
        if seconds == 0 {
            self.phones.published.remove(user);
        }
        Ok(())
    }

    /// Asks something, written `METHOD user; Header: value; …`, and is answered so.
    pub(crate) fn phone_is_answered(
        &mut self,
        user: &str,
        status: u16,
        what: &str,
    ) -> Result<(), String> {
        let flow = self.flow_of(user)?;
        let mut parts = what.split("; ");
        let (method, to) = parts
            .next()
            .and_then(|it| it.split_once(' '))
            .ok_or("METHOD user")?;
        let contact = format!("Contact: {}", contact(user, flow));
        let headers: Vec<&str> = [&*contact].into_iter().chain(parts).collect();
        let headers = headers.join("\r\n") + "\r\n";
        let uri = format!("sip:{to}@{DOMAIN}");
        self.asks(flow, method, &uri, (user, to), &headers, "", status)
            .map(drop)
    }
}

fn document_of(what: &str) -> String {
    let basic = if what == "closed" { what } else { "open" };
    let does = if matches!(what, "open" | "closed") {
        String::new()
    } else {
        format!("<dm:person id='p'><r:activities><r:{what}/></r:activities></dm:person>")
    };
    format!(
        "<?xml version='1.0' encoding='UTF-8'?>\n<presence xmlns='urn:ietf:params:xml:ns:pidf' \
         xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' \
         entity='sip:x@{DOMAIN}'><tuple id='t'><status><basic>{basic}</basic></status></tuple>{does}</presence>"
    )
}

/// What a NOTIFY tells, in short: the state of the subscription, what each client is, and what the user does.
pub(crate) fn told(notify: &Message) -> String {
    let state = notify
        .header_text(HeaderName::SubscriptionState)
        .unwrap_or_default();
    let state = match state.split_once(";expires=") {
        Some((state, _)) => state,
        None => state,
    };
    let body = String::from_utf8_lossy(notify.body()).into_owned();
    let body = body.split_once("?>").map_or("", |(_, rest)| rest).trim();
    let presence = document(body.as_bytes(), &Limits::default()).unwrap();
    let from = notify
        .from()
        .unwrap()
        .uri
        .user_decoded()
        .unwrap_or_default()
        .into_owned();
    assert_eq!(
        presence.attr("entity"),
        Some(&*format!("pres:{from}@{DOMAIN}"))
    );
    let named = |of: &Element, name: &str| of.children().find(|it| it.local() == name).cloned();
    let mut all = Vec::new();
    for tuple in presence.children().filter(|it| it.local() == "tuple") {
        let basic = named(tuple, "status")
            .and_then(|it| named(&it, "basic"))
            .unwrap();
        let note = named(tuple, "note").map_or_else(String::new, |it| format!(" ({})", it.text()));
        all.push(format!("{}{note}", basic.text()));
    }
    all.sort();
    let person = named(&presence, "person").and_then(|it| named(&it, "activities"));
    let does = person.and_then(|it| it.children().next().map(|it| format!(", {}", it.local())));
    format!(
        "{from} {state}: {}{}",
        all.join(" "),
        does.unwrap_or_default()
    )
}
