//! Clients that sign in with a token, and those that are given one (XEP-0484). The tokens of an installation are read from
//! the store, and what has become of them is kept before the client hears of it.

use super::{
    SignIn, Step,
    stranger::{Showing, Stage, Stranger},
};
use crate::first_words::situation;
use bytes::Bytes;
use domain::{Address, SignInTokens, Timestamp};
use hub::NotDone;
use xmpp::{
    StreamId, ns,
    sasl::{
        Failure, Refusal,
        fast::{Accepted, Attempt, Circumstances, Maker, Slots, TOKEN_OCTETS},
        mechanism::{self, Mechanism},
        prep,
    },
    xml::Element,
};

/// Whose tokens are being read or kept, and for which client that signs in.
#[derive(Debug)]
pub(crate) struct Of {
    pub(crate) stream: StreamId,
    pub(crate) user: Address,
    pub(crate) client: String,
    /// What is being kept.
    pub(crate) kept: Option<Bytes>,
}

impl SignIn {
    /// Whether a client with a token may show it: that is no guess, and waits for nobody's guesses.
    pub(super) fn may_show(&self, stranger: &Stranger, user: &str) -> Result<(), domain::Refusal> {
        let guards = self.accounts.guards();
        let is_banned = guards.is_banned(stranger.now, stranger.from, &stranger.account(user));
        (!is_banned).then_some(()).ok_or(domain::Refusal::Banned)
    }

    /// A client shows a token of ours.
    pub(super) fn shows(
        &mut self,
        stranger: &mut Stranger,
        mechanism: Mechanism,
        octets: &[u8],
    ) -> Vec<Step> {
        let wishes = stranger.wishes.as_deref();
        let client = wishes.filter(|it| it.fast.is_some());
        let Some(client) = client.and_then(|it| it.client.clone()) else {
            // XEP-0484 §3.4, §4.1: by SASL2 alone, and by an installation that names itself.
            return stranger.fails(Failure::MalformedRequest);
        };
        let read = Attempt::read(octets).and_then(|attempt| {
            let name = prep::prepare(&attempt.user)?.into_owned();
            Ok((name, attempt))
        });
        let (name, attempt) = match read {
            Ok(read) => read,
            Err(refusal) => return stranger.fails(refusal.failure()),
        };
        let Ok(user) = Address::new(&name, stranger.opened.to.domain()) else {
            return stranger.fails(Failure::NotAuthorized);
        };
        if let Err(why) = self.may_show(stranger, user.name()) {
            return stranger.waits(why);
        }
        let wants = self.wants(stranger);
        self.asks(
            stranger,
            Showing {
                user,
                client,
                attempt: Some((mechanism, attempt)),
                wants,
                message: Vec::new(),
                given: None,
            },
        )
    }

    /// A client has shown who it is; if it wants a token, that is made first (XEP-0484 §3.3). Not for who has shown one of somebody
    /// else's making: ours would outlive that.
    pub(super) fn may_want(
        &mut self,
        stranger: &mut Stranger,
        user: &Address,
        message: &[u8],
    ) -> Option<Vec<Step>> {
        let wants = self.wants(stranger).filter(|_| !stranger.is_bearer)?;
        let client = stranger.wishes.as_deref()?.client.clone()?;
        let showing = Showing {
            user: user.clone(),
            client,
            attempt: None,
            wants: Some(wants),
            message: message.to_vec(),
            given: None,
        };
        Some(self.asks(stranger, showing))
    }

    /// The mechanism for which a client wants a token: one of those that it is offered, else none.
    fn wants(&self, stranger: &Stranger) -> Option<Mechanism> {
        let name = stranger.wishes.as_deref()?.token.as_deref()?;
        let kinds = stranger.kinds();
        let offered = mechanism::offered_fast(&situation(&kinds, self.settings.bearers.is_some()));
        offered.into_iter().find(|it| it.name() == name)
    }

    /// The tokens of an installation are read. Those of one are for one client at a time, or a count could be used twice.
    fn asks(&mut self, stranger: &mut Stranger, showing: Showing) -> Vec<Step> {
        let key = (showing.user.clone(), showing.client.clone());
        if !self.busy.insert(key) {
            return stranger.fails(Failure::TemporaryAuthFailure);
        }
        let step = Step::ReadTokens(showing.user.clone(), showing.client.clone());
        stranger.stage = Stage::Tokens(Box::new(showing));
        vec![step]
    }

