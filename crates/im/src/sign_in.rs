//! Clients that sign in: from the first step of SASL (RFC 6120 §6) to their address (RFC 6120 §7).

use crate::{
    first_words::{bindings, is_lang, message, offered, situation},
    management::failed,
    settings::Settings,
    vocabulary::Link,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{Address, IdMap, user::ScramKeys};
use hub::Accounts;
use std::sync::Arc;
use xmpp::{
    StreamId,
    jid::Jid,
    management::WhyFailed,
    ns,
    sasl::{
        Binding, BindingKind, Failure, Hash, Key, Refusal,
        mechanism::{self, Binds, Mechanism, Needs},
        plain::Credentials,
        scram::{Exchange, NONCE_ENTROPY, Opening, StoredKeys, Terms},
    },
    stream::{
        Answer, BindRequest, Binder, BinderThen, ConflictPolicy, Framing, Greeted, Opened, Settled,
    },
    xml::{Element, Item, StreamCondition, StreamError},
};

/// Clients that sign in at once: beyond that one is told to try again.
const MOST: usize = 20_000;
/// How often a client may fail on one stream (RFC 6120 §6.4.5).
const TRIES: u8 = 3;

/// What is to be done for a client that signs in.
#[derive(Debug)]
pub(crate) enum Step {
    /// Write this.
    Write(Bytes),
    /// Close its connection after that.
    End,
    /// It has signed in; `anew`: its stream begins again (RFC 6120 §6.4.6).
    SignedIn { anew: bool },
    /// It wants to go on where it was (XEP-0198 §5).
    Resume(Address, Element),
    /// It wants an address.
    Bind(Address, BindRequest),
}

/// A client that has an address.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) jid: Jid,
    pub(crate) framing: Framing,
    /// The language of its stream.
    pub(crate) lang: Option<Box<str>>,
    /// What it is told.
    pub(crate) answer: Vec<Bytes>,
}

/// How far a client got.
#[derive(Debug)]
enum Stage {
    /// It has not begun, or failed.
    Nothing,
    /// It was challenged.
    Challenged(Exchange),
    /// It has signed in, and wants an address.
    SignedIn(Address, Binder),
}

