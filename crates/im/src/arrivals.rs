//! Clients that have an address now: what they are told, and what they asked for with it (XEP-0386 §3.2).

use crate::{line::Line, sign_in::Entry, vocabulary::Output};
use domain::{DoorId, Now};
use xmpp::{StreamId, jid::Jid, ns, sasl2::Success, stream::Framing, xml::Element};

impl Line {
    /// A client has got its address within its sign-in: what it asked for with that is so before it hears of it.
    pub(crate) fn welcomes(&mut self, now: Now, door: &DoorId, entry: Entry) {
        let mut bound = Element::new(ns::BIND2, "bound");
        let wants = |namespace, local| entry.bind.child(namespace, local);
        if let Some(session) = self.sessions.get_mut(door) {
            session.follows.carbons = wants(ns::CARBONS, "enable").is_some();
        }
        if let Some(enable) = wants(ns::SM, "enable")
            && let Some(enabled) = self.enables(now, door, enable)
        {
            bound.push(enabled);
        }
        if let Some(inactive) = wants(ns::CSI, "inactive") {
            self.looks(now, door, inactive);
        }
        let Some(session) = self.sessions.get(door) else {
            return;
        };
        let (stream, framing, jid) = (session.stream, session.framing, session.jid.clone());
        let is_managed = session.management.is_enabled();
        let mut success = entry.success;
        success.inline.push(bound);
        self.has_signed_in(stream, framing, success, &jid, is_managed);
    }

    /// Tells a client that it has signed in and has a session, and what it can do now (XEP-0388 §2.6.1).
    pub(crate) fn has_signed_in(
        &mut self,
        stream: StreamId,
        framing: Framing,
        success: Success,
        jid: &Jid,
        is_managed: bool,
    ) {
        self.out.push_back(Output::SignedIn(stream, false));
        let features = self.settings.offer.of_session(is_managed);
        for element in [success.element(jid), features] {
            self.put(stream, element.to_octets(framing.context()).into());
        }
    }
}
