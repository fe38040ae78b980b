//! What the server says in a session.

use xmpp::ns;
use xmpp::stanza::{Kind, Stanza};
use xmpp::xml::Element;

use super::{Client, Event, words};

impl Client {
    pub(super) fn on_element(&mut self, element: &Element) {
        if element.namespace() == ns::SM {
            return self.on_management(element);
        }
        let Some(stanza) = Stanza::of(element) else {
            return;
        };
        match stanza.kind() {
            Kind::Message => self.on_message(element),
            Kind::Presence => self.on_presence(element),
            Kind::Iq => self.on_iq(stanza),
        }
        if let Some(session) = &mut self.session {
            session.handled();
        }
    }

    /// XEP-0198 §4.
    fn on_management(&mut self, element: &Element) {
        let now = self.now;
        let Some(session) = &mut self.session else {
            return;
        };
        match element.local() {
            "r" => session.asked(now),
            "a" => {
                // One that counts more than it was sent is not believed.
                let done = session.acknowledged(now, element);
                let settled = std::mem::take(&mut self.settling);
                self.written(settled);
                self.written(done.unwrap_or_default());
            }
            _ => {}
        }
    }

    fn on_message(&mut self, element: &Element) {
        let is_own = element.attr("from").is_none_or(|it| it == self.address());
        // Nobody else's archive is ours (XEP-0313 §4.2).
        if let Some(result) = element.child(ns::MAM, "result").filter(|_| is_own) {
            return self.on_result(result);
        }
        let id = element.attr("id").unwrap_or_default();
        if element.attr("type") == Some("error") {
            return self.on_refused(id, words::why(element));
        }
        if self.hears_of_call(element, false) {
            return;
        }
        if let Some(id) = words::receipt_for(element) {
            let by = words::bare(element.attr("from").unwrap_or_default());
            let id = id.to_owned();
            return self.note(Event::Delivered { id, by });
        }
        if let Some(received) = words::received(element) {
            let id = words::stanza_id(element, &self.address());
            let id = id.unwrap_or_default().to_owned();
            self.on_live(received, id);
        }
    }

    fn on_presence(&mut self, element: &Element) {
        let from = element.attr("from").unwrap_or_default().to_owned();
        if element.attr("type") == Some("subscribe") {
            if self.account.approves {
                self.send(&words::subscription("subscribed", &from), None);
            }
        } else if let Some(show) = words::shown(element) {
            self.note(Event::Presence { from, show });
        }
    }

    fn on_iq(&mut self, stanza: Stanza<'_>) {
        if let Some(answer) = words::answer(stanza) {
            return self.send(&answer, None);
        }
        if stanza.id().is_some() && self.enabling.as_deref() == stanza.id() {
            self.enabling = None;
            let why = words::why(stanza.element());
            let result = if stanza.is_error() { Err(why) } else { Ok(()) };
            return self.note(Event::PushesEnabled(result));
        }
        if self.is_catching_up(stanza.id()) {
            return self.on_page(stanza);
        }
        let payload = stanza.payload();
        if let Some(roster) = payload.filter(|it| it.is(ns::ROSTER, "query")) {
            let count = roster.children().count();
            self.note(Event::Contacts { count });
        }
    }
}
