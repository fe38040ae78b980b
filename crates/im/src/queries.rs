//! What clients want that has to be read first: for each of them one after the other.

use crate::{
    line::{Line, Waiting},
    session::{Queries, Query},
    vocabulary::Output,
};
use domain::{DoorId, Now};
use hub::Ticket;
use xmpp::xml::Element;

/// Queries of one client for its archive that wait, the one that is being answered included: their pages have room in what waits to
/// be written to a stream, should its client not read meanwhile.
const PAGES: usize = 4;
/// The same for cards: a client that comes wants those of all of its contacts.
const CARDS: usize = 256;

impl Queries {
    fn has_room(&self, query: &Query) -> bool {
        let is_card = |it: &Query| matches!(it, Query::Card(_));
        let alike = |(_, it): &&(Box<Element>, Query)| is_card(it) == is_card(query);
        let most = if is_card(query) { CARDS } else { PAGES };
        self.waiting.iter().filter(alike).count() < most
    }
}

impl Line {
    /// A client wants something that has to be read; `head`: of its question.
    pub(crate) fn wants(&mut self, now: Now, door: &DoorId, head: Box<Element>, query: Query) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        if !session.queries.has_room(&query) {
            return self.refuse_more(now, door, &head);
        }
        session.queries.waiting.push_back((head, query));
        self.reads_next(door);
    }

    /// The next one is read, unless one is being read.
    pub(crate) fn reads_next(&mut self, door: &DoorId) {
        let ticket = self.ticket_apart(Waiting::Query(door.clone()));
        let session = self.sessions.get_mut(door);
        let next = session.and_then(|session| {
            let queries = &mut session.queries;
            let (_, query) = queries
                .waiting
                .front()
                .filter(|_| queries.ticket.is_none())?;
            queries.ticket = Some(ticket);
            Some(match query {
                Query::Archive(wanted) => {
                    let query = Box::new(wanted.query.clone());
                    Output::Read(ticket, session.user.clone(), query)
                }
                Query::Card(user) => Output::ReadCard(ticket, user.clone()),
            })
        });
        match next {
            Some(output) => self.out.push_back(output),
            None => drop(self.waiting.remove(&ticket)),
        }
    }

    /// A client that has said that it is there reads when its door is open: what is kept until then it finds, what comes later it
    /// is sent, and nothing falls between.
    pub(crate) fn reads_behind(&mut self, door: &DoorId, opening: Ticket) {
        if let Some(session) = self.sessions.get_mut(door) {
            session.queries.ticket.get_or_insert(opening);
        }
    }

    /// Its door is open, or will not be.
    pub(crate) fn reads_now(&mut self, door: &DoorId, opening: Ticket) {
        if let Some(session) = self.sessions.get_mut(door) {
            session.queries.ticket.take_if(|it| *it == opening);
            self.reads_next(door);
        }
    }

    /// What a client wanted was read: whose it is, and what it was.
    pub(crate) fn was_read(&mut self, ticket: Ticket) -> Option<(DoorId, Box<Element>, Query)> {
        let Some(Waiting::Query(door)) = self.waiting.remove(&ticket) else {
            return None;
        };
        // The one who asked may have gone, and another one come in its place.
        let queries = &mut self.sessions.get_mut(&door)?.queries;
        queries.ticket.take_if(|it| *it == ticket)?;
        let (head, query) = queries.waiting.pop_front()?;
        Some((door, head, query))
    }
}
