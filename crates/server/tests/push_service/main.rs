//! The push service as its publisher runs it: a process of its own, a configuration in a file, the command line, and simulated
//! clouds.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

mod abuse;
mod apps;
mod faults;
mod killed;
mod stage;
mod world;
