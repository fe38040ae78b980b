//! In-band registration (XEP-0077) of who has signed in: a password may be changed. An account is removed by the operator.

use super::{Asked, Deed};
use xmpp::{jid::Jid, ns, stanza::StanzaCondition, xml::Element};

/// XEP-0077 §3.1.1: who asks is registered.
pub(super) fn get(asked: &Asked<'_>) -> Deed {
    let name = Element::new(ns::REGISTER, "username").with_text(asked.user.name());
    let query = Element::new(ns::REGISTER, "query")
        .with_child(Element::new(ns::REGISTER, "registered"))
        .with_child(name)
        .with_child(Element::new(ns::REGISTER, "password"));
    Deed::Answer(Some(query))
}

/// XEP-0077 §3.3: only of one's own account, and nothing else of it.
pub(super) fn set(asked: &Asked<'_>) -> Deed {
    let said = |name| {
        asked
            .payload
            .child(ns::REGISTER, name)
            .map(|it| it.text().into_owned())
    };
    // XEP-0077 §3.2.
    if asked.payload.child(ns::REGISTER, "remove").is_some() {
        return Deed::Refuse(StanzaCondition::NotAllowed);
    }
    let (Some(name), Some(password)) = (said("username"), said("password")) else {
        return Deed::Refuse(StanzaCondition::BadRequest);
    };
    let jid = Jid::new(Some(&name), asked.user.domain(), None).ok();
    if jid.and_then(|jid| asked.settings.account(&jid)).as_ref() != Some(asked.user) {
        return Deed::Refuse(StanzaCondition::NotAllowed);
    }
    Deed::Password(password)
}
