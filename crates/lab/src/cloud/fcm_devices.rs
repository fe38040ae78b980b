//! What FCM keeps of each device: how much it was sent of late, and which collapse keys wait for it.

use super::Limits;
use domain::Timestamp;
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// The rate counts over this.
const MINUTE: Duration = Duration::from_mins(1);
/// Devices looked after; beyond it those with nothing recent are forgotten, and if there are none, all are.
const MOST_DEVICES: usize = 100_000;

/// All devices.
pub(super) struct Devices {
    by_token: HashMap<String, Device>,
    most_a_minute: usize,
    most_keys: usize,
}

#[derive(Default)]
struct Device {
    /// When it was sent something, the last minute, oldest first.
    sent: VecDeque<Timestamp>,
    /// Collapse keys of messages that wait for it, with the end of their life.
    waiting: HashMap<String, Timestamp>,
}

impl Devices {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            by_token: HashMap::new(),
            most_a_minute: usize::try_from(limits.fcm_device_rate).unwrap_or(usize::MAX),
            most_keys: limits.fcm_collapse_keys,
        }
    }

    /// Counts a message; false if it is one too many this minute.
    pub(super) fn may_send(&mut self, token: &str, now: Timestamp) -> bool {
        self.make_room(now);
        let device = self.by_token.entry(token.to_owned()).or_default();
        device.forget_old(now);
        let may = device.sent.len() < self.most_a_minute;
        if may {
            device.sent.push_back(now);
        }
        may
    }

    /// A message with a collapse key waits for the device for `ttl`; says whether there are more such keys than FCM
    /// keeps. A message that is for now or never waits for nothing.
    pub(super) fn keep(&mut self, token: &str, key: &str, ttl: Duration, now: Timestamp) -> bool {
        if ttl.is_zero() {
            return false;
        }
        let device = self.by_token.entry(token.to_owned()).or_default();
        device.waiting.retain(|_, end| *end > now);
        let too_many = !device.waiting.contains_key(key) && device.waiting.len() >= self.most_keys;
        if too_many && let Some(gone) = device.waiting.keys().next().cloned() {
            device.waiting.remove(&gone);
        }
        device.waiting.insert(key.to_owned(), now.plus(ttl));
        too_many
    }

    /// The device fetched its messages.
    pub(super) fn taken(&mut self, token: &str) {
        if let Some(device) = self.by_token.get_mut(token) {
            device.waiting.clear();
        }
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.by_token.len() < MOST_DEVICES {
            return;
        }
        self.by_token.retain(|_, device| {
            device.forget_old(now);
            !device.sent.is_empty()
        });
        if self.by_token.len() >= MOST_DEVICES {
            self.by_token.clear();
        }
    }
}

impl Device {
    fn forget_old(&mut self, now: Timestamp) {
        while self
            .sent
            .front()
            .is_some_and(|&sent| now.since(sent) >= MINUTE)
        {
            self.sent.pop_front();
        }
    }
}
