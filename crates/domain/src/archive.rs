//! The archive as its users read it: what each of them wrote and got, in pages.

use crate::{Address, Message, MessageId, Timestamp};
use std::sync::Arc;

/// Messages in a page at most, whatever is asked for.
pub const ROWS: usize = 100;

/// Octets of bodies in a page; the message that goes beyond is in the next one. One message is in a page however long it is.
pub const OCTETS: usize = 128 * 1024;

/// What is asked of a user's archive: a message is in the answer if all of this holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ArchiveQuery {
    /// Written by or to this address, as [`sides`] has it; the user's own: to themselves.
    pub with: Option<String>,
    /// Not taken before this.
    pub start: Option<Timestamp>,
    /// Not taken after this.
    pub end: Option<Timestamp>,
    /// It came after all of these.
    pub after: Vec<MessageId>,
    /// It came before all of these.
    pub before: Vec<MessageId>,
    /// It is one of these; of no names, it may be any.
    pub ids: Vec<MessageId>,
    /// The page is the last one, and not the first.
    pub from_end: bool,
    /// Messages in the page; above [`ROWS`] it counts as that.
    pub limit: usize,
}

/// A page of the archive.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ArchivePage {
    /// In the order in which they came.
    pub messages: Vec<Arc<Message>>,
    /// Nothing that was asked for is left beyond the page, in the direction in which it was asked.
    pub is_complete: bool,
}

impl ArchivePage {
    /// Of what was asked for, in the direction in which it was asked: only as much is taken as there is room for, and one more.
    pub fn of(query: &ArchiveQuery, found: impl IntoIterator<Item = Arc<Message>>) -> Self {
        let mut page = Self {
            messages: Vec::new(),
            is_complete: true,
        };
        let mut octets = 0;
        for message in found {
            octets += message.body.len();
            let is_full = octets > OCTETS && !page.messages.is_empty();
            if is_full || page.messages.len() >= query.rows() {
                page.is_complete = false;
                break;
            }
            page.messages.push(message);
        }
        if query.from_end {
            page.messages.reverse();
        }
        page
    }
}

impl ArchiveQuery {
    /// Messages in the page at most.
    pub fn rows(&self) -> usize {
        self.limit.min(ROWS)
    }

    /// All ids that it names.
    pub fn named(&self) -> impl Iterator<Item = &MessageId> {
        self.after.iter().chain(&self.before).chain(&self.ids)
    }

    /// The answer, out of a user's whole archive in the order in which it came. `None`: a message that the query names is not in it.
    pub fn page(&self, user: &Address, archive: &[Arc<Message>]) -> Option<ArchivePage> {
        let place = |id: &MessageId| archive.iter().position(|it| it.id == *id);
        let places = |ids: &[MessageId]| ids.iter().map(place).collect::<Option<Vec<usize>>>();
        let first = places(&self.after)?
            .into_iter()
            .max()
            .map_or(0, |at| at + 1);
        let end = places(&self.before)?.into_iter().min();
        let end = end.unwrap_or(archive.len()).max(first);
        places(&self.ids)?;
        let is_with = |with: &String, message: &Message| {
            sides(&message.from, &message.to).any(|(owner, peer)| owner == *user && peer == *with)
        };
        let is_wanted = |message: &&Arc<Message>| {
            self.with.as_ref().is_none_or(|with| is_with(with, message))
                && self.start.is_none_or(|start| message.at >= start)
                && self.end.is_none_or(|end| message.at <= end)
                && (self.ids.is_empty() || self.ids.contains(&message.id))
        };
        let found = archive.get(first..end)?.iter().filter(is_wanted).cloned();
        Some(if self.from_end {
            ArchivePage::of(self, found.rev())
        } else {
            ArchivePage::of(self, found)
        })
    }
}

/// Whose archives a message is in, if they are users of ours, and with whom each of them has it: as an address in the form in which
/// all are compared, or as the role calls a stranger who has none.
pub fn sides(from: &str, to: &Address) -> impl Iterator<Item = (Address, String)> {
    let writer: Option<Address> = from.parse().ok();
    let name = writer.clone().map_or_else(|| from.to_owned(), String::from);
    let of_writer = writer
        .filter(|writer| writer != to)
        .map(|writer| (writer, to.to_string()));
    std::iter::once((to.clone(), name)).chain(of_writer)
}
