//! Clients that sign in: from the first step of SASL (RFC 6120 §6) or SASL2 (XEP-0388) to their address (RFC 6120 §7).

mod arriving;
mod stranger;
mod tokens;

pub(crate) use arriving::Entry;
pub(crate) use tokens::Of;

use crate::{
    first_words::{self, bindings, first_message, message},
    management::failed,
    settings::Settings,
    vocabulary::Link,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{Address, IdMap, SignInTokens, Timestamp, guard::Verdict, user::ScramKeys};
use hub::Accounts;
use std::{collections::HashSet, net::IpAddr, sync::Arc};
use stranger::{Stage, Stranger, lang, octets};
use xmpp::{
    StreamId,
    jid::Jid,
    management::WhyFailed,
    ns,
    sasl::{
        BindingKind, Failure, Hash, Key, Refusal,
        mechanism::{self, Binds, Mechanism, Needs, Situation},
        oauthbearer::{self, Denial},
        plain::Credentials,
        scram::{NONCE_ENTROPY, Opening, StoredKeys, Terms},
    },
    sasl2,
    stream::{BindRequest, Binder, BinderThen, ConflictPolicy, Framing, Greeted, Settled},
    xml::{Element, Item, StreamCondition},
};

/// Clients that sign in at once: beyond that one is told to try again.
const MOST: usize = 20_000;
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
    /// It has shown who it is, and gets an address within its sign-in (XEP-0386).
    Enter(Address),
    /// Read what this installation of this user's client signs in with.
    ReadTokens(Address, String),
    /// Keep it.
    KeepTokens(Box<SignInTokens>),
    /// Count that it was refused.
    Count(domain::Refusal),
    /// Tell the story of that.
    Tell(Box<Refused>),
}

/// A client was not let in.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The account that it named, whether it exists or not.
    pub(crate) account: String,
    pub(crate) from: IpAddr,
    /// What it was told.
    pub(crate) told: Failure,
    /// What nobody but the operator is.
    pub(crate) why: &'static str,
}

/// A client that has an address.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) jid: Jid,
    pub(crate) framing: Framing,
    /// The language of its stream.
    pub(crate) lang: Option<Box<str>>,
    /// Whether it has shown a token of somebody else's making, and no password.
    pub(crate) is_bearer: bool,
    /// What it is told.
    pub(crate) answer: Vec<Bytes>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct SignIn {
    settings: Arc<Settings>,
    accounts: Accounts,
    strangers: IdMap<StreamId, Stranger>,
    /// Installations whose tokens are being read or kept: at most one for each stranger.
    busy: HashSet<(Address, String)>,
}

/// Entropy for one step: of a nonce, or of the id of a stream.
pub(crate) type Entropy = [u8; NONCE_ENTROPY];