/// A client that signs in.
#[derive(Debug)]
struct Stranger {
    opened: Opened,
    framing: Framing,
    bindings: Vec<Binding>,
    stage: Stage,
    failures: u8,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct SignIn {
    settings: Arc<Settings>,
    accounts: Accounts,
    strangers: IdMap<StreamId, Stranger>,
}

/// Entropy for one step: of a nonce, or of the id of a stream.
pub(crate) type Entropy = [u8; NONCE_ENTROPY];

impl SignIn {
    pub(crate) fn new(settings: Arc<Settings>, accounts: Accounts) -> Self {
        Self {
            settings,
            accounts,
            strangers: IdMap::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.strangers.len()
    }

    pub(crate) fn gone(&mut self, stream: StreamId) {
        self.strangers.remove(&stream);
    }

    /// A client begins, or tries again.
    pub(crate) fn greeted(
        &mut self,
        stream: StreamId,
        greeted: Greeted,
        link: &Link,
        entropy: Entropy,
    ) -> Vec<Step> {
        let known = self.strangers.remove(&stream);
        let mut stranger = Stranger {
            opened: greeted.opened,
            framing: link.framing,
            bindings: bindings(link),
            stage: Stage::Nothing,
            failures: known.map_or(0, |known| known.failures),
        };
        if self.strangers.len() >= MOST {
            return stranger.fails(Failure::TemporaryAuthFailure);
        }
        let steps = self.begins(&mut stranger, &greeted.element, entropy);
        self.strangers.insert(stream, stranger);
        steps
    }

    /// A client that has begun goes on.
    pub(crate) fn read(&mut self, stream: StreamId, item: Item, entropy: Entropy) -> Vec<Step> {
        let Some(mut stranger) = self.strangers.remove(&stream) else {
            return vec![Step::End];
        };
        let steps = match (std::mem::replace(&mut stranger.stage, Stage::Nothing), item) {
            (Stage::SignedIn(user, binder), item) => stranger.binds(user, binder, item, entropy),
            (stage, Item::KeepAlive) => {
                stranger.stage = stage;
                Vec::new()
            }
            (stage, Item::Element(element)) if element.is(ns::SASL, "response") => {
                self.responds(&mut stranger, stage, &element)
            }
            (_, Item::Element(element)) if element.is(ns::SASL, "abort") => {
                stranger.fails(Failure::Aborted)
            }
            (_, Item::Close) => vec![stranger.close(), Step::End],
            _ => stranger.ends(StreamCondition::NotAuthorized, "sign in first"),
        };
        if !steps.iter().any(|step| matches!(step, Step::End)) {
            self.strangers.insert(stream, stranger);
        }
        steps
    }

    /// How the stream of a client is framed that has signed in.
    pub(crate) fn framing(&self, stream: StreamId) -> Option<Framing> {
        let stranger = self.strangers.get(&stream)?;
        matches!(stranger.stage, Stage::SignedIn(..)).then_some(stranger.framing)
    }

    /// A client that has signed in has an address already, and is a stranger no more. Says the language of its stream.
    pub(crate) fn goes(&mut self, stream: StreamId) -> Option<Box<str>> {
        match self.strangers.remove(&stream)?.stage {
            Stage::SignedIn(_, binder) => lang(&binder),
            _ => None,
        }
    }

    /// A client gets an address, and is a stranger no more.
    pub(crate) fn bound(
        &mut self,
        stream: StreamId,
        request: &BindRequest,
        fresh: &str,
    ) -> Option<Bound> {
        let stranger = self.strangers.remove(&stream)?;
        let Stage::SignedIn(user, binder) = stranger.stage else {
            return None;
        };
        let generated = Jid::parse(user.as_str()).ok()?.with_resource(fresh).ok()?;
        // Who is told of the conflict is the one from before.
        let settled = request.settle(ConflictPolicy::Replace, |_| false, generated);
        let (Settled::Free(jid) | Settled::Replaces(jid)) = settled else {
            return None;
        };
        let answer = binder.bound(request, &jid);
        Some(Bound {
            lang: lang(&binder),
            framing: stranger.framing,
            answer: octets(&answer),
            jid,
        })
    }

    fn begins(&self, stranger: &mut Stranger, auth: &Element, entropy: Entropy) -> Vec<Step> {
        let kinds = stranger.kinds();
        let name = auth.attr("mechanism").unwrap_or_default();
        let mechanism = match mechanism::chosen(name, &situation(&kinds)) {
            Ok(mechanism) => mechanism,
            Err(refusal) => return stranger.fails(refusal.failure()),
        };
        match message(auth) {
            Ok(octets) => self.first(stranger, mechanism, &octets, entropy),
            Err(failure) => stranger.fails(failure),
        }
    }

    fn responds(&self, stranger: &mut Stranger, stage: Stage, response: &Element) -> Vec<Step> {
        let octets = match message(response) {
            Ok(octets) => octets,
            Err(failure) => return stranger.fails(failure),
        };
        match stage {
            Stage::Challenged(exchange) => match exchange.verify(&octets) {
                Ok(verified) => self.succeeds(stranger, &verified.user, &verified.message),
                Err(refusal) => stranger.fails(refusal.failure()),
            },
            _ => stranger.fails(Failure::MalformedRequest),
        }
    }

    /// The first message of a mechanism.
    fn first(
        &self,
        stranger: &mut Stranger,
        mechanism: Mechanism,
        octets: &[u8],
        entropy: Entropy,
    ) -> Vec<Step> {
        match mechanism.needs() {
            Needs::Keys(hash) => self.challenge(stranger, mechanism, hash, octets, &entropy),
            Needs::Password => match self.password(stranger, octets) {
                Ok(user) => self.succeeds(stranger, &user, b""),
                Err(refusal) => stranger.fails(refusal.failure()),
            },
            Needs::Bearer | Needs::Token => stranger.fails(Failure::InvalidMechanism),
        }
    }

    fn challenge(
        &self,
        stranger: &mut Stranger,
        mechanism: Mechanism,
        hash: Hash,
        octets: &[u8],
        entropy: &Entropy,
    ) -> Vec<Step> {
        let kinds = stranger.kinds();
        let advertised = mechanism::advertised(&offered(&kinds), Some(&kinds));
        let terms = Terms {
            hash,
            plus: mechanism.binds() != Binds::Never,
            advertised: &advertised,
            bindings: &stranger.bindings,
            domain: stranger.opened.to.domain(),
        };
        let opening = match Opening::read(&terms, octets) {
            Ok(opening) => opening,
            Err(refusal) => return stranger.fails(refusal.failure()),
        };
        let keys = self.keys(stranger.opened.to.domain(), opening.user(), hash);
        let secret = &self.settings.secret;
        let (challenge, exchange) = opening.challenge(keys.as_ref(), secret, entropy);
        stranger.stage = Stage::Challenged(exchange);
        let challenge = Element::new(ns::SASL, "challenge").with_text(&STANDARD.encode(challenge));
        vec![stranger.write(&challenge)]
    }

    fn keys(&self, domain: &str, user: &str, hash: Hash) -> Option<StoredKeys> {
        let account = self.accounts.get(&Address::new(user, domain).ok()?)?;
        let scram = account.secrets.scram.as_ref()?;
        let ScramKeys {
            salt,
            stored,
            server,
        } = match hash {
            Hash::Sha1 => &scram.sha1,
            Hash::Sha256 => &scram.sha256,
        };
        Some(StoredKeys {
            salt: Key::from_slice(salt),
            iterations: scram.iterations,
            stored_key: Key::from_slice(stored),
            server_key: Key::from_slice(server),
        })
    }

    fn password(&self, stranger: &Stranger, octets: &[u8]) -> Result<String, Refusal> {
        let domain = stranger.opened.to.domain();
        let given = Credentials::read(octets, domain)?;
        let address = Address::new(&given.user, domain).map_err(|_| Refusal::BadCredentials)?;
        let account = self.accounts.get(&address);
        let is_right = account.is_some_and(|it| it.secrets.is_of(&address, &given.password));
        is_right
            .then_some(given.user)
            .ok_or(Refusal::BadCredentials)
    }

    /// RFC 6120 §6.4.6.
    fn succeeds(&self, stranger: &mut Stranger, user: &str, message: &[u8]) -> Vec<Step> {
        let address = Address::new(user, stranger.opened.to.domain()).ok();
        let jid = address
            .as_ref()
            .and_then(|address| Jid::parse(address.as_str()).ok());
        let (Some(address), Some(jid)) = (address, jid) else {
            return stranger.fails(Failure::NotAuthorized);
        };
        tracing::debug!(user = %address, "signed in");
        let (domains, offer) = (self.settings.domains.clone(), self.settings.offer.clone());
        let binder = Binder::new(stranger.framing, domains, jid, offer);
        stranger.stage = Stage::SignedIn(address, binder);
        let mut success = Element::new(ns::SASL, "success");
        if !message.is_empty() {
            success.push_text(&STANDARD.encode(message));
        }
        vec![Step::SignedIn { anew: true }, stranger.write(&success)]
    }
}

impl Stranger {
    fn kinds(&self) -> Vec<BindingKind> {
        self.bindings.iter().map(|binding| binding.kind).collect()
    }

