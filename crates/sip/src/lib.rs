//! SIP messages, transactions, proxy and registrar rules, digest. Pure: no I/O, no clock, no randomness; time and
//! entropy come in as arguments.
//!
//! A [`Message`] is its own octets and a table of where the parts stand. Reading is done by typed views on demand,
//! changing by [`Edit`], which copies what it does not change octet for octet.

pub mod digest;
pub mod endpoint;
pub mod push;
pub mod registrar;

mod assemble;
mod build;
mod edit;
mod equivalence;
mod frame;
mod header_name;
mod lex;
mod limits;
mod message;
mod method;
mod name_addr;
mod params;
mod parse;
mod proxy;
mod reply;
mod scan;
mod status;
mod transaction;
mod typed;
mod uri;
mod validate;
mod via;

pub use build::{RequestBuilder, ResponseBuilder};
pub use edit::Edit;
pub use endpoint::{Flow, Transport};
pub use frame::{Frame, FrameError, Framer};
pub use header_name::HeaderName;
pub use limits::Limits;
pub use message::Message;
pub use method::Method;
pub use name_addr::NameAddr;
pub use params::{Param, Params};
pub use parse::{HeaderError, ParseError};
pub use status::reason_phrase;
pub use typed::{CSeq, Contacts};
pub use uri::Uri;
pub use via::{MAGIC_COOKIE, Via};
