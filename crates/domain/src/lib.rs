//! What the system is about, in its own words: users and their devices, which of them sleep, what a call and a
//! message do to each (the behaviour table), the wake of a call and the delivery of a message as state machines,
//! and the trace that tells the story of both.
//!
//! This crate is pure. It has not heard of SIP, XMPP, APNs or SQL; roles translate. It reads no clock and draws no
//! randomness: time and names come in as arguments. A step takes an input and returns effects; whoever called it
//! performs them.

pub mod archive;
pub mod attention;
pub mod behaviour;
pub mod block;
mod call_kind;
pub mod card;
pub mod change;
pub mod cpim;
pub mod date;
pub mod delivery;
pub mod device;
pub mod door;
mod grant;
pub mod guard;
mod id_map;
pub mod invitation;
pub mod message;
mod name;
pub mod outbox;
pub mod presence;
pub mod push;
pub mod quota;
mod recent;
mod refusal;
pub mod refused;
pub mod roster;
mod sealed_app;
pub mod session;
pub mod shown;
pub mod sign_in;
mod slice;
pub mod table;
pub mod tenant;
pub mod time;
pub mod trace;
pub mod user;
pub mod wake;

pub use archive::{ArchivePage, ArchiveQuery};
pub use behaviour::{Behaviour, DoorState, Mode, Rule};
pub use block::Blocks;
pub use call_kind::CallKind;
pub use card::{Avatar, Card};
pub use change::{Change, Note, Record};
pub use device::{
    AppId, AppProfile, Channel, Device, DeviceId, Generation, Handed, Platform, Provider, Token,
};
pub use door::{Door, DoorId};
pub use grant::Grant;
pub use id_map::IdMap;
pub use invitation::Invitation;
pub use message::{About, Class, Message, MessageId, Unread};
pub use name::Namer;
pub use push::{EventPush, Notification, NotificationId, Outcome, Purpose};
pub use refusal::Refusal;
pub use sealed_app::SealedApp;
pub use session::KeptSession;
pub use sign_in::SignInTokens;
pub use slice::Slice;
pub use tenant::{Feedback, PushEnd, QueuedPush, SettledPush, Tenant, TenantId};
pub use time::{Now, Timestamp};
pub use trace::{TraceEvent, TrackingId};
pub use user::{Address, User};
