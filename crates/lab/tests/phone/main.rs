//! The simulated phone against a registrar and a cloud made for these tests: what a server and a user would see of it.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    missing_docs,
    reason = "tests and their helpers"
)]

// By the name that it has everywhere else in the workspace.
extern crate reveille_lab as lab;

mod calls;
mod cloud;
mod messages;
mod pushes;
mod registering;
mod registrar;
mod terminal;
mod world;
