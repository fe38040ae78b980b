//! Sessions without a connection in the store, so that they outlive us. One is kept when it is settled what became of all that its
//! client sent, and it is not kept any more before anything is read of its client again: what the store has of a session is always
//! all of it, but for what its client may have got since.

use crate::{
    kept::{self, Restored},
    line::{Line, Waiting},
    session::{Session, Sleep, Way},
    vocabulary::Seen,
};
use bytes::Bytes;
use domain::{DoorId, KeptSession, Now, Timestamp};
use hub::{Directory, NotDone, Ticket};
use std::time::Duration;

/// So long do all of a user's clients sleep before others have seen it, at most.
const SEEN: Duration = Duration::from_secs(5);

impl Line {
    /// Says to the store what is to be said of a session.
    pub(crate) fn keeps(&mut self, now: Now, directory: &Directory, door: &DoorId) {
        let longest = self.settings.hibernation_with_push;
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        if session.keeping.waits.is_some() {
            return;
        }
        let Some(sleep) = session.sleep else {
            return self.takes_over(door);
        };
        // What is being read for it would be lost with us: it is kept with the answer.
        let reads = !session.queries.waiting.is_empty();
        let is_due = session.keeping.is_stale && session.awaits.is_none() && !reads;
        if !is_due || !session.management.is_settled() {
            return;
        }
        let since = now.instant.saturating_duration_since(sleep.since);
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let since = Timestamp(now.wall.0.saturating_sub(since));
        let entry = directory.get(&door.device);
        let used_at = entry.and_then(hub::Entry::used_at);
        let cap = session.management.resumable().map(|(_, cap)| cap);
        let until = since.plus(longest.min(cap.unwrap_or_default()));
        if let Some(data) = kept::write(session, since, used_at) {
            session.keeping.is_stale = false;
            self.says_to_store(door, until, data);
        }
    }

    /// A session whose client goes on is not kept any more. That is said at once, also while the store is still at it to keep it: what
    /// the client says that it has must not leave its queue before the record is gone in which it waits.
    pub(crate) fn takes_over(&mut self, door: &DoorId) {
        let session = self.sessions.get(door);
        let has_record =
            |it: &Session| it.keeping.is_stored && !it.keeping.is_going() && it.sleep.is_none();
        if session.is_some_and(has_record) {
            self.says_to_store(door, Timestamp::default(), Bytes::new());
        }
    }

    fn says_to_store(&mut self, door: &DoorId, until: Timestamp, data: Bytes) {
        let Some(session) = self.sessions.get(door) else {
            return;
        };
        let ((user, name), number) = (kept::name(session), session.number);
        let ticket = self.ticket_apart(Waiting::Session(door.clone(), number));
        if let Some(session) = self.sessions.get_mut(door) {
            session.keeping.waits = Some((ticket, !data.is_empty()));
            session.keeping.is_stored = true;
        }
        let kept = KeptSession {
            user,
            name,
            until,
            data,
        };
        self.tell(hub::Input::Session(ticket, Box::new(kept)));
    }

    /// Whether the store's word on a session is waited for by this ticket.
    pub(crate) fn is_for_session(&self, ticket: Ticket) -> bool {
        matches!(self.waiting.get(&ticket), Some(Waiting::Session(..)))
    }

    /// The store has spoken. Says of a session whose client is back whether the store has it no more.
    pub(crate) fn session_is_kept(
        &mut self,
        ticket: Ticket,
        result: &Result<(), NotDone>,
    ) -> Option<(DoorId, bool)> {
        let Waiting::Session(door, number) = self.heard(ticket)? else {
            return None;
        };
        let session = self.sessions.get_mut(&door);
        // Something else was said of it since: that decides.
        let is_last = |it: &&mut Session| {
            let waits = it.keeping.waits;
            it.number == number && waits.is_some_and(|(last, _)| last == ticket)
        };
        let session = session.filter(is_last)?;
        let (_, is_kept) = session.keeping.waits.take()?;
        let is_back = session.sleep.is_none();
        match (result, is_kept) {
            (Ok(()), false) => session.keeping.is_stored = false,
            (Err(why), true) if !is_back => {
                // It is tried again when something happens to it.
                tracing::warn!(jid = %session.jid, %why, "a session is not kept: a restart would end it");
                session.keeping.is_stale = true;
                return None;
            }
            _ => {}
        }
        self.touched.push(door.clone());
        (is_back && !is_kept).then_some((door, result.is_ok()))
    }

    /// A session is over: the store has it no more.
    pub(crate) fn keeps_no_more(&mut self, session: &Session) {
        if session.keeping.is_stored {
            let (user, name) = kept::name(session);
            self.removes(user, name);
        }
    }

    fn removes(&mut self, user: domain::Address, name: String) {
        let kept = KeptSession {
            user,
            name,
            until: Timestamp::default(),
            data: Bytes::new(),
        };
        let ticket = self.ticket_of_nobody();
        self.tell(hub::Input::Session(ticket, Box::new(kept)));
    }

    /// Takes back what the store has kept. Says what is to be seen of it.
    pub(crate) fn restores(&mut self, now: Now, kept: KeptSession) -> Option<Seen> {
        let Some(restored) = kept::read(&kept, now, &self.settings) else {
            tracing::error!(user = %kept.user, name = kept.name, "a session in the store cannot be read: its client signs in anew");
            self.removes(kept.user, kept.name);
            return None;
        };
        let Restored {
            mut session,
            since,
            used_at,
        } = restored;
        let slept = now.wall.since(since);
        let cap = session.management.resumable().map(|(_, cap)| cap);
        session.sleep = Some(Sleep {
            since: now.instant.checked_sub(slept).unwrap_or(now.instant),
            // Its client could not come while we were away.
            until: now.instant + self.settings.hibernation.min(cap.unwrap_or_default()),
        });
        session.keeping.is_stored = true;
        session.is_restored = true;
        session.push.is_unknown = true;
        self.numbers += 1;
        session.number = self.numbers;
        let seen = Seen {
            user: session.user.clone(),
            device: session.door.device.clone(),
            used_at,
            said: session.said.as_deref().cloned(),
            is_seen: slept > SEEN,
        };
        let door = session.door.clone();
        self.sessions.insert(session);
        self.sessions.disconnect(&door);
        self.touched.push(door);
        Some(seen)
    }

    /// All that was kept is there again: a door that the hub does not have is none.
    pub(crate) fn finds_doors(&mut self, directory: &Directory) {
        for door in self.sessions.doors() {
            let entry = directory.get(&door.device);
            let is_known = entry.is_some_and(|it| it.door(door.number).is_some());
            if let Some(session) = self.sessions.get_mut(&door).filter(|_| !is_known) {
                session.way = Way::Closed;
            }
        }
    }

    /// Whether a session is still to be kept.
    pub(crate) fn is_keeping(&self) -> bool {
        self.sessions.all().any(Session::is_to_be_kept)
    }
}
