//! Pushes that are owed: kept in the store until the provider has spoken, tried again when it had no time, and done
//! again after a crash.

use super::{
    CallRole, Inbox,
    pushes::{Draft, seal},
    saving::AfterCommit,
};
use domain::{
    Change, DeviceId, Mode, NotificationId, Outcome, Purpose, Timestamp, TrackingId,
    behaviour::Happening, push::OwedPush, trace::Step, wake::Pushable,
};
use std::{collections::BTreeMap, time::Duration};

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// Pause after our credentials were refused: an operator must act first.
const CREDENTIALS_PAUSE: Duration = Duration::from_mins(1);

/// Owed pushes by when they are due.
#[derive(Debug, Default)]
pub(super) struct Owed {
    due: BTreeMap<(Timestamp, String), OwedPush>,
}

impl Owed {
    pub(super) fn insert(&mut self, push: OwedPush) {
        self.due.insert((push.due, push.id.0.clone()), push);
    }

    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((due, _), _)| *due)
    }

    fn pop(&mut self, now: Timestamp) -> Option<OwedPush> {
        let entry = self
            .due
            .first_entry()
            .filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }
}

/// What of a message only the device may read.
#[derive(serde::Serialize)]
struct Preview {
    from: String,
    name: String,
    text: String,
}

impl Preview {
    fn of(message: &domain::Message) -> Self {
        let text = String::from_utf8_lossy(&message.body);
        Self {
            from: message.from.clone(),
            name: message.from_name.clone(),
            text: text.chars().take(PREVIEW).collect(),
        }
    }
}

/// Most of a message's text that goes into a push, in characters: the platforms' limit leaves no room for more.
const PREVIEW: usize = 256;

impl CallRole {
    /// Sends what is due, as far as there is room.
    pub(super) fn push_owed(&mut self) {
        while let Some(slot) = self
            .owed
            .next_due()
            .filter(|due| *due <= self.now.wall)
            .and_then(|_| self.push_slots.clone().try_acquire_owned().ok())
        {
            let Some(push) = self.owed.pop(self.now.wall) else {
                return;
            };
            if push.until < self.now.wall {
                self.settle(&push, "it is too late for it");
                continue;
            }
            match self.draft_owed(&push) {
                Ok(draft) => self.send_owed(push, draft, slot),
                Err(why) => self.settle(&push, why),
            }
        }
    }

    /// Asks sleeping devices whose registrations are about to expire to register again (RFC 8599 §5.5): an expired one
    /// may not be pushed to any more, and its user would be out of reach until they open the app.
    pub(super) fn refresh_bindings(&mut self) {
        while let Some(id) = self.location.due_refresh(self.now.wall) {
            let Some(place) = self.location.place(&id) else {
                continue;
            };
            let Some(binding) = &place.device.binding else {
                continue;
            };
            // An app in front refreshes by itself.
            let pushable = self.pushable(place, Happening::Message);
            if place.mode() == Mode::Foreground || !matches!(pushable, Pushable::Yes(_)) {
                continue;
            }
            let expires_at = binding.expires_at;
            let push = OwedPush {
                id: NotificationId(format!("refresh:{id}:{}", expires_at.0)),
                device: id,
                purpose: Purpose::Refresh,
                tracking: TrackingId(super::ids::fresh()),
                message: None,
                due: self.now.wall,
                until: expires_at,
                attempts: 0,
            };
            let after = AfterCommit {
                owed: vec![push.clone()],
                ..AfterCommit::default()
            };
            self.commit(vec![Change::Owe(push)], after);
        }
    }

    /// When something is due that there is room for; what there is no room for waits for a push to end.
    pub(super) fn next_owed(&self) -> Option<Timestamp> {
        self.owed
            .next_due()
            .filter(|_| self.push_slots.available_permits() > 0)
    }

