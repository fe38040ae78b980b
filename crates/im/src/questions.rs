//! Questions and their answers (RFC 6120 §8.2.3).

use crate::{
    ext,
    line::{Line, Waiting},
    management::head,
    registering,
    route::Route,
    session::{Query, Session},
    vocabulary::{AccountOrder, Output, Post},
};
use domain::{Address, DoorId, Now};
use hub::{LastSeen, NotDone, Roster, Said, Ticket};
use std::time::Duration;
use xmpp::{
    jid::Jid,
    stanza::{IqType, Kind, Stanza, StanzaCondition, Type},
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
        if let Route::User(..) | Route::Component(_) = route
            && let Some((session, stanza)) = self.sessions.get_mut(door).zip(Stanza::of(&element))
        {
            session.asked.asks(stanza);
        }
        if let Route::User(user, to) = route {
            if to.is_bare() {
                return self.asks_of_other(now, door, element, kind, user);
            }
            return self.post(user, Post::Stanza(Box::new(element)));
        }
        if let Route::Component(_) = route {
            return self.goes(element);
        }
        if route == Route::Push {
            return self.asks_push_service(now, door, &element, kind);
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
            user: &session.user,
            runs_for: self.began.map_or(Duration::ZERO, |it| now.instant - it),
            accounts: &self.accounts,
            payload,
        };
        let deed = ext::asked(kind, &asked);
        self.does(now, door, &element, deed);
    }

    /// RFC 6121 §8.5.2.1.3: we answer for the account of somebody else. Who is blocked by them hears what those hear who ask for
    /// nobody.
    fn asks_of_other(
        &mut self,
        now: Now,
        door: &DoorId,
        element: Element,
        kind: IqType,
        user: Address,
    ) {
        let from = element.attr("from").unwrap_or_default();
        let can_be_asked = self.accounts.has(&user) && !self.accounts.bars(&user, from);
        let payload = Stanza::of(&element).and_then(Stanza::payload);
        let condition = match ext::asked_of_other(kind, payload) {
            ext::OfOther::Refuse(condition) => condition,
            _ if !can_be_asked => StanzaCondition::ServiceUnavailable,
            ext::OfOther::Card => {
                return self.wants(now, door, Box::new(head(&element)), Query::Card(user));
            }
            ext::OfOther::Last => return self.post(user, Post::Stanza(Box::new(element))),
        };
        self.refuse(now, door, &element, &condition.into());
    }

    /// Does what an extension says about a question.
    fn does(&mut self, now: Now, door: &DoorId, element: &Element, deed: ext::Deed) {
        let Some(reply) = Stanza::of(element).map(Stanza::reply) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        let answer = match deed {
            ext::Deed::Refuse(condition) => {
                return self.refuse(now, door, element, &condition.into());
            }
            ext::Deed::Explain(error) => return self.refuse(now, door, element, &error),
            ext::Deed::Enable(node, update) => {
                return self.wants_pushes(now, door, element, node.as_deref(), update);
            }
            ext::Deed::Disable(node) => {
                return self.wants_no_pushes(now, door, element, node.as_deref());
            }
            ext::Deed::DisableAt(meant) => return self.disables(now, door, element, meant),
            ext::Deed::Answer(payload) => payload,
            ext::Deed::Carbons(on) => {
                session.follows.carbons = on;
                None
            }
            ext::Deed::Blocked(list) => {
                session.follows.blocks = true;
                Some(list)
            }
            ext::Deed::Roster(known) => {
                session.follows.roster = true;
                let user = session.user.clone();
                let waiting = Waiting::Roster(door.clone(), Box::new(head(element)), known);
                return self.asks(now, door, user, waiting, Said::WantsRoster);
            }
            ext::Deed::Archive(wanted) => {
                return self.wants(now, door, Box::new(head(element)), Query::Archive(wanted));
            }
            ext::Deed::Card(user) => {
                return self.wants(now, door, Box::new(head(element)), Query::Card(user));
            }
            // XEP-0077 §3.3: for who knows the one from before.
            ext::Deed::Password(_) if session.is_bearer => {
                let condition = StanzaCondition::NotAllowed;
                return self.refuse(now, door, element, &condition.into());
            }
            ext::Deed::Password(password) => {
                let user = session.user.clone();
                return self.sets_password(now, door, element, user, password);
            }
            ext::Deed::Order(order) => {
                let user = session.user.clone();
                let waiting = Waiting::Client(door.clone(), Some(Box::new(head(element))));
                return self.asks(now, door, user, waiting, |ticket| order.said(ticket));
            }
        };
        let answer = answer.into_iter().fold(reply, Element::with_child);
        self.write(now, door, &answer);
    }

    /// A client has another password for its user (XEP-0077 §3.3).
    fn sets_password(
        &mut self,
        now: Now,
        door: &DoorId,
        element: &Element,
        user: Address,
        password: String,
    ) {
        let password = match registering::sound(password) {
            Ok(password) => password,
            Err(condition) => return self.refuse(now, door, element, &condition.into()),
        };
        let waiting = Waiting::Password(door.clone(), Box::new(head(element)));
        if let Some(ticket) = self.ticket_of(now, door, waiting) {
            let order = Box::new(AccountOrder::Password(user, password));
            self.out.push_back(Output::Account(ticket, order));
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
            Err(why) => {
                let condition = self.not_done(&why);
                self.refuse(now, &door, &head, &condition.into());
            }
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
        // XEP-0191 §3.3: a presence and an answer go nowhere, a question is answered as if nobody were there.
        if self
            .accounts
            .bars(to, element.attr("from").unwrap_or_default())
        {
            return self.bounce(element, StanzaCondition::ServiceUnavailable);
        }
        if stanza.kind() == Kind::Presence && address.is_bare() {
            return self.seen_by_all(now, to, element);
        }
        if stanza.kind() == Kind::Iq && address.is_bare() {
            return self.looked_for(to, stanza);
        }
        if stanza.kind() == Kind::Iq && self.is_hidden_from(to, &address, stanza) {
            return self.asks_whether(to, element);
        }
        self.hands_over(now, to, element);
    }

    /// Whether a question or an answer goes to a client only if the roster lets whoever it is from see that it is there (RFC 6121
    /// §8.5.3.1): not if that is the user, was told by the client itself, or was asked by it.
    fn is_hidden_from(&mut self, to: &Address, address: &Jid, stanza: Stanza<'_>) -> bool {
        let door = self.sessions.at(to, address).map(|it| it.door.clone());
        let session = door.and_then(|door| self.sessions.get_mut(&door));
        let Some((session, other)) = session.zip(stanza.from().ok().flatten()) else {
            return false;
        };
        let answers = matches!(
            stanza.stanza_type(),
            Some(Type::Iq(IqType::Result | IqType::Error))
        );
        if answers && session.asked.is_answered(stanza) {
            return false;
        }
        let told = |it: &Jid| *it == other || *it == other.bare();
        self.settings.account(&other).as_ref() != Some(to) && !session.directed.iter().any(told)
    }

    fn asks_whether(&mut self, to: &Address, question: &Element) {
        let asker = Stanza::of(question).and_then(|it| it.from().ok().flatten());
        let asker = asker.and_then(|asker| self.settings.account(&asker));
        let Some(asker) = asker else {
            return self.bounce(question, StanzaCondition::ServiceUnavailable);
        };
        let waiting = Waiting::Question(to.clone(), Box::new(question.clone()));
        let ticket = self.ticket_apart(waiting);
        self.says(to.clone(), Said::IsSeenBy(ticket, asker));
    }

    /// Somebody asks when a user of ours was there last (XEP-0012): of an account nothing else comes from another role.
    fn looked_for(&mut self, user: &Address, stanza: Stanza<'_>) {
        let from = stanza.from().ok().flatten();
        if let Some(asker) = from.and_then(|from| self.settings.account(&from)) {
            let question = Box::new(head(stanza.element()));
            let ticket = self.ticket_apart(Waiting::Looks(question));
            self.says(user.clone(), Said::IsLookedFor(ticket, asker));
        }
    }

    /// What the hub says of it goes to whoever asked.
    pub(crate) fn last_seen(&mut self, now: Now, ticket: Ticket, last: Result<LastSeen, NotDone>) {
        let Some(Waiting::Looks(question)) = self.waiting.remove(&ticket) else {
            return;
        };
        let known = last.map(|last| ext::last_seen(now.wall, last));
        let answer = match (known, Stanza::of(&question)) {
            (Ok(Some(query)), Some(stanza)) => stanza.reply().with_child(query),
            (Ok(_), _) => return self.bounce(&question, StanzaCondition::ItemNotFound),
            (Err(why), _) => {
                let condition = self.not_done(&why);
                return self.bounce(&question, condition);
            }
        };
        let to = Stanza::of(&answer).and_then(|it| it.to().ok().flatten());
        if let Some(asker) = to.and_then(|to| self.settings.account(&to)) {
            self.post(asker, Post::Stanza(Box::new(answer)));
        }
    }
}
