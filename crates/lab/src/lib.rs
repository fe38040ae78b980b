//! Simulated platform clouds and simulated phones that keep the platforms' real rules, and the virtual world in which
//! they are run by the thousand.

pub mod cloud;
pub mod phone;
pub mod plays;
pub mod rng;
pub mod sim;
