//! What goes into a [`Client`](super::Client) and what comes out of it.

use bytes::Bytes;
use xmpp::sasl::scram::ClientSettings;
use xmpp::stream::Framing;

use super::call_word::CallWord;

/// Names a connection that the client asked for; never used again for another one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct StreamNumber(pub u64);

/// Whose client it is, and how it behaves.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says of one extension whether the client uses it, and none depends on another"
)]
pub struct Account {
    /// Left of the `@`.
    pub user: String,
    /// In the clear: it never leaves the client.
    pub password: String,
    /// Right of the `@`; over TLS also the name that the server's certificate must have.
    pub domain: String,
    /// What it wants to be called among its user's clients.
    pub resource: String,
    /// How its stream is framed. Over a WebSocket each message is one write, and one read.
    pub framing: Framing,
    /// What it puts up with of the server when it signs in.
    pub scram: ClientSettings,
    /// Whoever wants to see its user may (RFC 6121 §3.1.4).
    pub approves: bool,
    /// Whoever asks for it is told that a message is there (XEP-0184).
    pub receipts: bool,
    /// It says what its user has read, and asks others to say so of what it writes (XEP-0333).
    pub markers: bool,
    /// It wants copies of what its user's other clients say (XEP-0280).
    pub copies: bool,
    /// What the server needs to push to it, handed over with each new session (XEP-0357).
    pub pushes: Option<Pushes>,
}

/// What the server's push service needs to push to a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pushes {
    /// The app's id in the server's configuration: bundle or package.
    pub app: String,
    /// The token for calls.
    pub voip: String,
    /// The token for messages.
    pub message: String,
    /// The public half of the key to seal with, and its secret, both in base64url.
    pub key: Option<(String, String)>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The app wants something.
    Order(Order),
    /// The network.
    Link(Link),
    /// The time of [`Client::next_timeout`](super::Client::next_timeout) has come.
    Time,
}

/// What the network did. What is about a connection that the client has left is not heard.
#[derive(Clone, Debug)]
pub enum Link {
    /// The connection is there, inside of TLS where there is TLS.
    Opened(StreamNumber),
    /// There is no way to open it.
    NotOpened(StreamNumber, String),
    /// Octets arrived.
    Received(StreamNumber, Bytes),
    /// It is gone.
    Closed(StreamNumber),
}

/// What a client can be told to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Order {
    /// Be signed in from now on, also after a break; or make sure that it is.
    Open,
    /// The app sleeps: the connection closes without a word (the stream does not), what was said and heard over it is kept.
    Sleep,
    /// Somebody looks at the app, or nobody does (XEP-0352).
    Look(bool),
    /// Another network: the old connection is lost without a word to the server.
    Move,
    /// Say goodbye, and be signed in no more.
    SignOut,
    /// The process ends: only what is on disk is kept.
    Die,
    /// Write to somebody; its fate is [`Event::Written`] under this name.
    Write {
        /// Chosen by who orders.
        name: u64,
        /// An address.
        to: String,
        /// What it says.
        text: String,
    },
    /// Say something of a call; no more is heard of it unless it cannot be said ([`Event::Unsaid`]). If it may have got lost
    /// with a session, or the server could not take it, it is said again; what proposes a call in the first case alone.
    SayOfCall {
        /// What.
        word: CallWord,
        /// By its session id.
        call: String,
        /// An address.
        to: String,
    },
    /// Its user has read everything that was shown.
    Read,
    /// Show the user so, from now on.
    Show(Show),
    /// Ask to see somebody (RFC 6121 §3.1.1).
    Subscribe(String),
}

/// How a user shows themselves (RFC 6121 §4.7.2.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Show {
    /// There.
    #[default]
    Available,
    /// Away for a moment.
    Away,
    /// Busy.
    DoNotDisturb,
    /// Not there, for others.
    Unavailable,
}

impl Show {
    /// As people and JSON write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Away => "away",
            Self::DoNotDisturb => "dnd",
            Self::Unavailable => "unavailable",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Available,
            Self::Away,
            Self::DoNotDisturb,
            Self::Unavailable,
        ];
        all.into_iter().find(|it| it.name() == name)
    }
}

/// What is to be done outside.
#[derive(Clone, Debug)]
pub enum Output {
    /// Open a connection to the server, in TLS if it is a real one, and say [`Link::Opened`] or [`Link::NotOpened`].
    Connect(StreamNumber),
    /// Write this.
    Write(StreamNumber, Bytes),
    /// Close it after what was written. Nothing more is to be heard of it.
    Close(StreamNumber),
    /// Drop it as a network does that is out of reach: the server hears nothing.
    Abandon(StreamNumber),
    /// For the app.
    Event(Event),
}

/// What the client goes through. Addresses are as the server writes them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// It is signed in.
    SignedIn {
        /// It goes on where it was (XEP-0198 §5); else it is a new session.
        resumed: bool,
        /// Questions that it had to wait for, from the header of the first stream on.
        round_trips: u32,
    },
    /// It is not; it tries again.
    Refused {
        /// In words.
        why: String,
    },
    /// The connection broke.
    Lost,
    /// It has signed out.
    SignedOut,
    /// A message, the first time.
    Message {
        /// Whose.
        from: String,
        /// What it says.
        text: String,
        /// Its id in the user's archive (XEP-0359), by which it is told from others.
        id: String,
        /// It was read in the archive: it had come while the client was no device.
        archived: bool,
    },
    /// A message that it has already.
    Again {
        /// Its id.
        id: String,
    },
    /// What became of a message that was to be written.
    Written {
        /// As [`Order::Write`] has it.
        name: u64,
        /// The `id` of its stanza; empty if there never was one.
        id: String,
        /// The server has kept it; or why not, in words.
        result: Result<(), String>,
    },
    /// Somebody's client has a message of ours (XEP-0184).
    Delivered {
        /// The `id` of its stanza.
        id: String,
        /// Whose.
        by: String,
    },
    /// Something is said of a call.
    OfCall {
        /// What.
        word: CallWord,
        /// By its session id.
        call: String,
        /// Whose client says so.
        from: String,
        /// It is another client of our own user.
        own: bool,
        /// It was read in the archive.
        archived: bool,
    },
    /// Something that was to be said of a call the server did not take.
    Unsaid {
        /// What.
        word: CallWord,
        /// By its session id.
        call: String,
        /// Why, in words.
        why: String,
    },
    /// How somebody shows themselves.
    Presence {
        /// Whose client.
        from: String,
        /// How.
        show: Show,
    },
    /// The roster is here.
    Contacts {
        /// So many are in it.
        count: usize,
    },
    /// The server pushes to this client from now on; or why not, in words.
    PushesEnabled(Result<(), String>),
    /// What was missed was read in the archive.
    CaughtUp {
        /// So many messages that were new.
        messages: u32,
    },
}