impl SignIn {
    pub(crate) fn new(settings: Arc<Settings>, accounts: Accounts) -> Self {
        Self {
            settings,
            accounts,
            strangers: IdMap::default(),
            busy: HashSet::new(),
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
        (now, entropy): (Timestamp, Entropy),
    ) -> Vec<Step> {
        let known = self.strangers.remove(&stream);
        let mut stranger = Stranger {
            opened: greeted.opened,
            framing: link.framing,
            bindings: bindings(link),
            wishes: None,
            stage: Stage::Nothing,
            is_bearer: false,
            failures: known.map_or(0, |known| known.failures),
            from: link.remote.ip(),
            now,
        };
        if self.strangers.len() >= MOST {
            return stranger.waits(domain::Refusal::NoRoom);
        }
        let steps = self.begins(&mut stranger, &greeted.element, (now, entropy));
        self.strangers.insert(stream, stranger);
        steps
    }

    /// A client that has begun goes on.
    pub(crate) fn read(
        &mut self,
        stream: StreamId,
        item: Item,
        (now, entropy): (Timestamp, Entropy),
    ) -> Vec<Step> {
        let Some(mut stranger) = self.strangers.remove(&stream) else {
            return vec![Step::End];
        };
        stranger.now = now;
        let steps = match (std::mem::replace(&mut stranger.stage, Stage::Nothing), item) {
            (Stage::SignedIn(user, binder), item) => stranger.binds(user, *binder, item, entropy),
            (stage, Item::KeepAlive) => {
                stranger.stage = stage;
                Vec::new()
            }
            (stage, Item::Element(element)) if element.is(stranger.namespace(), "response") => {
                self.responds(&mut stranger, stage, &element)
            }
            (_, Item::Element(element)) if element.is(stranger.namespace(), "abort") => {
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
            lang: lang(binder.opened()),
            framing: stranger.framing,
            is_bearer: stranger.is_bearer,
            answer: octets(&answer),
            jid,
        })
    }

    /// What this user signed in with is no good any more: who is about to sign in with it does not.
    pub(crate) fn signed_out(
        &mut self,
        user: &Address,
        (condition, text): (StreamCondition, &'static str),
    ) -> Vec<(StreamId, Vec<Step>)> {
        let theirs = self.strangers.extract_if(|_, it| it.signs_in_as(user));
        let ends = theirs.map(|(stream, stranger)| {
            // RFC 6120 §6.4.6: nothing is said before its stream begins anew.
            let steps = if stranger.begins_anew() {
                vec![Step::End]
            } else {
                stranger.ends(condition, text)
            };
            (stream, steps)
        });
        ends.collect()
    }

    fn begins(
        &mut self,
        stranger: &mut Stranger,
        first: &Element,
        at: (Timestamp, Entropy),
    ) -> Vec<Step> {
        let octets = if first.is(ns::SASL2, "authenticate") {
            // Whatever is wrong with it, it is answered as one.
            stranger.wishes = Some(Box::default());
            sasl2::Request::read(first).map(|request| {
                stranger.wishes = Some(Box::new(request.wishes));
            })
        } else {
            Ok(())
        };
        let kinds = stranger.kinds();
        let name = first.attr("mechanism").unwrap_or_default();
        let mechanism = match mechanism::chosen(name, &self.situation(&kinds)) {
            Ok(mechanism) => mechanism,
            Err(refusal) => return stranger.fails(refusal.failure()),
        };
        match octets.and_then(|()| first_message(first)) {
            Ok(octets) => self.first(stranger, mechanism, &octets, at),
            Err(failure) => stranger.fails(failure),
        }
    }

    fn responds(&mut self, stranger: &mut Stranger, stage: Stage, response: &Element) -> Vec<Step> {
        let octets = match message(response) {
            Ok(octets) => octets,
            Err(failure) => return stranger.fails(failure),
        };
        match stage {
            Stage::Challenged(exchange, user) => match exchange.verify(&octets) {
                Ok(verified) => self.succeeds(stranger, &verified.user, &verified.message),
                Err(refusal) => self.refused(stranger, &user, refusal),
            },
            Stage::Denied => stranger.fails(oauthbearer::ended(&octets).failure()),
            _ => stranger.fails(Failure::MalformedRequest),
        }
    }

    /// The first message of a mechanism.
    fn first(
        &mut self,
        stranger: &mut Stranger,
        mechanism: Mechanism,
        octets: &[u8],
        (now, entropy): (Timestamp, Entropy),
    ) -> Vec<Step> {
        match mechanism.needs() {
            Needs::Keys(hash) => self.challenge(stranger, mechanism, hash, octets, &entropy),
            Needs::Password => self.password(stranger, octets),
            Needs::Token => self.shows(stranger, mechanism, octets),
            Needs::Bearer => self.bears(stranger, octets, now),
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
        let advertised = first_words::advertised(&kinds, self.settings.bearers.is_some());
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
        let user: Box<str> = opening.user().into();
        if let Err(why) = self.may_try(stranger, &user) {
            return stranger.may_not_try(&user, why);
        }
        let keys = self.keys(stranger.opened.to.domain(), &user, hash);
        let secret = &self.settings.secret;
        let (challenge, exchange) = opening.challenge(keys.as_ref(), secret, entropy);
        stranger.stage = Stage::Challenged(Box::new(exchange), user);
        vec![stranger.challenge(&challenge)]
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

    fn password(&mut self, stranger: &mut Stranger, octets: &[u8]) -> Vec<Step> {
        let domain = stranger.opened.to.domain();
        let given = match Credentials::read(octets, domain) {
            Ok(given) => given,
            Err(refusal) => return stranger.fails(refusal.failure()),
        };
        let address = Address::new(&given.user, domain).ok();
        if let Err(why) = self.may_try(stranger, &given.user) {
            return stranger.may_not_try(&given.user, why);
        }
        let account = address
            .as_ref()
            .and_then(|address| Some((self.accounts.get(address)?, address)));
        let is_right =
            account.is_some_and(|(it, address)| it.secrets.is_of(address, &given.password));
        if is_right {
            self.succeeds(stranger, &given.user, b"")
        } else {
            self.refused(stranger, &given.user, Refusal::BadCredentials)
        }
    }

    /// Whether a password may be tried: the rule is the same for every door (`behaviour.md` 7).
    fn may_try(&self, stranger: &Stranger, user: &str) -> Result<(), domain::Refusal> {
        let guards = self.accounts.guards();
        match guards.ask(stranger.now, stranger.from, &stranger.account(user)) {
            Verdict::Open => Ok(()),
            Verdict::Wait(_) => Err(domain::Refusal::Waiting),
            Verdict::Banned => Err(domain::Refusal::Banned),
        }
    }

    fn refused(&self, stranger: &mut Stranger, user: &str, refusal: Refusal) -> Vec<Step> {
        if !matches!(refusal, Refusal::BadCredentials) {
            return stranger.fails(refusal.failure());
        }
        let guards = self.accounts.guards();
        let account = stranger.account(user);
        guards.wrong(stranger.now, stranger.from, &account);
        let address = account.parse().ok();
        let is_known = address.is_some_and(|it| self.accounts.has(&it));
        let why = if is_known {
            "a wrong password"
        } else {
            "no such user"
        };
        let mut steps = stranger.fails(refusal.failure());
        steps.push(Step::Count(domain::Refusal::Password));
        steps.push(stranger.tells(user, refusal.failure(), why));
        steps
    }

    /// What there is to choose from.
    fn situation<'a>(&self, kinds: &'a [BindingKind]) -> Situation<'a> {
        first_words::situation(kinds, self.settings.bearers.is_some())
    }

    /// A token that somebody else has given to the client (RFC 7628 §3.1). Why it is not good it is told first, and fails then.
    fn bears(&mut self, stranger: &mut Stranger, octets: &[u8], now: Timestamp) -> Vec<Step> {
        let request = match oauthbearer::Request::read(octets) {
            Ok(request) => request,
            Err(refusal) => return stranger.fails(refusal.failure()),
        };
        let domain = stranger.opened.to.domain();
        let bearers = self.settings.bearers.as_ref();
        let user = bearers.and_then(|it| it.user(&request.token, &self.accounts, now));
        let user = user.map(|it| it.address.clone());
        let user = user.filter(|user| user.domain() == domain);
        if let Some(Err(why)) = user.as_ref().map(|it| self.may_show(stranger, it.name())) {
            return stranger.waits(why);
        }
        let Some(user) = user else {
            stranger.stage = Stage::Denied;
            return vec![stranger.challenge(&Denial::invalid_token().challenge())];
        };
        match request.accept(user.name(), domain) {
            Ok(()) => {
                stranger.is_bearer = true;
                self.succeeds(stranger, user.name(), b"")
            }
            Err(refusal) => stranger.fails(refusal.failure()),
        }
    }

    /// RFC 6120 §6.4.6, XEP-0388 §2.6.1.
    fn succeeds(&mut self, stranger: &mut Stranger, user: &str, message: &[u8]) -> Vec<Step> {
        let address = Address::new(user, stranger.opened.to.domain()).ok();
        let jid = address
            .as_ref()
            .and_then(|address| Jid::parse(address.as_str()).ok());
        let (Some(address), Some(jid)) = (address, jid) else {
            return stranger.fails(Failure::NotAuthorized);
        };
        let guards = self.accounts.guards();
        guards.right(stranger.from, address.as_str());
        tracing::debug!(user = %address, "signed in");
        if stranger.wishes.is_some() {
            return match self.may_want(stranger, &address, message) {
                Some(steps) => steps,
                None => self.arrives(stranger, &address, message, None),
            };
        }
        let (domains, offer) = (self.settings.domains.clone(), self.settings.offer.clone());
        let binder = Binder::new(stranger.framing, domains, jid, offer);
        stranger.stage = Stage::SignedIn(address, Box::new(binder));
        let mut success = Element::new(ns::SASL, "success");
        if !message.is_empty() {
            success.push_text(&STANDARD.encode(message));
        }
        vec![Step::SignedIn { anew: true }, stranger.write(&success)]
    }
}

impl Stranger {
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
        self.stage = Stage::SignedIn(user, Box::new(binder));
        steps
    }
}
