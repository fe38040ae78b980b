//! What goes into a [`Phone`](super::Phone) and what comes out of it.

use sip::Message;
use sip::endpoint::{Flow, Transmit};

use super::{PhoneError, PhoneEvent, Push};
use crate::phone::chat;

/// Names an order, so that its answer finds whoever gave it. Chosen by the owner.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct OrderId(pub u64);

/// Names a connection that the phone asked for; never used again for another one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(pub u64);

/// Names something that the device API is told.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct WordId(pub u64);

/// What happened outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// The user, or who plays them, wants something.
    Order {
        /// Its name in [`Output::Done`].
        id: OrderId,
        /// What.
        order: Order,
    },
    /// The platform's cloud delivered a push, whether the app runs or not.
    Push(Push),
    /// The network.
    Link(Link),
    /// The network, of a connection for XMPP.
    Chat(chat::Link),
    /// The device API answered.
    Told {
        /// To what it was told.
        word: WordId,
        /// What it said, or why it could not be asked.
        result: Result<(), String>,
    },
    /// The time of [`Phone::next_timeout`](super::Phone::next_timeout) has come.
    Time,
}

/// What the network did.
#[derive(Clone, Debug)]
pub enum Link {
    /// The connection is there, or is at least being opened: what is sent over the flow waits for it. Over UDP a socket
    /// is there.
    Opened {
        /// Which.
        connection: ConnectionId,
        /// Where to send.
        flow: Flow,
    },
    /// There is no way to open it.
    NotOpened {
        /// Which.
        connection: ConnectionId,
        /// In words.
        why: String,
    },
    /// A message arrived.
    Received {
        /// Over which flow.
        flow: Flow,
        /// The message, as it is.
        message: Message,
    },
    /// The connection closed or could not be opened, or sending failed.
    Closed {
        /// Which flow.
        flow: Flow,
    },
}

/// What a phone can be told to do. A call is named by its Call-ID, over XMPP by its session id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Order {
    /// Start the app as its user does: sign in with the device API (if there is one), connect, register.
    Register,
    /// Open the app: connect if need be, register, get what waited.
    Resume,
    /// Tap on what was shown: the app opens.
    Tap,
    /// Put the app to sleep: its connection closes, its registration stays.
    Suspend,
    /// Freeze the app, its connection still up. The device API is told first.
    Background,
    /// Sign out.
    Unregister,
    /// Answer a call; one that rings by `CallKit` only is answered when its INVITE arrives.
    Answer(String),
    /// Decline a call on all devices (`603`).
    Decline(String),
    /// End a call: BYE, or CANCEL while it is not answered yet, or `603` while it rings here; over XMPP by `finish`, `retract`
    /// or `reject`.
    Hangup(String),
    /// Say in every call that is up where the phone is now (re-INVITE with our Contact, RFC 3261 §14.1); over XMPP, propose again
    /// what nobody has taken yet.
    Renew,
    /// Call somebody.
    Call {
        /// Whom: over XMPP if it says `xmpp:`, or if the phone has no other door.
        uri: String,
    },
    /// Send a text message.
    Send {
        /// To whom: over XMPP if it says `xmpp:`, or if the phone has no other door.
        uri: String,
        /// What it says.
        text: String,
    },
    /// The user has read everything that was shown. Over XMPP others hear so, if the phone says it.
    Read,
    /// Show the user so to whoever may see them. Over XMPP.
    Show(chat::Show),
    /// Ask somebody to let us see them. Over XMPP.
    Subscribe {
        /// Their address.
        to: String,
    },
    /// Leave the network for another one: the old connection is lost without a word to the peer.
    ChangeNetwork,
    /// The app dies: no word to the server, nothing remembered but what the platform and the disk keep.
    Crash,
    /// Switch the phone off, as a crash does.
    SwitchOff,
}

/// What to do outside.
#[derive(Clone, Debug)]
pub enum Output {
    /// Open a connection to the server, and say [`Link::Opened`] or [`Link::NotOpened`].
    Connect {
        /// Its name.
        connection: ConnectionId,
    },
    /// Close it after what was sent over it. Nothing more is to be heard of it.
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// Drop it as a network does that is out of reach: the peer hears nothing, not even a FIN.
    Abandon {
        /// Which.
        connection: ConnectionId,
    },
    /// Send a message.
    Transmit(Transmit),
    /// Whatever a connection for XMPP needs; never [`chat::Output::Event`].
    Chat(chat::Output),
    /// Tell the device API, and say [`Input::Told`]. One at a time.
    Tell {
        /// Its name.
        id: WordId,
        /// What.
        word: Word,
    },
    /// An order was carried out, or could not be.
    Done {
        /// Which.
        order: OrderId,
        /// What came of it.
        result: Result<Done, PhoneError>,
    },
    /// For who watches the phone.
    Event(PhoneEvent),
}

/// What the device API is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Word {
    /// What the server needs to push to this device: app, tokens, key.
    Device,
    /// The app is in front.
    Foreground,
    /// It is not.
    Suspended,
}

/// What came of an order that was carried out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Done {
    /// It was.
    Obeyed,
    /// The name of the call that was begun.
    Calling(String),
    /// How the server took the message: 200 delivered, 202 kept.
    Sent(u16),
}
