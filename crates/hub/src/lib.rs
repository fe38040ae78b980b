//! Who is where and what is under way, for the users of one shard. Roles (SIP today) tell it what came in and do what it
//! says; it has not heard of their protocols. Pure: no I/O, no clock, no randomness beyond its seed.
//!
//! Seven owners, each with its own state: [`Directory`] (who is where), `Calls`, [`Delivery`], [`Outbox`], `Rosters` (whom
//! users know), `Presences` (what others see of them) and `Telephones` (of those who say nothing of themselves). The [`Hub`]
//! routes between them and decides nothing itself. What must survive is saved before it is so: a step about a user is
//! planned against what the store has, [`Output::Save`] hands it out, and what it promises is carried out when
//! [`Input::Saved`] says that it is kept. If it is not, nothing has changed.
//!
//! ```text
//! handle(now, Input) ──┐                ┌── poll() -> Output, for the role, the store or the push client
//! handle_timeout(now) ─┴─ owners, turns ┴── next_timeout()
//! ```

mod accounts;
mod bearers;
mod calls;
mod directory;
mod door;
mod guards;
mod hub;
mod messages;
mod missed;
mod owners;
mod people;
mod presences;
mod pushes;
mod rosters;
mod step;
mod telephones;
mod ticket;
mod turns;
mod vocabulary;
#[cfg(test)]
mod work;

pub use accounts::Accounts;
pub use bearers::{Bearers, IsOf, Made};
pub use directory::{Counts, Directory, Entry, REFRESH_LEAD};
pub use door::OpenDoor;
pub use guards::Guards;
pub use hub::{Config, Hub, Load};
pub use people::{
    LastSeen, Listing, People, Roster, Said, Showing, Sight, Stated, Talk, What, Word,
};
pub use ticket::Ticket;
pub use vocabulary::{
    Answer, CallEnd, CallId, DeviceUpdate, DeviceView, DoorView, Doors, EndReason, Input, Meant,
    Measure, NewCall, NotDone, Opening, Output, PushOffer, PushOrder, PushRef, Pushed, Question,
    SaveId, Secret,
};

#[expect(unused_imports, reason = "named in the documentation above")]
use domain::{delivery::Delivery, outbox::Outbox};
