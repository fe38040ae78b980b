//! Calls over XMPP (XEP-0353): offered, rung, taken, given up. Of a call that is up nothing is played but its end.

use std::time::Duration;

use super::pushes::Wish;
use super::timers::Timer;
use super::{Phone, PhoneError, PhoneEvent};
use crate::phone::chat::{CallWord, Order};
use crate::phone::recent::Recent;

/// Calls at once; a further one is rejected.
const MOST_OFFERS: usize = 16;
/// Calls remembered by their ids, to tell one that is proposed again; the oldest is forgotten.
const MOST_KNOWN: usize = 1_000;
/// So long it rings at most, whatever it hears.
const RINGS_OUT: Duration = Duration::from_secs(90);

/// How far a call has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// We call.
    Calling,
    /// It rings here.
    Ringing,
    /// Somebody has taken it: we, or whom we called.
    Up,
}

struct Offer {
    id: String,
    /// Whom we call, then the client that took it; or the client that calls us.
    peer: String,
    state: State,
    /// CallKit shows it.
    callkit: bool,
}

/// The calls that there are, and the ids of those that there were. In memory: a sleeping app keeps it.
pub(super) struct Offers {
    under_way: Vec<Offer>,
    known: Recent<String>,
    /// Those whose end was seen.
    over: Recent<String>,
}

impl Default for Offers {
    fn default() -> Self {
        Self {
            under_way: Vec::new(),
            known: Recent::new(MOST_KNOWN),
            over: Recent::new(MOST_KNOWN),
        }
    }
}

impl Offers {
    /// Was it proposed to us?
    pub(super) fn knows(&self, call: &str) -> bool {
        self.known.contains(call)
    }

    /// Was its end seen?
    pub(super) fn is_over(&self, call: &str) -> bool {
        self.over.contains(call)
    }

    /// Does it ring, or is it up?
    pub(super) fn has(&self, call: &str) -> bool {
        self.under_way.iter().any(|offer| offer.id == call)
    }

    fn get(&mut self, call: &str) -> Option<&mut Offer> {
        self.under_way.iter_mut().find(|offer| offer.id == call)
    }

    fn take(&mut self, call: &str, state: State) -> Option<Offer> {
        let is_it = |offer: &Offer| offer.id == call && offer.state == state;
        let place = self.under_way.iter().position(is_it)?;
        Some(self.under_way.swap_remove(place))
    }
}

impl Phone {
    /// Calls somebody; gives the call's session id.
    pub(super) fn offer(&mut self, to: &str, uri: &str) -> Result<String, PhoneError> {
        if !self.is_running() {
            return Err(PhoneError::NotRunning);
        }
        if self.offers.under_way.len() >= MOST_OFFERS {
            let busy = format!("there are {MOST_OFFERS} calls already");
            return Err(PhoneError::Busy(busy));
        }
        let id = self.rng.uuid();
        self.note(PhoneEvent::Calling {
            call: id.clone(),
            to: uri.to_owned(),
        });
        self.offers.under_way.push(Offer {
            id: id.clone(),
            peer: to.to_owned(),
            state: State::Calling,
            callkit: false,
        });
        self.say_of_call(CallWord::Propose, &id, to);
        Ok(id)
    }

    fn say_of_call(&mut self, word: CallWord, call: &str, to: &str) {
        self.order_chat(Order::SayOfCall {
            word,
            call: call.to_owned(),
            to: to.to_owned(),
        });
    }

    /// The same to our user's other clients, which ring as well, if they do not hear it anyway.
    fn tell_our_others(&mut self, word: CallWord, call: &str) {
        if self.config.xmpp.as_ref().is_some_and(|door| door.copies) {
            return;
        }
        let own = format!("{}@{}", self.config.user, self.config.domain);
        self.say_of_call(word, call, &own);
    }

    /// Somebody else says something of a call.
    pub(super) fn on_call_word(&mut self, word: CallWord, call: &str, from: &str) {
        match word {
            CallWord::Propose => self.on_proposed(call, from),
            CallWord::Ringing => {
                if self
                    .offers
                    .get(call)
                    .is_some_and(|it| it.state == State::Calling)
                {
                    let (call, status) = (call.to_owned(), 180);
                    self.note(PhoneEvent::Progress { call, status });
                }
            }
            CallWord::Proceed | CallWord::Accept => self.on_proceed(call, from),
            CallWord::Reject => {
                if self.offers.take(call, State::Calling).is_some() {
                    self.offer_failed(call, 603, "rejected");
                }
            }
            CallWord::Retract | CallWord::Finish => self.on_offer_over(call),
        }
    }

