//! The reveille server: configuration, roles, APIs, and the command line on top of them.

pub mod accounts;
pub mod alarms;
pub mod api;
pub mod app;
pub mod cli;
mod clock;
pub mod config;
pub mod demo;
pub mod dev;
mod entropy;
mod hex;
pub mod metrics;
mod secret;
mod settings;
pub mod setup;
pub mod shards;
mod upkeep;
