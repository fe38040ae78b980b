//! The push service, pure: several tenants hand it notifications for apps whose keys only their publisher has, and none
//! of them slows another (`docs/adr/0012-the-push-service.md`).
//!
//! [`Service`] is driven like every machine here: `handle(now, Input)`, `poll() -> Output`, `next_timeout()`. It knows no
//! HTTP, no SQL and no provider: whoever performs sends what is to be sent and says what became of it. Time is a
//! [`Timestamp`](domain::Timestamp) that never goes back.

mod asking;
mod breaker;
mod coalesce;
mod ids;
mod keeping;
mod limits;
mod lines;
mod look;
mod queue;
mod quota;
mod service;
mod state;
mod words;

pub use limits::Limits;
pub use look::Look;
pub use service::Service;
pub use words::{Input, Mode, Output, PushId, Reply, SaveId, Submission, Ticket};