    /// Another client of our user says something of a call that rings, or is to ring, here as well.
    pub(super) fn on_own_call_word(&mut self, word: CallWord, call: &str) {
        let reason = match word {
            CallWord::Proceed | CallWord::Accept => "Call completed elsewhere",
            CallWord::Reject => "declined elsewhere",
            CallWord::Propose | CallWord::Ringing | CallWord::Retract | CallWord::Finish => return,
        };
        // Who has taken it here as well hears from the caller who was first.
        let rings = |offer: &mut Offer| offer.state == State::Ringing;
        if self.offers.get(call).is_none_or(rings) {
            self.no_more_ringing(call, reason);
        }
    }

    /// The same out of the archive. What was proposed then rings if a push has said so, for it was proposed just now; of
    /// calls that nobody knows any more there is nothing to be said.
    pub(super) fn on_earlier_call_word(&mut self, word: CallWord, call: &str, from: &str) {
        let calls = || {
            self.offers
                .under_way
                .iter()
                .any(|it| it.id == call && it.state == State::Calling)
        };
        match word {
            CallWord::Propose if self.expects(call) => self.on_proposed(call, from),
            CallWord::Proceed if calls() => self.on_proceed(call, from),
            CallWord::Reject | CallWord::Retract | CallWord::Finish => {
                self.on_call_word(word, call, from);
            }
            _ => {}
        }
    }

    fn on_proposed(&mut self, call: &str, from: &str) {
        if !self.offers.known.insert(call.to_owned()) {
            tracing::debug!(call, "proposed again");
            return;
        }
        self.note(PhoneEvent::Proposed {
            call: call.to_owned(),
            from: from.to_owned(),
        });
        let pushed = self.take_expected(call);
        let callkit = pushed.as_ref().is_some_and(|pushed| pushed.callkit);
        if pushed.as_ref().is_some_and(|pushed| pushed.live) {
            let call = call.to_owned();
            self.note(PhoneEvent::DuplicatePushDropped { call });
        }
        if self.offers.is_over(call) {
            return self.close_screen_of(call, callkit);
        }
        if self.offers.under_way.len() >= MOST_OFFERS {
            self.say_of_call(CallWord::Reject, call, from);
            return self.close_screen_of(call, callkit);
        }
        self.offers.under_way.push(Offer {
            id: call.to_owned(),
            peer: from.to_owned(),
            state: State::Ringing,
            callkit,
        });
        self.say_of_call(CallWord::Ringing, call, from);
        self.note(PhoneEvent::Ringing {
            call: call.to_owned(),
        });
        let (rings_out, answers) = (
            Timer::RingsOut(call.to_owned()),
            Timer::Answer(call.to_owned()),
        );
        self.timers.replace(rings_out, self.now + RINGS_OUT);
        let wish = pushed.and_then(|pushed| pushed.wish);
        // It rings, so it can be answered and declined.
        match (wish, self.config.auto_answer) {
            (Some(Wish::Answer), _) => drop(self.answer_offer(call)),
            (Some(Wish::Decline), _) => drop(self.decline_offer(call)),
            (None, Some(after)) => self.timers.replace(answers, self.now + after),
            (None, None) => {}
        }
    }

    /// Proposes anew what nobody has taken yet: it may not have been heard.
    pub(super) fn propose_again(&mut self) {
        let calls = self.offers.under_way.iter();
        let ours = calls.filter(|offer| offer.state == State::Calling);
        let ours: Vec<_> = ours.map(|it| (it.id.clone(), it.peer.clone())).collect();
        for (call, to) in ours {
            self.say_of_call(CallWord::Propose, &call, &to);
        }
    }

    /// A client takes our call. One is enough: another one is told that it is over.
    fn on_proceed(&mut self, call: &str, from: &str) {
        match self.offers.get(call) {
            Some(offer) if offer.state == State::Calling => {
                from.clone_into(&mut offer.peer);
                offer.state = State::Up;
                let call = call.to_owned();
                self.note(PhoneEvent::Answered { call });
            }
            Some(offer) if offer.peer == from => {}
            _ => self.say_of_call(CallWord::Finish, call, from),
        }
    }

    /// Its caller gives it up, or either side ends it.
    fn on_offer_over(&mut self, call: &str) {
        if let Some(offer) = self.offers.take(call, State::Up) {
            return self.offer_ends(&offer, false);
        }
        if self.offers.take(call, State::Calling).is_some() {
            return self.offer_failed(call, 480, "over");
        }
        self.no_more_ringing(call, "the caller gave up");
    }

