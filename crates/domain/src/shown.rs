//! What devices show for messages, as far as pushes made them: so that it can be taken back when it was read on another device
//! (`behaviour.md` 6.11). It is forgotten when the device comes, which then sees for itself, and with a restart of the server.

use crate::{DeviceId, Generation, IdMap, MessageId, Platform, Timestamp};
use std::{collections::VecDeque, time::Duration};

/// Devices that are remembered; what one more shows is not taken back.
const DEVICES: usize = 100_000;
/// Conversations of each of them.
const CONVERSATIONS: usize = 32;
/// Messages of each of those, the latest.
const MESSAGES: usize = 16;

/// What a device shows for messages that were read elsewhere is taken back where its platform lets that be done in silence: at most
/// once in so long. iOS gives an app two or three background pushes an hour, and a single-channel app has no way but for calls; a
/// browser must show something for each push (`userVisibleOnly`).
const TAKEN_BACK: [(Platform, Generation, Option<Duration>); 4] = [
    (Platform::Ios, Generation::SingleChannel, None),
    (
        Platform::Ios,
        Generation::DualChannel,
        Some(Duration::from_mins(20)),
    ),
    (
        Platform::Android,
        Generation::DualChannel,
        Some(Duration::from_secs(5)),
    ),
    (Platform::Web, Generation::DualChannel, None),
];

/// How long to wait after something was taken back from a device before anything is again; `None`: nothing is.
pub fn take_back(platform: Platform, generation: Generation) -> Option<Duration> {
    let mut rows = TAKEN_BACK.iter();
    let row = rows.find(|(on, of, _)| (*on, *of) == (platform, generation))?;
    row.2
}

/// See above.
#[derive(Debug, Default)]
pub struct Shown {
    devices: IdMap<DeviceId, OnDevice>,
}

#[derive(Debug, Default)]
struct OnDevice {
    conversations: Vec<Conversation>,
    /// When something was taken back last, or will be.
    taken_back_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Conversation {
    name: Box<str>,
    /// What the device was pushed for, and what came after it.
    unread: VecDeque<MessageId>,
    /// A push has left for it.
    is_shown: bool,
    /// A push has left that takes it back.
    leaves: bool,
}

impl Conversation {
    /// It stands on the device, and all of it was read.
    fn is_over(&self) -> bool {
        self.is_shown && self.unread.is_empty()
    }
}

impl Shown {
    /// A device is about to be pushed to for a message; `is_new` is not so of one that only waits with others.
    pub fn comes(
        &mut self,
        device: &DeviceId,
        conversation: &str,
        message: &MessageId,
        is_new: bool,
    ) {
        if !self.devices.contains_key(device) {
            if !is_new || self.devices.len() >= DEVICES {
                return;
            }
            self.devices.insert(device.clone(), OnDevice::default());
        }
        let Some(on_device) = self.devices.get_mut(device) else {
            return;
        };
        let known = &mut on_device.conversations;
        let Some(place) = known.iter().position(|it| *it.name == *conversation) else {
            if is_new && known.len() < CONVERSATIONS {
                known.push(Conversation {
                    name: conversation.into(),
                    unread: VecDeque::from([message.clone()]),
                    is_shown: false,
                    leaves: false,
                });
            }
            return;
        };
        known[place].leaves = false;
        let unread = &mut known[place].unread;
        if !unread.contains(message) {
            unread.push_back(message.clone());
        }
        if unread.len() > MESSAGES {
            unread.pop_front();
        }
    }

    /// A provider took a push for a conversation: the device shows it. Says whether all of it was read while the push was on its
    /// way.
    pub fn stands(&mut self, device: &DeviceId, conversation: &str) -> bool {
        let Some(it) = self.conversation(device, conversation) else {
            return false;
        };
        it.is_shown = true;
        it.is_over()
    }

    /// Its user has read on another device up to this message. Says whether the device shows what was read and nothing that was
    /// not.
    pub fn read(&mut self, device: &DeviceId, conversation: &str, up_to: &MessageId) -> bool {
        let Some(it) = self.conversation(device, conversation) else {
            return false;
        };
        let Some(last) = it.unread.iter().position(|id| id == up_to) else {
            return false;
        };
        it.unread.drain(..=last);
        it.is_over()
    }

    /// When something may be taken back from the device, which is so long after the last time. It counts as done then.
    pub fn next(&mut self, device: &DeviceId, pause: Duration, now: Timestamp) -> Timestamp {
        let Some(on_device) = self.devices.get_mut(device) else {
            return now;
        };
        let last = on_device.taken_back_at;
        let at = last.map_or(now, |last| last.plus(pause).max(now));
        on_device.taken_back_at = Some(at);
        at
    }

    /// What stands on the device, and was read: it is about to be taken back.
    pub fn takes_back(&mut self, device: &DeviceId) -> Vec<String> {
        let on_device = self.devices.get_mut(device).into_iter();
        let conversations = on_device.flat_map(|it| &mut it.conversations);
        let over = conversations.filter(|it| it.is_over()).map(|it| {
            it.leaves = true;
            it.name.to_string()
        });
        over.collect()
    }