    fn write(&self, element: &Element) -> Step {
        Step::Write(element.to_octets(self.framing.context()).into())
    }

    fn close(&self) -> Step {
        Step::Write(Bytes::from_static(self.framing.close()))
    }

    /// The client may try again a few times (RFC 6120 §6.4.5).
    fn fails(&mut self, failure: Failure) -> Vec<Step> {
        self.stage = Stage::Nothing;
        self.failures += 1;
        let condition = Element::new(ns::SASL, failure.name());
        let told = self.write(&Element::new(ns::SASL, "failure").with_child(condition));
        if self.failures < TRIES {
            return vec![told];
        }
        let text = "too many failures";
        let mut steps = self.ends(StreamCondition::PolicyViolation, text);
        steps.insert(0, told);
        steps
    }

    fn ends(&self, condition: StreamCondition, text: &'static str) -> Vec<Step> {
        let error = StreamError::new(condition, text);
        vec![self.write(&error.element()), self.close(), Step::End]
    }

    /// It has signed in: the rest is the binder's.
    fn binds(
        &mut self,
        user: Address,
        mut binder: Binder,
        item: Item,
        entropy: Entropy,
    ) -> Vec<Step> {
        let (answer, then) = binder.handle(item, &STANDARD.encode(entropy));
        let written = octets(&answer).into_iter().map(Step::Write);
        let mut steps: Vec<Step> = written.collect();
        match then {
            BinderThen::Read => {}
            BinderThen::Bind(request) => steps.push(Step::Bind(user.clone(), request)),
            BinderThen::StreamManagement(element) if element.local() == "resume" => {
                steps.push(Step::Resume(user.clone(), element));
            }
            // XEP-0198 §3: not before there is an address.
            BinderThen::StreamManagement(_) => {
                steps.push(self.write(&failed(None, WhyFailed::OutOfTurn)));
            }
            BinderThen::Close => steps.push(Step::End),
        }
        self.stage = Stage::SignedIn(user, binder);
        steps
    }
}

fn lang(binder: &Binder) -> Option<Box<str>> {
    let lang = binder.opened()?.lang.as_deref();
    lang.filter(|lang| is_lang(lang)).map(Into::into)
}

fn octets(answer: &Answer) -> Vec<Bytes> {
    answer.pieces().iter().cloned().map(Bytes::from).collect()
}
