//! Doors: the ways to reach a device. What is behind a door (a flow and a Contact, a stream and a resource) only the role
//! that opened it knows.

use crate::{DeviceId, Timestamp};
use bytes::Bytes;
use std::fmt;

/// Names a door: a device has any number of them, each with a number of its role's choice.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DoorId {
    /// Whose door.
    pub device: DeviceId,
    /// Which of its doors.
    pub number: u32,
}

impl fmt::Display for DoorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => write!(f, "{}", self.device),
            number => write!(f, "{}/{number}", self.device),
        }
    }
}

/// A door as the store keeps it: one compact row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Door {
    /// Its name.
    pub id: DoorId,
    /// When it was opened or opened anew last.
    pub opened_at: Timestamp,
    /// After this it is gone.
    pub expires_at: Timestamp,
    /// Preference in thousandths, 0 to 1000: among doors rung directly, higher ones first.
    pub q: u16,
    /// What its role needs to get there. The domain only keeps it.
    pub data: Bytes,
}