    /// The tokens of a client are there.
    pub(crate) fn tokens_read(
        &mut self,
        of: Of,
        kept: Result<Option<Bytes>, NotDone>,
        now: Timestamp,
        seed: [u8; TOKEN_OCTETS],
    ) -> Vec<Step> {
        let stream = of.stream;
        let Some((mut stranger, mut showing)) = self.showing(of) else {
            return Vec::new();
        };
        let Ok(kept) = kept else {
            return self.is_done(
                stream,
                stranger,
                &showing,
                Err(Failure::TemporaryAuthFailure),
            );
        };
        let verifier = self.accounts.get(&showing.user);
        let verifier = verifier.map(|it| it.secrets.stamp());
        let user = showing.user.as_str();
        // Whose account is gone has no tokens that were made with nothing.
        let verifier = verifier.unwrap_or_default();
        let maker = Maker::new(&self.settings.secret, user, &showing.client, &verifier);
        let before = kept.and_then(|it| Slots::decode(&it, &maker));
        let mut slots = before.clone().unwrap_or_default();
        let seconds = now.0 / 1000;
        let mut gives = showing.wants;
        if let Some((mechanism, attempt)) = showing.attempt.take() {
            let accepted = self.verify(&stranger, &mut slots, seconds, mechanism, &attempt);
            match accepted {
                Ok(accepted) => {
                    gives = gives.or(accepted.rotate.then_some(mechanism));
                    showing.message = accepted.message;
                }
                Err(refusal) => {
                    let (user, failure) = (showing.user.name(), refusal.failure());
                    let told = stranger.tells(user, failure, "its token is not good any more");
                    let mut steps = self.is_done(stream, stranger, &showing, Err(failure));
                    steps.push(told);
                    return steps;
                }
            }
        }
        if let Some(mechanism) = gives {
            let token = slots.issue(seconds, mechanism, (seed, &maker), self.settings.tokens);
            let expiry = domain::date::iso8601(Timestamp(token.expires * 1000));
            let element = Element::new(ns::FAST, "token").with_attr("token", token.text());
            showing.given = Some(element.with_attr("expiry", expiry));
        }
        if before.as_ref() == Some(&slots) {
            return self.is_done(stream, stranger, &showing, Ok(()));
        }
        let is_empty = slots == Slots::default();
        let data = if is_empty { Vec::new() } else { slots.encode() };
        let tokens = SignInTokens {
            user: showing.user.clone(),
            client: showing.client.clone(),
            at: now,
            data: data.into(),
        };
        stranger.stage = Stage::Tokens(showing);
        self.strangers.insert(stream, stranger);
        vec![Step::KeepTokens(Box::new(tokens))]
    }

    /// What became of the tokens of a client is kept, or is not.
    pub(crate) fn tokens_kept(&mut self, of: Of, kept: bool) -> Vec<Step> {
        let stream = of.stream;
        let Some((stranger, showing)) = self.showing(of) else {
            return Vec::new();
        };
        let result = kept.then_some(()).ok_or(Failure::TemporaryAuthFailure);
        self.is_done(stream, stranger, &showing, result)
    }

    /// A client whose tokens were asked for. If it is gone meanwhile, they are another's of its user again.
    fn showing(&mut self, of: Of) -> Option<(Stranger, Box<Showing>)> {
        let is_it = |stranger: &Stranger| match &stranger.stage {
            Stage::Tokens(showing) => showing.user == of.user && showing.client == of.client,
            _ => false,
        };
        if self.strangers.get(&of.stream).is_some_and(is_it)
            && let Some(mut stranger) = self.strangers.remove(&of.stream)
            && let Stage::Tokens(showing) = std::mem::replace(&mut stranger.stage, Stage::Nothing)
        {
            return Some((stranger, showing));
        }
        self.busy.remove(&(of.user, of.client));
        None
    }

    fn verify(
        &self,
        stranger: &Stranger,
        slots: &mut Slots,
        seconds: u64,
        mechanism: Mechanism,
        attempt: &Attempt,
    ) -> Result<Accepted, Refusal> {
        let wishes = stranger.wishes.as_deref();
        let circumstances: Circumstances = wishes.and_then(|it| it.fast).unwrap_or_default();
        let (bindings, settings) = (&stranger.bindings, self.settings.tokens);
        slots.verify(
            seconds,
            mechanism,
            attempt,
            circumstances,
            bindings,
            settings,
        )
    }

    /// It is settled whether a client has signed in.
    fn is_done(
        &mut self,
        stream: StreamId,
        mut stranger: Stranger,
        showing: &Showing,
        result: Result<(), Failure>,
    ) -> Vec<Step> {
        let key = (showing.user.clone(), showing.client.clone());
        self.busy.remove(&key);
        let steps = match result {
            Err(failure) => stranger.fails(failure),
            Ok(()) => self.arrives(
                &mut stranger,
                &showing.user,
                &showing.message,
                showing.given.clone(),
            ),
        };
        if !steps.iter().any(|step| matches!(step, Step::End)) {
            self.strangers.insert(stream, stranger);
        }
        steps
    }
}
