//! The tables of the memory backend.

use super::table::Table;
use crate::StoreError;
use domain::{
    Address, AppId, Card, Device, DeviceId, Door, Grant, Invitation, KeptSession, Message,
    MessageId, NotificationId, QueuedPush, SealedApp, SettledPush, SignInTokens, Tenant, TenantId,
    TraceEvent, TrackingId, User, change::HistoryEntry, push::OwedPush, roster::Contact,
};

/// Everything. Rows that have an order carry a number that only grows.
#[derive(Default)]
pub(super) struct State {
    last_number: u64,
    pub(super) users: Table<Address, User>,
    pub(super) contacts: Table<(Address, String), Contact>,
    pub(super) blocks: Table<(Address, Box<str>), ()>,
    pub(super) cards: Table<Address, Card>,
    pub(super) sign_in_tokens: Table<(Address, String), SignInTokens>,
    pub(super) grants: Table<(Address, String), Grant>,
    pub(super) sessions: Table<(Address, String), KeptSession>,
    pub(super) invitations: Table<Box<str>, Invitation>,
    pub(super) devices: Table<DeviceId, Device>,
    pub(super) devices_of: Table<(Address, DeviceId), ()>,
    pub(super) doors: Table<(DeviceId, u32), Door>,
    pub(super) history: Table<u64, HistoryEntry>,
    pub(super) history_of: Table<(DeviceId, u64), ()>,
    pub(super) messages: Table<u64, Message>,
    pub(super) message_numbers: Table<MessageId, u64>,
    pub(super) archive_of: Table<(Address, u64), ()>,
    /// Whether what waits has been read elsewhere.
    pub(super) queue: Table<(DeviceId, u64), bool>,
    pub(super) overflow: Table<DeviceId, (u64, u64)>,
    pub(super) unclaimed: Table<(Address, u64), bool>,
    pub(super) owed: Table<NotificationId, OwedPush>,
    pub(super) owed_to: Table<(DeviceId, NotificationId), ()>,
    pub(super) tenants: Table<TenantId, Tenant>,
    pub(super) push_apps: Table<AppId, SealedApp>,
    pub(super) push_queue: Table<(TenantId, NotificationId), QueuedPush>,
    pub(super) push_ends: Table<(TenantId, u64), SettledPush>,
    pub(super) push_end_numbers: Table<(TenantId, NotificationId), u64>,
    pub(super) stories: Table<u64, TrackingId>,
    pub(super) story_numbers: Table<TrackingId, u64>,
    pub(super) aliases: Table<(String, u64), ()>,
    pub(super) events: Table<(u64, u64), TraceEvent>,
}

macro_rules! each_table {
    ($state:ident, $do:ident) => {
        $state.users.$do();
        $state.contacts.$do();
        $state.blocks.$do();
        $state.cards.$do();
        $state.sign_in_tokens.$do();
        $state.grants.$do();
        $state.sessions.$do();
        $state.invitations.$do();
        $state.devices.$do();
        $state.devices_of.$do();
        $state.doors.$do();
        $state.history.$do();
        $state.history_of.$do();
        $state.messages.$do();
        $state.message_numbers.$do();
        $state.archive_of.$do();
        $state.queue.$do();
        $state.overflow.$do();
        $state.unclaimed.$do();
        $state.owed.$do();
        $state.owed_to.$do();
        $state.tenants.$do();
        $state.push_apps.$do();
        $state.push_queue.$do();
        $state.push_ends.$do();
        $state.push_end_numbers.$do();
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
