//! The tables of the memory backend.

use super::table::Table;
use crate::StoreError;
use domain::{
    Address, Device, DeviceId, Door, Message, MessageId, NotificationId, TraceEvent, TrackingId,
    User, change::HistoryEntry, push::OwedPush, roster::Contact,
};

/// Everything. Rows that have an order carry a number that only grows.
#[derive(Default)]
pub(super) struct State {
    last_number: u64,
    pub(super) users: Table<Address, User>,
    pub(super) contacts: Table<(Address, String), Contact>,
    pub(super) devices: Table<DeviceId, Device>,
    pub(super) devices_of: Table<(Address, DeviceId), ()>,
    pub(super) doors: Table<(DeviceId, u32), Door>,
    pub(super) history: Table<u64, HistoryEntry>,
    pub(super) history_of: Table<(DeviceId, u64), ()>,
    pub(super) messages: Table<u64, Message>,
    pub(super) message_numbers: Table<MessageId, u64>,
    pub(super) archive_of: Table<(Address, u64), ()>,
    pub(super) queue: Table<(DeviceId, u64), ()>,
    pub(super) unclaimed: Table<(Address, u64), ()>,
    pub(super) owed: Table<NotificationId, OwedPush>,
    pub(super) owed_to: Table<(DeviceId, NotificationId), ()>,
    pub(super) stories: Table<u64, TrackingId>,
    pub(super) story_numbers: Table<TrackingId, u64>,
    pub(super) aliases: Table<(String, u64), ()>,
    pub(super) events: Table<(u64, u64), TraceEvent>,
}

macro_rules! each_table {
    ($state:ident, $do:ident) => {
        $state.users.$do();
        $state.contacts.$do();
        $state.devices.$do();
        $state.devices_of.$do();
        $state.doors.$do();
        $state.history.$do();
        $state.history_of.$do();
        $state.messages.$do();
        $state.message_numbers.$do();
        $state.archive_of.$do();
        $state.queue.$do();
        $state.unclaimed.$do();
        $state.owed.$do();
        $state.owed_to.$do();
        $state.stories.$do();
        $state.story_numbers.$do();
        $state.aliases.$do();
        $state.events.$do();
    };
}

/// All numbers of one key.
pub(super) fn under<K: Clone>(key: &K) -> std::ops::RangeInclusive<(K, u64)> {
    (key.clone(), 0)..=(key.clone(), u64::MAX)
}

impl State {
    /// What was changed stays.
    pub(super) fn keep(&mut self) {
        each_table!(self, keep);
    }

    /// What was changed is as it was.
    pub(super) fn take_back(&mut self) {
        each_table!(self, take_back);
    }

    pub(super) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn needs_user(&self, address: &Address) -> Result<(), StoreError> {
        needs(self.users.has(address), "user", address.as_str())
    }

    pub(super) fn needs_device(&self, id: &DeviceId) -> Result<(), StoreError> {
        needs(self.devices.has(id), "device", id.as_str())
    }
}

pub(super) fn needs(there: bool, kind: &'static str, name: &str) -> Result<(), StoreError> {
    there.then_some(()).ok_or_else(|| StoreError::Missing {
        kind,
        name: name.to_owned(),
    })
}
