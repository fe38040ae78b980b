//! Missed calls of one device: the first is told at once, those that follow soon after together.

use domain::{DeviceId, IdMap, NotificationId, Timestamp, push::OwedPush};
use std::time::Duration;

/// What is missed within so long is told together.
const WINDOW: Duration = Duration::from_secs(30);
/// Of so many devices it is remembered when they were told, before those are looked for that were told long ago.
const SWEEP: usize = 1_024;

/// When each device was told last.
#[derive(Debug, Default)]
pub(crate) struct Missed {
    told: IdMap<DeviceId, Timestamp>,
    sweep_at: usize,
}

impl Missed {
    /// The push as it is to be owed: at once, or at the end of the window in the place of the one that waits for it.
    pub(crate) fn collapsed(&mut self, now: Timestamp, push: OwedPush) -> OwedPush {
        if self.told.len() >= self.sweep_at.max(SWEEP) {
            self.told.retain(|_, told| now.since(*told) < WINDOW);
            self.sweep_at = 2 * self.told.len();
        }
        let told = self.told.get(&push.device).copied();
        match told.filter(|told| now.since(*told) < WINDOW) {
            None => {
                self.told.insert(push.device.clone(), now);
                push
            }
            Some(told) => OwedPush {
                id: NotificationId::of("missed-together", &told.0.to_string(), &push.device),
                due: told.plus(WINDOW),
                ..push
            },
        }
    }
}
