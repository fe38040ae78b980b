//! Media that must be relayed, since one party is outside: what a relay is asked, what waits for its answer, and which
//! branches carry descriptions of sessions (RFC 3264) that it must see. What a relay is, and where, only whoever performs
//! knows; without an answer of theirs nothing is rewritten.

pub(crate) mod body;
mod legs;
mod waiting;

pub(crate) use legs::Legs;
pub(crate) use waiting::Waiting;

use crate::settings::is_spiral;
use bytes::Bytes;
use domain::{DeviceId, TrackingId};
use sha2::{Digest, Sha256};
use sip::{Flow, Message, Transport};
use std::{fmt::Write, sync::Arc};

/// Names a question to a relay.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MediaId(pub u64);

/// Where a party is.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Side {
    /// In our network.
    Inside,
    /// It came by an edge.
    Outside,
}

impl Side {
    /// Of whoever is reached by a flow. Another part of a call of ours says itself where its own party is.
    pub(crate) fn of(flow: Flow) -> Self {
        match flow.transport {
            Transport::Edge => Self::Outside,
            _ => Self::Inside,
        }
    }
}

/// Which of the two descriptions of a session this is (RFC 3264 §4).
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Turn {
    /// The first.
    Offer,
    /// What is said to it.
    Answer,
}

/// A description of a session on its way, which a relay is to write itself into.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Description {
    /// The part of a call whose media it is: two parties, and nobody else's.
    pub leg: Arc<str>,
    /// Offer or answer.
    pub turn: Turn,
    /// The tag of who offers, whichever this is.
    pub offerer: String,
    /// The tag of who answers; nothing while that is open.
    pub answerer: Option<String>,
    /// As it came.
    pub sdp: Bytes,
    /// Where it comes from.
    pub from: Side,
    /// Where it goes.
    pub to: Side,
}

/// What a relay made of a description.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Relayed {
    /// It, with the relay in it.
    pub sdp: Bytes,
    /// Which relay, in words.
    pub by: Arc<str>,
}

/// What relays need not know any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Over {
    /// Of this leg.
    pub leg: Arc<str>,
    /// The dialog with these tags, that of who began it first; without them all of the leg. Who was called may have begun
    /// several on one leg (RFC 3261 §12.1), and those go on.
    pub dialog: Option<(String, String)>,
}

/// A request of a dialog whose media may have to be relayed.
#[derive(Clone, Debug)]
pub(crate) struct Relayable {
    pub(crate) leg: Arc<str>,
    pub(crate) tracking: TrackingId,
    /// It was from the start.
    pub(crate) always: bool,
    /// This request is by who began the dialog.
    pub(crate) by_caller: bool,
}

impl Relayable {
    /// Whether it goes by a relay when it comes or goes over these flows.
    pub(crate) fn is_relayed(&self, flows: &[Flow]) -> bool {
        self.always || flows.iter().any(|flow| Side::of(*flow) == Side::Outside)
    }

    /// What is over when this request is a BYE, whoever hangs up.
    pub(crate) fn over(self, bye: &Message) -> Over {
        let (near, far) = (bye.from_tag(), bye.to_tag());
        let (caller, callee) = if self.by_caller {
            (near, far)
        } else {
            (far, near)
        };
        let dialog = caller.zip(callee);
        Over {
            leg: self.leg,
            dialog: dialog.map(|(caller, callee)| (caller.to_owned(), callee.to_owned())),
        }
    }
}

/// A request as it goes to one place by a relay, or so that its answer will.
#[derive(Clone, Debug)]
pub(crate) struct Leg {
    pub(crate) name: Arc<str>,
    pub(crate) tracking: TrackingId,
    pub(crate) from: Side,
    pub(crate) to: Side,
    /// It has a description of its own, so what comes back is the answer to that.
    pub(crate) offers: bool,
    pub(crate) is_invite: bool,
    /// It begins the dialog: if nobody takes it, the relay is done with it.
    pub(crate) begins: bool,
}

impl Leg {
    /// The name of the part of a call between who came over this flow and this device of the callee, if it is known which:
    /// the same for all requests of that dialog, and of no other.
    pub(crate) fn name(tracking: &TrackingId, caller: Flow, device: Option<&DeviceId>) -> Arc<str> {
        let device = device.map(DeviceId::as_str).unwrap_or_default();
        let digest = Sha256::new_with_prefix([u8::from(is_spiral(caller))]);
        let digest = digest.chain_update(device).finalize();
        let mut name = format!("{}-", tracking.as_str());
        for octet in digest.iter().take(4) {
            // Writing to a string does not fail.
            let _ = write!(name, "{octet:02x}");
        }
        name.into()
    }
}

/// How a request goes through a relay.
#[derive(Clone, Debug)]
pub(crate) struct Through {
    pub(crate) leg: Leg,
    /// Its body, if a relay has written it anew.
    pub(crate) body: Option<Vec<u8>>,
}
