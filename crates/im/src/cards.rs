//! Cards, as clients read them (XEP-0054).

use crate::{ext, line::Line, session::Query};
use domain::{Card, Now};
use hub::{NotDone, Ticket};
use xmpp::stanza::{Stanza, StanzaCondition};

impl Line {
    /// A card has been read. That there is none the user may know, and of others nothing, not even that they are nobody (XEP-0054
    /// §3.3).
    pub(crate) fn card_read(
        &mut self,
        now: Now,
        ticket: Ticket,
        card: Result<Option<Card>, NotDone>,
    ) {
        let Some((door, head, Query::Card(user))) = self.was_read(ticket) else {
            return;
        };
        let session = self.sessions.get(&door);
        let is_own = session.is_some_and(|session| session.user == user);
        let found = card.map(|card| card.as_ref().and_then(ext::card));
        let answer = match found {
            Ok(Some(card)) => Ok(card),
            Ok(None) if is_own => Err(StanzaCondition::ItemNotFound),
            Ok(None) => Err(StanzaCondition::ServiceUnavailable),
            Err(why) => Err(self.not_done(&why)),
        };
        match answer {
            Ok(card) => {
                if let Some(stanza) = Stanza::of(&head) {
                    self.write(now, &door, &stanza.reply().with_child(card));
                }
            }
            Err(condition) => self.refuse(now, &door, &head, &condition.into()),
        }
        self.reads_next(&door);
    }
}
