//! Clients of an edge that speak SIP.

use super::{
    gate::{Gate, Refused, is_acknowledged_here, refuses_token, token},
    lane::{Lane, Voice},
    places::Place,
    shared::{Bearer, Shared},
};
use crate::api::tokens::Kind;
use bytes::Bytes;
use sip::{Flow, Frame, Framer, Message, endpoint::Transmit};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tunnel::{Header, Spoken};

/// All of them. As many as there are connections, which have their limit.
pub(super) struct Phones {
    shared: Arc<Shared>,
    known: HashMap<u64, Known>,
}

/// One that has tried to sign in.
struct Known {
    gate: Arc<Mutex<Gate>>,
    /// Once something of it may go on.
    lane: Option<Lane>,
}

impl Phones {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            known: HashMap::new(),
        }
    }

    /// A connection is gone.
    pub(super) fn gone(&mut self, flow: Flow) {
        self.known.remove(&flow.id);
    }

    /// A message goes on, or it does not.
    pub(super) fn says(&mut self, flow: Flow, message: &Message) {
        let shared = &self.shared;
        // Gone while its message waited: nobody would say so again.
        if !shared.net.is_open(flow.id) || is_acknowledged_here(message) {
            return;
        }
        let known = self.known.get(&flow.id);
        let gate = known.map_or_else(Arc::default, |it| it.gate.clone());
        let may = may_go_on(shared, flow, message, &mut lock(&gate));
        let place = match may {
            Ok(place) => place,
            Err(why) => {
                let terms = shared.rules.terms();
                if lock(&gate).is_asked_for_a_token((message, why), terms) {
                    ask_for_token(shared, flow, message, why);
                    self.known
                        .entry(flow.id)
                        .or_insert(Known { gate, lane: None });
                    return;
                }
                return refuse(shared, flow, message, why);
            }
        };
        let octets = message.bytes().clone();
        if let Some(lane) = known.and_then(|it| it.lane.as_ref()) {
            if !lane.pass(octets) {
                // The inside does not take what it says: better it comes anew than that something is missing.
                shared.net.close(flow);
            }
            return;
        }
        let Some(place) = place.or_else(|| shared.place(flow.remote.ip())) else {
            return refuse(shared, flow, message, Refused::Crowded);
        };
        let header = Header {
            spoken: Spoken::SipTls,
            client: flow.remote,
            port: flow.local.port(),
            name: shared.net.asked_for(flow.id),
            exporter: None,
            end_point: None,
        };
        let whose = whose(&lock(&gate), message);
        let voice = Phone {
            shared: shared.clone(),
            flow,
            gate: gate.clone(),
            first: message.clone(),
            reads: Some(Framer::client(shared.limits)),
        };
        let lane = Some(Lane::open(shared, (header, whose), octets, place, voice));
        self.known.insert(flow.id, Known { gate, lane });
    }
}

/// Whether a message goes on, with the place that its token has, if it shows one that was not known of it before.
fn may_go_on(
    shared: &Shared,
    flow: Flow,
    message: &Message,
    gate: &mut Gate,
) -> Result<Option<Place>, Refused> {
    let is_known = |token: &str| {
        gate.shown()
            .is_some_and(|it| shared.vouches_still(it, token))
    };
    let place = match token(message).filter(|it| !is_known(it)) {
        None => None,
        Some(token) => {
            let Bearer {
                whose,
                shown,
                place,
            } = shared.bearer(token, Kind::Access, flow.remote.ip())?;
            gate.bears(whose, shown)?;
            Some(place)
        }
    };
    gate.client_says(message, shared.rules.terms())?;
    Ok(place)
}

/// Whose inside it is: of the user whose token it shows, else of the one whom it registers.
fn whose(gate: &Gate, message: &Message) -> String {
    let bearer = gate.whose().map(|it| it.as_str().to_owned());
    bearer.unwrap_or_else(|| address(message))
}

/// A message does not go on, and its sender may try again with another token.
fn ask_for_token(shared: &Shared, flow: Flow, message: &Message, why: Refused) {
    shared.metrics.edge_refused(why.name(), 1);
    let challenge = why.challenge(message, shared.rules.issuer.as_deref());
    shared.net.send(Transmit {
        flow,
        bytes: challenge.bytes().clone(),
    });
}

/// A message does not go on: it is answered, if it is a request, and its sender is sent away.
fn refuse(shared: &Shared, flow: Flow, message: &Message, why: Refused) {
    shared.metrics.edge_refused(why.name(), 1);
    // A response and an ACK are answered by nobody.
    if message.is_request() && message.method() != Some(sip::Method::Ack) {
        shared.net.send(Transmit {
            flow,
            bytes: why.response(message).bytes().clone(),
        });
    }
    shared.net.close(flow);
}

fn lock(gate: &Mutex<Gate>) -> MutexGuard<'_, Gate> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address that a REGISTER, or the answer to one, is about.
fn address(message: &Message) -> String {
    let to = message.to().ok().map(|to| to.uri);
    let address = to.map(|uri| format!("{}@{}", uri.user_decoded().unwrap_or_default(), uri.host));
    address.unwrap_or_default().to_ascii_lowercase()
}

/// One of them, as its lane speaks to it.
struct Phone {
    shared: Arc<Shared>,
    flow: Flow,
    gate: Arc<Mutex<Gate>>,
    first: Message,
    /// What the inside says is read until it has let the client in.
    reads: Option<Framer>,
}

impl Phone {
    /// Whom this message lets in.
    fn signs_in(&self, frame: &Frame) -> Option<String> {
        let Frame::Message(octets) = frame else {
            return None;
        };
        let message = Message::parse(octets.clone(), &self.shared.limits).ok()?;
        let mut gate = lock(&self.gate);
        if refuses_token(&message)
            && let Some(shown) = gate.shown()
        {
            self.shared.has_ended(shown);
        }
        gate.inside_says(&message).then(|| whose(&gate, &message))
    }
}

impl Voice for Phone {
    fn tell(&mut self, octets: Bytes) -> io::Result<Option<String>> {
        let mut who = None;
        if let Some(mut framer) = self.reads.take() {
            framer.push(&octets);
            while let Ok(Some(frame)) = framer.next() {
                who = who.or_else(|| self.signs_in(&frame));
            }
            self.reads = who.is_none().then_some(framer);
        }
        self.shared.net.send(Transmit {
            flow: self.flow,
            bytes: octets,
        });
        Ok(who)
    }

    fn no_inside(&self) {
        refuse(&self.shared, self.flow, &self.first, Refused::NoInside);
    }

    fn end(&self) {
        self.shared.net.close(self.flow);
    }
}
