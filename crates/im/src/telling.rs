//! Where stories are told that the hub does not hear of.

use crate::{
    components::Writer,
    line::Line,
    sign_in::Refused,
    told::Why,
    vocabulary::{Letter, Output},
};
use domain::{Address, Now};
use xmpp::{
    StreamId,
    stanza::{self, StanzaCondition},
    xml::Element,
};

impl Line {
    /// Somebody says to another that their call is over.
    pub(crate) fn tells_end(&mut self, now: Now, who: &Address, peer: &Address, id: &str) {
        let note = self.told.ends(now, (who, peer), id);
        self.out.extend(note.map(Output::Note));
    }

    /// A letter goes nowhere, and its writer hears so.
    pub(crate) fn refuses_letter(
        &mut self,
        now: Now,
        writer: Writer,
        letter: &Letter,
        why: Why<'_>,
    ) {
        let about = (&letter.tracking, letter.from.as_str(), letter.to.as_str());
        let note = self.told.refused(now, about, &letter.stanza, why);
        self.out.extend(note.map(Output::Note));
        self.settles_for(writer, letter.ticket, Err(why.0));
    }

    /// A client is not let in.
    pub(crate) fn refuses_sign_in(&mut self, now: Now, stream: StreamId, refused: &Refused) {
        let is_known = self.accounts.guards().is_known(now.wall, refused.from);
        let tracking = self.namer.fresh(now.wall);
        let note = self
            .told
            .sign_in_refused(now, tracking, (stream, refused), is_known);
        self.out.extend(note.map(Output::Note));
    }

    /// A client writes what goes nowhere.
    pub(crate) fn turns_back(
        &mut self,
        now: Now,
        (from, to): (&str, &str),
        stanza: &Element,
        why: &str,
    ) {
        if stanza.local() == stanza::Kind::Message.name() {
            let tracking = self.namer.fresh(now.wall);
            let why = (StanzaCondition::ServiceUnavailable, why);
            let note = self.told.refused(now, (&tracking, from, to), stanza, why);
            self.out.extend(note.map(Output::Note));
        }
    }
}
