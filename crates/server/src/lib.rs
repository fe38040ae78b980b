//! The reveille server: configuration, roles, APIs, and the command line on top of them.

#![deny(clippy::print_stdout)]

/// A line on standard output. `println!` would panic once whoever reads it has gone (`reveille check | head`).
macro_rules! say {
    () => { $crate::output::line("") };
    ($($text:tt)+) => { $crate::output::line(&format!($($text)+)) };
}

pub mod accounts;
mod admin_socket;
pub mod alarms;
pub mod alone;
pub mod api;
pub mod app;
pub mod apps;
mod authorize;
pub mod bans;
pub mod beside;
pub mod catalogue;
pub mod cli;
mod clock;
mod components;
pub mod config;
pub mod demo;
mod described;
pub mod dev;
mod doctor;
mod doorkeeper;
mod doors;
mod edge;
mod edge_reload;
pub mod edge_role;
mod entropy;
mod expiry;
mod export;
mod files;
mod form;
mod hex;
mod http;
mod keeping_apps;
pub mod kept_apps;
mod kernel_drops;
mod lab_keys;
mod live;
mod lock;
mod log;
mod meant;
mod media;
pub mod metrics;
mod mutex;
mod named_files;
mod networks;
mod notify;
mod ours;
mod output;
mod outside;
mod pairs;
mod pauses;
mod pkcs12;
pub mod push_test;
pub mod pushd;
mod refusals;
pub mod reload;
pub mod reloaded;
mod remedies;
mod room;
mod secret;
mod settings;
pub mod setup;
pub mod shards;
pub mod shown;
mod store_watch;
pub mod token_keys;
mod turn;
mod upkeep;
mod web;
