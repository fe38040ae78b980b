//! Streams as a peer sends them: cut anywhere, hostile in every way that we know, and written again without loss.

mod corpus;
mod exercise;
mod hostile;
mod property;
mod reading;