    /// That was taken back.
    pub fn taken_back(&mut self, device: &DeviceId) {
        if let Some(on_device) = self.devices.get_mut(device) {
            on_device
                .conversations
                .retain(|it| !(it.leaves && it.is_over()));
        }
    }

    /// The device is there, and sees for itself. When something was taken back from it last still counts.
    pub fn returned(&mut self, device: &DeviceId) {
        if let Some(on_device) = self.devices.get_mut(device) {
            on_device.conversations.clear();
            if on_device.taken_back_at.is_none() {
                self.devices.remove(device);
            }
        }
    }

    /// Forgets devices that show nothing and from which nothing was taken back for so long.
    pub fn clear(&mut self, longest: Duration, now: Timestamp) {
        self.devices.retain(|_, it| {
            let counts = it.taken_back_at.is_some_and(|at| at.plus(longest) > now);
            counts || !it.conversations.is_empty()
        });
    }

    /// Whether it is time to [`clear`](Self::clear).
    pub fn is_crowded(&self) -> bool {
        self.devices.len() >= DEVICES
    }

    /// The device is no more.
    pub fn forget(&mut self, device: &DeviceId) {
        self.devices.remove(device);
    }

    fn conversation(&mut self, device: &DeviceId, name: &str) -> Option<&mut Conversation> {
        let on_device = self.devices.get_mut(device)?;
        let mut conversations = on_device.conversations.iter_mut();
        conversations.find(|it| *it.name == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const C: &str = "c";

    fn id(name: &str) -> MessageId {
        name.into()
    }

    fn shows(messages: &[&str]) -> (Shown, DeviceId) {
        let (mut shown, device) = (Shown::default(), DeviceId::from("a"));
        for message in messages {
            shown.comes(&device, C, &id(message), true);
        }
        shown.stands(&device, C);
        (shown, device)
    }

    #[test]
    fn what_was_read_is_over_and_what_came_after_it_is_not() {
        let (mut shown, device) = shows(&["m1", "m2"]);
        assert!(!shown.read(&device, C, &id("m1")), "m2 was not read");
        shown.comes(&device, C, &id("m3"), false);
        assert!(!shown.read(&device, C, &id("m2")), "m3 was not read");
        assert!(!shown.read(&device, C, &id("unknown")));
        assert!(shown.read(&device, C, &id("m3")));
        assert_eq!(shown.takes_back(&device), [C]);
        shown.comes(&device, C, &id("m4"), true);
        assert!(
            shown.takes_back(&device).is_empty(),
            "the next push replaces it"
        );
        assert!(shown.read(&device, C, &id("m4")));
        shown.taken_back(&device);
        assert_eq!(shown.takes_back(&device), [C], "it has not left");
        shown.taken_back(&device);
        assert!(shown.takes_back(&device).is_empty());
    }

    #[test]
    fn nothing_is_over_that_was_not_shown_or_that_the_device_has_seen() {
        let (mut shown, device) = (Shown::default(), DeviceId::from("a"));
        shown.comes(&device, C, &id("m1"), false);
        shown.stands(&device, C);
        assert!(!shown.read(&device, C, &id("m1")), "not pushed for");
        shown.comes(&device, C, &id("m1"), true);
        assert!(!shown.read(&device, C, &id("m1")), "not pushed yet");
        let (mut shown, device) = shows(&["m1"]);
        shown.returned(&device);
        assert!(!shown.read(&device, C, &id("m1")));
    }

    #[test]
    fn there_is_a_pause_between_two_even_if_the_device_was_there() {
        let (mut shown, device) = shows(&["m1"]);
        let pause = Duration::from_mins(20);
        let at = |minutes: u64| Timestamp(minutes * 60_000);
        assert_eq!(shown.next(&device, pause, at(1)), at(1));
        assert_eq!(shown.next(&device, pause, at(2)), at(21));
        shown.returned(&device);
        assert_eq!(shown.next(&device, pause, at(30)), at(41));
        shown.clear(pause, at(50));
        assert_eq!(shown.next(&device, pause, at(50)), at(61));
        shown.clear(pause, at(90));
        assert_eq!(shown.next(&device, pause, at(90)), at(90), "unknown");
    }

    #[test]
    fn of_each_device_the_latest_messages_of_some_conversations_are_known() {
        let (mut shown, device) = (Shown::default(), DeviceId::from("a"));
        for number in 0..=MESSAGES {
            shown.comes(&device, C, &id(&number.to_string()), true);
        }
        for number in 0..=CONVERSATIONS {
            shown.comes(&device, &number.to_string(), &id("m"), true);
        }
        let on_device = &shown.devices[&device];
        assert_eq!(on_device.conversations.len(), CONVERSATIONS);
        assert_eq!(on_device.conversations[0].unread.len(), MESSAGES);
        shown.stands(&device, C);
        assert!(!shown.read(&device, C, &id("0")), "forgotten");
        assert!(shown.read(&device, C, &id(&MESSAGES.to_string())));
    }
}
