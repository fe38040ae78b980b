//! Where a stanza of a client goes (RFC 6120 §10).

use crate::{session::Session, settings::Settings};
use domain::Address;
use xmpp::{
    jid::Jid,
    stanza::{Kind, Stanza, StanzaCondition},
};

/// Where to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    /// The client's own account: we answer for it (RFC 6120 §10.3).
    Account,
    /// We ourselves.
    Server,
    /// Our push service.
    Push,
    /// A user of ours, by this address of theirs.
    User(Address, Jid),
    /// Somebody of a component's, or the component itself.
    Component(Jid),
}

impl Route {
    /// Of a stanza, or why it goes nowhere.
    pub(crate) fn of(
        stanza: Stanza<'_>,
        session: &Session,
        settings: &Settings,
    ) -> Result<Self, StanzaCondition> {
        let to = stanza.to().map_err(|_| StanzaCondition::JidMalformed)?;
        let Some(to) = to else {
            // RFC 6120 §10.3.1: a message without an address is for its own writer.
            return Ok(match stanza.kind() {
                Kind::Message => Self::User(session.user.clone(), session.jid.bare()),
                Kind::Presence | Kind::Iq => Self::Account,
            });
        };
        if settings.is_push_service(to.domain()) && to.local().is_none() {
            return Ok(Self::Push);
        }
        if settings.component(to.domain()).is_some() {
            return Ok(Self::Component(to));
        }
        if !settings.is_ours(to.domain()) {
            // RFC 6120 §10.4: there is no way to other servers.
            return Err(StanzaCondition::RemoteServerNotFound);
        }
        if to.local().is_none() {
            return Ok(Self::Server);
        }
        let user = settings.account(&to).ok_or(StanzaCondition::ItemNotFound)?;
        if user == session.user && to.is_bare() && stanza.kind() == Kind::Iq {
            return Ok(Self::Account);
        }
        Ok(Self::User(user, to))
    }
}
