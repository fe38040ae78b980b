//! One client that signs in: how far it got, and how it is spoken to, by SASL (RFC 6120 §6) or by SASL2 (XEP-0388).

use super::{Refused, Step};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{Address, Timestamp};
use std::net::IpAddr;
use xmpp::{
    jid::Jid,
    ns,
    sasl::{Binding, BindingKind, Failure, fast::Attempt, mechanism::Mechanism, scram::Exchange},
    sasl2::{self, Success, Wishes},
    stream::{Answer, Binder, Framing, Opened},
    xml::{Element, StreamCondition, StreamError},
};

/// How often a client may fail on one stream (RFC 6120 §6.4.5).
const TRIES: u8 = 3;

/// How far a client got.
#[derive(Debug)]
pub(super) enum Stage {
    /// It has not begun, or failed.
    Nothing,
    /// It was challenged, as this user.
    Challenged(Box<Exchange>, Box<str>),
    /// The token that it bears is no good, and it was told why.
    Denied,
    /// Its tokens are read, or kept.
    Tokens(Box<Showing>),
    /// It has shown who it is, and is told so when it is settled what becomes of what it asked for with that.
    Arriving(Box<Arrival>),
    /// It has signed in, and wants an address.
    SignedIn(Address, Box<Binder>),
}

/// A client that shows a token, or has shown who it is and wants one.
#[derive(Debug)]
pub(super) struct Showing {
    pub(super) user: Address,
    pub(super) client: String,
    /// The token that it shows, unless it has shown who it is otherwise.
    pub(super) attempt: Option<(Mechanism, Attempt)>,
    /// The mechanism for which it wants one.
    pub(super) wants: Option<Mechanism>,
    /// What it is told with its success.
    pub(super) message: Vec<u8>,
    /// The token that it is given, once that is kept.
    pub(super) given: Option<Element>,
}

/// A client that has shown who it is, and asked for more with that.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) user: Address,
    pub(super) jid: Jid,
    pub(super) success: Success,
    /// The address that it wants, unless it goes on where it was.
    pub(super) bind: Option<Element>,
    /// By which installation.
    pub(super) client: Option<String>,
}

/// A client that signs in.
#[derive(Debug)]
pub(super) struct Stranger {
    pub(super) opened: Opened,
    pub(super) framing: Framing,
    pub(super) bindings: Vec<Binding>,
    /// What it wants within its sign-in; nothing by SASL, where it is asked for later.
    pub(super) wishes: Option<Box<Wishes>>,
    pub(super) stage: Stage,
    /// It shows a token that somebody else has given to it, and no password (RFC 7628).
    pub(super) is_bearer: bool,
    pub(super) failures: u8,
    /// Where it comes from, and when it said something last.
    pub(super) from: IpAddr,
    pub(super) now: Timestamp,
}

impl Stranger {
    /// An account as other doors name it, whether it exists or not.
    pub(super) fn account(&self, user: &str) -> String {
        let domain = self.opened.to.domain();
        Address::new(user, domain).map_or_else(
            |_| format!("{user}@{domain}"),
            |address| address.to_string(),
        )
    }

    /// Whether it is about to sign in as this user, or has.
    pub(super) fn signs_in_as(&self, user: &Address) -> bool {
        match &self.stage {
            Stage::Nothing | Stage::Denied => false,
            Stage::Challenged(_, name) => self.account(name) == user.as_str(),
            Stage::Tokens(showing) => showing.user == *user,
            Stage::Arriving(arrival) => arrival.user == *user,
            Stage::SignedIn(whose, _) => whose == user,
        }
    }

    /// Whether its stream has ended with its sign-in, and has not begun again.
    pub(super) fn begins_anew(&self) -> bool {
        matches!(&self.stage, Stage::SignedIn(_, binder) if binder.opened().is_none())
    }

    pub(super) fn kinds(&self) -> Vec<BindingKind> {
        self.bindings.iter().map(|binding| binding.kind).collect()
    }

    pub(super) fn write(&self, element: &Element) -> Step {
        Step::Write(element.to_octets(self.framing.context()).into())
    }

    pub(super) fn close(&self) -> Step {
        Step::Write(Bytes::from_static(self.framing.close()))
    }

    /// The namespace of what both sides say until it has signed in.
    pub(super) fn namespace(&self) -> &'static str {
        if self.wishes.is_some() {
            ns::SASL2
        } else {
            ns::SASL
        }
    }

    pub(super) fn challenge(&self, octets: &[u8]) -> Step {
        let challenge = Element::new(self.namespace(), "challenge");
        self.write(&challenge.with_text(&STANDARD.encode(octets)))
    }

    /// It is not let try now; whoever is banned is not answered.
    pub(super) fn waits(&mut self, why: domain::Refusal) -> Vec<Step> {
        let mut steps = match why {
            domain::Refusal::Banned => vec![Step::End],
            _ => self.fails(Failure::TemporaryAuthFailure),
        };
        steps.push(Step::Count(why));
        steps
    }

    /// It is not let try a password of this user's now.
    pub(super) fn may_not_try(&mut self, user: &str, why: domain::Refusal) -> Vec<Step> {
        let mut steps = self.waits(why);
        // Whoever is banned is told nothing, and no story either.
        if why != domain::Refusal::Banned {
            let (told, why) = (Failure::TemporaryAuthFailure, "too many wrong passwords");
            steps.push(self.tells(user, told, why));
        }
        steps
    }

    /// The story of a refusal.
    pub(super) fn tells(&self, user: &str, told: Failure, why: &'static str) -> Step {
        Step::Tell(Box::new(Refused {
            account: self.account(user),
            from: self.from,
            told,
            why,
        }))
    }

    /// The client may try again a few times (RFC 6120 §6.4.5).
    pub(super) fn fails(&mut self, failure: Failure) -> Vec<Step> {
        self.stage = Stage::Nothing;
        self.failures += 1;
        let told = self.write(&if self.wishes.is_some() {
            sasl2::failure(failure)
        } else {
            let condition = Element::new(ns::SASL, failure.name());
            Element::new(ns::SASL, "failure").with_child(condition)
        });
        if self.failures < TRIES {
            return vec![told];
        }
        let text = "too many failures";
        let mut steps = self.ends(StreamCondition::PolicyViolation, text);
        steps.insert(0, told);
        steps
    }

    pub(super) fn ends(&self, condition: StreamCondition, text: &'static str) -> Vec<Step> {
        let error = StreamError::new(condition, text);
        vec![self.write(&error.element()), self.close(), Step::End]
    }
}

/// The language of a stream, where what it says looks like one.
pub(super) fn lang(opened: Option<&Opened>) -> Option<Box<str>> {
    let lang = opened?.lang.as_deref();
    lang.filter(|lang| crate::first_words::is_lang(lang))
        .map(Into::into)
}

pub(super) fn octets(answer: &Answer) -> Vec<Bytes> {
    answer.pieces().iter().cloned().map(Bytes::from).collect()
}
