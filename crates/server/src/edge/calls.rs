//! Which calls a phone is in, told from what it says alone: what the inside says to who has signed in is passed on unread, and
//! the inside itself remembers no dialog. Pure.
//!
//! A phone that rings says so, one that calls begins with INVITE, and whoever hangs up, the phone says BYE or answers it.

use sip::{Message, Method};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Calls of one phone at once; of more, the first are not seen any more.
const MOST: usize = 16;

/// Those of one phone.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug)]
struct Call {
    id: u64,
    /// The transaction of the phone's own INVITE: its ACK is in the same one if the call was refused (RFC 3261 §17.1.1.3).
    invite: Option<u64>,
    /// It was answered.
    is_up: bool,
}

impl Calls {
    /// Whether there is one.
    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// The phone says this.
    pub(super) fn says(&mut self, message: &Message) {
        // Most of what a phone says is of no call.
        let of_calls = [Method::Invite, Method::Ack, Method::Bye];
        if message.method().is_some_and(|it| !of_calls.contains(&it)) {
            return;
        }
        let Ok(cseq) = message.cseq() else {
            return;
        };
        let id = hash(message.call_id().unwrap_or_default());
        match (cseq.method, message.status()) {
            (Method::Invite, None) => {
                let invite = branch(message).filter(|_| message.to_tag().is_none());
                let call = self.call(id);
                call.invite = invite.or(call.invite);
            }
            (Method::Invite, Some(status)) => {
                let call = self.call(id);
                call.is_up |= (200..300).contains(&status);
                if status >= 300 && !call.is_up {
                    self.ended(id);
                }
            }
            (Method::Ack, _) => {
                let invite = branch(message);
                let Some(call) = self.0.iter_mut().find(|call| call.id == id) else {
                    return;
                };
                if invite.is_some() && call.invite == invite && !call.is_up {
                    self.ended(id);
                } else {
                    call.is_up = true;
                }
            }
            (Method::Bye, _) => self.ended(id),
            _ => {}
        }
    }

    fn call(&mut self, id: u64) -> &mut Call {
        let known = self.0.iter().position(|call| call.id == id);
        let at = known.unwrap_or_else(|| {
            if self.0.len() == MOST {
                self.0.remove(0);
            }
            self.0.push(Call {
                id,
                invite: None,
                is_up: false,
            });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    fn ended(&mut self, id: u64) {
        self.0.retain(|call| call.id != id);
    }
}

/// The transaction that a message says it is of (RFC 3261 §17.2.3).
fn branch(message: &Message) -> Option<u64> {
    Some(hash(message.top_via().ok()?.branch()?))
}

/// Who makes two of them alike confuses nobody but their own edge about their own calls.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip::{HeaderName, RequestBuilder, ResponseBuilder};

    fn request(method: Method<'_>, branch: &str, to: &str) -> Message {
        let via = format!("SIP/2.0/TLS 192.0.2.1;branch={branch}");
        RequestBuilder::new(method, "sip:bob@example.org")
            .header(HeaderName::Via, via)
            .header(HeaderName::From, "<sip:alice@example.org>;tag=1")
            .header(HeaderName::To, to)
            .header(HeaderName::CallId, "1")
            .header(HeaderName::CSeq, format!("1 {}", method.as_str()))
            .build()
    }

    const NEW: &str = "<sip:bob@example.org>";
    const WITHIN: &str = "<sip:bob@example.org>;tag=2";

    /// Whether there is a call after each of these.
    fn after(said: &[Message]) -> Vec<bool> {
        let mut calls = Calls::default();
        said.iter()
            .map(|message| {
                calls.says(message);
                calls.any()
            })
            .collect()
    }

    #[test]
    fn a_call_that_the_phone_makes_lasts_until_it_is_refused_or_over() {
        let invite = || request(Method::Invite, "a", NEW);
        // The ACK to a refusal is of the INVITE's transaction; the one to an answer is not.
        let refused = [invite(), request(Method::Ack, "a", WITHIN)];
        assert_eq!(after(&refused), [true, false]);
        let bye = request(Method::Bye, "d", WITHIN);
        let up = [
            invite(),
            request(Method::Ack, "b", WITHIN),
            // It is held, and that is refused.
            request(Method::Invite, "c", WITHIN),
            request(Method::Ack, "c", WITHIN),
            bye,
        ];
        assert_eq!(after(&up), [true, true, true, true, false]);
    }

    #[test]
    fn a_call_that_the_phone_takes_lasts_until_somebody_hangs_up() {
        let invite = request(Method::Invite, "a", NEW);
        let again = request(Method::Invite, "b", WITHIN);
        let bye = request(Method::Bye, "c", WITHIN);
        let answer = |to: &Message, status| ResponseBuilder::to(to, status, "").build();
        let taken = [
            answer(&invite, 180),
            answer(&invite, 200),
            answer(&again, 488),
            answer(&bye, 200),
        ];
        assert_eq!(after(&taken), [true, true, true, false]);
        assert_eq!(
            after(&[answer(&invite, 180), answer(&invite, 487)]),
            [true, false]
        );
    }

    #[test]
    fn nothing_else_is_a_call_and_nobody_has_very_many() {
        let others = [
            Method::Message,
            Method::Register,
            Method::Ack,
            Method::Options,
        ];
        let others = others.map(|method| request(method, "a", NEW));
        assert_eq!(after(&others), [false; 4]);
        let mut calls = Calls::default();
        for id in 0..100 {
            calls.call(id);
        }
        assert_eq!(calls.0.len(), MOST);
    }
}
