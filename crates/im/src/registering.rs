//! Clients that have no account yet: who was invited makes one, once (XEP-0445, XEP-0077). Nobody else does.

use crate::{
    line::condition,
    settings::Settings,
    vocabulary::{AccountOrder, Link},
};
use bytes::Bytes;
use domain::{Address, IdMap, Refusal};
use hub::NotDone;
use xmpp::{
    StreamId,
    jid::Jid,
    ns,
    sasl::prep,
    stanza::{IqType, Stanza, StanzaCondition, Type},
    stream::{Framing, Greeted},
    xml::{Element, Item, StreamCondition, StreamError},
};

/// Clients that make accounts at once: beyond that one is told to try again.
const MOST: usize = 256;
/// How often one may show an invitation that is none, or ask in vain, on one stream.
const TRIES: u8 = 5;
/// Longest word of an invitation, and longest password, in octets.
const LONGEST: usize = 1_023;

/// What is to be done for a client that has no account yet.
#[derive(Debug)]
pub(crate) enum Step {
    /// Write this.
    Write(Bytes),
    /// Close its connection.
    End,
    /// Do this, and say what became of it.
    Do(Box<AccountOrder>),
    /// Count that it was refused.
    Count(Refusal),
}

/// A client.
#[derive(Debug)]
struct Guest {
    domain: String,
    framing: Framing,
    /// The word of the invitation that it has shown, and that is good.
    invitation: Option<String>,
    /// The question that is being answered, with the word that it shows.
    waits: Option<(Box<Element>, Option<String>)>,
    failures: u8,
}

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Registering {
    guests: IdMap<StreamId, Guest>,
}

/// Whether somebody begins with a question, and not by signing in.
pub(crate) fn is_question(greeted: &Greeted) -> bool {
    greeted.element.is(ns::CLIENT, "iq")
}

impl Registering {
    pub(crate) fn len(&self) -> usize {
        self.guests.len()
    }

    pub(crate) fn has(&self, stream: StreamId) -> bool {
        self.guests.contains_key(&stream)
    }

    pub(crate) fn gone(&mut self, stream: StreamId) {
        self.guests.remove(&stream);
    }

    /// A client asks before it signs in.
    pub(crate) fn begins(
        &mut self,
        stream: StreamId,
        greeted: &Greeted,
        link: &Link,
        settings: &Settings,
    ) -> Vec<Step> {
        let mut guest = Guest {
            domain: greeted.opened.to.domain().to_owned(),
            framing: link.framing,
            invitation: None,
            waits: None,
            failures: 0,
        };
        if self.guests.len() >= MOST {
            let text = "too many make accounts at once";
            let mut steps = guest.ends(StreamCondition::ResourceConstraint, text);
            steps.push(Step::Count(Refusal::NoRoom));
            return steps;
        }
        let steps = guest.asks(greeted.element.clone(), settings);
        self.guests.insert(stream, guest);
        steps
    }

    /// It says something more.
    pub(crate) fn read(&mut self, stream: StreamId, item: Item, settings: &Settings) -> Vec<Step> {
        let Some(guest) = self.guests.get_mut(&stream) else {
            return Vec::new();
        };
        match item {
            Item::KeepAlive => Vec::new(),
            Item::Element(element) if element.is(ns::CLIENT, "iq") => guest.asks(element, settings),
            Item::Close => vec![guest.close(), Step::End],
            Item::Element(_) | Item::Open(_) => {
                guest.ends(StreamCondition::NotAuthorized, "sign in first")
            }
        }
    }

    /// What it asked for is done, or not.
    pub(crate) fn done(&mut self, stream: StreamId, result: &Result<(), NotDone>) -> Vec<Step> {
        let Some(guest) = self.guests.get_mut(&stream) else {
            return Vec::new();
        };
        let Some((question, shown)) = guest.waits.take() else {
            return Vec::new();
        };
        if let Err(why) = result {
            let mut steps = guest.refuses(&question, condition(why));
            if matches!(why, NotDone::Overloaded) {
                steps.push(Step::Count(Refusal::Overloaded));
            }
            return steps;
        }
        // One that was used is none any more.
        guest.invitation = shown;
        guest.answers(&question, None)
    }
}

