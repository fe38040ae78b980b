//! What of a SIP client may go on to the inside, and when: decided from its messages and the answers to them; and what whoever
//! may not is told. Pure.
//!
//! Who has not signed in may only try to, and only as often as a phone needs to. Then all is open, until the connection ends.

use sip::{HeaderName, Message, Method, ResponseBuilder};
use xmpp::xml::{StreamCondition, StreamError};

/// REGISTERs of one connection before one was answered 200. A phone needs two: one for the challenge, one for the answer; and two more
/// where its nonce is stale.
const TRIES: u32 = 6;

/// REGISTERs of one connection that are not answered: it may have two accounts.
const UNANSWERED: u32 = 2;

/// The longest REGISTER of who has not signed in, octets. Phones' have one or two thousand.
const LONGEST: usize = 8 * 1024;

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Gate {
    signed_in: bool,
    tries: u32,
    unanswered: u32,
}

/// Why a message does not go on: it is answered so, if it is a request, and its sender is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its sender has not signed in.
    NotSignedIn,
    /// Its sender shows a token that no inside has made, or one that is too old.
    BadToken,
    /// It is longer than what signs somebody in.
    TooLong,
    /// Its sender has tried to often enough, or too often at once.
    TooManyTries,
    /// Too many of its sender's address try at the moment.
    Crowded,
    /// No inside is there, or none has room.
    NoInside,
    /// The inside does not take its sender: it has no room, or the address is banned, or one of `call.trusted`, which nobody
    /// outside can have.
    NotTaken,
}

impl Gate {
    /// Whether a message of the client goes on; with `passwords`, who has none of our tokens may sign in by one.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) fn client_says(
        &mut self,
        message: &Message,
        passwords: bool,
    ) -> Result<(), Refused> {
        if self.signed_in {
            return Ok(());
        }
        // A REGISTER within a dialog is none (RFC 3261 §10.2).
        let signs_in = message.method() == Some(Method::Register) && message.to_tag().is_none();
        if !signs_in || !passwords {
            return Err(Refused::NotSignedIn);
        }
        if message.bytes().len() > LONGEST {
            return Err(Refused::TooLong);
        }
        if self.tries >= TRIES || self.unanswered >= UNANSWERED {
            return Err(Refused::TooManyTries);
        }
        self.tries += 1;
        self.unanswered += 1;
        Ok(())
    }

    /// Takes note of what the inside says. True if the client has signed in by it.
    pub(super) fn inside_says(&mut self, message: &Message) -> bool {
        let is_register = message
            .cseq()
            .is_ok_and(|cseq| cseq.method == Method::Register);
        let is_final = message.status().is_some_and(|status| status >= 200);
        self.unanswered = self
            .unanswered
            .saturating_sub(u32::from(is_final && is_register));
        let signs_in = !self.signed_in && message.status() == Some(200) && is_register;
        self.signed_in |= signs_in;
        signs_in
    }
}

impl Refused {
    /// Each reason, as metrics have it.
    pub(crate) const ALL: [Self; 7] = [
        Self::NotSignedIn,
        Self::BadToken,
        Self::TooLong,
        Self::TooManyTries,
        Self::Crowded,
        Self::NoInside,
        Self::NotTaken,
    ];

    /// The name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NotSignedIn => "not_signed_in",
            Self::BadToken => "bad_token",
            Self::TooLong => "too_long",
            Self::TooManyTries => "too_many_tries",
            Self::Crowded => "crowded",
            Self::NoInside => "no_inside",
            Self::NotTaken => "not_taken",
        }
    }

    /// What the client is told.
    pub(super) fn response(self, request: &Message) -> Message {
        let (status, reason) = match self {
            Self::NotSignedIn | Self::BadToken => (403, "Register first"),
            Self::TooLong => (513, "Message Too Large"),
            Self::TooManyTries => (403, "Too many attempts"),
            Self::Crowded => (503, "Too many at once"),
            Self::NoInside | Self::NotTaken => (503, "Service Unavailable"),
        };
        let response = ResponseBuilder::to(request, status, reason).to_tag("edge");
        if status == 503 {
            // A few seconds, within which a tunnel is there again (RFC 3261 §20.33).
            return response.header(HeaderName::RetryAfter, "5").build();
        }
        response.build()
    }

    /// The same for a client of XMPP.
    pub(super) fn stream_error(self) -> StreamError {
        let (condition, text) = match self {
            Self::NotSignedIn | Self::BadToken => (StreamCondition::NotAuthorized, "sign in first"),
            Self::TooLong | Self::TooManyTries => (StreamCondition::PolicyViolation, "too much"),
            Self::Crowded => (StreamCondition::ResourceConstraint, "too many at once"),
            Self::NoInside | Self::NotTaken => (
                StreamCondition::RemoteConnectionFailed,
                "the server cannot be reached",
            ),
        };
        StreamError::new(condition, text)
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
        let refused = Err(Refused::NotSignedIn);
        for method in [
            Method::Invite,
            Method::Message,
            Method::Options,
            Method::Ack,
        ] {
            assert_eq!(gate.client_says(&request(method), true), refused);
        }
        let response = answer(&request(Method::Invite), 200);
        assert_eq!(gate.client_says(&response, true), refused);
        let within_a_dialog = ResponseBuilder::to(&register, 200, "").to_tag("2").build();
        let text = String::from_utf8_lossy(within_a_dialog.bytes()).into_owned();
        let text = text.replace("SIP/2.0 200 ", "REGISTER sip:example.org SIP/2.0");
        let within_a_dialog = Message::parse(text.into(), &sip::Limits::default()).unwrap();
        assert!(within_a_dialog.to_tag().is_some());
        assert_eq!(gate.client_says(&within_a_dialog, true), refused);
        assert_eq!(gate.client_says(&register, false), refused);
        assert_eq!(gate.client_says(&register, true), Ok(()));
        assert!(!gate.inside_says(&answer(&register, 401)));
        // What was not asked for opens nothing.
        assert!(!gate.inside_says(&answer(&request(Method::Options), 200)));
        assert_eq!(gate.client_says(&request(Method::Invite), true), refused);
        assert!(gate.inside_says(&answer(&register, 200)));
        for method in [Method::Invite, Method::Ack, Method::Message] {
            assert_eq!(gate.client_says(&request(method), true), Ok(()));
        }
    }

    #[test]
    fn nobody_tries_for_ever() {
        let mut gate = Gate::default();
        let register = request(Method::Register);
        for _ in 0..TRIES {
            assert_eq!(gate.client_says(&register, true), Ok(()));
            gate.inside_says(&answer(&register, 401));
        }
        let refused = Refused::TooManyTries;
        assert_eq!(gate.client_says(&register, true), Err(refused));
        assert_eq!(refused.response(&register).status(), Some(403));
    }

    #[test]
    fn nobody_tries_very_often_at_once_or_at_length() {
        let mut gate = Gate::default();
        let register = request(Method::Register);
        for _ in 0..UNANSWERED {
            assert_eq!(gate.client_says(&register, true), Ok(()));
        }
        gate.inside_says(&answer(&register, 100));
        let too_many = Err(Refused::TooManyTries);
        assert_eq!(gate.client_says(&register, true), too_many);
        gate.inside_says(&answer(&register, 401));
        let long = RequestBuilder::new(Method::Register, "sip:example.org")
            .body("text/plain", &[b'x'; LONGEST])
            .build();
        let too_long = Err(Refused::TooLong);
        assert_eq!(gate.client_says(&long, true), too_long);
        assert_eq!(gate.client_says(&register, true), Ok(()));
    }
}
