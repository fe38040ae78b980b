//! Pushes for calls: sent at once, tried once; and what becomes of tokens that a provider declares dead.

use super::{
    CallRole, Inbox,
    register::{history, shown},
};
use domain::{
    Change, DeviceId, Notification, NotificationId, Outcome, Purpose, Timestamp, TrackingId,
    behaviour::Happening, push::OwedPush, trace::Step, wake::Input,
};
use sip::endpoint::ContextId;
use std::time::Duration;

/// How long a missed call is worth telling.
const MISSED_LIFETIME: Duration = Duration::from_hours(24);

impl CallRole {
    /// Pushes a call to a device.
    pub(super) fn push_call(&mut self, context: ContextId, device: &DeviceId) {
        let Some(call) = self.calls.get(context) else {
            return;
        };
        let register_at = self.register_at(device);
        let purpose = Purpose::Call {
            call: call.id.clone(),
            register_at,
        };
        let caller = Caller {
            name: call.caller_name.clone(),
            number: call.caller_number.clone(),
        };
        let (tracking, received) = (call.tracking.clone(), call.received);
        let id = NotificationId(format!("{tracking}:{device}"));
        let Some(draft) = self.draft(
            device,
            Happening::Call,
            id,
            purpose,
            tracking.clone(),
            Duration::ZERO,
        ) else {
            let why = "its token went away".to_owned();
            return self.push_ended(context, device.clone(), Outcome::Refused { reason: why });
        };
        let Ok(slot) = self.push_slots.clone().try_acquire_owned() else {
            let reason = "limits.pushes_in_flight is reached".to_owned();
            return self.push_ended(
                context,
                device.clone(),
                Outcome::Unavailable {
                    reason,
                    retry_after: Duration::ZERO,
                },
            );
        };
        let detail = format!(
            "{} {} {}",
            draft.provider.name(),
            draft.notification.channel.name(),
            shown(&draft.notification.token)
        );
        self.trace(&tracking, Step::PushSent, Some(device), detail);
        let (inbox, pusher, metrics) = (
            self.inbox.clone(),
            self.pusher.clone(),
            self.metrics.clone(),
        );
        let device = device.clone();
        tokio::spawn(async move {
            let Draft {
                mut notification,
                key,
                ..
            } = draft;
            notification.sealed = key.and_then(|key| seal(&key, &caller));
            let token = notification.token.clone();
            metrics.wake_stage("invite_to_push", received.elapsed());
            let outcome = pusher.push(notification).await;
            drop(slot);
            // The role may have stopped.
            let _ = inbox
                .send(Inbox::CallPushed {
                    context,
                    device,
                    token,
                    outcome,
                })
                .await;
        });
    }

    /// The address at which a device finds the node that holds its call: the listener that it uses.
    fn register_at(&self, device: &DeviceId) -> String {
        let place = self.location.place(device);
        let source = place.and_then(|place| place.device.binding.as_ref());
        let transport = source.map_or("", |binding| {
            binding.source.split('/').next().unwrap_or_default()
        });
        self.settings.register_at(transport)
    }

    pub(super) fn call_pushed(
        &mut self,
        context: ContextId,
        device: DeviceId,
        token: &str,
        outcome: Outcome,
    ) {
        self.mind_dead_token(&device, token, &outcome);
        self.push_ended(context, device, outcome);
    }

    fn push_ended(&mut self, context: ContextId, device: DeviceId, outcome: Outcome) {
        if let Some(tracking) = self.calls.get(context).map(|call| call.tracking.clone()) {
            self.trace_outcome(&tracking, &device, &outcome);
        }
        self.step(context, &Input::Pushed { device, outcome });
    }

    pub(super) fn trace_outcome(
        &mut self,
        tracking: &TrackingId,
        device: &DeviceId,
        outcome: &Outcome,
    ) {
        match outcome {
            Outcome::Accepted { provider_id } => self.trace(
                tracking,
                Step::PushAccepted,
                Some(device),
                provider_id.clone(),
            ),
            other => self.trace(
                tracking,
                Step::PushFailed,
                Some(device),
                format!("{}: {}", other.name(), other.reason()),
            ),
        }
        if let Outcome::TokenDead { reason, .. } = outcome {
            self.trace(tracking, Step::TokenDead, Some(device), reason.clone());
        }
    }

