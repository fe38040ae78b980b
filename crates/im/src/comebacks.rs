//! Clients that go on where they were (XEP-0198 §5).

use crate::{line::Line, management::too_high, presence, session::Comeback, sign_in::SignIn};
use domain::{Address, DoorId, Now};
use hub::Said;
use xmpp::{
    StreamId,
    management::CannotResume,
    ns,
    sasl2::Success,
    stanza::StanzaCondition,
    stream::Framing,
    xml::{Element, StreamCondition, StreamError},
};

impl Line {
    /// A client that has shown who it is wants to go on where it was, over a stream that is framed so.
    ///
    /// # Errors
    /// There is no such session, or none any more; so much is known of it.
    pub(crate) fn wants_back(
        &mut self,
        now: Now,
        (stream, framing): (StreamId, Framing),
        user: &Address,
        resume: &Element,
    ) -> Result<(), Option<u32>> {
        let id = resume.attr("previd").unwrap_or_default();
        let handled = resume.attr("h").and_then(|it| it.trim().parse().ok());
        // Nobody makes us look for what we have not given them.
        let is_theirs = self.keys.is_id(user.as_str(), id);
        let known = is_theirs.then(|| self.sessions.resumable(user, id, framing));
        let (Some(door), Some(handled)) = (known.flatten(), handled) else {
            return Err(is_theirs.then(|| self.former.get(id)).flatten());
        };
        let comeback = Comeback {
            stream,
            framing,
            handled,
        };
        self.awaits(now, &door, comeback);
        Ok(())
    }

    /// A client goes on, if all that it sent before is settled.
    pub(crate) fn comes_back(&mut self, now: Now, sign_in: &mut SignIn, door: &DoorId) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        let is_ready = session.management.is_settled();
        let Some(comeback) = session.awaits.filter(|_| is_ready) else {
            return;
        };
        if session.is_restored && session.management.is_beyond(comeback.handled) {
            // It went on before we were killed, and we do not know where to.
            return self.leave(now, door);
        }
        session.awaits = None;
        self.touched.push(door.clone());
        if sign_in.framing(comeback.stream).is_none() {
            // It is gone, or has another address.
            return;
        }
        let Some(gone) = sign_in.goes(comeback.stream) else {
            return;
        };
        (session.lang, session.is_bearer) = (gone.lang, gone.is_bearer);
        self.goes_on(now, door, comeback, gone.success);
    }

    /// A client is back for a session. Whoever had it until now has it no more.
    fn awaits(&mut self, now: Now, door: &DoorId, comeback: Comeback) {
        let is_up = |line: &Self| {
            let session = line.sessions.get(door);
            session.is_some_and(|it| it.management.is_up())
        };
        if is_up(self) {
            let text = "resumed over another connection";
            self.breaks(now, door, StreamCondition::Conflict, text);
        }
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        let before = session.awaits.replace(comeback);
        self.touched.push(door.clone());
        if let Some(before) = before.filter(|it| it.stream != comeback.stream) {
            self.turned_away.push((before.stream, None));
        }
    }

    /// A session goes on over this stream.
    fn goes_on(&mut self, now: Now, door: &DoorId, comeback: Comeback, success: Option<Success>) {
        let Comeback {
            stream,
            framing,
            handled,
        } = comeback;
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        let goes_on = match session.management.resume(now.instant, handled) {
            Ok(goes_on) => goes_on,
            Err(why) => {
                let error = match why {
                    CannotResume::TooHigh(error) => too_high(error),
                    // It was asked whether it can.
                    CannotResume::NotYet => {
                        StreamError::from(StreamCondition::InternalServerError).element()
                    }
                };
                return self.shuts(stream, framing, Some(&error));
            }
        };
        session.sleep = None;
        session.keeping.is_stale = false;
        let is_restored = std::mem::take(&mut session.is_restored);
        session.push.is_to_hear = true;
        let id = session.management.resumable().map(|(id, _)| id.to_owned());
        let resumed = Element::new(ns::SM, "resumed")
            .with_attr("previd", id.unwrap_or_default())
            .with_attr("h", goes_on.handled.to_string());
        tracing::debug!(jid = %session.jid, "a client is back");
        let (user, name) = (session.user.clone(), presence::name(session));
        let (takes_messages, is_available) = (session.takes_messages(), session.is_there());
        let jid = session.jid.clone();
        self.sessions.connect(door, stream);
        match success {
            Some(mut success) => {
                success.inline.push(resumed);
                self.has_signed_in(stream, framing, success, &jid, true);
            }
            None => self.put(stream, resumed.to_octets(framing.context()).into()),
        }
        self.given(door, goes_on.given);
        if takes_messages {
            self.open(now, door);
        }
        self.takes_over(door);
        self.has_got(door, goes_on.messages);
        if is_available {
            self.says(user.clone(), Said::Suspended(name.clone(), false));
        }
        if is_available && is_restored {
            self.says(user, Said::LooksAnew(name));
        }
    }

    /// The store has a session no more whose client is back, and what that has said meanwhile is read; or it has it still, and would
    /// have it as it was after a restart.
    pub(crate) fn is_taken_over(&mut self, now: Now, door: &DoorId, is_saved: bool) {
        if !is_saved {
            let text = "not saved";
            return self.breaks(now, door, StreamCondition::InternalServerError, text);
        }
        let session = self.sessions.get_mut(door);
        let early = session.map(|it| std::mem::take(&mut it.early));
        for item in early.unwrap_or_default() {
            self.read(now, door, item);
        }
    }

    /// We stop: sessions that can be gone on with are kept, as if their connections were gone already.
    pub(crate) fn stops(&mut self, now: Now) {
        for door in self.sessions.doors() {
            let Some(session) = self.sessions.get_mut(&door) else {
                continue;
            };
            if session.management.resumable().is_none() {
                continue;
            }
            // Who has not heard yet that it goes on asks again, of whoever runs then.
            session.awaits = None;
            // What is being read for them is not read any more.
            let heads = std::mem::take(&mut session.queries.waiting);
            self.touched.push(door.clone());
            if session.sleep.is_none() {
                self.drops(now, &door);
            }
            for (head, _) in heads {
                let error = StanzaCondition::ResourceConstraint;
                self.refuse(now, &door, &head, &error.into());
            }
        }
    }
}
