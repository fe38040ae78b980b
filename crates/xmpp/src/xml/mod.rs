//! XML as XMPP uses it: streams out of connections, and elements that are routed as they came.

mod attribute;
mod condition;
mod document;
mod element;
mod error;
mod header;
mod limits;
mod namespace;
mod parse;
mod reader;
mod scope;
mod tree;
mod write;

pub use attribute::Attribute;
pub use condition::StreamCondition;
pub use document::document;
pub use element::{Element, Node};
pub use error::StreamError;
pub use header::Header;
pub use limits::{LONGEST_VALUE, Limits};
pub use namespace::Namespace;
pub use reader::{Item, Reader};
pub use write::Context;