    /// The push as of now, still unsealed; `Err` says why it is not needed any more.
    fn draft_owed(&self, push: &OwedPush) -> Result<Draft, &'static str> {
        let place = self
            .location
            .place(&push.device)
            .ok_or("its device is gone")?;
        // A single-channel app has one way; of two, everything but a ringing call takes that for messages. What ends a
        // ringing call follows it on its own way.
        let happening = match push.purpose {
            Purpose::Call { .. } | Purpose::CallCancelled { .. } => Happening::Call,
            Purpose::MissedCall { .. } | Purpose::Message { .. } | Purpose::Refresh => {
                Happening::Message
            }
        };
        let mut purpose = push.purpose.clone();
        if purpose == Purpose::Refresh {
            let expires_at = place
                .device
                .binding
                .as_ref()
                .map(|binding| binding.expires_at);
            if expires_at.is_none_or(|expires_at| expires_at > push.until) {
                return Err("it has registered meanwhile");
            }
        }
        if let Purpose::Message { unread, .. } = &mut purpose {
            if place.queued == 0 {
                return Err("everything was delivered meanwhile");
            }
            *unread = u32::try_from(place.queued).unwrap_or(u32::MAX);
        }
        let (id, tracking) = (push.id.clone(), push.tracking.clone());
        let ttl = push.until.since(self.now.wall);
        self.draft(&push.device, happening, id, purpose, tracking, ttl)
            .ok_or("its token is dead or gone")
    }

    fn send_owed(&self, push: OwedPush, draft: Draft, slot: tokio::sync::OwnedSemaphorePermit) {
        let (inbox, pusher, store) = (self.inbox.clone(), self.pusher.clone(), self.store.clone());
        tokio::spawn(async move {
            let Draft {
                mut notification,
                key,
                ..
            } = draft;
            if let (Some(id), Some(key)) = (&push.message, key)
                && let Ok(Some(message)) = store.message(id).await
            {
                notification.sealed = seal(&key, &Preview::of(&message));
            }
            let token = notification.token.clone();
            let outcome = pusher.push(notification).await;
            drop(slot);
            // The role may have stopped; then the push is owed still, and done again.
            let _ = inbox
                .send(Inbox::OwedDone {
                    push,
                    token,
                    outcome,
                })
                .await;
        });
    }

    pub(super) fn owed_done(&mut self, push: OwedPush, token: &str, outcome: &Outcome) {
        let detail = format!("{} {}", push.purpose.name(), super::register::shown(token));
        self.trace(&push.tracking, Step::PushSent, Some(&push.device), detail);
        self.trace_outcome(&push.tracking, &push.device, outcome);
        self.mind_dead_token(&push.device, token, outcome);
        match pause(outcome, push.attempts) {
            Some(pause) => self.owe_again(push, pause),
            None => self.commit(vec![Change::Settle(push.id)], AfterCommit::default()),
        }
    }

    fn owe_again(&mut self, mut push: OwedPush, pause: Duration) {
        push.attempts += 1;
        push.due = self.now.wall.plus(pause);
        let after = AfterCommit {
            owed: vec![push.clone()],
            ..AfterCommit::default()
        };
        self.commit(vec![Change::Owe(push)], after);
    }

    fn settle(&mut self, push: &OwedPush, why: &str) {
        self.trace(&push.tracking, Step::PushSkipped, Some(&push.device), why);
        self.commit(
            vec![Change::Settle(push.id.clone())],
            AfterCommit::default(),
        );
    }

    /// Nothing is owed to a device that is no more.
    pub(super) fn forget_owed(&mut self, device: &DeviceId) {
        self.owed.due.retain(|_, push| push.device != *device);
    }
}

/// How long to wait before the next try; `None` if the provider has spoken for good. The pause that the provider asks
/// for doubles with every try.
fn pause(outcome: &Outcome, attempts: u32) -> Option<Duration> {
    let asked = match outcome {
        Outcome::Throttled { retry_after, .. } | Outcome::Unavailable { retry_after, .. } => {
            *retry_after
        }
        Outcome::Unauthorized { .. } => CREDENTIALS_PAUSE,
        Outcome::Accepted { .. }
        | Outcome::TokenDead { .. }
        | Outcome::Refused { .. }
        | Outcome::TooLarge => return None,
    };
    let pause = asked
        .max(Duration::from_secs(1))
        .saturating_mul(1 << attempts.min(10));
    Some(pause.min(LONGEST_PAUSE.max(asked)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_provider_is_asked_again_ever_more_rarely() {
        let busy = Outcome::Throttled {
            retry_after: Duration::from_secs(10),
            reason: String::new(),
        };
        assert_eq!(pause(&busy, 0), Some(Duration::from_secs(10)));
        assert_eq!(pause(&busy, 1), Some(Duration::from_secs(20)));
        assert_eq!(pause(&busy, 30), Some(LONGEST_PAUSE));
    }

    #[test]
    fn what_was_refused_is_not_tried_again() {
        for outcome in [
            Outcome::TooLarge,
            Outcome::Refused {
                reason: String::new(),
            },
            Outcome::Accepted {
                provider_id: String::new(),
            },
        ] {
            assert_eq!(pause(&outcome, 0), None);
        }
    }
}