    /// Tells a device that the call for which it was pushed is over.
    pub(super) fn push_cancelled(&mut self, context: ContextId, device: &DeviceId) {
        let Some(call) = self.calls.get(context) else {
            return;
        };
        let (tracking, purpose) = (
            call.tracking.clone(),
            Purpose::CallCancelled {
                call: call.id.clone(),
            },
        );
        self.owe_about_call(device, "cancel", tracking, purpose, Duration::from_mins(1));
    }

    /// Tells a device that it missed a call.
    pub(super) fn push_missed(&mut self, context: ContextId, device: &DeviceId) {
        let Some(call) = self.calls.get(context) else {
            return;
        };
        let (tracking, purpose) = (
            call.tracking.clone(),
            Purpose::MissedCall {
                call: call.id.clone(),
            },
        );
        self.owe_about_call(device, "missed", tracking, purpose, MISSED_LIFETIME);
    }

    fn owe_about_call(
        &mut self,
        device: &DeviceId,
        what: &str,
        tracking: TrackingId,
        purpose: Purpose,
        lifetime: Duration,
    ) {
        let push = OwedPush {
            id: NotificationId(format!("{tracking}:{what}:{device}")),
            device: device.clone(),
            purpose,
            tracking,
            message: None,
            due: self.now.wall,
            until: self.now.wall.plus(lifetime),
            attempts: 0,
        };
        let after = super::saving::AfterCommit {
            owed: vec![push.clone()],
            ..Default::default()
        };
        self.commit(vec![Change::Owe(push)], after);
    }

    /// A push for a device, still unsealed; `None` if it has no live token for it.
    pub(super) fn draft(
        &self,
        device: &DeviceId,
        happening: Happening,
        id: NotificationId,
        purpose: Purpose,
        tracking: TrackingId,
        ttl: Duration,
    ) -> Option<Draft> {
        let place = self.location.place(device)?;
        let profile = self.location.profile(&place.device)?;
        let (channel, token) = place.device.push_target(happening, profile.generation)?;
        if token.dead.is_some() || place.device.binding.is_none() {
            return None;
        }
        let (collapse, badge) = match &purpose {
            Purpose::Message {
                conversation,
                unread,
            } => (Some(conversation.clone()), Some(*unread)),
            _ => (None, None),
        };
        let notification = Notification {
            id,
            app: profile.app.clone(),
            token: token.value.clone(),
            channel,
            purpose,
            tracking,
            ttl,
            collapse,
            badge,
            sealed: None,
        };
        Some(Draft {
            notification,
            key: place.device.key.clone(),
            provider: profile.provider,
        })
    }

    /// A token that its provider declares dead is dead from this moment on.
    pub(super) fn mind_dead_token(&mut self, device: &DeviceId, token: &str, outcome: &Outcome) {
        let Outcome::TokenDead { since, reason } = outcome else {
            return;
        };
        let now = self.now.wall;
        let mut died = false;
        let changed = self.location.update(device, |device| {
            died = device.kill_token(token, *since, reason, now);
        });
        let Some(device) = changed.filter(|_| died) else {
            return;
        };
        tracing::warn!(device = %device.id, user = %device.user, reason, token = shown(token), "the provider says that the token is dead: this device is not pushed to until it registers with a new one");
        let line = history(
            &device.id,
            now,
            format!(
                "token {} is dead: {reason}{}",
                shown(token),
                since_text(*since)
            ),
        );
        self.commit(
            vec![Change::PutDevice(Box::new(device)), line],
            super::saving::AfterCommit::default(),
        );
    }
}

/// A push that only needs sealing.
pub(super) struct Draft {
    pub(super) notification: Notification,
    pub(super) key: Option<domain::device::SealingKey>,
    provider: domain::Provider,
}

/// What of a call only the device may read.
#[derive(serde::Serialize)]
struct Caller {
    name: String,
    number: String,
}

/// Seals a value for a device; a key that is none is as good as no key.
pub(super) fn seal(
    key: &domain::device::SealingKey,
    value: &impl serde::Serialize,
) -> Option<Vec<u8>> {
    let plain = serde_json::to_vec(value).ok()?;
    match push::seal::seal(key, &plain, &push::seal::Entropy::random()) {
        Ok(sealed) => Some(sealed),
        Err(error) => {
            tracing::warn!(%error, "nothing can be sealed with a device's key: its push says nothing personal");
            None
        }
    }
}

fn since_text(since: Option<Timestamp>) -> String {
    since
        .map(|since| format!(", since {}", crate::date::iso8601(since)))
        .unwrap_or_default()
}
