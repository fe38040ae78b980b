//! SIP messages, transactions, proxy and registrar rules, digest. Pure: no I/O, no clock, no randomness; time and
//! entropy come in as arguments.
//!
//! A [`Message`] is its own octets and a table of where the parts stand. Reading is done by typed views on demand,
//! changing by [`Edit`], which copies what it does not change octet for octet.

pub mod bearer;
pub mod dialog;
pub mod digest;
pub mod endpoint;
pub mod push;
pub mod registrar;
pub mod steer;

mod message;
mod proxy;
mod transaction;
mod transport;

pub use message::{
    CSeq, Contacts, Edit, Frame, FrameError, Framer, HeaderError, HeaderName, Limits, MAGIC_COOKIE,
    Message, Method, NameAddr, Param, Params, ParseError, RequestBuilder, ResponseBuilder, Uri,
    Via, push_address, reason_phrase,
};
pub use transport::{Flow, Transport};

pub(crate) use message::{lex, uri, write};
