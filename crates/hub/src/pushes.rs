//! Pushes in the form in which a push client takes them: to the device's token as it is now.

use crate::{
    Output, PushOrder, PushRef, Secret,
    directory::{Directory, Entry},
    step::{Asker, Deed, Step as OneStep, Then},
};
use domain::{
    Address, DeviceId, Mode, Note, Notification, NotificationId, Now, Outcome, Purpose, Timestamp,
    TraceEvent, TrackingId, Unread,
    behaviour::Incoming,
    outbox::{Due, Next, Outbox},
    push::OwedPush,
    quota::{Allowance, Quota},
    shown::Shown,
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
            // One that its device has not had yet is replaced.
            Purpose::Read {
                conversations,
                unread,
            } => match &conversations[..] {
                [only] => (Some(only.clone()), Some(*unread)),
                _ => (Some(self.purpose.name().to_owned()), Some(*unread)),
            },
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
fn owed(
    now: Now,
    directory: &Directory,
    (push, shown): (&OwedPush, &mut Shown),
    unread: Unread,
) -> Result<(PushOrder, Note), String> {
    let entry = directory.get(&push.device).ok_or("its device is gone")?;
    // A single-channel app has one way; of two, everything but a ringing call takes that for messages. What ends a
    // ringing call follows it on its own way.
    let incoming = match push.purpose {
        Purpose::Call { .. } | Purpose::CallCancelled { .. } => Incoming::Call,
        Purpose::MissedCall { .. }
        | Purpose::Message { .. }
        | Purpose::Read { .. }
        | Purpose::Event(_)
        | Purpose::Refresh => Incoming::Message,
    };
    // What is taken away says nothing of anybody.
    let said = push
        .message
        .clone()
        .filter(|_| matches!(push.purpose, Purpose::Message { .. }));
    let draft = Draft {
        push: PushRef::Owed(push.id.clone(), push.tracking.clone()),
        id: push.id.clone(),
        device: &push.device,
        incoming,
        purpose: still_needed(push, entry, shown, unread)?,
        tracking: push.tracking.clone(),
        ttl: push.until.since(now.wall),
        secret: said.map_or(Secret::None, Secret::Message),
    };
    draft.order(now, directory)
}

/// What the push says now; `Err` if what it announces is over.
fn still_needed(
    push: &OwedPush,
    entry: &Entry,
    shown: &mut Shown,
    unread: Unread,
) -> Result<Purpose, &'static str> {
    // What went over into the archive is counted as it is: it is not known what of it was read.
    let over = u32::try_from(entry.over).unwrap_or(u32::MAX);
    let all = unread.all.saturating_add(over);
    match &push.purpose {
        Purpose::Refresh
            if entry.mode() == Mode::Foreground
                || entry.expires_at().is_none_or(|at| at > push.until) =>
        {
            Err("it has registered meanwhile")
        }
        Purpose::Message { .. } if entry.unread() == 0 => Err("everything was delivered meanwhile"),
        Purpose::Message { .. } if unread.of_writer == 0 && over == 0 => {
            Err("everything was delivered or read meanwhile")
        }
        Purpose::Message { conversation, .. } => Ok(Purpose::Message {
            conversation: conversation.clone(),
            unread: all,
        }),
        Purpose::Read { .. } => {
            let conversations = shown.takes_back(&push.device);
            if conversations.is_empty() || entry.mode() == Mode::Foreground {
                return Err("it shows nothing any more that was read");
            }
            Ok(Purpose::Read {
                conversations,
                unread: all,
            })
        }
        other => Ok(other.clone()),
    }
}

/// The push as it is owed if its device is left in peace now: its user is at another one, which will show them the message.
fn later(
    now: Now,
    directory: &Directory,
    push: &OwedPush,
    idle_after: Duration,
) -> Option<OwedPush> {
    let entry = directory.get(&push.device)?;
    let is_message = matches!(push.purpose, Purpose::Message { .. });
    let due = directory.quiet_until(entry, idle_after)?;
    (is_message && due > now.wall).then(|| OwedPush {
        due,
        attempts: push.attempts + 1,
        ..push.clone()
    })
}

