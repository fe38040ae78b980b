//! The plays of the demo and their clients, by name: one list for those that show them to people (`reveille demo`) and for
//! the tests that play each by the machines alone (`crates/lab/tests/plays`). A play that either leaves out does not pass
//! there. What happens in a play is each one's own.

use domain::{Generation, Platform};
use sip::Transport;

/// A play.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Play {
    /// A call for a phone whose app is in front; one play for each client that has SIP.
    ForegroundCall,
    /// A message for a phone whose app is in front; one play for each client that has SIP.
    ForegroundMessage,
    /// A call for a phone that sleeps; one play for each client that has SIP.
    SuspendedCall,
    /// A message for a phone that sleeps; one play for each client that has SIP.
    SuspendedMessage,
    /// A message over XMPP for a phone whose app is in front; one play for each client.
    ForegroundChat,
    /// A message over XMPP for a phone that sleeps; one play for each client.
    SuspendedChat,
    /// A call over XMPP for a phone whose app is in front; one play for each client.
    ForegroundOffer,
    /// A call over XMPP for a phone that sleeps; one play for each client.
    SuspendedOffer,
    /// A user is seen as away while all their clients sleep; one play for each client.
    Away,
    /// No phone answers yet.
    CallerHearsRinging,
    /// No phone wakes.
    WakeFails,
    /// No phone wakes, and calls are sent on.
    WakeFailsWithForward,
    /// The provider says that a token is dead.
    TokenDead,
    /// Somebody answers on another device.
    AnsweredElsewhere,
    /// The caller gives up.
    CallerGivesUp,
    /// Many messages at once.
    Burst,
    /// A call over XMPP is taken on another device.
    OfferTakenElsewhere,
    /// The caller over XMPP gives up.
    OfferGivenUp,
    /// A user has phones with either door and with both.
    BothDoors,
    /// Many messages at once over XMPP.
    ChatBurst,
    /// A phone falls asleep inside or outside, and is woken for a call on the other side.
    MovesAsleep,
    /// A phone moves to the other side in a call.
    MovesInCall,
    /// A phone falls asleep on one side and is woken for a call over XMPP on the other.
    MovesAsleepOverXmpp,
    /// A phone with both doors moves to the other side while its app is in front.
    MovesInFront,
    /// Nothing that any play did hurts a phone or a cloud.
    PlatformRules,
}

impl Play {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::ForegroundCall,
        Self::ForegroundMessage,
        Self::SuspendedCall,
        Self::SuspendedMessage,
        Self::ForegroundChat,
        Self::SuspendedChat,
        Self::ForegroundOffer,
        Self::SuspendedOffer,
        Self::Away,
        Self::CallerHearsRinging,
        Self::WakeFails,
        Self::WakeFailsWithForward,
        Self::TokenDead,
        Self::AnsweredElsewhere,
        Self::CallerGivesUp,
        Self::Burst,
        Self::OfferTakenElsewhere,
        Self::OfferGivenUp,
        Self::BothDoors,
        Self::ChatBurst,
        Self::MovesAsleep,
        Self::MovesInCall,
        Self::MovesAsleepOverXmpp,
        Self::MovesInFront,
        Self::PlatformRules,
    ];

    /// Whether it is a row of the behaviour table, which every client plays that can.
    pub fn is_for_each_client(self) -> bool {
        matches!(
            self,
            Self::ForegroundCall
                | Self::ForegroundMessage
                | Self::SuspendedCall
                | Self::SuspendedMessage
                | Self::ForegroundChat
                | Self::SuspendedChat
                | Self::ForegroundOffer
                | Self::SuspendedOffer
                | Self::Away
        )
    }

    /// Whether this client plays it: a row of the behaviour table, by a protocol that the client speaks.
    pub fn is_for(self, client: &Client) -> bool {
        let is_by_sip = matches!(
            self,
            Self::ForegroundCall
                | Self::ForegroundMessage
                | Self::SuspendedCall
                | Self::SuspendedMessage
        );
        self.is_for_each_client() && (client.has_sip() || !is_by_sip)
    }
}

/// A client of the behaviour table (`behaviour.md` 2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Client {
    /// As people know it.
    pub name: &'static str,
    /// What it runs on.
    pub platform: Platform,
    /// By how many channels it is pushed to.
    pub generation: Generation,
    /// How it reaches the server over SIP, if it does.
    pub transport: Transport,
    /// Whether it has a door to either when it is played over XMPP, or one to XMPP alone.
    pub both_doors: bool,
}

impl Client {
    const fn new(
        name: &'static str,
        platform: Platform,
        generation: Generation,
        transport: Transport,
        both_doors: bool,
    ) -> Self {
        Self {
            name,
            platform,
            generation,
            transport,
            both_doors,
        }
    }

    /// A page speaks no SIP: that would be SIP over WebSocket (RFC 7118).
    pub fn has_sip(&self) -> bool {
        !self.is_page()
    }

    /// It runs in a browser: over a WebSocket, and it comes to the front only when its user opens it.
    pub fn is_page(&self) -> bool {
        self.platform == Platform::Web
    }

    /// iOS 13 and newer shows a pushed call by itself, before any SIP.
    pub fn has_callkit(&self) -> bool {
        self.platform == Platform::Ios && self.generation == Generation::DualChannel
    }
}

use Generation::{DualChannel, SingleChannel};
use Platform::{Android, Ios, Web};
use Transport::{Tcp, Tls};

/// Jabber on an iPhone before iOS 13.
pub const JABBER_12: Client = Client::new("Jabber iOS 12", Ios, SingleChannel, Tcp, true);
/// Jabber on an iPhone of today.
pub const JABBER_13: Client = Client::new("Jabber iOS 13+", Ios, DualChannel, Tcp, true);
/// Jabber on an Android.
pub const JABBER_DROID: Client = Client::new("Jabber Android", Android, DualChannel, Tcp, true);
/// Webex on an iPhone before iOS 13.
pub const WEBEX_12: Client = Client::new("Webex iOS 12", Ios, SingleChannel, Tls, false);
/// Webex on an iPhone of today.
pub const WEBEX_13: Client = Client::new("Webex iOS 13+", Ios, DualChannel, Tls, false);
/// Webex on an Android.
pub const WEBEX_DROID: Client = Client::new("Webex Android", Android, DualChannel, Tls, false);
/// A page in a browser, which is pushed to by Web Push.
pub const PAGE: Client = Client::new("Web page", Web, DualChannel, Tls, false);

/// All clients.
pub const CLIENTS: [Client; 7] = [
    JABBER_12,
    JABBER_13,
    JABBER_DROID,
    WEBEX_12,
    WEBEX_13,
    WEBEX_DROID,
    PAGE,
];
