//! A WebSocket (RFC 6455) as a framing: first its handshake, then messages for the framing of what goes over it, to which
//! each message is one push.

use std::net::IpAddr;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Framed, Framing, Patience};
use crate::Standing;
use crate::event::Event;
use crate::shared::Shared;
use crate::table::Link;
use crate::websocket::handshake::{self, BANNED, NEEDS_TLS, Outcome, Served, TOO_MANY};
use crate::websocket::{self, Code, Fault, Frame, Frames, Kind};
use crate::{Doorman, Visitor, WebSocketConfig, WebSocketLimits};

/// What goes over a WebSocket. Each push is a whole message, after which all is taken before the next one.
pub(crate) trait Messages: Framing {
    /// As what messages may come.
    const KINDS: &'static [Kind];

    /// Octets of the longest message that is taken now.
    fn most(&self) -> usize;

    /// What the peer is told in its own protocol, as it is on the wire, when nothing more can be read.
    fn told(&self, fault: &Fault) -> Option<Bytes>;
}

/// The request that a WebSocket begins with.
pub(crate) struct Handshake<'s> {
    shared: &'s Shared,
    config: &'s WebSocketConfig,
    protocol: &'static str,
    id: u64,
    remote: IpAddr,
    is_secure: bool,
    read: Vec<u8>,
    by: Instant,
    /// Who is there, once that is agreed.
    client: Option<IpAddr>,
}

impl<'s> Handshake<'s> {
    /// For this connection, over which this protocol is spoken.
    pub(crate) fn new(
        shared: &'s Shared,
        config: &'s WebSocketConfig,
        protocol: &'static str,
        link: &Link,
        is_secure: bool,
    ) -> Self {
        let limits = &shared.limits;
        let whole = limits.first_message.min(limits.websocket.handshake);
        Self {
            by: link.since + whole,
            shared,
            config,
            protocol,
            id: link.flow.id,
            remote: link.flow.remote.ip(),
            is_secure,
            read: Vec::new(),
            client: None,
        }
    }

    /// Who is there: whoever has connected, or is behind a proxy.
    pub(crate) fn client(&self) -> Option<IpAddr> {
        self.client
    }

    fn is_proxy(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || (self.config.is_proxy)(ip)
    }

    fn agreed(&mut self, answer: Vec<u8>, forwarded: &[String]) -> Framed {
        if !self.is_secure && !self.is_proxy(self.remote) {
            return Framed::Refused(NEEDS_TLS.octets().into());
        }
        let forwarded: Vec<&str> = forwarded.iter().map(String::as_str).collect();
        let client = websocket::client(self.remote, &forwarded, |ip| self.is_proxy(ip));
        let mut table = self.shared.table();
        let from = (self.shared.doorman)(client);
        if !table.hails_from(self.id, from, &self.shared.limits) {
            self.shared.counters.refused.add(1);
            let is_banned = from.standing == Standing::Banned;
            let why = if is_banned { BANNED } else { TOO_MANY };
            return Framed::Refused(why.octets().into());
        }
        self.client = Some(client);
        Framed::Upgrade(answer.into())
    }
}

impl Framing for Handshake<'_> {
    fn push(&mut self, octets: &[u8]) {
        self.read.extend_from_slice(octets);
    }

    fn next(&mut self) -> Option<Framed> {
        let config = self.config;
        let documents = self.shared.documents();
        let served = Served {
            path: &config.path,
            protocol: self.protocol,
            origins: &config.origins,
            documents: &documents,
        };
        match handshake::answer(&self.read, &served) {
            Outcome::NeedsMore => None,
            Outcome::Agreed(answer, forwarded) => Some(self.agreed(answer, &forwarded)),
            Outcome::Answered(answer) => Some(Framed::Last(answer.into())),
            Outcome::Refused(refusal) => Some(Framed::Refused(refusal.octets().into())),
        }
    }

    fn is_midway(&self) -> bool {
        !self.read.is_empty()
    }

    fn patience(&self) -> Patience {
        Patience {
            first: None,
            whole: self.shared.limits.websocket.handshake,
            idle: None,
            by: Some(self.by),
        }
    }

    const LINGERS: bool = true;
}

