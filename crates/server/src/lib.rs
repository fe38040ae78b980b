//! The reveille server: configuration, roles, APIs, and the command line on top of them.

pub mod config;
pub mod date;
pub mod metrics;
pub mod roles;
