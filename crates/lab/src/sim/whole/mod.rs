//! A whole world a seed: phones, networks, clouds, a store, and the server's own shards between them, with a reference
//! model that looks at every step (docs/simulator.md). Or a world by hand: [`Stage`].

mod acts;
mod check;
mod handset;
mod operator;
mod payload;
mod play;
mod plot;
mod server;
mod setting;
mod stage;
mod store;
mod streams;
mod world;

pub use play::{Story, play};
pub use setting::{DOMAIN, Switch};
pub use stage::{Doors, ONE_WAY, Stage};
