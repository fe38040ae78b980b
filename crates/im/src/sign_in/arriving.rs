//! What a client gets within its sign-in by SASL2: the session that it had, or an address (XEP-0388 §2.6.1, XEP-0386 §3.2).
//! By SASL it signs in first, and asks then.

use super::{
    Bound, SignIn, Step,
    stranger::{Arrival, Stage, Stranger, lang, octets},
};
use crate::management::failed;
use bytes::Bytes;
use domain::Address;
use xmpp::{
    StreamId,
    jid::Jid,
    management::WhyFailed,
    ns,
    sasl::Failure,
    sasl2::{Success, alias},
    stream::{Binder, Framing},
    xml::Element,
};

/// Octets of the name that a client gives to itself, as its resource shows it: room for that of any program.
const LONGEST_TAG: usize = 64;

/// A client that has an address, and is told so with the rest.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) bound: Bound,
    /// By which installation.
    pub(crate) client: Option<String>,
    pub(crate) success: Success,
    /// What it wants with its address.
    pub(crate) bind: Element,
}

/// A client that goes on where it was, and is a stranger no more.
#[derive(Debug)]
pub(crate) struct Gone {
    /// The language of its stream.
    pub(crate) lang: Option<Box<str>>,
    /// Whether it has shown a token of somebody else's making, and no password.
    pub(crate) is_bearer: bool,
    /// What it is told with that, if it has not been told yet that it has signed in.
    pub(crate) success: Option<Success>,
}

impl SignIn {
    /// A client has shown who it is by SASL2.
    pub(super) fn arrives(
        &self,
        stranger: &mut Stranger,
        user: &Address,
        message: &[u8],
        token: Option<Element>,
    ) -> Vec<Step> {
        let Ok(jid) = Jid::parse(user.as_str()) else {
            return stranger.fails(Failure::NotAuthorized);
        };
        let wishes = stranger.wishes.as_deref().cloned().unwrap_or_default();
        // XEP-0388 §4.4: who says at first that it is somebody else is not to be believed afterwards.
        let from = stranger.opened.from.as_ref();
        if from.is_some_and(|from| from.bare() != jid) {
            return stranger.fails(Failure::InvalidAuthzid);
        }
        let arrival = Box::new(Arrival {
            user: user.clone(),
            jid,
            success: Success {
                message: message.to_vec(),
                inline: token.into_iter().collect(),
            },
            bind: wishes.bind,
            client: wishes.client,
        });
        match wishes.resume {
            // XEP-0198 §9: before there is an address.
            Some(resume) => {
                let user = arrival.user.clone();
                stranger.stage = Stage::Arriving(arrival);
                vec![Step::Resume(user, resume)]
            }
            None => self.stays(stranger, arrival),
        }
    }

    /// A client does not go on where it was.
    fn stays(&self, stranger: &mut Stranger, arrival: Box<Arrival>) -> Vec<Step> {
        if arrival.bind.is_some() {
            let user = arrival.user.clone();
            stranger.stage = Stage::Arriving(arrival);
            return vec![Step::Enter(user)];
        }
        let (domains, offer) = (self.settings.domains.clone(), self.settings.offer.clone());
        let Arrival {
            user, jid, success, ..
        } = *arrival;
        let told = stranger.write(&success.element(&jid));
        let opened = stranger.opened.clone();
        let (binder, features) =
            Binder::in_the_same_stream(stranger.framing, domains, jid, offer, opened);
        stranger.stage = Stage::SignedIn(user, Box::new(binder));
        let mut steps = vec![Step::SignedIn { anew: false }, told];
        steps.extend(octets(&features).into_iter().map(Step::Write));
        steps
    }

    /// A client has no session to go on with; so much is known of the one that it had. It may still ask for an address.
    pub(crate) fn has_no_way_back(&mut self, stream: StreamId, handled: Option<u32>) -> Vec<Step> {
        let failed = failed(handled, WhyFailed::NoSession);
        let Some(mut stranger) = self.strangers.remove(&stream) else {
            return Vec::new();
        };
        let steps = match std::mem::replace(&mut stranger.stage, Stage::Nothing) {
            Stage::Arriving(mut arrival) => {
                arrival.success.inline.push(failed);
                self.stays(&mut stranger, arrival)
            }
            stage => {
                stranger.stage = stage;
                vec![stranger.write(&failed)]
            }
        };
        self.strangers.insert(stream, stranger);
        steps
    }

    /// How the stream of a client is framed that has shown who it is.
    pub(crate) fn framing(&self, stream: StreamId) -> Option<Framing> {
        let stranger = self.strangers.get(&stream)?;
        let is_known = matches!(stranger.stage, Stage::SignedIn(..) | Stage::Arriving(_));
        is_known.then_some(stranger.framing)
    }

    /// A client that has signed in has an address already, and is a stranger no more.
    pub(crate) fn goes(&mut self, stream: StreamId) -> Option<Gone> {
        let stranger = self.strangers.remove(&stream)?;
        Some(match stranger.stage {
            Stage::SignedIn(_, binder) => Gone {
                lang: lang(binder.opened()),
                is_bearer: stranger.is_bearer,
                success: None,
            },
            Stage::Arriving(arrival) => Gone {
                lang: lang(Some(&stranger.opened)),
                is_bearer: stranger.is_bearer,
                success: Some(arrival.success),
            },
            _ => return None,
        })
    }

    /// A client gets an address within its sign-in, and is a stranger no more. Its resource is the name that it gives to
    /// itself, and one of ours: always the same for an installation (XEP-0386 §3.2.1), else fresh.
    pub(crate) fn enters(&mut self, stream: StreamId, fresh: &str) -> Option<Entry> {
        let stranger = self.strangers.remove(&stream)?;
        let Stage::Arriving(arrival) = stranger.stage else {
            return None;
        };
        let Arrival {
            user,
            jid,
            success,
            bind,
            client,
        } = *arrival;
        let bind = bind?;
        let own = |client: &String| alias(&self.settings.secret, user.as_str(), client);
        let own = client.as_ref().map_or_else(|| fresh.to_owned(), own);
        let tag = bind.child(ns::BIND2, "tag").map(Element::text);
        let tag = tag.filter(|it| !it.is_empty() && it.len() <= LONGEST_TAG);
        let named = tag.and_then(|tag| jid.with_resource(&format!("{tag}/{own}")).ok());
        let jid = named.or_else(|| jid.with_resource(&own).ok())?;
        Some(Entry {
            bound: Bound {
                jid,
                framing: stranger.framing,
                lang: lang(Some(&stranger.opened)),
                is_bearer: stranger.is_bearer,
                answer: Vec::<Bytes>::new(),
            },
            client,
            success,
            bind,
        })
    }
}
