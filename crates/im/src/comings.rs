//! Clients come and go: what the hub hears of it, and how their streams end.

use crate::{
    line::{Line, Waiting},
    presence,
    session::{There, Way},
    settings::CALLS,
};
use bytes::Bytes;
use domain::{Address, DoorId, DoorState, Now, roster::Direction};
use hub::{Doors, NotDone, Opening, PushOffer, Roster, Said, Ticket};
use std::{sync::Arc, time::Duration};
use xmpp::{
    StreamId,
    jid::Jid,
    stanza::StanzaCondition,
    stream::Framing,
    xml::{Element, StreamCondition, StreamError},
};

/// How long a door of a client that is there stands: its connection says sooner that it is gone.
const STANDS: Duration = Duration::from_hours(30 * 24);
/// A door that leads to the same client over another connection is written again once in so long.
const WRITTEN: Duration = Duration::from_hours(24);

/// Where a client is to sign in when it is woken.
pub(crate) fn register_at(jid: &Jid) -> Arc<str> {
    format!("xmpp:{}", jid.domain()).into()
}

impl Line {
    /// RFC 6121 §4.2, §4.4.
    pub(crate) fn available(&mut self, now: Now, door: &DoorId, element: &Element) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        let said = presence::read(element, session, now);
        session.there = There::Yes(said.priority);
        session.said = Some(Box::new(said.clone()));
        let user = session.user.clone();
        self.says(user, Said::Available(Box::new(said)));
        self.open_or_close(now, door);
    }

    /// RFC 6121 §4.5. Says whether it was there.
    pub(crate) fn unavailable(&mut self, now: Now, door: &DoorId, payload: Bytes) -> bool {
        let Some(session) = self.sessions.get_mut(door) else {
            return false;
        };
        let directed = std::mem::take(&mut session.directed);
        let was_there = session.is_there();
        (session.there, session.said) = (There::No, None);
        let (user, resource) = (session.user.clone(), presence::name(session));
        if !directed.is_empty() {
            let said = presence::stanza(&payload)
                .with_attr("from", session.jid.as_str())
                .with_attr("type", "unavailable");
            self.says_farewell(&user, said, directed, was_there);
        }
        if was_there {
            self.says(user, Said::Unavailable { resource, payload });
            self.open_or_close(now, door);
        }
        was_there
    }

    /// Those who were told for themselves that a client is there hear that it is gone. Who is subscribed hears it anyway, if it
    /// was there for all.
    fn says_farewell(&mut self, user: &Address, said: Element, to: Vec<Jid>, was_there: bool) {
        if !was_there {
            return to.iter().for_each(|to| self.says_to(&said, to));
        }
        let ticket = self.ticket(Waiting::Farewell(Box::new(said), to));
        self.says(user.clone(), Said::WantsRoster(ticket));
    }

    /// The roster is there that says who is subscribed; without one nobody is.
    pub(crate) fn farewell(&mut self, said: &Element, to: &[Jid], roster: Option<&Roster>) {
        let from = said.attr("from").and_then(|from| Jid::parse(from).ok());
        for jid in to {
            let peer = self.settings.account(jid);
            let is_own = from.as_ref().is_some_and(|from| from.bare() == jid.bare());
            let mut contacts = roster.into_iter().flat_map(|it| &it.contacts);
            let hears = contacts
                .any(|it| Some(&it.peer) == peer.as_ref() && it.from == Direction::Subscribed);
            if !hears && !is_own {
                self.says_to(said, jid);
            }
        }
    }

    pub(crate) fn says_to(&mut self, said: &Element, to: &Jid) {
        self.goes(said.clone().with_attr("to", to.as_str()));
    }

    /// Messages for the user go to a client that is available with a priority that is not negative (RFC 6121 §8.5.2.1.1).
    pub(crate) fn open_or_close(&mut self, now: Now, door: &DoorId) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        let wanted = session.takes_messages();
        let is_open = matches!(session.way, Way::Open | Way::Doubted);
        if is_open == wanted {
            return;
        }
        if !wanted {
            if !session.management.has_any() {
                return self.close(door);
            }
            session.way = Way::Closing;
            return self.tell(hub::Input::DoorLost(door.clone(), DoorState::Down));
        }
        self.open(now, door);
        if self
            .sessions
            .get(door)
            .is_some_and(|it| it.management.is_inactive())
        {
            self.states(door);
        }
    }

    /// No messages go to a client any more: what waits for it waits for its user again.
    pub(crate) fn close(&mut self, door: &DoorId) {
        let session = self.sessions.get_mut(door);
        if let Some(session) = session.filter(|it| it.is_door_open()) {
            session.way = Way::Closed;
            let is_alone = session.is_alone();
            session.expects_nothing();
            let left = hub::Input::DoorLeft(session.user.clone(), door.clone());
            if is_alone {
                self.tell(hub::Input::Alone(door.device.clone()));
            }
            self.tell(left);
        }
    }

    /// A client takes the place of the one that has this door: what waits there waits for it.
    pub(crate) fn hands_on(&mut self, door: &DoorId) -> Way {
        let session = self.sessions.get_mut(door);
        let Some(session) = session.filter(|it| it.is_door_open()) else {
            return Way::Closed;
        };
        session.way = Way::Closed;
        if session.is_alone() {
            self.tell(hub::Input::Alone(door.device.clone()));
        }
        self.tell(hub::Input::DoorLost(door.clone(), DoorState::Down));
        Way::Inherited
    }

    /// A client that took the place of another one has not said that it is there: what waits waits for the user's others.
    pub(crate) fn claims_no_more(&mut self, now: Now, door: &DoorId) {
        let session = self.sessions.get_mut(door);
        let is_over = session.is_some_and(|it| {
            let by = it.claims_by.take_if(|by| *by <= now.instant);
            by.is_some() && it.way == Way::Inherited
        });
        if is_over {
            self.close(door);
        }
    }

    /// The hub's messages go to a client from now on, and again what is on its way.
    pub(crate) fn open(&mut self, now: Now, door: &DoorId) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        let is_known = matches!(session.way, Way::Open | Way::Doubted);
        (session.way, session.claims_by) = (Way::Open, None);
        let stands = now.wall.plus(STANDS);
        let unchanged = is_known && session.stands.plus(WRITTEN) > stands;
        if !unchanged {
            session.stands = stands;
        }
        let expires_at = session.stands;
        let (user, jid) = (session.user.clone(), session.jid.clone());
        let ticket = self.ticket(Waiting::Door(door.clone()));
        self.reads_behind(door, ticket);
        let opening = Opening {
            door: door.clone(),
            fresh: true,
            unchanged,
            state: DoorState::Up,
            expires_at,
            rings: Some(CALLS),
            speaks: true,
            q: 1000,
            window: self.settings.window,
            register_at: register_at(&jid),
            push: PushOffer::None,
            data: jid.as_str().to_owned().into(),
            history: Some(format!("signed in as {jid}")),
        };
        let doors = Doors {
            ticket,
            user,
            opened: vec![opening],
            closed: Vec::new(),
        };
        self.tell(hub::Input::Doors(doors));
    }

    /// The hub has opened a client's door, or has no place for it: then it would get no messages, and goes.
    pub(crate) fn opened(&mut self, now: Now, ticket: Ticket, result: &Result<(), NotDone>) {
        let Some(Waiting::Door(door)) = self.heard(ticket) else {
            return;
        };
        self.reads_now(&door, ticket);
        let session = self.sessions.get_mut(&door);
        let Some(session) = session.filter(|it| it.is_door_open()) else {
            return;
        };
        let Err(why) = result else {
            session.push.is_unknown = true;
            // What went while that was being saved went from a door that the hub did not know yet.
            let is_doubted = matches!(session.way, Way::Doubted | Way::Inherited);
            let is_asleep = !session.management.is_up() || is_doubted;
            self.touched.push(door.clone());
            if is_asleep {
                self.tell(hub::Input::DoorLost(door, DoorState::Down));
            }
            return;
        };
        if session.way == Way::Inherited {
            // It was the one before that wanted it.
            return;
        }
        // Its user may have gone and come back before the hub had forgotten the door: then that was forgotten for this one.
        self.close(&door);
        self.not_done(why);
        let (condition, text) = match why {
            NotDone::Missing => (StreamCondition::NotAuthorized, "the account is gone"),
            NotDone::Failed(_) => (StreamCondition::InternalServerError, "not saved"),
            _ => (
                StreamCondition::ResourceConstraint,
                "too many devices, or too much at once",
            ),
        };
        self.end(now, &door, Some(condition), text);
    }

    /// Ends a session, with what is wrong.
    pub(crate) fn end(
        &mut self,
        now: Now,
        door: &DoorId,
        why: Option<StreamCondition>,
        text: &'static str,
    ) {
        let error = why.map(|condition| StreamError::new(condition, text).element());
        self.ends(now, door, error.as_ref());
    }

    /// Ends a session, with this error.
    pub(crate) fn ends(&mut self, now: Now, door: &DoorId, error: Option<&Element>) {
        self.closes(door, error);
        self.leave(now, door);
    }

    /// Closes a session's stream, if it has one.
    pub(crate) fn closes(&mut self, door: &DoorId, error: Option<&Element>) {
        let session = self.sessions.get(door);
        if let Some(session) = session.filter(|it| it.management.is_up()) {
            self.shuts(session.stream, session.framing, error);
        }
    }

    /// Closes a stream.
    pub(crate) fn shuts(&mut self, stream: StreamId, framing: Framing, error: Option<&Element>) {
        if let Some(error) = error {
            self.put(stream, error.to_octets(framing.context()).into());
        }
        self.put(stream, Bytes::from_static(framing.close()));
        self.hang_up(stream);
    }

    /// Nobody is behind a session any more.
    pub(crate) fn leave(&mut self, now: Now, door: &DoorId) {
        self.unavailable(now, door, Bytes::new());
        self.close(door);
        let Some(session) = self.sessions.remove(door) else {
            return;
        };
        tracing::debug!(jid = %session.jid, "a client is gone");
        if let Some(at) = session.filed {
            self.alarms.remove(&(at, door.clone()));
        }
        self.keeps_no_more(&session);
        let management = session.management;
        let handled = management.handled();
        if let (Some((id, _)), Some(handled)) = (management.resumable(), handled) {
            self.former.insert(id.to_owned(), handled);
        }
        if let Some(comeback) = session.awaits {
            self.turned_away.push((comeback.stream, handled));
        }
        // XEP-0198 §4: who asked hears that there is nobody.
        for head in management.unanswered() {
            self.bounce(&head, StanzaCondition::RecipientUnavailable);
        }
    }

    /// The hub knows of these doors no more: their account is gone, or others took their place.
    pub(crate) fn closed(&mut self, now: Now, doors: Vec<DoorId>) {
        for door in doors {
            let Some(session) = self.sessions.get_mut(&door) else {
                continue;
            };
            if !session.is_door_open() {
                continue;
            }
            session.way = Way::Closed;
            let is_known = self.accounts.has(&session.user);
            let condition = if is_known {
                StreamCondition::PolicyViolation
            } else {
                StreamCondition::NotAuthorized
            };
            self.end(
                now,
                &door,
                Some(condition),
                "the account has no place for this client",
            );
        }
    }

    /// Who signed in as this user is nobody any more, and is told why, which it says; but for the client that has just given its user another password.
    pub(crate) fn signed_out(
        &mut self,
        now: Now,
        user: &Address,
    ) -> (StreamCondition, &'static str) {
        let gives = self.waiting.values().find_map(|waiting| match waiting {
            Waiting::Password(door, _) => self.sessions.get(door).filter(|it| it.user == *user),
            _ => None,
        });
        let gives = gives.map(|session| session.door.clone());
        let doors = self.sessions.of(user).map(|session| session.door.clone());
        let doors: Vec<_> = doors.filter(|door| Some(door) != gives.as_ref()).collect();
        let why = if self.accounts.has(user) {
            (StreamCondition::Reset, "sign in again")
        } else {
            (StreamCondition::NotAuthorized, "the account is gone")
        };
        for door in doors {
            self.end(now, &door, Some(why.0), why.1);
        }
        self.sessions.forgets_tokens(user);
        why
    }
}