impl Guest {
    fn asks(&mut self, element: Element, settings: &Settings) -> Vec<Step> {
        let Some(stanza) = Stanza::of(&element) else {
            return Vec::new();
        };
        if let Some(error) = stanza.fault() {
            return self.refuses(&element, error.condition);
        }
        let (kind, payload) = (stanza.stanza_type(), stanza.payload());
        let (Some(Type::Iq(kind @ (IqType::Get | IqType::Set))), Some(payload)) = (kind, payload)
        else {
            return Vec::new();
        };
        if self.waits.is_some() {
            let mut steps = self.refuses(&element, StanzaCondition::ResourceConstraint);
            steps.push(Step::Count(Refusal::Requests));
            return steps;
        }
        let is_register = payload.is(ns::REGISTER, "query");
        match kind {
            IqType::Set if payload.is(ns::PARS, "preauth") => {
                let token = payload.attr("token").filter(|it| is_short(it));
                let Some(token) = token.map(str::to_owned) else {
                    return self.refuses(&element, StanzaCondition::BadRequest);
                };
                let order = AccountOrder::IsInvited(token.clone());
                self.waits = Some((Box::new(element), Some(token)));
                vec![Step::Do(Box::new(order))]
            }
            _ if is_register && self.invitation.is_none() => {
                self.refuses(&element, StanzaCondition::Forbidden)
            }
            IqType::Get if is_register => {
                let form = form();
                self.answers(&element, Some(form))
            }
            IqType::Set if is_register => match self.wanted(payload, settings) {
                Ok(order) => {
                    self.waits = Some((Box::new(element), None));
                    vec![Step::Do(Box::new(order))]
                }
                Err(condition) => self.refuses(&element, condition),
            },
            // RFC 6120 §6.3.1: nothing else before it has signed in.
            _ => self.refuses(&element, StanzaCondition::NotAuthorized),
        }
    }

    /// XEP-0077 §3.1.
    fn wanted(
        &self,
        payload: &Element,
        settings: &Settings,
    ) -> Result<AccountOrder, StanzaCondition> {
        let said = |name| {
            payload
                .child(ns::REGISTER, name)
                .map(|it| it.text().into_owned())
        };
        let (Some(name), Some(password)) = (said("username"), said("password")) else {
            return Err(StanzaCondition::NotAcceptable);
        };
        let address = address(&name, &self.domain, settings)?;
        let token = self.invitation.clone().ok_or(StanzaCondition::Forbidden)?;
        Ok(AccountOrder::Register(address, sound(password)?, token))
    }

    fn write(&self, element: &Element) -> Step {
        Step::Write(element.to_octets(self.framing.context()).into())
    }

    fn close(&self) -> Step {
        Step::Write(Bytes::from_static(self.framing.close()))
    }

    fn answers(&self, question: &Element, payload: Option<Element>) -> Vec<Step> {
        let reply = Stanza::of(question).map(Stanza::reply);
        let answer = reply.map(|reply| payload.into_iter().fold(reply, Element::with_child));
        answer.iter().map(|answer| self.write(answer)).collect()
    }

    fn refuses(&mut self, question: &Element, condition: StanzaCondition) -> Vec<Step> {
        self.failures += 1;
        let answer = Stanza::of(question).and_then(|it| it.error(&condition.into()));
        let mut steps: Vec<Step> = answer.iter().map(|answer| self.write(answer)).collect();
        if self.failures >= TRIES {
            steps.extend(self.ends(StreamCondition::PolicyViolation, "too many failures"));
        }
        steps
    }

    fn ends(&self, condition: StreamCondition, text: &'static str) -> Vec<Step> {
        let error = StreamError::new(condition, text);
        vec![self.write(&error.element()), self.close(), Step::End]
    }
}

/// What is to be said of a new account (XEP-0077 §3.1).
fn form() -> Element {
    let text =
        Element::new(ns::REGISTER, "instructions").with_text("Choose a name and a password.");
    Element::new(ns::REGISTER, "query")
        .with_child(text)
        .with_child(Element::new(ns::REGISTER, "username"))
        .with_child(Element::new(ns::REGISTER, "password"))
}

/// The address of a name, if it can be one.
fn address(name: &str, domain: &str, settings: &Settings) -> Result<Address, StanzaCondition> {
    let jid = Jid::new(Some(name), domain, None).map_err(|_| StanzaCondition::NotAcceptable)?;
    settings.account(&jid).ok_or(StanzaCondition::NotAcceptable)
}

/// A password that one can sign in with.
pub(crate) fn sound(password: String) -> Result<String, StanzaCondition> {
    if is_short(&password) && prep::prepare(&password).is_ok() {
        Ok(password)
    } else {
        Err(StanzaCondition::NotAcceptable)
    }
}

fn is_short(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
}
