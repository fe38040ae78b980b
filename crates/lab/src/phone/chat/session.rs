//! A session that outlives its connections (XEP-0198): what was sent and is not acknowledged, and how much was handled of
//! what came.

use std::time::{Duration, Instant};

use bytes::Bytes;
use xmpp::management::{Answering, Due, Overflow, Policy, Resumption};
use xmpp::ns;
use xmpp::xml::Element;

use super::call_word::CallWord;

/// What a message says.
#[derive(Clone, Debug)]
pub(super) enum Says {
    Text(String),
    /// Of a call, by its session id.
    OfCall(CallWord, String),
}

/// A message on its way to the server.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// Of whoever wrote it.
    pub(super) name: u64,
    /// The `id` of its stanza.
    pub(super) id: String,
    pub(super) to: String,
    pub(super) says: Says,
    /// The last message of the archive that was known when it was first sent: if it was kept, it is behind that.
    pub(super) after: Option<String>,
    /// It may have been sent.
    pub(super) sent: bool,
    /// How often it was written, with this time.
    pub(super) tries: u32,
}

/// A stanza that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) octets: Bytes,
    pub(super) text: Option<Text>,
}

/// The server is asked with each stanza, and has as long as it gives us.
const POLICY: Policy = Policy {
    ask_after_items: 10,
    ask_after: Duration::ZERO,
    dead_after: Duration::from_secs(15),
    max_items: 1_000,
    max_octets: 1 << 20,
};

pub(super) struct Session {
    both: Resumption<Sent>,
    /// The name under which it can be resumed.
    id: Option<String>,
}

/// What is to be said or done now.
pub(super) enum Word {
    Say(Element),
    /// Nobody is there.
    Dead,
}

impl Session {
    /// The server has enabled management (XEP-0198 §3).
    pub(super) fn new(now: Instant, enabled: &Element) -> Self {
        let can = matches!(enabled.attr("resume"), Some("true" | "1"));
        let id = enabled.attr("id").filter(|_| can).map(str::to_owned);
        Self {
            both: Resumption::new(now, POLICY, Answering::default()),
            id,
        }
    }

    /// `<resume/>`, if it can be (XEP-0198 §5).
    pub(super) fn resume(&self) -> Option<Element> {
        let handled = self.both.inbound.handled().to_string();
        let resume = Element::new(ns::SM, "resume").with_attr("h", handled);
        Some(resume.with_attr("previd", self.id.as_deref()?))
    }

    /// The server has resumed it. Gives what is written again, and the texts that the server has. `None`: it counts
    /// otherwise than we do.
    pub(super) fn resumed(
        &mut self,
        now: Instant,
        resumed: &Element,
    ) -> Option<(Vec<Bytes>, Vec<Text>)> {
        let goes_on = self.both.resume(now, count(resumed)?).ok()?;
        let again = self.both.outbound.unacknowledged();
        let again = again.map(|sent| sent.octets.clone()).collect();
        Some((again, texts(goes_on.acknowledged)))
    }

    /// It is over; the server may say how much of it was handled (XEP-0198 §5). Gives the texts that it has, and those of
    /// which that is not known.
    pub(super) fn over(mut self, now: Instant, failed: Option<&Element>) -> (Vec<Text>, Vec<Text>) {
        let handled = failed.and_then(count);
        let done = handled.and_then(|it| self.both.outbound.acknowledged(now, it).ok());
        let rest = self.both.into_parts().outbound.items.into_iter();
        let rest = rest.map(|(sent, _)| sent).collect();
        (texts(done.unwrap_or_default()), texts(rest))
    }

    /// Counts what is sent now, or when there is a connection again. Gives its text back if there is no room.
    pub(super) fn send(&mut self, now: Instant, sent: Sent) -> Result<(), Option<Box<Text>>> {
        let octets = sent.octets.len();
        let counted = self.both.outbound.sent(now, sent, octets);
        counted.map_err(|Overflow(sent)| sent.text.map(Box::new))
    }

    /// A stanza has come, and is dealt with.
    pub(super) fn handled(&mut self) {
        // Nothing is ever under way, so there is always room.
        if let Ok(seq) = self.both.inbound.arrived() {
            self.both.inbound.kept(seq);
        }
    }

    /// `<r/>`
    pub(super) fn asked(&mut self, now: Instant) {
        self.both.inbound.asked(now);
    }

    /// `<a/>`: the texts that the server has. `None`: it has more than it was sent.
    pub(super) fn acknowledged(&mut self, now: Instant, element: &Element) -> Option<Vec<Text>> {
        let done = self.both.outbound.acknowledged(now, count(element)?);
        done.ok().map(texts)
    }

    /// The connection is gone.
    pub(super) fn suspend(&mut self) {
        self.both.suspend();
    }

    pub(super) fn poll(&mut self, now: Instant) -> Option<Word> {
        if let Some(handled) = self.both.inbound.poll(now) {
            let answer = Element::new(ns::SM, "a").with_attr("h", handled.to_string());
            return Some(Word::Say(answer));
        }
        Some(match self.both.outbound.poll(now)? {
            Due::Ask => Word::Say(Element::new(ns::SM, "r")),
            Due::Dead => Word::Dead,
        })
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.both.next_timeout()
    }
}

fn count(element: &Element) -> Option<u32> {
    element.attr("h")?.trim().parse().ok()
}

fn texts(sent: Vec<Sent>) -> Vec<Text> {
    sent.into_iter().filter_map(|it| it.text).collect()
}
