//! Archives, as clients read theirs (XEP-0313): one page after the other.

use crate::{
    ext::{self, Looked, Shape, Wanted},
    line::Line,
    session::Query,
};
use domain::{ArchivePage, ArchiveQuery, DoorId, Message, Now};
use hub::{NotDone, Ticket};
use xmpp::{
    stanza::{Stanza, StanzaCondition},
    xml::Element,
};

impl Line {
    /// A page has been read.
    pub(crate) fn archive_read(
        &mut self,
        now: Now,
        ticket: Ticket,
        page: Result<ArchivePage, NotDone>,
    ) {
        if let Some((door, head, Query::Archive(wanted))) = self.was_read(ticket) {
            match page {
                Ok(page) => match wanted.look_through(page) {
                    Looked::Enough(wanted, page) => {
                        self.answer_archive(now, &door, head, wanted, &page);
                    }
                    Looked::More(wanted) => self.reads_on(&door, head, wanted),
                    Looked::TooMuch => {
                        let condition = StanzaCondition::ResourceConstraint;
                        self.refuse(now, &door, &head, &condition.into());
                    }
                },
                Err(why) => {
                    let condition = self.not_done(&why);
                    self.refuse(now, &door, &head, &condition.into());
                }
            }
            self.reads_next(&door);
        }
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
        let wanted = Wanted {
            query,
            shape,
            ..wanted
        };
        self.reads_on(door, head, wanted);
    }

    /// This is read before anything else.
    fn reads_on(&mut self, door: &DoorId, head: Box<Element>, wanted: Wanted) {
        if let Some(session) = self.sessions.get_mut(door) {
            let wanted = Query::Archive(Box::new(wanted));
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
