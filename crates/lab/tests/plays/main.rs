//! Every play of the demo by the machines alone, under virtual time: each client of the programme in each row of the
//! behaviour table, the rules around it, and the stories that are told of them.
#![allow(
    clippy::unwrap_used,
    clippy::unchecked_time_subtraction,
    unreachable_pub,
    missing_docs,
    reason = "tests and their helpers"
)]

// By the name that it has everywhere else in the workspace.
extern crate reveille_lab as lab;

mod calls;
mod messages;
mod programme;
mod rules;
mod stories;
