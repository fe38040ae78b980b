//! Clients of an edge that speak XMPP. They are greeted here, by the code that greets them inside; from the moment when one begins
//! to sign in, it and the inside speak with one another.

use super::{
    drain::Left,
    ended::Shown,
    gate::Refused,
    lane::{Lane, Voice},
    places::Place,
    shared::{Bearer, Shared},
};
use crate::{
    api::{AccessTokens, tokens::Kind},
    mutex::locked,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::Address;
use net::{Held, StreamLink, XmppEvent};
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use tunnel::{Header, Spoken};
use xmpp::{
    StreamId, ns,
    sasl::{Failure, oauthbearer::Denial},
    stream::{Framing, Greeted, Heard, Relay, asks_for_account, said},
    xml::Element,
};

/// All of them. As many as there are connections, which have their limit.
pub(super) struct Clients {
    shared: Arc<Shared>,
    lanes: Mutex<HashMap<StreamId, Way>>,
    /// Those whose token is none: whatever they answer to that, they hear next that it has failed (RFC 7628 §3.2.3).
    denied: Mutex<HashMap<StreamId, Framing>>,
}

/// The way of one to the inside, and what is known of it.
type Way = (Arc<Lane>, Arc<Known>);

/// What is known of one.
struct Known {
    framing: Framing,
    /// What it has said last.
    said: Mutex<Said>,
    /// It has signed in.
    is_in: AtomicBool,
}

/// Who one says that it is.
struct Said {
    whose: String,
    /// The token by which it shows that.
    shown: Option<Shown>,
}

impl Said {
    /// What it says by this, and the place that its token has.
    fn by(greeted: &Greeted, bearer: Option<Bearer>) -> (Self, Option<Place>) {
        let Some(Bearer {
            whose,
            shown,
            place,
        }) = bearer
        else {
            let whose = im::steer(greeted, AccessTokens::claimed);
            let whose = whose.as_ref().map_or("", Address::as_str).to_owned();
            return (Self { whose, shown: None }, None);
        };
        // At another domain every token is refused.
        let is_at_home = whose.domain() == greeted.opened.to.domain();
        let said = Self {
            whose: whose.as_str().to_owned(),
            shown: Some(shown).filter(|_| is_at_home),
        };
        (said, Some(place))
    }
}

impl Clients {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            lanes: Mutex::default(),
            denied: Mutex::default(),
        }
    }

    /// Something of a stream goes on, or it does not.
    pub(super) fn says(&self, stream: StreamId, event: XmppEvent, held: Held) {
        match event {
            XmppEvent::Greeted(greeted, link) => self.greeted(stream, &greeted, &link, held),
            XmppEvent::Element(element) => self.element(stream, &element, held),
            XmppEvent::Opened(header) => self.pass(stream, header.said(), held),
            XmppEvent::Ended => self.pass(stream, Framing::Tcp.close().to_vec(), held),
            XmppEvent::Gone => {
                locked(&self.lanes).remove(&stream);
                locked(&self.denied).remove(&stream);
            }
            // No components are served here.
            XmppEvent::Component(_) => {}
        }
    }

    /// Sends so many away; says who is left. Their calls are none of a connection's: they go on by another edge where they were.
    pub(super) fn send_away(&self, most: usize) -> Left {
        let mut lanes = locked(&self.lanes);
        let streams: Vec<_> = lanes.keys().copied().take(most).collect();
        let gone: Vec<_> = streams
            .into_iter()
            .map(|it| (it, lanes.remove(&it)))
            .collect();
        let idle = lanes.len();
        drop(lanes);
        for (stream, _) in &gone {
            self.shared.net.end(*stream);
        }
        Left {
            sent: gone.len(),
            idle,
            calling: 0,
        }
    }

    fn way(&self, stream: StreamId) -> Option<Way> {
        locked(&self.lanes).get(&stream).cloned()
    }

    fn element(&self, stream: StreamId, element: &Element, held: Held) {
        let signs_in = signs_in(element, self.shared.rules().passwords);
        let denied = locked(&self.denied).remove(&stream);
        if let Some(framing) = denied.filter(|_| signs_in) {
            let why = Element::new(ns::SASL, Failure::NotAuthorized.name());
            let failure = Element::new(element.namespace(), "failure").with_child(why);
            let octets = failure.to_octets(framing.context());
            return self.shared.net.write(stream, octets.into());
        }
        match self.way(stream) {
            Some((_, known)) if !known.is_in.load(Ordering::Acquire) && !signs_in => {
                refuse(&self.shared, stream, known.framing, Refused::NotSignedIn);
            }
            _ => self.pass(stream, said(element), held),
        }
    }

    fn pass(&self, stream: StreamId, octets: Vec<u8>, held: Held) {
        match self.way(stream) {
            Some((lane, _)) => lane.pass((octets.into(), held)),
            // Better it comes anew than that something is missing.
            None => self.shared.net.end(stream),
        }
    }

    /// A client's token is none: it is told so as by the inside, and may try again.
    fn denies(&self, stream: StreamId, (framing, greeted): (Framing, &Greeted)) {
        locked(&self.denied).insert(stream, framing);
        let metrics = &self.shared.metrics;
        metrics.edge_refused(Refused::BadToken.name(), 1);
        let denial = STANDARD.encode(Denial::invalid_token().challenge());
        let challenge = Element::new(greeted.element.namespace(), "challenge").with_text(&denial);
        let octets = challenge.to_octets(framing.context());
        self.shared.net.write(stream, octets.into());
    }

    /// A client begins to sign in, for the first time or again.
    fn greeted(&self, stream: StreamId, greeted: &Greeted, link: &StreamLink, held: Held) {
        // Gone while it waited: nobody would say so again.
        if !self.shared.net.is_open(stream.0) {
            return;
        }
        locked(&self.denied).remove(&stream);
        let (shared, framing) = (&self.shared, link.framing);
        let shows = im::bearer(greeted);
        let bearer = match shows.map(|it| shared.bearer(&it, Kind::Access, link.remote.ip())) {
            None if !shared.rules().passwords => {
                return refuse(shared, stream, framing, Refused::NotSignedIn);
            }
            Some(Err(Refused::BadToken)) => return self.denies(stream, (framing, greeted)),
            Some(Err(why)) => return refuse(shared, stream, framing, why),
            None => None,
            Some(Ok(bearer)) => Some(bearer),
        };
        let (said, place) = Said::by(greeted, bearer);
        let whose = said.whose.clone();
        let element = xmpp::stream::said(&greeted.element);
        if let Some((_, known)) = self.way(stream) {
            *locked(&known.said) = said;
            return self.pass(stream, element, held);
        }
        let Some(place) = place.or_else(|| shared.place(link.remote.ip())) else {
            return refuse(shared, stream, framing, Refused::Crowded);
        };
        let known = Arc::new(Known {
            framing,
            said: Mutex::new(said),
            is_in: AtomicBool::new(false),
        });
        let client = Client {
            shared: shared.clone(),
            stream,
            relay: Relay::new(framing),
            known: known.clone(),
        };
        let header = Header {
            spoken: Spoken::Xmpp,
            client: link.remote,
            port: link.local.port(),
            name: shared.net.asked_for(stream.0),
            exporter: link.tls_exporter,
            end_point: link.tls_server_end_point.as_deref().map(Into::into),
        };
        let first = [greeted.opened.said(), element].concat();
        let lane = Lane::open(shared, (header, whose), (first.into(), held), place, client);
        locked(&self.lanes).insert(stream, (Arc::new(lane), known));
    }
}

