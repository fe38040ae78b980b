//! A webhook: where it is, how it is called, and how it knows that it is us.

mod call;
mod signature;

pub(crate) use call::Target;
pub(super) use signature::{header, secret};
