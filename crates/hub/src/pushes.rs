//! Pushes in the form in which a push client takes them: to the device's token as it is now.

use crate::{
    Output, PushOrder, PushRef, Secret,
    directory::{Directory, Entry},
    step::{Asker, Deed, Step as OneStep, Then},
};
use domain::{
    DeviceId, Mode, Note, Notification, NotificationId, Now, Outcome, Purpose, Timestamp,
    TraceEvent, TrackingId,
    behaviour::Incoming,
    outbox::{Due, Next, Outbox},
    push::OwedPush,
    trace::Step,
};
use std::{sync::Arc, time::Duration};

/// A push before it is known to which token it goes.
pub(crate) struct Draft<'a> {
    pub(crate) push: PushRef,
    pub(crate) id: NotificationId,
    pub(crate) device: &'a DeviceId,
    pub(crate) incoming: Incoming,
    pub(crate) purpose: Purpose,
    pub(crate) tracking: TrackingId,
    pub(crate) ttl: Duration,
    pub(crate) secret: Secret,
}

impl Draft<'_> {
    /// The push to the token that the device has for it, and the line of its story; or why there is none.
    pub(crate) fn order(
        self,
        now: Now,
        directory: &Directory,
    ) -> Result<(PushOrder, Note), String> {
        let entry = directory.get(self.device).ok_or("its device is gone")?;
        let profile = directory.profile(entry.device.app.as_ref());
        let (channel, token) = entry.push_target(self.incoming, profile)?;
        let profile = profile.ok_or("its app is not configured")?;
        let (collapse, badge) = match &self.purpose {
            Purpose::Message {
                conversation,
                unread,
            } => (Some(conversation.clone()), Some(*unread)),
            _ => (None, None),
        };
        let (provider, channel_name) = (profile.provider.name(), channel.name());
        let shown = crate::directory::shown(&token.value);
        let detail = format!("{provider} {channel_name} {shown}");
        let note = story(
            now.wall,
            &self.tracking,
            Step::PushSent,
            Some(self.device),
            detail,
        );
        let order = PushOrder {
            push: self.push,
            device: self.device.clone(),
            notification: Notification {
                id: self.id,
                app: profile.app.clone(),
                token: token.value.clone().into(),
                channel,
                purpose: self.purpose,
                tracking: self.tracking,
                ttl: self.ttl,
                collapse,
                badge,
                sealed: None,
            },
            key: entry.device.key.as_deref().cloned(),
            secret: self.secret,
            since: None,
        };
        Ok((order, note))
    }
}

/// The push that is owed, as of now; `Err` says why it is not needed any more.
fn owed(now: Now, directory: &Directory, push: &OwedPush) -> Result<(PushOrder, Note), String> {
    let entry = directory.get(&push.device).ok_or("its device is gone")?;
    // A single-channel app has one way; of two, everything but a ringing call takes that for messages. What ends a
    // ringing call follows it on its own way.
    let incoming = match push.purpose {
        Purpose::Call { .. } | Purpose::CallCancelled { .. } => Incoming::Call,
        Purpose::MissedCall { .. } | Purpose::Message { .. } | Purpose::Refresh => {
            Incoming::Message
        }
    };
    let draft = Draft {
        push: PushRef::Owed(push.id.clone(), push.tracking.clone()),
        id: push.id.clone(),
        device: &push.device,
        incoming,
        purpose: still_needed(push, entry)?,
        tracking: push.tracking.clone(),
        ttl: push.until.since(now.wall),
        secret: push.message.clone().map_or(Secret::None, Secret::Message),
    };
    draft.order(now, directory)
}

/// What the push says now; `Err` if what it announces is over.
fn still_needed(push: &OwedPush, entry: &Entry) -> Result<Purpose, &'static str> {
    match &push.purpose {
        Purpose::Refresh
            if entry.mode() == Mode::Foreground
                || entry.expires_at().is_none_or(|at| at > push.until) =>
        {
            Err("it has registered meanwhile")
        }
        Purpose::Message { .. } if entry.queued == 0 => Err("everything was delivered meanwhile"),
        Purpose::Message { conversation, .. } => Ok(Purpose::Message {
            conversation: conversation.clone(),
            unread: u32::try_from(entry.queued).unwrap_or(u32::MAX),
        }),
        other => Ok(other.clone()),
    }
}

/// Sends what is due, as far as there is room.
pub(crate) fn send_due(now: Now, directory: &Directory, outbox: &mut Outbox) -> Vec<Deed> {
    let mut deeds = Vec::new();
    while let Some(due) = outbox.due(now.wall) {
        let (push, why) = match due {
            Due::Send(push) => match owed(now, directory, &push) {
                Ok((order, note)) => {
                    deeds.push(Output::Note(note).into());
                    deeds.push(Output::Push(Box::new(order)).into());
                    continue;
                }
                Err(why) => (push, why),
            },
            Due::TooLate(push) => (push, "it is too late for it".to_owned()),
        };
        let device = Some(&push.device);
        let note = story(now.wall, &push.tracking, Step::PushSkipped, device, why);
        deeds.push(Output::Note(note).into());
        deeds.push(Deed::Save(settle(push.id)));
    }
    deeds
}

/// What is to be saved once a provider has spoken of a push that is owed.
pub(crate) fn done(
    now: Now,
    outbox: &mut Outbox,
    id: &NotificationId,
    outcome: &Outcome,
) -> Option<Deed> {
    Some(Deed::Save(match outbox.done(now.wall, id, outcome)? {
        Next::Settle(id) => settle(id),
        Next::Again(push) => {
            let mut step = OneStep::of(Asker::Nobody);
            step.owe(push);
            step
        }
    }))
}

fn settle(id: NotificationId) -> OneStep {
    let mut step = OneStep::of(Asker::Nobody);
    step.changes.push(domain::Change::Settle(id.clone()));
    step.then.push(Then::Settled(id));
    step
}

/// The lines of a push's story that its outcome adds.
pub(crate) fn outcome_notes(
    now: Timestamp,
    tracking: &TrackingId,
    device: &DeviceId,
    outcome: &Outcome,
) -> Vec<Note> {
    let note = |step, detail: String| story(now, tracking, step, Some(device), detail);
    let mut notes = vec![match outcome {
        Outcome::Accepted { provider_id } => note(Step::PushAccepted, provider_id.clone()),
        other => {
            let detail = format!("{}: {}", other.name(), other.reason());
            note(Step::PushFailed, detail)
        }
    }];
    if let Outcome::TokenDead { reason, .. } = outcome {
        notes.push(note(Step::TokenDead, reason.clone()));
    }
    notes
}

/// A line of a story.
pub(crate) fn story(
    at: Timestamp,
    tracking: &TrackingId,
    step: Step,
    device: Option<&DeviceId>,
    detail: String,
) -> Note {
    Note::Story(TraceEvent {
        tracking: tracking.clone(),
        at,
        step,
        alias: None,
        device: device.cloned(),
        detail,
    })
}

/// The address at which a device is to register when it is woken: the listener that it used last.
pub(crate) fn register_at(entry: &Entry, usual: &Arc<str>) -> String {
    let last = entry.doors.iter().max_by_key(|door| door.opened_at);
    last.map_or(usual, |door| &door.register_at).to_string()
}
