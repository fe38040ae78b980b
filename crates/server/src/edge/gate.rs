//! What of a SIP client may go on to the inside, and when: decided from its messages and the answers to them; and what whoever
//! may not is told. Pure.
//!
//! Who has not signed in may only try to, and only as often as a phone needs to. Then all is open, until the connection ends.

use super::ended::Shown;
use domain::Address;
use sip::{HeaderName, Message, Method, ResponseBuilder, bearer};
use xmpp::xml::{StreamCondition, StreamError};

/// Requests by which somebody tries to sign in, of one connection, before one was answered. A phone needs two: one for the challenge,
/// one for the answer; and two more where its nonce is stale.
const TRIES: u32 = 6;

/// Those that are not answered: it may have two accounts.
const UNANSWERED: u32 = 2;

/// The longest REGISTER of who has not signed in, octets. Phones' have one or two thousand, and a token.
const LONGEST: usize = 8 * 1024;

/// What a good token lets in before anything was answered: each is answered by the inside only when it knows who asks.
const BY_TOKEN: [Method<'static>; 5] = [
    Method::Register,
    Method::Invite,
    Method::Message,
    Method::Subscribe,
    Method::Publish,
];

/// The tag of whoever is answered here.
const OUR_TAG: &str = "edge";

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Gate {
    signed_in: bool,
    tries: u32,
    unanswered: u32,
    /// The token that lets it in, and whose that is: it speaks for nobody else.
    bearer: Option<(Address, Shown)>,
    /// By which request it has shown one last: its Call-ID and the number in its `CSeq`.
    showed: Option<(String, u32)>,
}

/// Who is let in.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    /// Whether who has none of our tokens may sign in by a password.
    pub(super) passwords: bool,
    /// Whether the server has this name, by which some name its users: the inside says so, an edge has another one.
    pub(super) is_server: &'a dyn Fn(&str) -> bool,
}

