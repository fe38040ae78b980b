//! Messages between users, whatever protocol brought them.

use crate::{Address, Timestamp, TrackingId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

crate::name::names! {
    /// Names a message for good: delivery is idempotent by it.
    MessageId;
}

/// What kind of message it is: what its rules are.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Somebody writes: kept, pushed.
    Chat,
    /// A receipt or something not urgent: kept, never pushed.
    Notice,
    /// A typing notice: to who is there now, else dropped.
    Transient,
}

/// A message as it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Ours, unique.
    pub id: MessageId,
    /// Follows it through every part.
    pub tracking: TrackingId,
    /// Who wrote it, as an address or, from outside, whatever the role calls them.
    pub from: String,
    /// The writer's name as they show it; may be empty.
    pub from_name: String,
    /// Who it is for.
    pub to: Address,
    /// When we took it.
    pub at: Timestamp,
    /// Its kind.
    pub class: Class,
    /// The body's media type.
    pub content_type: String,
    /// The body, untouched.
    pub body: Bytes,
}