/// The messages of a WebSocket that has begun.
pub(crate) struct WebSocket<'m, M> {
    frames: Frames,
    messages: &'m mut M,
    limits: WebSocketLimits,
    /// What the peer asked last whether we are there with; only that is answered (RFC 6455 §5.5.3).
    asked: Option<Vec<u8>>,
    /// We have asked, and heard nothing since.
    asks: bool,
}

impl<'m, M: Messages> WebSocket<'m, M> {
    pub(crate) fn new(messages: &'m mut M, limits: &WebSocketLimits) -> Self {
        Self {
            frames: Frames::default(),
            messages,
            limits: limits.clone(),
            asked: None,
            asks: false,
        }
    }

    fn read(&mut self) -> Option<Framed> {
        loop {
            if let Some(framed) = self.messages.next() {
                return Some(closing(framed));
            }
            if self.messages.waits() {
                return None;
            }
            match self.frames.next(self.messages.most()) {
                Ok(None) => {
                    let asked = self.asked.take();
                    return asked.map(|asked| Framed::Reply(websocket::pong(&asked)));
                }
                Ok(Some(Frame::Message(kind, octets))) if M::KINDS.contains(&kind) => {
                    self.messages.push(&octets);
                }
                Ok(Some(Frame::Message(..))) => {
                    return Some(self.fails(Fault {
                        code: Code::Unsupported,
                        text: "only text is taken here",
                    }));
                }
                Ok(Some(Frame::Ping(payload))) => self.asked = Some(payload),
                Ok(Some(Frame::Pong)) => {}
                // What goes over it may not have ended, and then goes on over another one if it can.
                Ok(Some(Frame::Close)) => {
                    return Some(Framed::Last(websocket::close(Code::Normal, "")));
                }
                Err(fault) => return Some(self.fails(fault)),
            }
        }
    }

    /// RFC 6455 §7.1.7.
    fn fails(&self, fault: Fault) -> Framed {
        let told = self.messages.told(&fault).unwrap_or_default();
        let close = websocket::close(fault.code, fault.text);
        Framed::Refused([told, close].concat().into())
    }
}

/// Behind the last message comes the last frame.
fn closing(framed: Framed) -> Framed {
    let close = websocket::close(Code::Normal, "");
    match framed {
        Framed::Last(answer) => Framed::Last([answer, close].concat().into()),
        Framed::Refused(answer) => Framed::Refused([answer, close].concat().into()),
        framed => framed,
    }
}

impl<M: Messages> Framing for WebSocket<'_, M> {
    fn push(&mut self, octets: &[u8]) {
        self.asks = false;
        self.frames.push(octets);
    }

    fn next(&mut self) -> Option<Framed> {
        self.read()
    }

    fn is_midway(&self) -> bool {
        self.frames.is_midway()
    }

    fn has_begun(&self) -> bool {
        self.messages.has_begun()
    }

    fn patience(&self) -> Patience {
        let idle = if self.asks {
            self.limits.pong
        } else {
            self.limits.ping_after
        };
        Patience {
            idle: Some(idle),
            ..self.messages.patience()
        }
    }

    fn asks(&mut self) -> Option<Bytes> {
        let first = !std::mem::replace(&mut self.asks, true);
        first.then(websocket::ping)
    }

    fn waits(&self) -> bool {
        self.messages.waits()
    }

    fn answered(&self) -> impl Future<Output = ()> + Send {
        self.messages.answered()
    }

    fn visitor(&self, doorman: &Doorman, remote: IpAddr) -> Visitor {
        self.messages.visitor(doorman, remote)
    }

    fn gone(&self) -> Option<(usize, Event)> {
        self.messages.gone()
    }

    const LINGERS: bool = M::LINGERS;
}
