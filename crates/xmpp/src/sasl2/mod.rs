//! SASL2 (XEP-0388) as it is written: what a client asks for with its sign-in, and what it is told at the end of it. The
//! mechanisms are those of [`sasl`](crate::sasl); what is asked for is done by the caller.

mod offer;
mod request;
mod success;

pub use offer::inline;
pub use request::{Request, Wishes};
pub use success::{Success, alias, failure};
