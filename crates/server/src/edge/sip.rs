//! Clients of an edge that speak SIP.

use super::{
    gate::{Gate, Refused},
    lane::{Lane, Voice},
    shared::Shared,
};
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
    lanes: HashMap<u64, (Lane, Arc<Mutex<Gate>>)>,
}

impl Phones {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            lanes: HashMap::new(),
        }
    }

    /// A connection is gone.
    pub(super) fn gone(&mut self, flow: Flow) {
        self.lanes.remove(&flow.id);
    }

    /// A message goes on, or it does not.
    pub(super) fn says(&mut self, flow: Flow, message: &Message) {
        let shared = &self.shared;
        // Gone while its message waited: nobody would say so again.
        if !shared.net.is_open(flow.id) {
            return;
        }
        let lane = self.lanes.get(&flow.id);
        let mut new = Gate::default();
        let said = match lane {
            Some((_, gate)) => lock(gate).client_says(message, shared.passwords),
            None => new.client_says(message, shared.passwords),
        };
        if let Err(why) = said {
            return refuse(shared, flow, message, why);
        }
        let octets = message.bytes().clone();
        if let Some((lane, _)) = lane {
            if !lane.pass(octets) {
                // The inside does not take what it says: better it comes anew than that something is missing.
                shared.net.close(flow);
            }
            return;
        }
        let Some(place) = shared.place(flow.remote.ip()) else {
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
        let gate = Arc::new(Mutex::new(new));
        let voice = Phone {
            shared: shared.clone(),
            flow,
            gate: gate.clone(),
            first: message.clone(),
            reads: Some(Framer::client(shared.limits)),
        };
        let whose = address(message);
        let lane = Lane::open(shared, (header, whose), octets, place, voice);
        self.lanes.insert(flow.id, (lane, gate));
    }
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
        let signs_in = lock(&self.gate).inside_says(&message);
        signs_in.then(|| address(&message))
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