    fn offer_failed(&mut self, call: &str, status: u16, reason: &str) {
        self.offers.over.insert(call.to_owned());
        let (call, reason) = (call.to_owned(), reason.to_owned());
        self.note(PhoneEvent::CallFailed {
            call,
            status,
            reason,
        });
    }

    /// A call of ours could not be proposed.
    pub(super) fn on_unsaid(&mut self, word: CallWord, call: &str, why: &str) {
        if word == CallWord::Propose && self.offers.take(call, State::Calling).is_some() {
            self.offer_failed(call, 503, why);
        }
    }

    /// It does not ring any more, or never will.
    fn no_more_ringing(&mut self, call: &str, reason: &str) {
        self.offers.over.insert(call.to_owned());
        let callkit = match self.offers.take(call, State::Ringing) {
            Some(offer) => {
                self.stop_timers_of(call);
                let (call, reason) = (call.to_owned(), Some(reason.to_owned()));
                self.note(PhoneEvent::Cancelled { call, reason });
                offer.callkit
            }
            None => self.take_expected(call).is_some_and(|it| it.callkit),
        };
        self.close_screen_of(call, callkit);
    }

    fn close_screen_of(&mut self, call: &str, callkit: bool) {
        if callkit {
            let call = call.to_owned();
            self.note(PhoneEvent::CallKitClosed { call });
        }
    }

    fn stop_timers_of(&mut self, call: &str) {
        self.timers.cancel(&Timer::Answer(call.to_owned()));
        self.timers.cancel(&Timer::RingsOut(call.to_owned()));
    }

    /// Nobody answers, and nobody says that it is over.
    pub(super) fn rings_out(&mut self, call: &str) {
        self.no_more_ringing(call, "nobody answered");
    }

    /// A call that rings is over, says a push; `false` if it does not ring.
    pub(super) fn stop_offer(&mut self, call: &str) -> bool {
        let rang = self.offers.take(call, State::Ringing).is_some();
        if rang || self.expects(call) {
            self.offers.over.insert(call.to_owned());
        }
        self.stop_timers_of(call);
        rang
    }

    /// `None`: no call over XMPP rings by this name.
    pub(super) fn answer_offer(&mut self, call: &str) -> Option<()> {
        let offer = self
            .offers
            .get(call)
            .filter(|it| it.state == State::Ringing)?;
        offer.state = State::Up;
        let peer = offer.peer.clone();
        self.stop_timers_of(call);
        self.tell_our_others(CallWord::Accept, call);
        self.say_of_call(CallWord::Proceed, call, &peer);
        self.note(PhoneEvent::Answered {
            call: call.to_owned(),
        });
        Some(())
    }

    /// Likewise.
    pub(super) fn decline_offer(&mut self, call: &str) -> Option<()> {
        let offer = self.offers.take(call, State::Ringing)?;
        self.stop_timers_of(call);
        self.tell_our_others(CallWord::Reject, call);
        self.say_of_call(CallWord::Reject, call, &offer.peer);
        self.offer_ends(&offer, true);
        Some(())
    }

    /// Likewise, of any that we have a part in.
    pub(super) fn hang_up_offer(&mut self, call: &str) -> Option<()> {
        if let Some(offer) = self.offers.take(call, State::Calling) {
            self.say_of_call(CallWord::Retract, call, &offer.peer);
            self.offer_failed(call, 487, "retracted");
            return Some(());
        }
        if let Some(offer) = self.offers.take(call, State::Up) {
            self.say_of_call(CallWord::Finish, call, &offer.peer);
            self.offer_ends(&offer, true);
            return Some(());
        }
        self.decline_offer(call)
    }

    fn offer_ends(&mut self, offer: &Offer, by_us: bool) {
        self.offers.over.insert(offer.id.clone());
        let call = offer.id.clone();
        self.note(PhoneEvent::Ended { call, by_us });
        self.close_screen_of(&offer.id, offer.callkit);
    }

    /// The app is about to sleep or to sign out: what we have a part in ends. What rings rings on for all that we know.
    pub(super) fn leave_offers(&mut self) {
        let calls = self.offers.under_way.iter();
        let ours = calls.filter(|offer| offer.state != State::Ringing);
        let ours: Vec<_> = ours.map(|offer| offer.id.clone()).collect();
        for call in ours {
            let _ = self.hang_up_offer(&call);
        }
    }

    /// The process ends, and nobody is told.
    pub(super) fn lose_offers(&mut self) {
        for offer in std::mem::take(&mut self.offers).under_way {
            self.offer_ends(&offer, true);
        }
        self.offers = Offers::default();
    }
}
