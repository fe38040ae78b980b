//! Archives, as clients read theirs (XEP-0313): one page after the other.

use crate::{
    ext::{self, Shape, Wanted},
    line::{Line, Waiting, condition},
    vocabulary::Output,
};
use domain::{ArchivePage, ArchiveQuery, DoorId, Message, Now};
use hub::{NotDone, Ticket};
use xmpp::{
    stanza::{Stanza, StanzaCondition},
    xml::Element,
};

/// Queries of one client that wait, the one that is being answered included: their pages have room in what waits to be written
/// to a stream, should its client not read meanwhile.
const QUERIES: usize = 4;

impl Line {
    /// A client wants something of its user's archive; `head`: of its question.
    pub(crate) fn wants_archive(
        &mut self,
        now: Now,
        door: &DoorId,
        head: Box<Element>,
        wanted: Box<Wanted>,
    ) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        let waiting = &mut session.queries.waiting;
        if waiting.len() >= QUERIES {
            return self.refuse(
                now,
                door,
                &head,
                &StanzaCondition::ResourceConstraint.into(),
            );
        }
        waiting.push_back((head, wanted));
        self.read_archive(door);
    }

    /// The next page is read, unless one is being read.
    fn read_archive(&mut self, door: &DoorId) {
        let ticket = self.ticket_apart(Waiting::Archive(door.clone()));
        let session = self.sessions.get_mut(door);
        let next = session.and_then(|session| {
            let queries = &mut session.queries;
            let (_, wanted) = queries
                .waiting
                .front()
                .filter(|_| queries.ticket.is_none())?;
            queries.ticket = Some(ticket);
            Some((session.user.clone(), Box::new(wanted.query.clone())))
        });
        match next {
            Some((user, query)) => self.out.push_back(Output::Read(ticket, user, query)),
            None => drop(self.waiting.remove(&ticket)),
        }
    }

    /// A page has been read.
    pub(crate) fn archive_read(
        &mut self,
        now: Now,
        ticket: Ticket,
        page: Result<ArchivePage, NotDone>,
    ) {
        let Some(Waiting::Archive(door)) = self.waiting.remove(&ticket) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&door) else {
            return;
        };
        // The one who asked may have gone, and another one come in its place.
        let queries = &mut session.queries;
        if queries.ticket.take_if(|it| *it == ticket).is_none() {
            return;
        }
        if let Some((head, wanted)) = queries.waiting.pop_front() {
            match page {
                Ok(page) => self.answer_archive(now, &door, head, *wanted, &page),
                Err(why) => self.refuse(now, &door, &head, &condition(&why).into()),
            }
        }
        self.read_archive(&door);
    }

    fn answer_archive(
        &mut self,
        now: Now,
        door: &DoorId,
        head: Box<Element>,
        wanted: Wanted,
        page: &ArchivePage,
    ) {
        let answer = match wanted.shape {
            Shape::Page(name, flip) => {
                self.write_results(now, door, page, name.as_deref(), flip);
                ext::fin(page)
            }
            Shape::Begin => match page.messages.first() {
                Some(first) => return self.wants_end(door, head, wanted, first),
                None => ext::bounds(None),
            },
            Shape::End(id, at) => {
                let last = page.messages.last();
                let (last, ended) = last.map_or((&id, at), |last| (&last.id, last.at));
                ext::bounds(Some([(&id, at), (last, ended)]))
            }
        };
        if let Some(stanza) = Stanza::of(&head) {
            self.write(now, door, &stanza.reply().with_child(answer));
        }
    }

    /// The beginning of an archive is known, and the end is read before anything else.
    fn wants_end(&mut self, door: &DoorId, head: Box<Element>, wanted: Wanted, first: &Message) {
        let query = ArchiveQuery {
            from_end: true,
            ..wanted.query
        };
        let shape = Shape::End(first.id.clone(), first.at);
        let wanted = Box::new(Wanted { query, shape });
        if let Some(session) = self.sessions.get_mut(door) {
            session.queries.waiting.push_front((head, wanted));
        }
    }

    /// The messages of a page, in the direction in which they are wanted.
    fn write_results(
        &mut self,
        now: Now,
        door: &DoorId,
        page: &ArchivePage,
        name: Option<&str>,
        flip: bool,
    ) {
        let Some(session) = self.sessions.get(door) else {
            return;
        };
        let of = |message| ext::result(message, name, &session.user, &session.jid);
        let mut results: Vec<Element> = page.messages.iter().filter_map(|it| of(it)).collect();
        if flip {
            results.reverse();
        }
        for result in results {
            self.write(now, door, &result);
        }
    }
}
