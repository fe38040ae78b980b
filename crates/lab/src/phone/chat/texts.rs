//! Texts: what is written is given to the server once, what is received is shown once.

use std::time::{Duration, Instant};

use xmpp::ns;
use xmpp::xml::Element;

use super::call_word::CallWord;
use super::framed::octets;
use super::session::{Says, Sent, Text};
use super::words::{self, Received};
use super::{Client, Event, offers};

/// Texts that wait for a session; a further one is refused.
const MOST_WAITING: usize = 100;
/// Messages that wait for what came before them; then they are shown.
const MOST_LIVE: usize = 1_000;
/// Refusals that wait to be counted; a further one is forgotten, and its text taken for written.
const MOST_REFUSED: usize = 1_000;
/// What has to be said of a call, and the server did not take, is said again after so long ...
const AGAIN: Duration = Duration::from_secs(2);
/// ... so often at most: who is to hear it has given up by then.
const MOST_TRIES: u32 = 8;

/// Conversations of which something is unread; what comes in one more is not marked.
const MOST_UNREAD: usize = 100;

/// A message that came while older ones are read.
pub(super) struct Live {
    received: Received,
    id: String,
}

impl Text {
    /// Whether somebody waits for it: a call that could not be proposed has failed, everything else that is said of one is owed to
    /// whoever heard of it.
    fn is_to_be_said(&self) -> bool {
        let owed = matches!(self.says, Says::OfCall(word, _) if word != CallWord::Propose);
        owed && self.tries < MOST_TRIES
    }
}

impl Client {
    /// Writes a message when it can.
    pub(super) fn write_out(&mut self, name: u64, to: String, says: Says) {
        let text = Text {
            name,
            id: self.rng.hex(12),
            to,
            says,
            after: self.disk.mark.clone(),
            sent: false,
            tries: 1,
        };
        if self.waiting.len() >= MOST_WAITING {
            let why = format!("{MOST_WAITING} texts wait for a connection already");
            return self.not_written(text, &why);
        }
        self.waiting.push_back(text);
        self.send_waiting();
    }

    /// Gives the session what waits for it. Not before all is known of what an earlier one may have written.
    pub(super) fn send_waiting(&mut self) {
        if self.session.is_none() || self.catch_up.is_some() {
            return;
        }
        for mut text in std::mem::take(&mut self.waiting) {
            text.sent = true;
            let message = match &text.says {
                Says::Text(says) => words::message(&text, says, self.account.markers),
                Says::OfCall(word, call) => offers::message(&text, *word, call),
            };
            self.send(&message, Some(text));
        }
    }

    /// Sends a stanza now, or when there is a connection again.
    pub(super) fn send(&mut self, element: &Element, text: Option<Text>) {
        let octets = octets(self.account.framing, element);
        let Some(session) = &mut self.session else {
            return;
        };
        let sent = Sent {
            octets: octets.clone(),
            text,
        };
        match session.send(self.now, sent) {
            Ok(()) if self.is_ready() => self.put(octets),
            Ok(()) => {}
            Err(text) => {
                if let Some(text) = text {
                    self.not_written(*text, "too much is on its way");
                }
            }
        }
    }

    /// The server has counted these.
    pub(super) fn written(&mut self, texts: Vec<Text>) {
        for text in texts {
            let result = self.refused.remove(&text.id).map_or(Ok(()), Err);
            match result {
                Err(_) if text.is_to_be_said() && self.unsaid.len() < MOST_WAITING => {
                    self.unsaid.push_back((self.now + AGAIN, text));
                }
                result => self.settled(text, result),
            }
        }
    }

    /// When something is to be said again that the server did not take.
    pub(super) fn says_again_at(&self) -> Option<Instant> {
        self.unsaid.front().map(|(at, _)| *at)
    }

    /// Says it again.
    pub(super) fn say_again(&mut self) {
        let now = self.now;
        while let Some((_, mut text)) = self.unsaid.pop_front_if(|(at, _)| *at <= now) {
            text.id = self.rng.hex(12);
            text.tries += 1;
            self.waiting.push_back(text);
        }
        self.send_waiting();
    }

