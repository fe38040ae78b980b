//! What goes into the service and what comes out.

use domain::{Change, Notification, Outcome, PushEnd, QueuedPush, Tenant, TenantId};
use std::time::Duration;

/// Who waits for an answer.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub u64);

/// A push that is on its way to its provider.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PushId(pub u64);

/// What is to be saved.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SaveId(pub u64);

/// Who tries again.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Mode {
    /// The sender: it waits for the provider's word on one attempt.
    Wait,
    /// The service, until the push's `ttl` is over (RFC 7240 §4.1, `respond-async`). A push without one, and a call, is tried
    /// once all the same.
    Queue,
}

/// A notification that somebody hands in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Submission {
    /// Whose; the performer has seen the tenant's credentials.
    pub tenant: TenantId,
    /// What.
    pub push: Notification,
    /// Who tries again.
    pub mode: Mode,
}

/// What the service is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// A tenant is new, or is otherwise than before.
    Tenant(Box<Tenant>),
    /// A tenant is no more: what it queued is dropped.
    TenantGone(TenantId),
    /// What the store has of the queue. Its tenant came before.
    Loaded(Box<QueuedPush>),
    /// What the store has of a push that ended within the day.
    LoadedEnd(Box<domain::SettledPush>),
    /// A notification; answered by one [`Output::Reply`].
    Submitted(Ticket, Box<Submission>),
    /// What a provider said of [`Output::Send`].
    Answered(PushId, Outcome),
    /// Whether [`Output::Save`] is saved.
    Saved(SaveId, bool),
    /// Time has passed.
    Timeout,
}

/// What the service wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Push this, and say what became of it.
    Send(PushId, Box<Notification>),
    /// Save this, and say whether it is.
    Save(SaveId, Box<Change>),
    /// The answer to a submission.
    Reply(Ticket, Reply),
}

/// What a sender hears.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    /// The provider's word.
    Told(Outcome),
    /// The service has it, and tries until its time is over.
    Queued,
    /// It was in the queue, and ended there otherwise than by the provider's word.
    Ended(PushEnd),
    /// The tenant is not known, or may not push to this app.
    NotLet,
    /// More than the tenant may have: again after so long.
    Busy {
        /// How long.
        wait: Duration,
        /// Of what it has too many.
        of: &'static str,
    },
    /// It could not be saved, so nothing is promised.
    NotSaved,
}
