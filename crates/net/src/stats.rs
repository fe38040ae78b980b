//! Counters of the sockets, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use sip::endpoint::Transport;

/// The counters, as [`crate::Net::stats`] gives them: totals since the start, unless they say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages received and parsed.
    pub received: u64,
    /// Messages handed to the kernel.
    pub sent: u64,
    /// Messages that could not be parsed.
    pub malformed: u64,
    /// Connections accepted and kept.
    pub accepted: u64,
    /// Connections turned away because of a limit.
    pub refused: u64,
    /// Connections and datagrams turned away because their source is banned.
    pub banned: u64,
    /// Datagrams of strangers dropped unread: more come than can be looked at.
    pub shed: u64,
    /// Connections closed, by us or by their peer, before what that owed had come: a handshake, a first message, the rest of one, a
    /// sign-in. Those of strangers who had proven nothing, and made room for others, are among them.
    pub silent: u64,
    /// Connections open now, accepted and outgoing.
    pub open: usize,
    /// The same by what is spoken over them.
    pub open_by: OpenBy,
    /// Datagrams and queued messages dropped because a queue was full or a send failed.
    pub dropped: u64,
}

/// Connections open now, by what is spoken over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenBy([usize; Spoken::ALL.len()]);

/// What is spoken over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    SipTcp,
    SipTls,
    /// With STARTTLS, and that of components.
    XmppTcp,
    XmppTls,
    XmppWs,
    XmppWss,
}

impl Spoken {
    const ALL: [(Self, &str, &str); 6] = [
        (Self::SipTcp, "sip", "tcp"),
        (Self::SipTls, "sip", "tls"),
        (Self::XmppTcp, "xmpp", "tcp"),
        (Self::XmppTls, "xmpp", "tls"),
        (Self::XmppWs, "xmpp", "ws"),
        (Self::XmppWss, "xmpp", "wss"),
    ];

    /// SIP over this.
    pub(crate) fn sip(transport: Transport) -> Self {
        if transport.is_secure() {
            Self::SipTls
        } else {
            Self::SipTcp
        }
    }

    /// How such a connection begins.
    pub(crate) fn transport(self) -> Transport {
        match self {
            Self::SipTcp | Self::XmppTcp | Self::XmppWs => Transport::Tcp,
            Self::SipTls | Self::XmppTls | Self::XmppWss => Transport::Tls,
        }
    }
}

impl OpenBy {
    /// Protocol, transport, and how many.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, usize)> {
        let names = Spoken::ALL.into_iter();
        names.map(|(spoken, protocol, transport)| (protocol, transport, self.0[spoken as usize]))
    }

    pub(crate) fn opens(&mut self, spoken: Spoken) {
        self.0[spoken as usize] += 1;
    }

    pub(crate) fn closes(&mut self, spoken: Spoken) {
        self.0[spoken as usize] -= 1;
    }
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
    pub(crate) malformed: Counter,
    pub(crate) accepted: Counter,
    pub(crate) refused: Counter,
    pub(crate) banned: Counter,
    pub(crate) shed: Counter,
    pub(crate) silent: Counter,
    pub(crate) dropped: Counter,
}

impl Counters {
    pub(crate) fn snapshot(&self, open: usize, open_by: OpenBy) -> Stats {
        Stats {
            received: self.received.get(),
            sent: self.sent.get(),
            malformed: self.malformed.get(),
            accepted: self.accepted.get(),
            refused: self.refused.get(),
            banned: self.banned.get(),
            shed: self.shed.get(),
            silent: self.silent.get(),
            open,
            open_by,
            dropped: self.dropped.get(),
        }
    }
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
