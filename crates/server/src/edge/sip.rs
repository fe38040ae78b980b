//! Clients of an edge that speak SIP.

use super::{
    calls::Calls,
    drain::Left,
    gate::{Gate, Refused, Terms, is_acknowledged_here, token},
    inward::Brought,
    lane::{Lane, Voice},
    owing::Owing,
    places::Place,
    shared::{Bearer, Shared},
};
use crate::{api::tokens::Kind, mutex::locked};
use bytes::Bytes;
use net::{ById, Held};
use sip::{Flow, Frame, Framer, Message, endpoint::Transmit};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};
use tunnel::{Header, Spoken};

/// All of them. As many as there are connections, which have their limit.
pub(super) struct Phones {
    shared: Arc<Shared>,
    known: Mutex<ById<Arc<Known>>>,
    owing: Mutex<Owing>,
}

/// One that has said something.
struct Known {
    flow: Flow,
    gate: Mutex<Gate>,
    goes_on: Mutex<GoesOn>,
}

/// What of it goes on.
#[derive(Default)]
struct GoesOn {
    /// Once something may.
    lane: Option<Lane>,
    calls: Calls,
}

impl Phones {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            known: Mutex::default(),
            owing: Mutex::default(),
        }
    }

    /// Sends those away whose time to sign in is over. Of who has asked an inside for it, the lane sees to that.
    pub(super) fn look(&self) {
        let overdue = locked(&self.owing).overdue();
        for flow in overdue {
            let known = self.known().get(&flow.id).cloned();
            if known.is_some_and(|it| locked(&it.goes_on).lane.is_none()) {
                let why = Refused::NotSignedIn.name();
                self.shared.metrics.edge_refused(why, 1);
                self.shared.net.close(flow);
                self.gone(flow);
            }
        }
    }

    /// A connection is gone.
    pub(super) fn gone(&self, flow: Flow) {
        let gone = self.known().remove(&flow.id);
        if let Some(gone) = gone {
            locked(&gone.goes_on).lane = None;
        }
    }

    /// Sends so many away that are in no call; says who is left.
    pub(super) fn send_away(&self, most: usize) -> Left {
        let known: Vec<_> = self.known().values().cloned().collect();
        let (calling, idle): (Vec<_>, Vec<_>) = known
            .into_iter()
            .partition(|it| locked(&it.goes_on).calls.any());
        for phone in idle.iter().take(most) {
            self.shared.net.close(phone.flow);
            self.gone(phone.flow);
        }
        let sent = idle.len().min(most);
        Left {
            sent,
            idle: idle.len() - sent,
            calling: calling.len(),
        }
    }

    /// A message goes on, or it does not.
    pub(super) fn says(&self, flow: Flow, message: &Message, held: Held) {
        let shared = &self.shared;
        // Sent away before it was read: nobody would say so again.
        if !shared.net.is_open(flow.id) {
            return;
        }
        let known = self.known_by(flow);
        if is_acknowledged_here(message) {
            return;
        }
        let may = may_go_on(shared, flow, message, &mut locked(&known.gate));
        let place = match may {
            Ok(place) => place,
            Err(why) => {
                let asks = |terms: Terms<'_>| {
                    locked(&known.gate).is_asked_for_a_token((message, why), terms)
                };
                if shared.by_terms(asks) {
                    return ask_for_token(shared, flow, message, why);
                }
                return refuse(shared, flow, message, why);
            }
        };
        let brought = (message.bytes().clone(), held);
        let mut goes_on = locked(&known.goes_on);
        goes_on.calls.says(message);
        if let Some(lane) = &goes_on.lane {
            return lane.pass(brought);
        }
        // Sent away meanwhile, and its lane with it.
        if !shared.net.is_open(flow.id) {
            return;
        }
        let Some(place) = place.or_else(|| shared.place(flow.remote.ip())) else {
            return refuse(shared, flow, message, Refused::Crowded);
        };
        goes_on.lane = Some(known.opens(shared, message, brought, place));
    }

    /// A connection has brought what is no message.
    pub(super) fn babbles(&self, flow: Flow) {
        if self.shared.net.is_open(flow.id) {
            self.known_by(flow);
        }
    }

    /// Whose message it is. Whoever says something for the first time has so long to sign in from then on.
    fn known_by(&self, flow: Flow) -> Arc<Known> {
        use std::collections::hash_map::Entry;
        match self.known().entry(flow.id) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => {
                locked(&self.owing).begins(flow);
                place.insert(Arc::new(Known::new(flow))).clone()
            }
        }
    }

    /// Held for a look-up only.
    fn known(&self) -> MutexGuard<'_, ById<Arc<Known>>> {
        locked(&self.known)
    }
}

impl Known {
    fn new(flow: Flow) -> Self {
        Self {
            flow,
            gate: Mutex::default(),
            goes_on: Mutex::default(),
        }
    }

    /// Opens its way to the inside, beginning with this message.
    fn opens(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        message: &Message,
        brought: Brought,
        place: Place,
    ) -> Lane {
        let flow = self.flow;
        let header = Header {
            spoken: Spoken::SipTls,
            client: flow.remote,
            port: flow.local.port(),
            name: shared.net.asked_for(flow.id),
            exporter: None,
            end_point: None,
        };
        let whose = whose(&locked(&self.gate), message);
        let begins = (message.clone(), Framer::client(shared.limits));
        let voice = Phone {
            shared: shared.clone(),
            known: self.clone(),
            begins: Some(Box::new(begins)),
        };
        Lane::open(shared, (header, whose), brought, place, voice)
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

/// The address that a REGISTER, or the answer to one, is about.
fn address(message: &Message) -> String {
    let to = message.to().ok().map(|to| to.uri);
    let address = to.map(|uri| format!("{}@{}", uri.user_decoded().unwrap_or_default(), uri.host));
    address.unwrap_or_default().to_ascii_lowercase()
}

/// One of them, as its lane speaks to it.
pub(super) struct Phone {
    shared: Arc<Shared>,
    known: Arc<Known>,
    /// Its first message, and what the inside says to it, which is read until it has let the client in.
    begins: Option<Box<(Message, Framer)>>,
}

impl Phone {
    /// Whom this lets in.
    fn signs_in(&self, octets: &[u8], (first, framer): &mut (Message, Framer)) -> Option<String> {
        framer.push(octets);
        let mut who = None;
        while let Ok(Some(frame)) = framer.next() {
            let Frame::Message(message) = frame else {
                continue;
            };
            let mut gate = locked(&self.known.gate);
            if let Some(shown) = gate.has_ended(&message) {
                self.shared.has_ended(shown);
            }
            if gate.inside_says(&message) {
                who = who.or_else(|| Some(whose(&gate, first)));
            }
        }
        who
    }
}

impl Voice for Phone {
    fn tell(&mut self, octets: Bytes) -> io::Result<Option<String>> {
        let mut who = None;
        if let Some(mut begins) = self.begins.take() {
            who = self.signs_in(&octets, &mut begins);
            if who.is_some() {
                self.shared.net.is_proven(self.known.flow.id);
            } else {
                self.begins = Some(begins);
            }
        }
        self.shared.net.send(Transmit {
            flow: self.known.flow,
            bytes: octets,
        });
        Ok(who)
    }

    fn no_inside(&self) {
        // It is told before anything was said to it.
        if let Some(begins) = &self.begins {
            refuse(&self.shared, self.known.flow, &begins.0, Refused::NoInside);
        }
    }

    fn end(&self) {
        self.shared.net.close(self.known.flow);
    }
}