/// Why a message does not go on: it is answered so, if it is a request, and its sender is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its sender has not signed in.
    NotSignedIn,
    /// Its sender shows a token that no inside has made, or one that is too old.
    BadToken,
    /// It speaks for another user than the one whose token lets its sender in.
    AnotherUser,
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
    /// The token that it has shown last.
    pub(super) fn shown(&self) -> Option<&Shown> {
        self.bearer.as_ref().map(|(_, shown)| shown)
    }

    /// Whose token lets it in.
    pub(super) fn whose(&self) -> Option<&Address> {
        self.bearer.as_ref().map(|(whose, _)| whose)
    }

    /// Somebody vouches for a token of this user that it shows.
    ///
    /// # Errors
    /// It is let in by the token of another one.
    pub(super) fn bears(&mut self, whose: Address, shown: Shown) -> Result<(), Refused> {
        match &self.bearer {
            Some((known, _)) if *known != whose => return Err(Refused::AnotherUser),
            // Whoever signed in by a password may have two accounts.
            None if self.signed_in => {}
            _ => self.bearer = Some((whose, shown)),
        }
        Ok(())
    }

    /// Whether a message of the client goes on.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) fn client_says(
        &mut self,
        message: &Message,
        terms: Terms<'_>,
    ) -> Result<(), Refused> {
        let has_token = token(message).is_some();
        if has_token {
            self.showed = named(message);
        }
        let is_another = |user: &&Address| !is_of(message, user, terms.is_server);
        if begins(message)
            && let Some(user) = self.whose().filter(is_another)
        {
            tracing::debug!(%user, "a client outside speaks for another user");
            return Err(Refused::AnotherUser);
        }
        // With a token the inside looks at no password; in an ACK at nothing, whose sender cannot be asked for it (RFC 3261 §22.1).
        let is_asked = message.is_request() && message.method() != Some(Method::Ack);
        let has_password = !has_token && bearer::FIELDS.iter().any(|it| message.has(*it));
        if is_asked && has_password && !terms.passwords {
            return Err(Refused::NotSignedIn);
        }
        // What was answered there is acknowledged there.
        let acknowledges = message.method() == Some(Method::Ack) && self.bearer.is_some();
        if self.signed_in || acknowledges {
            return Ok(());
        }
        let by_password = terms.passwords && message.method() == Some(Method::Register);
        let by_token = has_token && message.method().is_some_and(|it| BY_TOKEN.contains(&it));
        let is_try = begins(message) && message.to_tag().is_none();
        if !is_try || !(by_password || by_token) {
            return Err(Refused::NotSignedIn);
        }
        if !by_token && message.bytes().len() > LONGEST {
            return Err(Refused::TooLong);
        }
        if self.tries >= TRIES || self.unanswered >= UNANSWERED {
            return Err(Refused::TooManyTries);
        }
        self.tries += 1;
        self.unanswered += 1;
        Ok(())
    }

    /// Whether who is refused so may show a token over the same connection: it has none yet, where nothing else lets it in, or
    /// a bad one.
    pub(super) fn is_asked_for_a_token(
        &mut self,
        (message, why): (&Message, Refused),
        terms: Terms<'_>,
    ) -> bool {
        let registers = message.method() == Some(Method::Register) && begins(message);
        let is_asked = match why {
            Refused::BadToken => message.is_request() && message.method() != Some(Method::Ack),
            Refused::NotSignedIn => registers && !terms.passwords,
            _ => false,
        };
        self.tries += u32::from(is_asked);
        is_asked && self.tries <= TRIES
    }

    /// The token that the inside does not take any more, if that is what it says (RFC 8898 §2.2): of the request by which that was shown,
    /// where the inside answers itself. A phone that was called could say it of any.
    pub(super) fn has_ended(&self, answer: &Message) -> Option<&Shown> {
        let asked = answer.cseq().ok()?.method;
        let is_own = match answer.status()? {
            401 => asked == Method::Register,
            407 => matches!(asked, Method::Message | Method::Publish),
            _ => false,
        };
        let is_it = self.showed.is_some() && self.showed == named(answer);
        let has_ended = is_own && is_it && refuses_token(answer);
        self.shown().filter(|_| has_ended)
    }

    /// Takes note of what the inside says. True if the client has signed in by it: whoever is asked something by the inside has, and a
    /// held INVITE leaves before the 200, which waits for the store.
    pub(super) fn inside_says(&mut self, message: &Message) -> bool {
        let asked = message.cseq().map(|cseq| cseq.method);
        let status = message.status().unwrap_or_default();
        let is_try = asked.as_ref().is_ok_and(|it| BY_TOKEN.contains(it));
        self.unanswered = self
            .unanswered
            .saturating_sub(u32::from(status >= 200 && is_try));
        let lets_in = match asked {
            _ if message.is_request() => true,
            Ok(Method::Register) => status == 200,
            _ => is_try && self.bearer.is_some() && (100..300).contains(&status),
        };
        let signs_in = !self.signed_in && lets_in;
        self.signed_in |= signs_in;
        signs_in
    }
}

/// What a request and its answers have in common.
fn named(message: &Message) -> Option<(String, u32)> {
    let number = message.cseq().ok()?.number;
    Some((message.call_id().unwrap_or_default().to_owned(), number))
}

/// The token that a request shows.
pub(super) fn token(message: &Message) -> Option<&str> {
    let mut values = bearer::FIELDS
        .into_iter()
        .flat_map(|field| message.headers(field));
    values.find_map(bearer::token)
}

/// Whether an answer says that the token it was shown is none (RFC 8898 §2.2).
fn refuses_token(answer: &Message) -> bool {
    let fields = [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate];
    let mut values = fields.into_iter().flat_map(|field| answer.headers(field));
    let error = format!("error=\"{}\"", bearer::INVALID_TOKEN);
    values.any(|value| bearer::is_bearer(value) && String::from_utf8_lossy(value).contains(&error))
}

