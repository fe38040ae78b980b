//! Questions and their answers (RFC 6120 §8.2.3).

use crate::{
    ext,
    line::{Line, Waiting, condition},
    management::head,
    route::Route,
    session::Session,
    vocabulary::Post,
};
use domain::{Address, DoorId, Now};
use hub::{NotDone, Roster, Said, Ticket};
use xmpp::{
    stanza::{IqType, Kind, Stanza, StanzaCondition},
    xml::Element,
};

impl Line {
    /// A client asks, or answers (RFC 6120 §8.2.3).
    pub(crate) fn iq(
        &mut self,
        now: Now,
        door: &DoorId,
        element: Element,
        kind: IqType,
        route: Route,
    ) {
        if let Route::User(user, to) = route {
            if to.is_bare() {
                // RFC 6121 §8.5.2.1.3: we answer for the account, and of somebody else's nothing can be asked.
                return self.refuse(
                    now,
                    door,
                    &element,
                    &StanzaCondition::ServiceUnavailable.into(),
                );
            }
            return self.post(user, Post::Stanza(Box::new(element)));
        }
        let (Some(session), Some(stanza)) = (self.sessions.get(door), Stanza::of(&element)) else {
            return;
        };
        let Some(payload) = stanza
            .payload()
            .filter(|_| matches!(kind, IqType::Get | IqType::Set))
        else {
            return;
        };
        let asked = ext::Asked {
            now,
            settings: &self.settings,
            of_account: route == Route::Account,
            payload,
        };
        let user = session.user.clone();
        let deed = ext::asked(kind, &asked);
        let reply = stanza.reply();
        match deed {
            ext::Deed::Refuse(condition) => self.refuse(now, door, &element, &condition.into()),
            ext::Deed::Answer(payload) => {
                let answer = payload.into_iter().fold(reply, Element::with_child);
                self.write(now, door, &answer);
            }
            ext::Deed::Carbons(on) => {
                if let Some(session) = self.sessions.get_mut(door) {
                    session.carbons = on;
                }
                self.write(now, door, &reply);
            }
            ext::Deed::Roster(known) => {
                if let Some(session) = self.sessions.get_mut(door) {
                    session.wants_roster = true;
                }
                let head = Box::new(head(&element));
                let waiting = Waiting::Roster(door.clone(), head, known);
                self.asks(now, door, user, waiting, Said::WantsRoster);
            }
            ext::Deed::Archive(wanted) => {
                self.wants_archive(now, door, Box::new(head(&element)), wanted);
            }
            ext::Deed::SetContact(wanted) => {
                let waiting = Waiting::Client(door.clone(), Some(Box::new(head(&element))));
                self.asks(now, door, user, waiting, |ticket| {
                    Said::Lists(ticket, wanted)
                });
            }
            ext::Deed::RemoveContact(peer) => {
                let waiting = Waiting::Client(door.clone(), Some(Box::new(head(&element))));
                self.asks(now, door, user, waiting, |ticket| {
                    Said::Unlists(ticket, peer)
                });
            }
        }
    }

    fn asks(
        &mut self,
        now: Now,
        door: &DoorId,
        user: Address,
        waiting: Waiting,
        said: impl FnOnce(Ticket) -> Said,
    ) {
        if let Some(ticket) = self.ticket_of(now, door, waiting) {
            self.says(user, said(ticket));
        }
    }

    /// The roster that a client asked for (RFC 6121 §2.2).
    pub(crate) fn roster(&mut self, now: Now, ticket: Ticket, roster: Result<Roster, NotDone>) {
        let (door, head, known) = match self.heard(ticket) {
            Some(Waiting::Roster(door, head, known)) => (door, head, known),
            Some(Waiting::Farewell(said, to)) => {
                return self.farewell(&said, &to, roster.ok().as_ref());
            }
            _ => return,
        };
        match roster {
            Err(why) => self.refuse(now, &door, &head, &condition(&why).into()),
            Ok(roster) => {
                let Some(mut reply) = Stanza::of(&head).map(Stanza::reply) else {
                    return;
                };
                // RFC 6121 §2.6.3: who knows it is told nothing.
                if known.is_none_or(|known| *known != *ext::version(&roster)) {
                    reply.push(ext::query(&roster));
                }
                self.write(now, &door, &reply);
            }
        }
    }

    /// RFC 6121 §8.5.2.1.2; an error is for nobody in particular then.
    fn seen_by_all(&mut self, now: Now, user: &Address, presence: &Element) {
        let is_there = |it: &&Session| it.is_there() && presence.attr("type") != Some("error");
        let all = self.sessions.of(user).filter(is_there);
        let all: Vec<_> = all.map(|it| it.door.clone()).collect();
        for door in all {
            self.write(now, &door, presence);
        }
    }

    /// A stanza for one client of a user of ours: an IQ, or a presence for it alone (RFC 6121 §8.5.3).
    pub(crate) fn delivered(&mut self, now: Now, to: &Address, element: &Element) {
        let address = Stanza::of(element).and_then(|stanza| stanza.to().ok().flatten());
        let Some((stanza, address)) = Stanza::of(element).zip(address) else {
            return;
        };
        if stanza.kind() == Kind::Presence && address.is_bare() {
            return self.seen_by_all(now, to, element);
        }
        let session = self.sessions.at(to, &address);
        if let Some(door) = session.map(|session| session.door.clone()) {
            return self.write(now, &door, element);
        }
        self.bounce(element, StanzaCondition::ServiceUnavailable);
    }
}
