//! What is said of calls by message (XEP-0353): who calls, rings, takes a call or gives it up. Media and what leads to it
//! (Jingle) are not played.

use xmpp::ns;
use xmpp::xml::Element;

use super::call_word::CallWord;
use super::session::{Says, Text};
use super::{Client, Event, words};

/// A message that says this, and asks to be kept.
pub(super) fn message(text: &Text, word: CallWord, call: &str) -> Element {
    let mut said = Element::new(ns::JINGLE_MESSAGE, word.name()).with_attr("id", call);
    if word == CallWord::Propose {
        let audio = Element::new(ns::JINGLE_RTP, "description").with_attr("media", "audio");
        said.push(audio);
    }
    Element::new(ns::CLIENT, "message")
        .with_attr("type", "chat")
        .with_attr("id", text.id.as_str())
        .with_attr("to", text.to.as_str())
        .with_child(said)
        .with_child(Element::new(ns::HINTS, "store"))
}

impl Client {
    pub(super) fn say_of_call(&mut self, word: CallWord, call: String, to: String) {
        self.write_out(0, to, Says::OfCall(word, call));
    }

    /// Whether a message, live or out of the archive, says something of a call: then the app hears of it.
    pub(super) fn hears_of_call(&mut self, message: &Element, archived: bool) -> bool {
        let account = self.address();
        // Of our own clients by a copy (XEP-0280 §11: from our own address and nobody else's).
        let from = message.attr("from").unwrap_or(&account);
        let sent = message
            .child(ns::CARBONS, "sent")
            .filter(|_| from == account);
        let copied = sent.and_then(|it| it.child(ns::FORWARD, "forwarded"));
        let copied = copied.and_then(|it| it.child(ns::CLIENT, "message"));
        let message = copied.unwrap_or(message);
        let Some((word, call)) = CallWord::read(message) else {
            return false;
        };
        let from = message.attr("from").unwrap_or_default().to_owned();
        let own = words::bare(&from) == account;
        if own
            && from
                .strip_prefix(&account)
                .and_then(|it| it.strip_prefix('/'))
                == Some(&self.account.resource)
        {
            return true;
        }
        let call = call.to_owned();
        self.note(Event::OfCall {
            word,
            call,
            from,
            own,
            archived,
        });
        true
    }
}
