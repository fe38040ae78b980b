//! What is asked of a push client, and what comes of it. The same words for every provider.

use crate::{AppId, Channel, DeviceId, MessageId, Timestamp, TrackingId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

crate::name::names! {
    /// Names one push. The same id again is the same push: whoever carries it may drop the second.
    NotificationId;
}

impl NotificationId {
    /// The id of the push of this kind about this call or message to this device: opaque, and the same every time.
    pub fn of(kind: &str, about: &str, device: &DeviceId) -> Self {
        crate::name::digest(&[kind, about, device.as_str()])
    }
}

/// What a push is about, with what the device needs to know in the clear. Nothing here names a person or quotes a text.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Purpose {
    /// A call rings: wake up, register, take the call.
    Call {
        /// The call's own id, by which the client tells a duplicate.
        call: String,
        /// The address to register at: the node that holds the call.
        register_at: String,
    },
    /// The call for which the device was woken is over. Only where the platform allows such a push (Android).
    CallCancelled {
        /// The call's own id.
        call: String,
    },
    /// Nobody answered, or the caller gave up.
    MissedCall {
        /// The call's own id.
        call: String,
    },
    /// The registration is about to expire: register again, and sleep on. Shows nothing (RFC 8599 §5.5).
    Refresh,
    /// Messages wait.
    Message {
        /// Opaque name of the conversation, the same for all its messages; tells nobody who takes part.
        conversation: String,
        /// How many messages wait on this device.
        unread: u32,
    },
    /// What the device shows of these conversations was read elsewhere: take it away. Shows nothing, and wakes nobody in a hurry.
    Read {
        /// The names that their messages had.
        conversations: Vec<String>,
        /// How many messages still wait on this device.
        unread: u32,
    },
    /// Something happened that the app asks a server of its own about, by ids alone.
    Event(EventPush),
}

/// What an app hears of an event at a server that is not ours: nothing but ids. How many are unread is the push's badge.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventPush {
    /// The event's id there; none: only the number on the icon is another, and nothing is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The id of the room that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Whether the phone is to wake for it at once.
    pub is_urgent: bool,
    /// Ids by which the app tells whose it is, by the names that it gave them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
}

impl Purpose {
    /// The name in payloads, traces and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Call { .. } => "call",
            Self::CallCancelled { .. } => "call_cancelled",
            Self::MissedCall { .. } => "missed_call",
            Self::Refresh => "refresh",
            Self::Message { .. } => "message",
            Self::Read { .. } => "read",
            Self::Event(_) => "event",
        }
    }
}

/// One push to one token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notification {
    /// Ours.
    pub id: NotificationId,
    /// The app profile that says how it travels.
    pub app: AppId,
    /// To whom.
    pub token: String,
    /// Which way.
    pub channel: Channel,
    /// What about.
    pub purpose: Purpose,
    /// Follows it through every part.
    pub tracking: TrackingId,
    /// How long the provider may keep it for a device that is off; zero: now or never.
    pub ttl: Duration,
    /// Later ones with the same key replace earlier ones that are not shown yet. At most 64 bytes.
    pub collapse: Option<String>,
    /// The number on the app's icon.
    pub badge: Option<u32>,
    /// What only the device may read (RFC 8291 `aes128gcm`), if it handed over a key.
    pub sealed: Option<Vec<u8>>,
}

/// What became of a push. The push client sorts every answer of every provider into one of these.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The provider took it.
    Accepted {
        /// The provider's own name for it.
        provider_id: String,
    },
    /// The token is dead: never push to it again, unless it was handed over after `since`.
    TokenDead {
        /// The provider's time of death, where it gives one.
        since: Option<Timestamp>,
        /// The provider's word.
        reason: String,
    },
    /// This push is wrong; the same again would be refused again.
    Refused {
        /// The provider's word.
        reason: String,
    },
    /// Too many; the provider wants us to wait.
    Throttled {
        /// For so long.
        retry_after: Duration,
        /// The provider's word.
        reason: String,
    },
    /// The provider has trouble or cannot be reached.
    Unavailable {
        /// What happened.
        reason: String,
        /// No sooner than this from now may it be tried again.
        retry_after: Duration,
    },
    /// Our credentials were refused: an operator must act.
    Unauthorized {
        /// The provider's word.
        reason: String,
    },
    /// Larger than the platform takes.
    TooLarge,
}

impl Outcome {
    /// The name in traces, metrics and the REST answer (contract).
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::TokenDead { .. } => "token_dead",
            Self::Refused { .. } => "refused",
            Self::Throttled { .. } => "throttled",
            Self::Unavailable { .. } => "unavailable",
            Self::Unauthorized { .. } => "unauthorized",
            Self::TooLarge => "too_large",
        }
    }

    /// The provider's reason, or nothing to say.
    pub fn reason(&self) -> &str {
        match self {
            Self::Accepted { .. } => "",
            Self::TooLarge => "payload too large",
            Self::TokenDead { reason, .. }
            | Self::Refused { reason }
            | Self::Throttled { reason, .. }
            | Self::Unavailable { reason, .. }
            | Self::Unauthorized { reason } => reason,
        }
    }
}

/// A push that is owed: saved together with the state that owes it, done again after a crash, settled when the
/// provider has spoken. Holds what is needed to build the [`Notification`] anew, by device and not by token, so that
/// a token that changed or died meanwhile is seen.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct OwedPush {
    /// Ours; stays the same over repetitions.
    pub id: NotificationId,
    /// To which device.
    pub device: DeviceId,
    /// What about.
    pub purpose: Purpose,
    /// Follows it through every part.
    pub tracking: TrackingId,
    /// The message whose sender and text may be sealed into it.
    pub message: Option<MessageId>,
    /// Not before this.
    pub due: Timestamp,
    /// Given up after this.
    pub until: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}
