//! What of a SIP client may go on to the inside, and when: decided from its messages and the answers to them. Pure.
//!
//! Who has not signed in may only try to, and only as often as a phone needs to. Then all is open, until the connection ends.

use sip::{HeaderName, Message, Method, ResponseBuilder};

/// REGISTERs of one connection before one was answered 200. A phone needs two: one for the challenge, one for the answer; and two more
/// where its nonce is stale.
const TRIES: u32 = 6;

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Gate {
    signed_in: bool,
    tries: u32,
}

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Pass,
    /// It does not, and nobody is told.
    Drop,
    /// It is answered so.
    Refuse(Refused),
}

/// Why a request does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its sender has not signed in.
    NotSignedIn,
    /// Its sender has tried to often enough.
    TooManyTries,
    /// Too many of its sender's address try at the moment.
    Crowded,
    /// No inside is there, or none has room.
    NoInside,
}

impl Gate {
    /// Whether a message of the client goes on; with `passwords`, who has none of our tokens may sign in by one.
    pub(super) fn client_says(&mut self, message: &Message, passwords: bool) -> Verdict {
        if self.signed_in {
            return Verdict::Pass;
        }
        match message.method() {
            // Nothing was asked, and an ACK is answered by nobody (RFC 3261 §17.1.1.3).
            None | Some(Method::Ack) => Verdict::Drop,
            Some(Method::Register) if passwords && self.tries < TRIES => {
                self.tries += 1;
                Verdict::Pass
            }
            Some(Method::Register) if passwords => Verdict::Refuse(Refused::TooManyTries),
            Some(_) => Verdict::Refuse(Refused::NotSignedIn),
        }
    }

    /// Takes note of what the inside says. True if the client has signed in by it.
    pub(super) fn inside_says(&mut self, message: &Message) -> bool {
        let is_register = message
            .cseq()
            .is_ok_and(|cseq| cseq.method == Method::Register);
        let signs_in = !self.signed_in && message.status() == Some(200) && is_register;
        self.signed_in |= signs_in;
        signs_in
    }
}

impl Refused {
    /// Each reason, as metrics have it.
    pub(crate) const ALL: [Self; 4] = [
        Self::NotSignedIn,
        Self::TooManyTries,
        Self::Crowded,
        Self::NoInside,
    ];

    /// The name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NotSignedIn => "not_signed_in",
            Self::TooManyTries => "too_many_tries",
            Self::Crowded => "crowded",
            Self::NoInside => "no_inside",
        }
    }

    /// What the client is told.
    pub(super) fn response(self, request: &Message) -> Message {
        let (status, reason) = match self {
            Self::NotSignedIn => (403, "Register first"),
            Self::TooManyTries => (403, "Too many attempts"),
            Self::Crowded => (503, "Too many at once"),
            Self::NoInside => (503, "Service Unavailable"),
        };
        let response = ResponseBuilder::to(request, status, reason).to_tag("edge");
        if status == 503 {
            // A few seconds, within which a tunnel is there again (RFC 3261 §20.33).
            return response.header(HeaderName::RetryAfter, "5").build();
        }
        response.build()
    }

    /// Whether the connection ends behind the answer.
    pub(super) fn ends(self) -> bool {
        matches!(self, Self::TooManyTries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip::RequestBuilder;

    fn request(method: Method<'_>) -> Message {
        RequestBuilder::new(method, "sip:example.org")
            .header(HeaderName::Via, "SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1")
            .header(HeaderName::From, "<sip:alice@example.org>;tag=1")
            .header(HeaderName::To, "<sip:alice@example.org>")
            .header(HeaderName::CallId, "1")
            .header(HeaderName::CSeq, format!("1 {}", method.as_str()))
            .build()
    }

    fn answer(to: &Message, status: u16) -> Message {
        ResponseBuilder::to(to, status, "").build()
    }

    #[test]
    fn who_has_not_signed_in_may_only_do_that() {
        let mut gate = Gate::default();
        let register = request(Method::Register);
        let refused = Verdict::Refuse(Refused::NotSignedIn);
        for method in [Method::Invite, Method::Message, Method::Options] {
            assert_eq!(gate.client_says(&request(method), true), refused);
        }
        assert_eq!(gate.client_says(&request(Method::Ack), true), Verdict::Drop);
        let response = answer(&request(Method::Invite), 200);
        assert_eq!(gate.client_says(&response, true), Verdict::Drop);
        assert_eq!(gate.client_says(&register, false), refused);
        assert_eq!(gate.client_says(&register, true), Verdict::Pass);
        assert!(!gate.inside_says(&answer(&register, 401)));
        // What was not asked for opens nothing.
        assert!(!gate.inside_says(&answer(&request(Method::Options), 200)));
        assert_eq!(gate.client_says(&request(Method::Invite), true), refused);
        assert!(gate.inside_says(&answer(&register, 200)));
        for method in [Method::Invite, Method::Ack, Method::Message] {
            assert_eq!(gate.client_says(&request(method), true), Verdict::Pass);
        }
    }

    #[test]
    fn nobody_tries_for_ever() {
        let mut gate = Gate::default();
        let register = request(Method::Register);
        for _ in 0..TRIES {
            assert_eq!(gate.client_says(&register, true), Verdict::Pass);
        }
        let refused = Refused::TooManyTries;
        assert_eq!(gate.client_says(&register, true), Verdict::Refuse(refused));
        assert!(refused.ends());
        assert_eq!(refused.response(&register).status(), Some(403));
    }
}
