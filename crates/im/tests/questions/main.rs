//! What the role and the hub make of what clients that have signed in say, whatever it is.

mod corpus;
mod exercise;