/// Whether it acknowledges what was answered here, so that nobody else is to hear of it.
pub(super) fn is_acknowledged_here(message: &Message) -> bool {
    message.method() == Some(Method::Ack) && message.to_tag() == Some(OUR_TAG)
}

/// Whether the inside asks who sends a request: one in no dialog, as a REGISTER always is (RFC 3261 §10.2), or a SUBSCRIBE, by which
/// a subscription goes on.
fn begins(message: &Message) -> bool {
    match message.method() {
        Some(Method::Ack) | None => false,
        Some(Method::Register | Method::Subscribe) => true,
        Some(_) => message.to_tag().is_none(),
    }
}

/// Whether this user sends it.
fn is_of(message: &Message, user: &Address, is_server: &dyn Fn(&str) -> bool) -> bool {
    let Ok(from) = message.from() else {
        return false;
    };
    let host = from.uri.host;
    let is_ours = host.eq_ignore_ascii_case(user.domain()) || is_server(host);
    let name = from.uri.user_decoded();
    let named = name.and_then(|name| Address::of_name(&name, user.domain()).ok());
    is_ours && named.as_ref() == Some(user)
}

impl Refused {
    /// Each reason, as metrics have it.
    pub(crate) const ALL: [Self; 8] = [
        Self::NotSignedIn,
        Self::BadToken,
        Self::AnotherUser,
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
            Self::AnotherUser => "another_user",
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
            Self::AnotherUser => (403, "From Is Not Yours"),
            Self::TooLong => (513, "Message Too Large"),
            Self::TooManyTries => (403, "Too many attempts"),
            Self::Crowded => (503, "Too many at once"),
            Self::NoInside | Self::NotTaken => (503, "Service Unavailable"),
        };
        let response = ResponseBuilder::to(request, status, reason).to_tag(OUR_TAG);
        if status == 503 {
            // A few seconds, within which a tunnel is there again (RFC 3261 §20.33).
            return response.header(HeaderName::RetryAfter, "5").build();
        }
        response.build()
    }

    /// What who [may show a token](Gate::is_asked_for_a_token) is told: where it gets one, and whether the one that it has shown is none
    /// (RFC 8898 §2.2, §2.3).
    pub(super) fn challenge(self, request: &Message, issuer: Option<&str>) -> Message {
        let (status, field) = match request.method() {
            Some(Method::Register) => (401, HeaderName::WwwAuthenticate),
            _ => (407, HeaderName::ProxyAuthenticate),
        };
        let error = (self == Self::BadToken).then_some(bearer::INVALID_TOKEN);
        let realm = request.from().ok().map(|from| from.uri.host);
        let value = bearer::challenge(realm.unwrap_or_default(), issuer, error);
        let response = ResponseBuilder::to(request, status, "").to_tag(OUR_TAG);
        response.header(field, value).build()
    }

    /// What a client of XMPP is told.
    pub(super) fn stream_error(self) -> StreamError {
        let (condition, text) = match self {
            Self::NotSignedIn | Self::BadToken | Self::AnotherUser => {
                (StreamCondition::NotAuthorized, "sign in first")
            }
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

    const BY_PASSWORD: Terms<'_> = Terms {
        passwords: true,
        is_server: &|name| name.eq_ignore_ascii_case("sip.example.org"),
    };
    const BY_TOKENS: Terms<'_> = Terms {
        passwords: false,
        ..BY_PASSWORD
    };

    fn alice() -> Address {
        "alice@example.org".parse().unwrap()
    }

    fn shown(token: &str) -> Shown {
        Shown::new(token, domain::Timestamp(1))
    }

    /// The same with credentials.
    fn with(request: &Message, credentials: &str) -> Message {
        let edit = sip::Edit::new(request);
        edit.append(HeaderName::Authorization, credentials).finish()
    }

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
            assert_eq!(gate.client_says(&request(method), BY_PASSWORD), refused);
        }
        let response = answer(&request(Method::Invite), 200);
        assert_eq!(gate.client_says(&response, BY_PASSWORD), refused);
        let within_a_dialog = ResponseBuilder::to(&register, 200, "").to_tag("2").build();
        let text = String::from_utf8_lossy(within_a_dialog.bytes()).into_owned();
        let text = text.replace("SIP/2.0 200 ", "REGISTER sip:example.org SIP/2.0");
        let within_a_dialog = Message::parse(text.into(), &sip::Limits::default()).unwrap();
        assert!(within_a_dialog.to_tag().is_some());
        assert_eq!(gate.client_says(&within_a_dialog, BY_PASSWORD), refused);
        assert_eq!(gate.client_says(&register, BY_TOKENS), refused);
        assert_eq!(gate.client_says(&register, BY_PASSWORD), Ok(()));
        assert!(!gate.inside_says(&answer(&register, 401)));
        // What was not asked for opens nothing.
        assert!(!gate.inside_says(&answer(&request(Method::Options), 200)));
        assert_eq!(
            gate.client_says(&request(Method::Invite), BY_PASSWORD),
            refused
        );
        assert!(gate.inside_says(&answer(&register, 200)));
        for method in [Method::Invite, Method::Ack, Method::Message] {
            assert_eq!(gate.client_says(&request(method), BY_PASSWORD), Ok(()));
        }
    }

    #[test]
    fn who_is_called_before_the_answer_to_its_register_may_answer() {
        let mut gate = Gate::default();
        let (register, invite) = (request(Method::Register), request(Method::Invite));
        let rings = answer(&invite, 180);
        assert_eq!(gate.client_says(&register, BY_PASSWORD), Ok(()));
        let refused = Err(Refused::NotSignedIn);
        assert_eq!(gate.client_says(&rings, BY_PASSWORD), refused);
        assert!(gate.inside_says(&invite));
        assert_eq!(gate.client_says(&rings, BY_PASSWORD), Ok(()));
    }

    #[test]
    fn nobody_tries_for_ever() {
        let mut gate = Gate::default();
        let register = request(Method::Register);
        for _ in 0..TRIES {
            assert_eq!(gate.client_says(&register, BY_PASSWORD), Ok(()));
            gate.inside_says(&answer(&register, 401));
        }
        let refused = Refused::TooManyTries;
        assert_eq!(gate.client_says(&register, BY_PASSWORD), Err(refused));
        assert_eq!(refused.response(&register).status(), Some(403));
    }

    #[test]
    fn nobody_tries_very_often_at_once_or_at_length() {
        let mut gate = Gate::default();
        let register = request(Method::Register);
        for _ in 0..UNANSWERED {
            assert_eq!(gate.client_says(&register, BY_PASSWORD), Ok(()));
        }
        gate.inside_says(&answer(&register, 100));
        let too_many = Err(Refused::TooManyTries);
        assert_eq!(gate.client_says(&register, BY_PASSWORD), too_many);
        gate.inside_says(&answer(&register, 401));
        let long = RequestBuilder::new(Method::Register, "sip:example.org")
            .body("text/plain", &[b'x'; LONGEST])
            .build();
        let too_long = Err(Refused::TooLong);
        assert_eq!(gate.client_says(&long, BY_PASSWORD), too_long);
        assert_eq!(gate.client_says(&register, BY_PASSWORD), Ok(()));
    }

    #[test]
    fn who_has_a_token_is_let_in_by_it_and_speaks_for_nobody_else() {
        let mut gate = Gate::default();
        let register = with(&request(Method::Register), "Bearer a");
        assert_eq!(gate.bears(alice(), shown("a")), Ok(()));
        assert_eq!(gate.client_says(&register, BY_TOKENS), Ok(()));
        // What is not answered lets nothing else in, and an answer to anything opens nothing.
        let (refused, options) = (Err(Refused::NotSignedIn), request(Method::Options));
        assert_eq!(
            gate.client_says(&request(Method::Invite), BY_TOKENS),
            refused
        );
        assert_eq!(
            gate.client_says(&with(&options, "Bearer a"), BY_TOKENS),
            refused
        );
        assert!(!gate.inside_says(&answer(&options, 200)));
        assert!(!gate.inside_says(&answer(&register, 401)));
        assert!(gate.inside_says(&answer(&register, 200)));
        assert_eq!(gate.whose(), Some(&alice()));
        assert_eq!(
            gate.client_says(&request(Method::Invite), BY_TOKENS),
            Ok(())
        );

        let another = Err(Refused::AnotherUser);
        for from in [
            "<sip:bob@example.org>",
            "<sip:alice@example.com>",
            "<tel:1>",
        ] {
            for method in [Method::Register, Method::Invite, Method::Options] {
                let edit = sip::Edit::new(&request(method))
                    .set(HeaderName::From, from)
                    .finish();
                assert_eq!(gate.client_says(&edit, BY_TOKENS), another, "{from}");
                let it = with(&edit, "Bearer a");
                assert_eq!(gate.client_says(&it, BY_TOKENS), another, "{from}");
            }
        }
        let bob = "bob@example.org".parse().unwrap();
        assert_eq!(gate.bears(bob, shown("b")), another);
        // By the name of the server it is the same user.
        let by_node = sip::Edit::new(&request(Method::Message))
            .set(HeaderName::From, "<sip:Alice@SIP.example.org>;tag=1")
            .finish();
        assert_eq!(gate.client_says(&by_node, BY_TOKENS), Ok(()));
        // A newer one of the same user, and then no password.
        assert_eq!(gate.bears(alice(), shown("c")), Ok(()));
        assert_eq!(gate.shown(), Some(&shown("c")));
        let guess = with(&request(Method::Register), "Digest username=\"alice\"");
        assert_eq!(gate.client_says(&guess, BY_TOKENS), refused);
        assert_eq!(gate.client_says(&guess, BY_PASSWORD), Ok(()));
    }

    #[test]
    fn only_the_inside_says_that_a_token_has_ended_and_of_the_request_that_showed_it() {
        let bad = |request: &Message, status, field| {
            let value = bearer::challenge("example.org", None, Some(bearer::INVALID_TOKEN));
            let answer = ResponseBuilder::to(request, status, "");
            answer.header(field, value).build()
        };
        let (at_home, on_the_way) = (HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate);
        for (method, status, field, ends) in [
            (Method::Register, 401, at_home, true),
            (Method::Message, 407, on_the_way, true),
            (Method::Publish, 407, on_the_way, true),
            // Answered by whoever is called, it may be.
            (Method::Invite, 407, on_the_way, false),
            (Method::Subscribe, 401, at_home, false),
            (Method::Message, 401, at_home, false),
            (Method::Register, 403, at_home, false),
        ] {
            let mut gate = Gate::default();
            assert_eq!(gate.bears(alice(), shown("a")), Ok(()));
            let asks = with(&request(method), "Bearer a");
            assert_eq!(gate.client_says(&asks, BY_TOKENS), Ok(()));
            let known = shown("a");
            let ended = Some(&known).filter(|_| ends);
            assert_eq!(
                gate.has_ended(&bad(&asks, status, field)),
                ended,
                "{method} {status}"
            );
            let other = sip::Edit::new(&asks);
            let other = other.set(HeaderName::CSeq, format!("2 {method}")).finish();
            assert_eq!(gate.has_ended(&bad(&other, status, field)), None);
            assert_eq!(gate.has_ended(&answer(&asks, status)), None);
        }
    }

    #[test]
    fn a_token_opens_no_dialog_for_guesses_at_others() {
        let mut gate = Gate::default();
        assert_eq!(gate.bears(alice(), shown("a")), Ok(()));
        let register = with(&request(Method::Register), "Bearer a");
        assert_eq!(gate.client_says(&register, BY_TOKENS), Ok(()));
        assert!(gate.inside_says(&answer(&register, 200)));
        let within = |method, from: &str| {
            let said = request(method);
            let edit = sip::Edit::new(&said).set(HeaderName::From, from);
            edit.set(HeaderName::To, "<sip:carol@example.org>;tag=2")
                .finish()
        };
        let (bob, alice) = (
            "<sip:bob@example.org>;tag=1",
            "<sip:alice@example.org>;tag=1",
        );
        let subscribe = within(Method::Subscribe, bob);
        let another = Err(Refused::AnotherUser);
        assert_eq!(gate.client_says(&subscribe, BY_TOKENS), another);
        let goes_on = within(Method::Subscribe, alice);
        assert_eq!(gate.client_says(&goes_on, BY_TOKENS), Ok(()));
        // What a dialog of others says is theirs to know, but no password goes there.
        for method in [Method::Bye, Method::Info] {
            let said = within(method, bob);
            assert_eq!(gate.client_says(&said, BY_TOKENS), Ok(()), "{method}");
            let guess = with(&said, "Digest username=\"bob\"");
            let refused = Err(Refused::NotSignedIn);
            assert_eq!(gate.client_says(&guess, BY_TOKENS), refused, "{method}");
            assert_eq!(gate.client_says(&guess, BY_PASSWORD), Ok(()), "{method}");
        }
        let ack = with(&within(Method::Ack, alice), "Digest username=\"alice\"");
        assert_eq!(gate.client_says(&ack, BY_TOKENS), Ok(()));
    }

    #[test]
    fn a_token_opens_by_what_the_inside_answers_only_to_whom_it_knows() {
        for (method, status, opens) in [
            (Method::Invite, 100, true),
            (Method::Invite, 407, false),
            (Method::Message, 202, true),
            (Method::Message, 404, false),
            (Method::Publish, 200, true),
            (Method::Options, 200, false),
        ] {
            let (mut gate, asked) = (Gate::default(), request(method));
            assert_eq!(gate.bears(alice(), shown("a")), Ok(()));
            let says = gate.client_says(&with(&asked, "Bearer a"), BY_TOKENS);
            assert_eq!(says.is_ok(), method != Method::Options, "{method}");
            assert_eq!(gate.inside_says(&answer(&asked, status)), opens, "{method}");
        }
        // Without a token it opens nothing.
        let (mut gate, invite) = (Gate::default(), request(Method::Invite));
        assert!(!gate.inside_says(&answer(&invite, 200)));
    }

    #[test]
    fn who_has_no_good_token_is_told_where_there_are_some_and_asks_so_often() {
        let mut gate = Gate::default();
        let (register, invite) = (request(Method::Register), request(Method::Invite));
        let (none, bad) = (Refused::NotSignedIn, Refused::BadToken);
        assert!(!gate.is_asked_for_a_token((&register, none), BY_PASSWORD));
        assert!(!gate.is_asked_for_a_token((&invite, none), BY_TOKENS));
        assert!(!gate.is_asked_for_a_token((&request(Method::Ack), bad), BY_TOKENS));
        assert!(gate.is_asked_for_a_token((&register, none), BY_TOKENS));
        for _ in 1..TRIES {
            assert!(gate.is_asked_for_a_token((&invite, bad), BY_PASSWORD));
        }
        assert!(!gate.is_asked_for_a_token((&register, bad), BY_TOKENS));

        let at = Some("https://sip.example.org");
        let told = none.challenge(&register, at);
        assert_eq!(told.status(), Some(401));
        let value = told.header_text(HeaderName::WwwAuthenticate).unwrap();
        assert_eq!(
            value,
            "Bearer realm=\"example.org\", authz_server=\"https://sip.example.org\""
        );
        assert!(!refuses_token(&told));
        let told = bad.challenge(&invite, None);
        assert_eq!(told.status(), Some(407));
        assert!(refuses_token(&told));
        let ack = request(Method::Ack);
        let ack = sip::Edit::new(&ack)
            .set(HeaderName::To, "<sip:alice@example.org>;tag=edge")
            .finish();
        assert!(is_acknowledged_here(&ack) && !is_acknowledged_here(&invite));
    }
}