/// Its user writes on another device to whom these pushes are for: they are not sent any more.
pub(crate) fn attended(
    directory: &Directory,
    outbox: &Outbox,
    reader: &DeviceId,
    user: &Address,
    conversation: &str,
) -> Vec<Deed> {
    let is_of_it = |push: &OwedPush| match &push.purpose {
        Purpose::Message {
            conversation: it, ..
        } => it == conversation,
        _ => false,
    };
    let others = directory.of(user).filter(|it| it.device.id != *reader);
    let pushes = others.flat_map(|it| outbox.waiting(&it.device.id, is_of_it));
    pushes.map(|id| Deed::Save(settle(id))).collect()
}

/// Sends what is due, as far as there is room.
pub(crate) fn send_due(
    now: Now,
    directory: &Directory,
    (outbox, shown): (&mut Outbox, &mut Shown),
    quota: &mut Quota<DeviceId>,
    idle_after: Duration,
) -> Vec<Deed> {
    let mut deeds = Vec::new();
    while let Some(due) = outbox.due(now.wall) {
        let (push, why) = match due {
            Due::Send(push) if let Some(later) = later(now, directory, &push, idle_after) => {
                let mut step = OneStep::of(Asker::Nobody);
                step.owe(later);
                deeds.push(Deed::Save(step));
                continue;
            }
            Due::Send(push) if let Err(later) = quota.pass(now.instant, &push.device) => {
                let busy = Outcome::Throttled {
                    retry_after: later.wait,
                    reason: String::new(),
                };
                deeds.extend(done(now, outbox, &push.id, &busy));
                continue;
            }
            Due::Send(push) if says_what_is_unread(directory, &push) => {
                let OwedPush {
                    id,
                    device,
                    message,
                    ..
                } = push;
                deeds.push(Output::Count(id, device, message).into());
                continue;
            }
            Due::Send(push) => {
                deeds.extend(send(now, directory, (&push, shown), Unread::default()));
                continue;
            }
            Due::TooLate(push) => (push, "it is too late for it".to_owned()),
        };
        deeds.extend(skip(now, &push, why));
    }
    deeds
}

/// Whether the store is to be asked what is unread before a push is sent: it says so, and something waits for its device.
fn says_what_is_unread(directory: &Directory, push: &OwedPush) -> bool {
    let entry = directory.get(&push.device);
    let says_so = matches!(push.purpose, Purpose::Message { .. } | Purpose::Read { .. });
    says_so && entry.is_some_and(|entry| entry.queued > 0)
}

/// It is known what is unread on the device that a push is for, or cannot be known: then all that waits may be.
pub(crate) fn counted(
    now: Now,
    directory: &Directory,
    (outbox, shown): (&Outbox, &mut Shown),
    push: &NotificationId,
    unread: Option<Unread>,
) -> Vec<Deed> {
    let Some(push) = outbox.on_its_way(push) else {
        return Vec::new();
    };
    let waiting = || {
        let waiting = directory.get(&push.device).map_or(0, |entry| entry.queued);
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        Unread {
            all: waiting,
            of_writer: waiting,
        }
    };
    let unread = unread.unwrap_or_else(waiting);
    send(now, directory, (push, shown), unread)
}

fn send(
    now: Now,
    directory: &Directory,
    (push, shown): (&OwedPush, &mut Shown),
    unread: Unread,
) -> Vec<Deed> {
    match owed(now, directory, (push, shown), unread) {
        Ok((order, note)) => vec![
            Output::Note(note).into(),
            Output::Push(Box::new(order)).into(),
        ],
        Err(why) => skip(now, push, why),
    }
}

/// A push that is not sent.
fn skip(now: Now, push: &OwedPush, why: String) -> Vec<Deed> {
    let device = Some(&push.device);
    let note = story(now.wall, &push.tracking, Step::PushSkipped, device, why);
    vec![
        Output::Note(note).into(),
        Deed::Save(settle(push.id.clone())),
    ]
}

/// What a device may have beside pushes for calls: with those fewer than FCM takes, which is 240.
pub(crate) fn allowance() -> Quota<DeviceId> {
    Quota::new(Allowance {
        at_once: u32::MAX,
        a_minute: 100,
    })
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
