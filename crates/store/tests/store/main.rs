//! What a store promises, asked of every backend, and what SQLite adds: crashes, damage, other processes.

extern crate reveille_store as store;

mod contract;
mod crash;
mod damage;
mod random;
mod sharing;
mod world;
