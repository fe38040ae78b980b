//! The simulated clouds as a push client sees them on the wire: every rule, every fault, the control API; then our own
//! push client against them.

// By the name that it has everywhere else in the workspace.
extern crate reveille_lab as lab;

mod apns;
mod client;
mod control;
mod faults;
mod fcm;
mod world;
