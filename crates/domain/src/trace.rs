//! The story of one call or message, step by step, by tracking id: the answer to "why did my phone not ring?".

use crate::{Address, DeviceId, Timestamp};
use serde::{Deserialize, Serialize};

crate::name::names! {
    /// Follows one call or message through every part.
    TrackingId;
}

/// One step of the story.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// Whose story.
    pub tracking: TrackingId,
    /// When.
    pub at: Timestamp,
    /// What happened: a short name that stays stable, as `push_sent`.
    pub step: Step,
    /// Another name under which this story is asked for, as the call's own id. Set on its first step.
    pub alias: Option<String>,
    /// On which device, if on one.
    pub device: Option<DeviceId>,
    /// In words, for the operator; no message text, no passwords, no whole tokens.
    pub detail: String,
}

impl TraceEvent {
    /// The first step of a story that is asked for by this name, too; so much of it as is reasonable.
    pub fn first(
        (tracking, at): (TrackingId, Timestamp),
        step: Step,
        alias: &str,
        detail: String,
    ) -> Self {
        Self {
            tracking,
            at,
            step,
            alias: Some(short(alias)),
            device: None,
            detail,
        }
    }
}

/// Most characters of what a peer said that go into a story.
const SHORT: usize = 256;

/// What a peer said, as it goes into a story.
pub fn short(text: &str) -> String {
    text.chars().take(SHORT).collect()
}

/// A user with their devices, as stories name them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    /// The user.
    pub user: Address,
    /// Their devices, those that are gone included as far as they are known.
    pub devices: Vec<DeviceId>,
}

impl Named {
    /// Whether a step is about them.
    pub fn is_in(&self, event: &TraceEvent) -> bool {
        let of_theirs =
            |device: &DeviceId| self.devices.contains(device) || self.is_named(device.as_str());
        event.device.as_ref().is_some_and(of_theirs) || self.is_named(&event.detail)
    }

    /// Whether a text has the user's address in it, and not one that only ends or begins like it.
    fn is_named(&self, text: &str) -> bool {
        let address = self.user.as_str();
        let is_more = |letter: Option<char>| {
            letter.is_some_and(|it| it.is_alphanumeric() || "-_.+%".contains(it))
        };
        text.match_indices(address).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let mut after = text[at + address.len()..].chars();
            let (next, then) = (after.next(), after.next());
            // A full stop may end the sentence.
            let goes_on = is_more(next) && (next != Some('.') || is_more(then));
            !is_more(before) && !goes_on
        })
    }
}

macro_rules! steps {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal),+ $(,)?) => {
        /// What can happen in a story. One table: the variant, its stable name, its meaning.
        #[derive(Copy, Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
        pub enum Step { $($(#[doc = $doc])* #[serde(rename = $name)] $variant),+ }

        impl Step {
            /// All of them.
            pub const ALL: &[Step] = &[$(Step::$variant),+];

            /// The stable name.
            pub fn name(self) -> &'static str {
                match self { $(Step::$variant => $name),+ }
            }

            /// The step of a stable name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|step| step.name() == name)
            }
        }
    };
}

steps! {
    /// A call came in.
    CallReceived = "call_received",
    /// The call went out to a device over its connection.
    InviteSent = "invite_sent",
    /// A call or message came by an edge, or goes to a device by one.
    ByEdge = "by_edge",
    /// The call waits for a device to come back.
    InviteHeld = "invite_held",
    /// A push went to the provider.
    PushSent = "push_sent",
    /// The provider took it.
    PushAccepted = "push_accepted",
    /// The provider did not take it.
    PushFailed = "push_failed",
    /// No push was sent, and why.
    PushSkipped = "push_skipped",
    /// Audio and video to a device go by a relay, since somebody is outside.
    MediaRelayed = "media_relayed",
    /// They should, and no relay takes them.
    MediaNotRelayed = "media_not_relayed",
    /// The device registered again.
    DeviceReturned = "device_returned",
    /// The device rings.
    Ringing = "ringing",
    /// The caller hears ringing although nobody rings yet.
    CallerHearsRinging = "caller_hears_ringing",
    /// A call was refused before anybody was called.
    CallRefused = "call_refused",
    /// A device took the call.
    Answered = "answered",
    /// A device turned the call down, or failed it.
    Declined = "declined",
    /// The caller gave up.
    CallerCancelled = "caller_cancelled",
    /// The call was taken off a device.
    DeviceCancelled = "device_cancelled",
    /// The wake of one device failed.
    WakeFailed = "wake_failed",
    /// The call went to the user's fallback.
    Fallback = "fallback",
    /// The call ended without an answer.
    CallFailed = "call_failed",
    /// The caller has the answer: the call is up.
    CallConnected = "call_connected",
    /// Somebody hung up.
    CallEnded = "call_ended",
    /// A device wanted to be registered, and was refused.
    RegistrationRefused = "registration_refused",
    /// A client wanted to sign in, and was refused.
    SignInRefused = "sign_in_refused",
    /// A message came in and was stored.
    MessageStored = "message_stored",
    /// A message was refused.
    MessageRefused = "message_refused",
    /// A message went to a device over its connection.
    MessageSent = "message_sent",
    /// The device has it.
    MessageDelivered = "message_delivered",
    /// The device did not take it in time; it stays queued.
    MessageUnacknowledged = "message_unacknowledged",
    /// It waits for the device.
    MessageQueued = "message_queued",
    /// A token was marked dead.
    TokenDead = "token_dead",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_their_address_and_by_their_devices() {
        let named = Named {
            user: "bob@example.org".parse().unwrap(),
            devices: vec!["d1".into()],
        };
        let event = |detail: &str, device: Option<&str>| TraceEvent {
            tracking: "t".into(),
            at: Timestamp(1),
            step: Step::CallReceived,
            alias: None,
            device: device.map(DeviceId::from),
            detail: detail.to_owned(),
        };
        for (detail, device, is_in) in [
            ("from alice@example.org to bob@example.org", None, true),
            ("sip:bob@example.org;transport=tcp", None, true),
            ("to bob@example.org.", None, true),
            ("to bigbob@example.org", None, false),
            ("to big.bob@example.org", None, false),
            ("to bob@example.organic", None, false),
            ("to bob@example.org.uk", None, false),
            ("", Some("d1"), true),
            ("", Some("xmpp:bob@example.org/desk"), true),
            ("", Some("d11"), false),
            ("", None, false),
        ] {
            assert_eq!(
                named.is_in(&event(detail, device)),
                is_in,
                "{detail} {device:?}"
            );
        }
    }

    #[test]
    fn every_step_is_found_by_its_name() {
        for &step in Step::ALL {
            assert_eq!(Step::from_name(step.name()), Some(step));
        }
    }
}
