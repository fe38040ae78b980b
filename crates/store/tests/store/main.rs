//! What a store promises, asked of every backend, and what SQLite adds: crashes, damage, other processes.

#![expect(clippy::unwrap_used, reason = "all of this is tests, helpers included")]

extern crate reveille_store as store;

mod backup;
mod contract;
mod crash;
mod damage;
mod faulty;
mod killed;
mod leftovers;
mod migration;
mod random;
mod sharing;
mod world;
