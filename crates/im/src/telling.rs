//! What stories tell that the hub does not hear of: messages and offers of calls that were refused, and who ended a call.

use crate::{
    calls::{Call, Proposal, read},
    components::Writer,
    letters,
    line::Line,
    vocabulary::{Letter, Output},
};
use domain::{
    Address, Message, Note, Now, TraceEvent, TrackingId,
    refused::RefusedStories,
    trace::{Step, short},
};
use hub::Ticket;
use std::collections::VecDeque;
use xmpp::{
    stanza::{self, StanzaCondition},
    xml::Element,
};

/// Of so many calls that were taken it is remembered whose they are, so that their end belongs to their story; the oldest are
/// forgotten.
const TALKING: usize = 1_024;

/// What has been told, within limits.
#[derive(Debug, Default)]
pub(crate) struct Told {
    refused: RefusedStories,
    talking: VecDeque<Talking>,
}

/// A call that was taken.
#[derive(Debug)]
struct Talking {
    callee: Address,
    caller: Address,
    id: Box<str>,
    tracking: TrackingId,
}

impl Told {
    /// A call was taken.
    pub(crate) fn talks(&mut self, call: &Call) {
        self.talking.truncate(TALKING - 1);
        self.talking.push_front(Talking {
            callee: call.callee.clone(),
            caller: call.caller.clone(),
            id: call.id.clone(),
            tracking: call.tracking.clone(),
        });
    }

    /// One of the two says that it is over: whose story that is, the first time.
    fn ends(&mut self, sides: (&Address, &Address), id: &str) -> Option<TrackingId> {
        let is_it = |it: &Talking| {
            let there = (&it.callee, &it.caller);
            *it.id == *id && (there == sides || there == (sides.1, sides.0))
        };
        let at = self.talking.iter().position(is_it)?;
        Some(self.talking.remove(at)?.tracking)
    }
}

impl Line {
    /// Somebody says to another that their call is over.
    pub(crate) fn tells_end(&mut self, now: Now, who: &Address, peer: &Address, id: &str) {
        if let Some(tracking) = self.told.ends((who, peer), id) {
            self.out.push_back(Output::Note(Note::Story(TraceEvent {
                tracking,
                at: now.wall,
                step: Step::CallEnded,
                alias: None,
                device: None,
                detail: format!("{who} hung up"),
            })));
        }
    }

    /// A letter goes nowhere, and its writer hears so. `why`: what nobody but the operator is told.
    pub(crate) fn refuses_letter(
        &mut self,
        now: Now,
        writer: Writer,
        letter: &Letter,
        (condition, why): (StanzaCondition, &str),
    ) {
        let (from, to) = (letter.from.as_str(), letter.to.as_str());
        let about = (&letter.tracking, from, to);
        self.tells_refusal(now, about, &letter.stanza, (condition, why));
        self.settles_for(writer, letter.ticket, Err(condition));
    }

    /// A message that was to be kept was not.
    pub(crate) fn message_is_not_kept(
        &mut self,
        now: Now,
        (writer, ticket): (Writer, Ticket),
        message: &Message,
        condition: StanzaCondition,
    ) {
        if let Some(stanza) = letters::stanza(message) {
            let about = (&message.tracking, &*message.from, message.to.as_str());
            self.tells_refusal(now, about, &stanza, (condition, "it could not be kept"));
        }
        self.answers_writer(writer, ticket, Err(condition));
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
            self.tells_refusal(now, (&tracking, from, to), stanza, why);
        }
    }

    /// The offer of a call was not kept.
    pub(crate) fn offer_is_not_kept(
        &mut self,
        now: Now,
        offer: &Proposal,
        condition: StanzaCondition,
    ) {
        let (from, to) = (offer.caller.as_str(), offer.callee.as_str());
        let about = (&offer.tracking, from, to);
        let told = (Step::CallRefused, &*offer.id);
        self.tells(now, about, told, (condition, "it could not be kept"));
    }

    fn tells_refusal(
        &mut self,
        now: Now,
        (tracking, from, to): (&TrackingId, &str, &str),
        stanza: &Element,
        (condition, why): (StanzaCondition, &str),
    ) {
        let offer = read(stanza).filter(|(action, _)| action.begins());
        let own = stanza.attr("id").unwrap_or_default();
        let (step, alias) = match offer {
            Some((_, id)) => (Step::CallRefused, id),
            // What is said of a call that is there is not a call.
            None if read(stanza).is_some() => return,
            None => (Step::MessageRefused, own),
        };
        self.tells(now, (tracking, from, to), (step, alias), (condition, why));
    }

    fn tells(
        &mut self,
        now: Now,
        (tracking, from, to): (&TrackingId, &str, &str),
        (step, alias): (Step, &str),
        (condition, why): (StanzaCondition, &str),
    ) {
        if !self.told.refused.take(now.instant, from, true) {
            return;
        }
        let (from, to) = (short(from), short(to));
        let detail = format!(
            "from {from} (XMPP) to {to}: we answered {}: {why}",
            condition.name()
        );
        let story = (tracking.clone(), now.wall);
        let event = TraceEvent::first(story, step, alias, detail);
        self.out.push_back(Output::Note(Note::Story(event)));
    }
}
