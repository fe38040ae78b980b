//! Presence and subscriptions between clients and the hub, which keeps them (RFC 6121 §3, §4).

use crate::{
    ext,
    line::{Line, Waiting},
    management::{Kind, head},
    presence,
    route::Route,
    session::{DIRECTED, Session, There},
};
use bytes::Bytes;
use domain::{Address, Avatar, DoorId, Now, presence::Seen, roster::Request};
use hub::{Said, Showing, Sight};
use xmpp::{
    jid::Jid,
    stanza::{PresenceType, StanzaCondition},
    xml::Element,
};

impl Line {
    /// A client says that it is there, or something of who may see that (RFC 6121 §3, §4).
    pub(crate) fn presence(
        &mut self,
        now: Now,
        door: &DoorId,
        element: Element,
        kind: PresenceType,
        route: Route,
    ) {
        match (kind, route) {
            (PresenceType::Available, Route::Account) => self.available(now, door, &element),
            (PresenceType::Unavailable, Route::Account) => {
                if self.unavailable(now, door, presence::payload(&element))
                    && let Some(session) = self.sessions.get_mut(door)
                {
                    session.there = There::Leaves;
                }
            }
            (_, Route::User(peer, _)) if let Some(request) = presence::request(kind) => {
                let Some(session) = self.sessions.get(door) else {
                    return;
                };
                let user = session.user.clone();
                let head = Some(Box::new(head(&element)));
                let Some(ticket) = self.ticket_of(now, door, Waiting::Client(door.clone(), head))
                else {
                    return;
                };
                let words = presence::payload(&element);
                let said = Said::Requests {
                    ticket,
                    peer,
                    request,
                    words,
                };
                self.says(user, said);
            }
            (
                PresenceType::Available | PresenceType::Unavailable,
                Route::User(_, to) | Route::Component(to),
            ) => self.directed(now, door, element, kind, to),
            (PresenceType::Error, Route::User(..) | Route::Component(_)) => self.goes(element),
            // Whom users know has an account here.
            (_, Route::Component(_)) if presence::request(kind).is_some() => {
                let condition = StanzaCondition::ServiceUnavailable;
                self.refuse(now, door, &element, &condition.into());
            }
            // Only servers probe (RFC 6121 §4.3), and we look at nobody's presence.
            _ => {}
        }
    }

    /// For these eyes only (RFC 6121 §4.6).
    fn directed(&mut self, now: Now, door: &DoorId, element: Element, kind: PresenceType, to: Jid) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        if kind == PresenceType::Unavailable {
            session.directed.retain(|it| *it != to);
        } else if !session.directed.contains(&to) {
            if session.directed.len() >= DIRECTED {
                return self.refuse_more(now, door, &element);
            }
            session.directed.push(to);
        }
        self.goes(element);
    }

    /// Who was told for themselves that a client of the user's is there, and is blocked now, hears that it is gone.
    fn hides_from_blocked(&mut self, user: &Address) {
        let doors: Vec<DoorId> = self.sessions.of(user).map(|it| it.door.clone()).collect();
        for door in doors {
            let Some(session) = self.sessions.get_mut(&door) else {
                continue;
            };
            let accounts = &self.accounts;
            let is_barred = |to: &mut Jid| accounts.bars(user, to.as_str());
            let barred: Vec<Jid> = session.directed.extract_if(.., is_barred).collect();
            let gone = presence::stanza(b"")
                .with_attr("from", session.jid.as_str())
                .with_attr("type", "unavailable");
            for to in &barred {
                self.says_to(&gone, to);
            }
        }
    }

    /// Something to be shown to a user's clients.
    pub(crate) fn show(&mut self, now: Now, showing: Showing) {
        let Showing {
            user,
            client,
            sight,
        } = showing;
        // RFC 6121 §2.1.6, §3.1.6, §3.2.3, §3.3.3; questions and presence are for whoever is there (§3.1.3, §4.2.3).
        let of_roster = match &sight {
            Sight::Contact(..) | Sight::NoContact(..) => true,
            Sight::Requested(_, request, _) => *request != Request::Subscribe,
            Sight::Presence(..) | Sight::Blocked(_) | Sight::Unblocked(_) => false,
        };
        let of_blocks = matches!(sight, Sight::Blocked(_) | Sight::Unblocked(_));
        let alone = client.is_some();
        let shown = |session: &&Session| match &client {
            Some(name) => session.jid.resource() == Some(name),
            None if of_roster => session.follows.roster,
            None if of_blocks => session.follows.blocks,
            None => session.is_there() || is_farewell_of(session, &sight),
        };
        let id: String = format!("r{}", self.namer.bits());
        let avatar = match &sight {
            Sight::Presence(from, _) => self.accounts.avatar(from),
            _ => None,
        };
        let octets = |session: &Session| octets(session, &sight, avatar, alone, &id);
        let all: Vec<_> = self
            .sessions
            .of(&user)
            .filter(shown)
            .map(|session| (session.door.clone(), octets(session)))
            .collect();
        let kind = match &sight {
            Sight::Presence(from, news) => {
                Kind::Presence(presence::address(from, &news.resource).into())
            }
            _ => Kind::Needed,
        };
        for (door, octets) in all {
            self.give(now, &door, octets, kind.clone());
        }
        if let Sight::Blocked(_) = &sight {
            self.hides_from_blocked(&user);
        }
        if let Sight::Presence(from, news) = &sight
            && *from == user
            && let Some(session) = self.sessions.named(&user, &news.resource)
            && session.there == There::Leaves
        {
            session.there = There::No;
        }
    }
}

/// What a client is shown, as it is written to it, with the image of whoever is seen; `id` names what it is to answer.
fn octets(
    session: &Session,
    sight: &Sight,
    avatar: Option<Avatar>,
    alone: bool,
    id: &str,
) -> Bytes {
    let jid = &session.jid;
    let pushed = match sight {
        Sight::Contact(contact, version) => ext::pushed(id, jid, ext::item(contact), *version),
        Sight::NoContact(peer, version) => ext::pushed(id, jid, ext::removed(peer), *version),
        Sight::Blocked(peers) => ext::block_pushed(id, jid, "block", peers),
        Sight::Unblocked(peers) => ext::block_pushed(id, jid, "unblock", peers),
        Sight::Requested(from, request, words) => {
            let kind = Some(presence::kind(*request));
            return presence::octets(from.as_str(), session, alone, kind, words);
        }
        Sight::Presence(from, news) => {
            return presence::seen(from, session, alone, news, avatar);
        }
    };
    session.octets(&pushed)
}

/// Whether it is what a client said when it went.
fn is_farewell_of(session: &Session, sight: &Sight) -> bool {
    let Sight::Presence(from, news) = sight else {
        return false;
    };
    session.there == There::Leaves
        && *from == session.user
        && session.jid.resource() == Some(&news.resource)
        && matches!(news.seen, Seen::Gone { .. })
}
