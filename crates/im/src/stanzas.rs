//! What a client that is there says: whose it is, and which part it is for (RFC 6120 §8, §10).

use crate::{
    ext,
    line::{Line, Place},
    route::Route,
};
use domain::{DoorId, Now, Refusal};
use xmpp::{
    jid::Jid,
    management::Seq,
    ns,
    stanza::{Stanza, Type},
    xml::{Element, Item, StreamCondition},
};

impl Line {
    /// What a client that is there says.
    pub(crate) fn read(&mut self, now: Now, door: &DoorId, item: Item) {
        let most = self.settings.answering.max_open;
        let waits = !says_what_it_has(&item);
        let session = self.sessions.get_mut(door).filter(|_| waits);
        if let Some(session) = session.filter(|it| !it.is_ours()) {
            if session.early.len() < most {
                return session.early.push(item);
            }
            self.counts(Refusal::Requests);
            let text = "too much at once";
            return self.breaks(now, door, StreamCondition::ResourceConstraint, text);
        }
        match item {
            Item::KeepAlive => {}
            Item::Close => self.end(now, door, None, ""),
            Item::Open(_) => {
                let text = "the stream is open already";
                self.end(now, door, Some(StreamCondition::BadFormat), text);
            }
            Item::Element(element) => match element.namespace() {
                ns::SM => self.manages(now, door, &element),
                ns::CSI => self.looks(now, door, &element),
                _ => self.counted(now, door, element),
            },
        }
    }

    /// A stanza of a client's is read: it is counted when it is settled what becomes of it.
    fn counted(&mut self, now: Now, door: &DoorId, element: Element) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        let number = session.number;
        let Ok(seq) = session.management.arrived() else {
            self.counts(Refusal::Requests);
            let text = "too many stanzas are under way";
            return self.breaks(now, door, StreamCondition::ResourceConstraint, text);
        };
        let place = |seq: Seq| Place {
            door: door.clone(),
            number,
            seq,
        };
        self.reading = seq.map(place);
        self.stanza(now, door, element);
        // Nobody waits for anything: it is done.
        if let Some(place) = self.reading.take() {
            self.settles(&place);
        }
    }

    /// RFC 6120 §8, §10.
    fn stanza(&mut self, now: Now, door: &DoorId, mut element: Element) {
        let Some(session) = self.sessions.get(door) else {
            return;
        };
        if !self.accounts.has(&session.user) {
            let text = "the account is gone";
            return self.end(now, door, Some(StreamCondition::NotAuthorized), text);
        }
        // RFC 6120 §8.1.2.1.
        let is_own = |from: &str| {
            let from = Jid::parse(from).ok();
            from.is_some_and(|from| from == session.jid || from == session.jid.bare())
        };
        if element.attr("from").is_some_and(|from| !is_own(from)) {
            let text = "you are somebody else";
            return self.end(now, door, Some(StreamCondition::InvalidFrom), text);
        }
        element.set_attr("from", session.jid.as_str());
        // RFC 6120 §8.1.5.
        if let Some(lang) = session.lang.as_deref().filter(|_| element.lang().is_none()) {
            element.set_lang(lang);
        }
        let Some(stanza) = Stanza::of(&element) else {
            let text = "no stanza";
            return self.end(
                now,
                door,
                Some(StreamCondition::UnsupportedStanzaType),
                text,
            );
        };
        if let Some(error) = stanza.fault() {
            return self.refuse(now, door, &element, &error);
        }
        let route = match Route::of(stanza, session, &self.settings) {
            Ok(route) => route,
            Err(condition) => return self.refuse(now, door, &element, &condition.into()),
        };
        if let Route::User(_, to) | Route::Component(to) = &route
            && self.accounts.bars(&session.user, to.as_str())
        {
            let (from, to) = (session.user.to_string(), to.to_string());
            self.turns_back(
                now,
                (&from, &to),
                &element,
                "they have blocked it themselves",
            );
            return self.refuse(now, door, &element, &ext::blocked());
        }
        if let Err(first) = self.begun.begins(now, &session.user, stanza, &route) {
            if first {
                tracing::warn!(user = %session.user, "a user sends more than they may");
            }
            return self.refuse_more(now, door, &element);
        }
        match stanza.stanza_type() {
            Some(Type::Message(kind)) => self.message(now, door, element, kind, route),
            Some(Type::Presence(kind)) => self.presence(now, door, element, kind, route),
            Some(Type::Iq(kind)) => self.iq(now, door, element, kind, route),
            None => {}
        }
    }
}

/// Whether a client says how much of what it was sent it has (XEP-0198 §4). What we know of its own stanzas is the same with and
/// without that, so it is heard also while the store has its session still.
fn says_what_it_has(item: &Item) -> bool {
    matches!(item, Item::Element(element) if element.is(ns::SM, "a"))
}
