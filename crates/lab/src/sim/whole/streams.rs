//! Streams of XMPP at the server's edge: what the task of a connection does, without the connection (`net/src/framing/xmpp.rs`).
//! A client is greeted here; from its sign-in on its stream is a shard's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::Slice;
use shard::Input;
use sip::endpoint::Flow;
use xmpp::StreamId;
use xmpp::ns;
use xmpp::sasl::BindingKind;
use xmpp::stream::{Domains, Framing, Greeter, Then};
use xmpp::xml::{Item, Limits, Reader};

use super::setting::DOMAIN;

/// What a sign-in can be bound to: the server has a certificate.
const BINDING: BindingKind = BindingKind::TlsServerEndPoint;

/// How long a client may take to sign in (behaviour.md 14.1).
const SIGN_IN: Duration = Duration::from_secs(30);

/// After so much silence the probes of TCP have found out whether anybody is there.
const PROBED: Duration = Duration::from_secs(150);

/// One stream, or those that follow one another over one connection.
struct Stream {
    id: StreamId,
    flow: Flow,
    reader: Reader,
    /// Greets it until it has signed in.
    greeter: Option<Greeter>,
    /// When that must be over.
    by: Instant,
    /// When it was heard last, or probed.
    heard: Instant,
    /// Whose it is, once it has begun to sign in.
    shard: Option<usize>,
}

/// What came of something that was read.
#[derive(Default)]
pub(super) struct Heard {
    /// For shards, in this order.
    pub(super) inputs: Vec<(usize, Input)>,
    /// Write this.
    pub(super) answers: Vec<Bytes>,
    /// The connection is of no use any more.
    pub(super) closes: bool,
}

#[derive(Default)]
pub(super) struct Streams {
    /// By the numbers of their connections.
    open: BTreeMap<u64, Stream>,
    /// Streams so far, also of the processes before.
    count: u64,
}

impl Streams {
    /// The process is gone, and all its connections with it.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// Whether the server holds this connection.
    pub(super) fn holds(&self, flow: Flow) -> bool {
        self.open.contains_key(&flow.id)
    }

    /// The connections that the server holds.
    pub(super) fn all(&self) -> impl Iterator<Item = Flow> {
        self.open.values().map(|it| it.flow)
    }

    /// The connection of a stream.
    pub(super) fn flow(&self, id: StreamId) -> Option<Flow> {
        let all = self.open.values();
        all.filter(|it| it.id == id).map(|it| it.flow).next()
    }

    /// A stream has signed in, and begins anew.
    pub(super) fn signed_in(&mut self, id: StreamId, anew: bool) {
        let found = self.open.values_mut().find(|it| it.id == id);
        let Some(stream) = found else {
            return;
        };
        stream.greeter = None;
        if anew {
            stream.reader.restart();
        }
    }

    /// When a connection is to be looked at next.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.open.values().map(Stream::due).min()
    }

    /// A connection whose client should have signed in by now, or that is dead (`net/src/connection.rs` has TCP probe it).
    /// `carries`: whether what is sent arrives.
    pub(super) fn late(&mut self, now: Instant, carries: impl Fn(Flow) -> bool) -> Option<Flow> {
        let late = self.open.values_mut().find(|it| it.due() <= now)?;
        if late.greeter.is_none() && carries(late.flow) {
            late.heard = now;
            return None;
        }
        Some(late.flow)
    }

    /// A connection is gone; its shard is told.
    pub(super) fn closed(&mut self, flow: Flow) -> Option<(usize, Input)> {
        let stream = self.open.remove(&flow.id)?;
        Some((stream.shard?, Input::Im(im::Input::Gone(stream.id))))
    }

    /// Octets arrive; the first of a connection open it.
    pub(super) fn received(
        &mut self,
        now: Instant,
        flow: Flow,
        octets: &[u8],
        shards: usize,
    ) -> Heard {
        let count = &mut self.count;
        let stream = self.open.entry(flow.id).or_insert_with(|| {
            *count += 1;
            Stream::new(now, StreamId(*count), flow)
        });
        stream.heard = now;
        let mut heard = Heard::default();
        stream.reader.push(octets);
        loop {
            match stream.reader.next() {
                Ok(None) => break,
                Ok(Some(item)) => stream.hears(item, shards, &mut heard),
                Err(_) => heard.closes = true,
            }
            if heard.closes {
                break;
            }
        }
        heard
    }
}

impl Stream {
    fn new(now: Instant, id: StreamId, flow: Flow) -> Self {
        Self {
            id,
            flow,
            reader: Reader::new(Limits::default()),
            greeter: Domains::new(DOMAIN, &[]).ok().map(greeter),
            by: now + SIGN_IN,
            heard: now,
            shard: None,
        }
    }

    fn due(&self) -> Instant {
        let probed = self.heard + PROBED;
        if self.greeter.is_some() {
            self.by.min(probed)
        } else {
            probed
        }
    }

    fn hears(&mut self, item: Item, shards: usize, heard: &mut Heard) {
        let begins = matches!(&item, Item::Element(it) if it.is(ns::SASL, "auth"));
        let input = match &mut self.greeter {
            Some(greeter) if begins || self.shard.is_none() => {
                let (answer, then) = greeter.handle(item, "id");
                let pieces = answer.pieces().iter().cloned();
                heard.answers.extend(pieces.map(Bytes::from));
                let greeted = match then {
                    Then::Greeted(greeted) => greeted,
                    Then::Close => {
                        heard.closes = true;
                        return;
                    }
                    _ => return,
                };
                let of = |user| Slice::of(&user).shard(shards);
                let shard = im::steer(&greeted, |_| None).map_or(0, of);
                if let Some(before) = self.shard.replace(shard).filter(|it| *it != shard) {
                    let gone = Input::Im(im::Input::Gone(self.id));
                    heard.inputs.push((before, gone));
                }
                im::Input::Greeted(self.id, greeted, Box::new(self.link()))
            }
            _ => im::Input::Read(self.id, item),
        };
        let shard = self.shard.unwrap_or_default();
        heard.inputs.push((shard, Input::Im(input)));
    }

    fn link(&self) -> im::Link {
        im::Link {
            remote: self.flow.remote,
            edge: None,
            framing: Framing::Tcp,
            exporter: None,
            end_point: Some([1; 32].into()),
        }
    }
}

/// The connection is in TLS from the start.
fn greeter(domains: Domains) -> Greeter {
    let mut greeter = Greeter::new(Framing::Tcp, domains);
    greeter.secured(Arc::new(im::offer(&[BINDING], false)));
    greeter
}
