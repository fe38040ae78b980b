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
    /// Says that somebody calls, or something of that call: kept, and goes where a call goes. The call itself pushes.
    Call,
    /// A receipt or something not urgent: kept, never pushed.
    Notice,
    /// A typing notice: to who is there now, else dropped.
    Transient,
}

/// How many messages somebody is still to read that wait for a device: what counts is what somebody writes ([`Class::Chat`]),
/// and that its reader has not read on another device.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Unread {
    /// All of them.
    pub all: u32,
    /// Those of one writer.
    pub of_writer: u32,
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
    /// What is said of it beside the body, where it is not said in that.
    pub about: Option<Box<About>>,
}

/// What the writer of a message says of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct About {
    /// What it is about: one line.
    pub subject: Option<Box<str>>,
    /// Which language it is in (RFC 5646).
    pub lang: Option<Box<str>>,
}

/// Most octets of a subject; a longer one is cut.
const SUBJECT: usize = 1_024;
/// Most octets of the name of a language.
const LANG: usize = 64;

impl About {
    /// Of these two, as far as they can be kept: a subject is one line, and the name of a language is made of letters, digits and
    /// hyphens. `None` if there is nothing left.
    pub fn of(subject: Option<&str>, lang: Option<&str>) -> Option<Box<Self>> {
        let line = |text: &str| {
            let words = text.split(|c: char| c.is_whitespace() || c.is_control());
            let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
            let mut line = words.join(" ");
            line.truncate(line.floor_char_boundary(SUBJECT));
            line
        };
        let is_lang = |text: &&str| {
            let fits = (1..=LANG).contains(&text.len());
            fits && text
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'-')
        };
        let subject = subject.map(line).filter(|line| !line.is_empty());
        let about = Self {
            subject: subject.map(Into::into),
            lang: lang.map(str::trim).filter(is_lang).map(Into::into),
        };
        (about != Self::default()).then(|| Box::new(about))
    }
}
