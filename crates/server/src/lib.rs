//! The reveille server: configuration, roles, APIs, and the command line on top of them.

pub mod accounts;
pub mod api;
pub mod app;
pub mod cli;
mod clock;
pub mod config;
pub mod date;
pub mod demo;
pub mod dev;
mod hex;
pub mod metrics;
pub mod roles;
mod secret;
pub mod setup;
mod upkeep;
