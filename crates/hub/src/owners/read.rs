//! A user has read on one device what others show: it does not count there any more, and what stands there is taken back
//! (`behaviour.md` 6.11).

use super::Owners;
use crate::step::{Asker, Deed, Read, Step, Then};
use domain::{
    Change, Class, DeviceId, MessageId, Mode, NotificationId, Now, Purpose, behaviour::Incoming,
    delivery::Stored, push::OwedPush, shown::take_back,
};
use std::time::Duration;

/// What is taken back so late is not worth a push any more.
const LATEST: Duration = Duration::from_hours(1);

/// It is to be kept that a user has read something.
pub(super) fn plan_read(read: Read) -> Step {
    let mut step = Step::of(Asker::Nobody);
    let Read {
        user,
        writer,
        up_to,
        ..
    } = read.clone();
    step.changes.push(Change::Read {
        user,
        writer,
        up_to,
    });
    step.then.push(Then::Read(Box::new(read)));
    step
}

impl Owners {
    /// It is kept that a user has read something.
    pub(super) fn read(&mut self, now: Now, read: &Read) -> Vec<Deed> {
        let conversation = self.delivery.conversation(&read.writer, &read.user);
        let is_other = |id: &DeviceId| read.device.as_ref() != Some(id);
        let devices = self.directory.of(&read.user);
        let others = devices.filter(|it| is_other(&it.device.id) && it.mode() != Mode::Foreground);
        let mut over: Vec<_> = others.map(|it| it.device.id.clone()).collect();
        over.retain(|it| self.shown.read(it, &conversation, &read.up_to));
        let taken_back = over
            .iter()
            .filter_map(|it| self.takes_back(now, it, &conversation, &read.up_to));
        taken_back.collect()
    }

    /// What a device shows of a conversation was read up to this message, which is its last: a push is owed that takes it back, if the
    /// platform lets that be done.
    fn takes_back(
        &mut self,
        now: Now,
        device: &DeviceId,
        conversation: &str,
        up_to: &MessageId,
    ) -> Option<Deed> {
        let entry = self.directory.get(device);
        let entry = entry.filter(|it| it.mode() != Mode::Foreground)?;
        let profile = self.directory.profile(entry.device.app.as_ref());
        let pause = profile.and_then(|it| take_back(it.platform, it.generation))?;
        entry.push_target(Incoming::Message, profile).ok()?;
        let is_such = |push: &OwedPush| matches!(push.purpose, Purpose::Read { .. });
        if !self.outbox.waiting(device, is_such).is_empty() {
            // It says what is so when it leaves.
            return None;
        }
        let due = self.shown.next(device, pause, now.wall);
        let mut step = Step::of(Asker::Nobody);
        step.owe(OwedPush {
            id: NotificationId::of("read", up_to.as_str(), device),
            device: device.clone(),
            purpose: Purpose::Read {
                conversations: vec![conversation.to_owned()],
                unread: 0,
            },
            tracking: self.namer.fresh(now.wall),
            message: Some(up_to.clone()),
            due,
            until: due.plus(LATEST),
            attempts: 0,
        });
        Some(Deed::Save(step))
    }

    /// A message is kept: devices that are pushed to for its conversation have more to show.
    pub(super) fn comes(&mut self, now: Now, stored: &Stored) {
        for push in &stored.owed {
            self.is_announced(now, push);
        }
        let message = &stored.message;
        if message.class != Class::Chat {
            return;
        }
        let conversation = self.delivery.conversation(&message.from, &message.to);
        for device in &stored.queued {
            self.shown.comes(device, &conversation, &message.id, false);
        }
    }

    /// A push for a message is owed.
    pub(super) fn is_announced(&mut self, now: Now, push: &OwedPush) {
        let (Purpose::Message { conversation, .. }, Some(message)) = (&push.purpose, &push.message)
        else {
            return;
        };
        if self.shown.is_crowded() {
            self.shown.clear(LATEST, now.wall);
        }
        self.shown.comes(&push.device, conversation, message, true);
    }

    /// A provider took a push that is owed. It may be for what was read meanwhile.
    pub(super) fn is_shown(&mut self, now: Now, id: &NotificationId) -> Option<Deed> {
        let push = self.outbox.on_its_way(id)?.clone();
        let OwedPush {
            device, message, ..
        } = &push;
        match &push.purpose {
            Purpose::Message { conversation, .. } => {
                let is_over = self.shown.stands(device, conversation);
                let message = message.as_ref().filter(|_| is_over)?;
                self.takes_back(now, device, conversation, message)
            }
            Purpose::Read { .. } => {
                self.shown.taken_back(device);
                None
            }
            _ => None,
        }
    }
}