/// A client does not go on: it is told why, and sent away.
fn refuse(shared: &Shared, stream: StreamId, framing: Framing, why: Refused) {
    shared.metrics.edge_refused(why.name(), 1);
    let error = why.stream_error().element().to_octets(framing.context());
    for octets in [error, framing.close().to_vec()] {
        shared.net.write(stream, octets.into());
    }
    shared.net.end(stream);
}

/// What may be said before anything else; with `passwords`, somebody may ask for an account with one.
fn signs_in(element: &Element, passwords: bool) -> bool {
    let is_sasl = [ns::SASL, ns::SASL2].contains(&element.namespace());
    is_sasl || (passwords && asks_for_account(element))
}

/// One of them, as its lane speaks to it.
struct Client {
    shared: Arc<Shared>,
    stream: StreamId,
    relay: Relay,
    known: Arc<Known>,
}

impl Voice for Client {
    fn tell(&mut self, octets: Bytes) -> io::Result<Option<String>> {
        let (mut who, mut heard) = (None, Vec::new());
        let is_stream = self.relay.heard(&octets, &mut heard);
        for heard in heard {
            match heard {
                Heard::Say(octets) => self.shared.net.write(self.stream, octets.into()),
                Heard::Asked => {
                    // Who shows a token is asked for more when it is none (RFC 7628 §3.2.2).
                    if let Some(token) = locked(&self.known.said).shown.take() {
                        self.shared.has_ended(&token);
                    }
                }
                Heard::SignedIn { restart } => {
                    self.known.is_in.store(true, Ordering::Release);
                    self.shared.net.signed_in(self.stream, restart);
                    who = Some(locked(&self.known.said).whose.clone());
                }
            }
        }
        is_stream.map_err(io::Error::other)?;
        Ok(who)
    }

    fn no_inside(&self) {
        refuse(
            &self.shared,
            self.stream,
            self.known.framing,
            Refused::NoInside,
        );
    }

    fn end(&self) {
        self.shared.net.end(self.stream);
    }
}
