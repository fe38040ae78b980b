//! What a phone goes through, for who watches it.

use std::fmt;

use domain::Channel;
use serde::Serialize;

/// Who a call or a message is from, as far as the phone could tell out of a push.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Caller {
    /// The name to show.
    pub name: String,
    /// The number or address.
    pub number: String,
}

impl fmt::Display for Caller {
    /// The name with the number, or what there is of the two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.number.as_str()) {
            (name, "") => f.write_str(name),
            ("", number) => f.write_str(number),
            (name, number) => write!(f, "{name} ({number})"),
        }
    }
}

/// One step. A call is named by its Call-ID everywhere, over XMPP by its session id.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum PhoneEvent {
    /// The server took the registration.
    Registered {
        /// For so many seconds.
        expires: u64,
        /// REGISTERs that it took: 1 with a nonce that was still good, 2 with a challenge.
        round_trips: u32,
    },
    /// The server did not.
    RegistrationFailed {
        /// Status, or what went wrong.
        why: String,
    },
    /// The server forgot us, as we asked.
    Unregistered,
    /// It is signed in over XMPP.
    SignedIn {
        /// It goes on where it was (XEP-0198 §5); else it is a new session.
        resumed: bool,
        /// Answers that it waited for, once the connection was there.
        round_trips: u32,
    },
    /// It is not; a phone in the foreground tries again.
    SignInFailed {
        /// What went wrong.
        why: String,
    },
    /// It has signed out over XMPP.
    SignedOut,
    /// The connection for XMPP broke; a phone in the foreground tries again.
    StreamLost,
    /// The server pushes to the phone's XMPP client from now on.
    PushesEnabled,
    /// It does not.
    PushesRefused {
        /// Why, in its words.
        why: String,
    },
    /// What was missed over XMPP was read in the archive.
    CaughtUp {
        /// So many messages that were new.
        messages: u32,
    },
    /// The roster is here.
    ContactsRead {
        /// So many are in it.
        count: usize,
    },
    /// How somebody shows themselves.
    PresenceSeen {
        /// Whose client, as an address.
        from: String,
        /// `available`, `away`, `dnd` or `unavailable`.
        show: &'static str,
    },
    /// Somebody's client has a message of ours (XEP-0184).
    MessageDelivered {
        /// The id under which it was sent.
        id: String,
        /// Whose, as an address.
        by: String,
    },
    /// The connection broke; a phone in the foreground tries again.
    ConnectionLost,
    /// The phone left its network for another one.
    NetworkChanged,
    /// The app went to the background, its connection still up.
    Backgrounded,
    /// The app was suspended, its connection is closed.
    Suspended,
    /// The app came to the foreground.
    Resumed {
        /// By itself because of a push, or by the user.
        by_push: bool,
    },
    /// The user tapped on what was shown, or on the app.
    Tapped,
    /// The app died without a word.
    Crashed,
    /// A push arrived.
    Pushed {
        /// Which way; of a token for both channels, what the payload says.
        channel: Channel,
        /// `call`, `call_cancelled`, `missed_call`, `message`; empty if it says none.
        kind: String,
        /// The call it is about.
        call: Option<String>,
        /// The tracking id.
        tracking: Option<String>,
        /// Who is calling or writing: only the phone can know, for it was sealed.
        caller: Option<Caller>,
    },
    /// The call was known from its INVITE already, or the INVITE came over the live connection meanwhile.
    DuplicatePushDropped {
        /// Which call.
        call: String,
    },
    /// iOS shows the incoming call, before any SIP.
    CallKitRinging {
        /// Which call.
        call: String,
        /// Out of the push; `Unknown` if nothing could be unsealed.
        name: String,
        /// Out of the push.
        number: String,
    },
    /// iOS took the screen of a call away.
    CallKitClosed {
        /// Which call.
        call: String,
    },
    /// The platform showed a notification.
    NotificationShown {
        /// `message` or `missed_call`.
        kind: String,
        /// Who it is from, if it was sealed into the push.
        from: Option<Caller>,
        /// The text, if it was sealed into the push.
        text: Option<String>,
        /// How many messages wait.
        unread: Option<u32>,
    },
    /// What notifications stood for was read on another device: they are gone.
    NotificationsRemoved {
        /// How many stood there.
        removed: usize,
        /// How many messages still wait.
        unread: Option<u32>,
    },
    /// An INVITE arrived.
    InviteReceived {
        /// Which call.
        call: String,
        /// The caller's name, else the address.
        from: String,
    },
    /// A call was proposed over XMPP (XEP-0353).
    Proposed {
        /// Which call, by its session id.
        call: String,
        /// Whose client calls.
        from: String,
    },
    /// The phone rings, and said so to the caller.
    Ringing {
        /// Which call.
        call: String,
    },
    /// We call somebody.
    Calling {
        /// Which call.
        call: String,
        /// Whom.
        to: String,
    },
    /// The other side rings, or something like it.
    Progress {
        /// Which call.
        call: String,
        /// 100 to 199.
        status: u16,
    },
    /// Somebody answered: we a call to us, or the other side ours.
    Answered {
        /// Which call.
        call: String,
    },
    /// The ACK to our answer is here: the call is up at both ends.
    Connected {
        /// Which call.
        call: String,
    },
    /// The other side says in a call that is up where they are now.
    Renewed {
        /// Which call.
        call: String,
    },
    /// The other side knows where we are now in a call that is up.
    RenewalTaken {
        /// Which call.
        call: String,
    },
    /// Our call was refused, or nobody was there.
    CallFailed {
        /// Which call.
        call: String,
        /// The final status.
        status: u16,
        /// In words.
        reason: String,
    },
    /// A call to us stopped before we answered.
    Cancelled {
        /// Which call.
        call: String,
        /// The text of the Reason header, or the header; `push` if a push said so.
        reason: Option<String>,
    },
    /// A call is over.
    Ended {
        /// Which call.
        call: String,
        /// We ended or declined it.
        by_us: bool,
    },
    /// A message was delivered, the first time.
    MessageReceived {
        /// Whose, as an address.
        from: String,
        /// What it says.
        text: String,
        /// Its Call-ID; over XMPP its id in the archive.
        id: String,
    },
    /// A message that we had already came again.
    DuplicateMessageDropped {
        /// Its Call-ID.
        id: String,
    },
    /// The server took our message.
    MessageSent {
        /// Its Call-ID.
        id: String,
        /// 200: delivered; 202: kept for later.
        status: u16,
    },
    /// We were woken for a call whose INVITE never came. (A phone under the CallKit rule is killed for it.)
    WokenForNothing {
        /// Which call.
        call: String,
    },
    /// iOS killed the app, and sends it no `voip` pushes any more.
    Killed {
        /// The rule that was broken.
        why: String,
    },
}
