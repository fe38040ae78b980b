//! Clients that go on where they were (XEP-0198 §5).

use crate::{
    line::Line,
    management::{failed, too_high},
    presence,
    session::Comeback,
    sign_in::SignIn,
};
use domain::{Address, DoorId, Now};
use hub::Said;
use xmpp::{
    StreamId,
    management::{CannotResume, WhyFailed},
    ns,
    xml::{Element, StreamCondition, StreamError},
};

impl Line {
    /// A client that has signed in wants to go on where it was.
    pub(crate) fn wants_back(
        &mut self,
        now: Now,
        sign_in: &SignIn,
        stream: StreamId,
        user: &Address,
        resume: &Element,
    ) {
        let Some(framing) = sign_in.framing(stream) else {
            return;
        };
        let id = resume.attr("previd").unwrap_or_default();
        let handled = resume.attr("h").and_then(|it| it.trim().parse().ok());
        // Nobody makes us look for what we have not given them.
        let is_theirs = self.keys.is_id(user.as_str(), id);
        let known = is_theirs.then(|| self.sessions.resumable(user, id, framing));
        let (Some(door), Some(handled)) = (known.flatten(), handled) else {
            let handled = is_theirs.then(|| self.former.get(id)).flatten();
            return self.has_no_way_back(sign_in, stream, handled);
        };
        let comeback = Comeback {
            stream,
            framing,
            handled,
        };
        self.awaits(now, &door, comeback);
    }

    /// There is no such session, or none any more. The client may still ask for an address.
    pub(crate) fn has_no_way_back(
        &mut self,
        sign_in: &SignIn,
        stream: StreamId,
        handled: Option<u32>,
    ) {
        if let Some(framing) = sign_in.framing(stream) {
            let failed = failed(handled, WhyFailed::NoSession);
            self.put(stream, failed.to_octets(framing.context()).into());
        }
    }

    /// A client goes on, if all that it sent before is settled.
    pub(crate) fn comes_back(&mut self, now: Now, sign_in: &mut SignIn, door: &DoorId) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        let Some(comeback) = session.awaits.filter(|_| session.management.is_settled()) else {
            return;
        };
        session.awaits = None;
        if sign_in.framing(comeback.stream).is_none() {
            // It is gone, or has another address.
            return;
        }
        session.lang = sign_in.goes(comeback.stream);
        self.goes_on(now, door, comeback);
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
    fn goes_on(&mut self, now: Now, door: &DoorId, comeback: Comeback) {
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
        session.until = None;
        let id = session.management.resumable().map(|(id, _)| id.to_owned());
        let resumed = Element::new(ns::SM, "resumed")
            .with_attr("previd", id.unwrap_or_default())
            .with_attr("h", goes_on.handled.to_string());
        tracing::debug!(jid = %session.jid, "a client is back");
        let (user, name) = (session.user.clone(), presence::name(session));
        let (takes_messages, is_available) = (session.takes_messages(), session.is_there());
        self.sessions.connect(door, stream);
        self.put(stream, resumed.to_octets(framing.context()).into());
        self.has_got(door, goes_on.messages);
        self.given(door, goes_on.given);
        if takes_messages {
            self.open(now, door);
        }
        if is_available {
            self.says(user, Said::Suspended(name, false));
        }
    }
}
