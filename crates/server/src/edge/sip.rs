//! Clients of an edge that speak SIP.

use super::{
    calls::Calls,
    drain::Left,
    gate::{Gate, Refused, Terms, is_acknowledged_here, token},
    lane::{Lane, Voice},
    places::Place,
    shared::{Bearer, Shared},
};
use crate::api::tokens::Kind;
use bytes::Bytes;
use net::Held;
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
    flow: Flow,
    gate: Arc<Mutex<Gate>>,
    /// Once something of it may go on.
    lane: Option<Lane>,
    calls: Calls,
}

impl Known {
    fn new(flow: Flow, gate: Arc<Mutex<Gate>>) -> Self {
        Self {
            flow,
            gate,
            lane: None,
            calls: Calls::default(),
        }
    }
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

    /// Sends so many away that are in no call; says who is left.
    pub(super) fn send_away(&mut self, most: usize) -> Left {
        let idle = self.known.values().filter(|it| !it.calls.any());
        let flows: Vec<_> = idle.map(|it| it.flow).take(most).collect();
        for flow in &flows {
            self.gone(*flow);
            self.shared.net.close(*flow);
        }
        let calling = self.known.values().filter(|it| it.calls.any()).count();
        Left {
            sent: flows.len(),
            idle: self.known.len() - calling,
            calling,
        }
    }

    /// A message goes on, or it does not.
    pub(super) fn says(&mut self, flow: Flow, message: &Message, held: Held) {
        let shared = &self.shared;
        // Gone while its message waited: nobody would say so again.
        if !shared.net.is_open(flow.id) || is_acknowledged_here(message) {
            return;
        }
        let gate = self.known.get(&flow.id);
        let gate = gate.map_or_else(Arc::default, |it| it.gate.clone());
        let may = may_go_on(shared, flow, message, &mut lock(&gate));
        let place = match may {
            Ok(place) => place,
            Err(why) => {
                let asks =
                    |terms: Terms<'_>| lock(&gate).is_asked_for_a_token((message, why), terms);
                if shared.by_terms(asks) {
                    ask_for_token(shared, flow, message, why);
                    let new = || Known::new(flow, gate);
                    self.known.entry(flow.id).or_insert_with(new);
                    return;
                }
                return refuse(shared, flow, message, why);
            }
        };
        let brought = (message.bytes().clone(), held);
        let known = self.known.get_mut(&flow.id);
        if let Some((lane, calls)) = known.and_then(|it| Some((it.lane.as_ref()?, &mut it.calls))) {
            calls.says(message);
            return lane.pass(brought);
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
        let lane = Lane::open(shared, (header, whose), brought, place, voice);
        let mut known = Known::new(flow, gate);
        known.calls.says(message);
        known.lane = Some(lane);
        self.known.insert(flow.id, known);
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
    shared.by_terms(|terms| gate.client_says(message, terms))?;
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
    let challenge = why.challenge(message, shared.rules().issuer.as_deref());
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
        if let Some(shown) = gate.has_ended(&message) {
            self.shared.has_ended(shown);
        }
        gate.inside_says(&message)
            .then(|| whose(&gate, &self.first))
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
