//! The virtual world's parts, each by itself.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

// By the name that it has everywhere else in the workspace.
extern crate reveille_lab as lab;

mod cloud;
mod datagrams;
mod reading;
mod streams;
mod time;
mod whole;
mod wire;
