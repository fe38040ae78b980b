//! What a push does to the phone: the client's side of the behaviour table (`behaviour.md` 4), and the rule of iOS that
//! a `voip` push must be a call (5.8).

use super::timers::Timer;
use super::{Caller, Phone, PhoneEvent, Push};

use domain::Channel;

/// Pushed calls that wait for their INVITE at once; a further one is not waited for.
const MOST_EXPECTED: usize = 32;

/// Conversations that notifications stand for; of one more it is not known that there is one.
const MOST_SHOWN: usize = 64;

/// A pushed call whose INVITE is not here yet.
pub(super) struct Expected {
    pub(super) call: String,
    /// CallKit shows it already.
    pub(super) callkit: bool,
    /// What the user has chosen already, on the CallKit screen.
    pub(super) wish: Option<Wish>,
    /// The app was connected, in front: its INVITE makes the push a duplicate.
    pub(super) live: bool,
}

/// A choice that waits for the INVITE.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    Answer,
    Decline,
}

impl Phone {
    pub(super) fn on_push(&mut self, push: Push) {
        if push.channel == Channel::Voip && self.voip_blocked {
            tracing::debug!(?push, "iOS delivers no VoIP pushes to this app any more");
            return;
        }
        self.note(PhoneEvent::Pushed {
            channel: push.channel,
            kind: push.kind.clone(),
            call: push.call.clone(),
            tracking: push.tracking.clone(),
            caller: push.caller.clone(),
        });
        match (push.kind.as_str(), push.call.clone()) {
            ("call", Some(call)) => self.on_call_pushed(call, push.caller),
            (kind, _) if push.channel == Channel::Voip && self.config.has_callkit_rule() => {
                self.kill(format!("a VoIP push that is no call (kind `{kind}`)"));
            }
            ("call_cancelled", Some(call)) => self.on_cancel_pushed(&call),
            ("refresh", _) => self.run_for_a_moment(),
            ("read", _) => self.take_away(&push.read, push.unread),
            (kind, _) if self.is_foreground() => {
                tracing::debug!(kind, "not shown: the app is in front");
            }
            _ => {
                if let Some(conversation) = push.conversation
                    && self.shown.len() < MOST_SHOWN
                {
                    self.shown.insert(conversation);
                }
                self.note(PhoneEvent::NotificationShown {
                    kind: push.kind,
                    from: push.caller,
                    text: push.text,
                    unread: push.unread,
                });
            }
        }
    }

    /// What stands there was read elsewhere: the app takes it away in the moment that the platform gives it, and sleeps on.
    fn take_away(&mut self, conversations: &[String], unread: Option<u32>) {
        let stood = self.shown.len();
        self.shown.retain(|it| !conversations.contains(it));
        let removed = stood - self.shown.len();
        self.note(PhoneEvent::NotificationsRemoved { removed, unread });
    }

    fn on_call_pushed(&mut self, call: String, caller: Option<Caller>) {
        // A sleeping app has lost its calls, so a push for one that it knew wakes it again.
        let live = self.is_foreground();
        let rings = self.calls.get(&call).is_some() || self.offers.has(&call);
        let knows = self.calls.knows(&call) || self.offers.knows(&call);
        let is_expected = self.expects(&call);
        if is_expected || rings || (live && knows) {
            self.note(PhoneEvent::DuplicatePushDropped { call });
            if !live {
                self.wake_up();
            }
            return;
        }
        let callkit = self.config.has_callkit_rule() && !live;
        let is_over = self.calls.is_over(&call) || self.offers.is_over(&call);
        if callkit {
            let caller = caller.clone().unwrap_or_else(|| Caller {
                name: "Unknown".to_owned(),
                number: String::new(),
            });
            let Caller { name, number } = caller;
            self.note(PhoneEvent::CallKitRinging {
                call: call.clone(),
                name,
                number,
            });
        }
        if is_over {
            // The push was overtaken by the call and its end: whoever has seen both closes the screen by themselves.
            if callkit {
                self.note(PhoneEvent::CallKitClosed { call });
            } else {
                self.note(PhoneEvent::DuplicatePushDropped { call });
            }
            return;
        }
        if self.expected.len() < MOST_EXPECTED {
            self.timers.replace(
                Timer::Expected(call.clone()),
                self.now + self.config.call_patience,
            );
            self.expected.push(Expected {
                call,
                callkit,
                wish: None,
                live,
            });
        }
        if live {
            return;
        }
        if self.config.waits_for_a_tap() {
            self.note(PhoneEvent::NotificationShown {
                kind: "call".to_owned(),
                from: caller,
                text: None,
                unread: None,
            });
        }
        self.wake_up();
    }

    /// An app that a call wakes comes to the foreground by itself, where the platform lets it.
    fn wake_up(&mut self) {
        if self.config.waits_for_a_tap() {
            return;
        }
        self.open(true);
        self.register(None);
    }

    /// Notes what the user chose for a call whose INVITE is not here yet. False if there is none.
    pub(super) fn wish(&mut self, call: &str, wish: Wish) -> bool {
        let expected = self
            .expected
            .iter_mut()
            .find(|expected| expected.call == call);
        expected
            .map(|expected| expected.wish = Some(wish))
            .is_some()
    }

    /// Only Android is told. Its app has nothing to close if it never rang; if it does, this may be all that it hears.
    fn on_cancel_pushed(&mut self, call: &str) {
        let rang = self.stop_ringing(call) || self.stop_offer(call);
        if self.take_expected(call).is_some() || rang {
            self.note(PhoneEvent::Cancelled {
                call: call.to_owned(),
                reason: Some("push".to_owned()),
            });
        }
    }

    /// Whether this call was pushed, and its INVITE or its proposal is not here yet.
    pub(super) fn expects(&self, call: &str) -> bool {
        self.expected.iter().any(|expected| expected.call == call)
    }

    /// The push of this call, if its INVITE or its proposal was still to come.
    pub(super) fn take_expected(&mut self, call: &str) -> Option<Expected> {
        let place = self
            .expected
            .iter()
            .position(|expected| expected.call == call)?;
        self.timers.cancel(&Timer::Expected(call.to_owned()));
        Some(self.expected.swap_remove(place))
    }

    /// A pushed call's time is over and its INVITE never came.
    pub(super) fn on_invite_missing(&mut self, call: &str) {
        let Some(expected) = self.take_expected(call) else {
            return;
        };
        if expected.callkit {
            self.note(PhoneEvent::CallKitClosed {
                call: call.to_owned(),
            });
        }
        if self.config.has_callkit_rule() {
            self.kill(format!("a VoIP push whose call never came: {call}"));
        } else if self.config.waits_for_a_tap() && !self.is_foreground() {
            tracing::debug!(call, "shown, and nobody looked");
        } else {
            self.note(PhoneEvent::WokenForNothing {
                call: call.to_owned(),
            });
        }
    }

    fn kill(&mut self, why: String) {
        self.voip_blocked = true;
        self.note(PhoneEvent::Killed { why });
        self.die();
    }
}
