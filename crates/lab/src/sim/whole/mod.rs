//! A whole world a seed: phones, networks, clouds, a store, and the server's own shards between them, with a reference
//! model that looks at every step (docs/simulator.md).

mod check;
mod handset;
mod plot;
mod server;
mod setting;
mod store;
mod world;

pub use setting::Switch;
pub use world::{Story, play};