    pub(super) fn not_written(&mut self, text: Text, why: &str) {
        self.settled(text, Err(why.to_owned()));
    }

    fn settled(&mut self, text: Text, result: Result<(), String>) {
        let Text { name, id, says, .. } = text;
        match (says, result) {
            (Says::Text(_), result) => self.note(Event::Written { name, id, result }),
            (Says::OfCall(..), Ok(())) => {}
            (Says::OfCall(word, call), Err(why)) => self.note(Event::Unsaid { word, call, why }),
        }
    }

    /// The server did not take a text: it says so before it counts it.
    pub(super) fn on_refused(&mut self, id: &str, why: String) {
        if self.refused.len() < MOST_REFUSED {
            self.refused.insert(id.to_owned(), why);
        }
    }

    /// A session is over. What it may have written is looked for in the archive before it is written again.
    pub(super) fn session_over(&mut self, failed: Option<&Element>) {
        let Some(session) = self.session.take() else {
            return;
        };
        let (done, rest) = session.over(self.now, failed);
        self.written(done);
        // What it said of these is lost with it.
        let settling = std::mem::take(&mut self.settling);
        for mut text in settling.into_iter().chain(rest).rev() {
            // What is said of a call says the same twice: nobody looks first whether it was kept.
            if matches!(text.says, Says::OfCall(..)) {
                (text.id, text.sent) = (self.rng.hex(12), false);
            }
            self.waiting.push_front(text);
        }
        self.catch_up = None;
    }

    /// A new session: it shows itself, reads whom it knows, and what it missed.
    pub(super) fn arrives(&mut self) {
        let id = self.rng.hex(6);
        let roster = Element::new(ns::ROSTER, "query");
        self.send(&words::question("get", &id, roster), None);
        if self.account.copies {
            let (id, enable) = (self.rng.hex(6), Element::new(ns::CARBONS, "enable"));
            self.send(&words::question("set", &id, enable), None);
        }
        self.send(&words::presence(self.show), None);
        self.enable_pushes();
        self.begin_to_catch_up();
        self.send_waiting();
    }

    /// XEP-0357 §5: the service of the user's own domain takes the tokens.
    fn enable_pushes(&mut self) {
        let account = self.account.clone();
        let Some(pushes) = &account.pushes else {
            return;
        };
        let id = self.rng.hex(6);
        let enable = words::enable(pushes, &account.domain, &account.resource);
        self.send(&words::question("set", &id, enable), None);
        self.enabling = Some(id);
    }

    /// A message comes. While older ones are read it waits for them.
    pub(super) fn on_live(&mut self, received: Received, id: String) {
        if self.catch_up.is_none() {
            return self.shows(received, id, false);
        }
        if self.live.len() >= MOST_LIVE {
            self.show_live();
        }
        self.live.push_back(Live { received, id });
    }

    pub(super) fn show_live(&mut self) {
        for Live { received, id } in std::mem::take(&mut self.live) {
            self.shows(received, id, false);
        }
    }

    /// Shows a message, unless it was shown before.
    pub(super) fn shows(&mut self, received: Received, id: String, archived: bool) {
        if !id.is_empty() {
            if !self.disk.seen.insert(id.clone()) {
                return self.note(Event::Again { id });
            }
            self.disk.mark = Some(id.clone());
        }
        let asks = received.wants_receipt && !received.id.is_empty();
        if asks && self.account.receipts && !archived {
            let receipt = words::receipt(&received, self.rng.hex(12));
            self.send(&receipt, None);
        }
        self.is_unread(&received);
        let Received { from, text, .. } = received;
        self.note(Event::Message {
            from,
            text,
            id,
            archived,
        });
    }

    /// A message is shown that its writer wants marked when it was read.
    fn is_unread(&mut self, received: &Received) {
        let peer = words::bare(&received.from);
        let has_room = self.unread.len() < MOST_UNREAD || self.unread.contains_key(&peer);
        if self.account.markers && received.markable && has_room {
            self.unread.insert(peer, received.id.clone());
        }
    }
}
