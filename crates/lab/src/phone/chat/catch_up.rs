//! Catching up by the archive (XEP-0313): what a client missed that had to sign in anew, and what of its own texts the
//! server had got already. Page by page, the oldest first; what comes meanwhile waits.

use std::time::{Duration, Instant};

use xmpp::ns;
use xmpp::stanza::{IqType, Stanza, Type};
use xmpp::xml::Element;

use super::{Client, Event, words};

/// Messages a page.
const PAGE: u32 = 50;
/// Pages read at most: then it is enough.
const MOST_PAGES: u32 = 200;
/// A page that could not be read is asked for again after so long, so often.
const AGAIN: Duration = Duration::from_secs(2);
const MOST_TRIES: u32 = 30;

/// Where to go on.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Place {
    /// Behind this message.
    After(String),
    /// At the beginning: there is nothing that we know.
    Beginning,
    /// The last page: what we knew is not there any more.
    LastPage,
}

pub(super) struct CatchUp {
    place: Place,
    /// Of the question, and of its results.
    name: String,
    pages: u32,
    tries: u32,
    /// Messages that were new.
    new: u32,
    again: Option<Instant>,
}

impl CatchUp {
    /// When the question is to be asked again.
    pub(super) fn again_at(&self) -> Option<Instant> {
        self.again
    }

    /// XEP-0313 §4, a page at a time (XEP-0059).
    fn question(&self) -> Element {
        let mut set = Element::new(ns::RSM, "set");
        set.push(Element::new(ns::RSM, "max").with_text(&PAGE.to_string()));
        match &self.place {
            Place::After(id) => set.push(Element::new(ns::RSM, "after").with_text(id)),
            Place::Beginning => {}
            Place::LastPage => set.push(Element::new(ns::RSM, "before")),
        }
        let query = Element::new(ns::MAM, "query").with_attr("queryid", self.name.as_str());
        words::question("set", &self.name, query.with_child(set))
    }
}

impl Client {
    /// Begins behind what was shown last; further back, if a text may have been written before that. A client that has
    /// seen nothing yet has missed nothing.
    pub(super) fn begin_to_catch_up(&mut self) {
        let oldest = self.waiting.iter().find(|text| text.sent);
        let from = match oldest {
            Some(text) => text.after.clone(),
            None if self.disk.mark.is_none() => return self.show_live(),
            None => self.disk.mark.clone(),
        };
        let name = self.rng.hex(6);
        self.ask_archive(CatchUp {
            place: from.map_or(Place::Beginning, Place::After),
            name,
            pages: 0,
            tries: 0,
            new: 0,
            again: None,
        });
    }

    fn ask_archive(&mut self, catch_up: CatchUp) {
        let question = catch_up.question();
        self.catch_up = Some(catch_up);
        self.send(&question, None);
    }

    /// What could not be read is asked for again.
    pub(super) fn catch_up_again(&mut self) {
        let now = self.now;
        let due = |it: &mut CatchUp| it.again.take_if(|at| *at <= now).is_some();
        if let Some(mut catch_up) = self.catch_up.take_if(due) {
            catch_up.name = self.rng.hex(6);
            self.ask_archive(catch_up);
        }
    }

    /// Whether an answer is to our question.
    pub(super) fn is_catching_up(&self, id: Option<&str>) -> bool {
        let catch_up = self.catch_up.as_ref();
        catch_up.is_some_and(|it| id == Some(it.name.as_str()))
    }

    /// A message of the archive (XEP-0313 §4.2).
    pub(super) fn on_result(&mut self, result: &Element) {
        let is_ours = self.is_catching_up(result.attr("queryid"));
        let forwarded = result.child(ns::FORWARD, "forwarded");
        let message = forwarded.and_then(|it| it.child(ns::CLIENT, "message"));
        let (Some(id), Some(message)) = (result.attr("id").filter(|_| is_ours), message) else {
            return;
        };
        if self.hears_of_call(message, true) {
            return;
        }
        let Some(received) = words::received(message) else {
            return;
        };
        let own = self.address();
        let is_to_itself = message.attr("to").is_some_and(|to| words::bare(to) == own);
        if words::bare(&received.from) == own {
            // It is our own: written at another client, or by this one without hearing so.
            let kept = |text: &super::Text| text.sent && text.id == received.id;
            if let Some(place) = self.waiting.iter().position(kept) {
                let text = self.waiting.remove(place);
                self.written(text.into_iter().collect());
            }
            if !is_to_itself {
                return;
            }
        }
        let is_new = !self.disk.seen.contains(id);
        if is_new && let Some(catch_up) = &mut self.catch_up {
            catch_up.new += 1;
        }
        self.shows(received, id.to_owned(), true);
    }

    /// The end of a page (XEP-0313 §4.3.2), or why there is none.
    pub(super) fn on_page(&mut self, stanza: Stanza<'_>) {
        let Some(mut catch_up) = self.catch_up.take() else {
            return;
        };
        if stanza.stanza_type() != Some(Type::Iq(IqType::Result)) {
            return self.on_no_page(catch_up, &words::why(stanza.element()));
        }
        let fin = stanza.payload().filter(|it| it.is(ns::MAM, "fin"));
        let set = fin.and_then(|it| it.child(ns::RSM, "set"));
        let last = set.and_then(|it| it.child(ns::RSM, "last"));
        let is_last = fin.is_none_or(|it| it.attr("complete") == Some("true"));
        catch_up.pages += 1;
        catch_up.tries = 0;
        let goes_on = !is_last && catch_up.pages < MOST_PAGES && catch_up.place != Place::LastPage;
        match last.filter(|_| goes_on) {
            Some(last) => {
                catch_up.place = Place::After(last.text().into_owned());
                catch_up.name = self.rng.hex(6);
                self.ask_archive(catch_up);
            }
            None => self.caught_up(&catch_up),
        }
    }

    fn on_no_page(&mut self, mut catch_up: CatchUp, why: &str) {
        catch_up.tries += 1;
        if why == "item-not-found" && matches!(catch_up.place, Place::After(_)) {
            catch_up.place = Place::LastPage;
            catch_up.name = self.rng.hex(6);
            self.ask_archive(catch_up);
        } else if catch_up.tries < MOST_TRIES {
            catch_up.again = Some(self.now + AGAIN);
            self.catch_up = Some(catch_up);
        } else {
            self.caught_up(&catch_up);
        }
    }

    fn caught_up(&mut self, catch_up: &CatchUp) {
        let messages = catch_up.new;
        self.note(Event::CaughtUp { messages });
        self.show_live();
        self.send_waiting();
    }
}
