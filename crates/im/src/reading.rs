//! What users have read, so that their other devices need not tell them of it: a marker names a message by the id that its writer gave
//! it, so the message is looked for in the archive; which of ours it is goes to the hub.

use crate::{
    line::{Line, Waiting},
    markers::Marker,
    vocabulary::Output,
};
use domain::{ArchivePage, ArchiveQuery, archive};
use hub::{Directory, NotDone, Ticket};

/// Markers that are looked for at once in a shard; one more is passed over. The next one of its conversation says as much.
const LOOKED_FOR: usize = 256;

impl Line {
    /// A user has read something, if that is what it says.
    pub(crate) fn marks(&mut self, marker: Option<Marker>) {
        self.marked.extend(marker);
    }

    /// Looks for what was read, if anything waits for another device of the reader's.
    pub(crate) fn look_for_marked(&mut self, directory: &Directory) {
        for marker in std::mem::take(&mut self.marked) {
            if !marker.is_news(directory) || self.looked_for >= LOOKED_FOR {
                continue;
            }
            let query = ArchiveQuery {
                with: Some(marker.writer.to_string()),
                from_end: true,
                limit: archive::ROWS,
                ..ArchiveQuery::default()
            };
            let user = marker.user.clone();
            let ticket = self.ticket_apart(Waiting::Marker(Box::new(marker)));
            self.looked_for += 1;
            self.out
                .push_back(Output::Read(ticket, user, Box::new(query)));
        }
    }

    /// What was read of an archive for a marker; says whether it was for one. One whose message is not among the last of its
    /// conversation says nothing.
    pub(crate) fn marked_is_read(
        &mut self,
        ticket: Ticket,
        page: &Result<ArchivePage, NotDone>,
    ) -> bool {
        if !matches!(self.waiting.get(&ticket), Some(Waiting::Marker(_))) {
            return false;
        }
        self.looked_for = self.looked_for.saturating_sub(1);
        if let (Some(Waiting::Marker(marker)), Ok(page)) = (self.waiting.remove(&ticket), page) {
            let mut messages = page.messages.iter().rev();
            if let Some(message) = messages.find(|it| marker.names(it)) {
                let Marker {
                    user,
                    device,
                    writer,
                    ..
                } = *marker;
                let read = (writer.to_string(), message.id.clone());
                self.tell(hub::Input::Read(user, device, read.0, read.1));
            }
        }
        true
    }
}
