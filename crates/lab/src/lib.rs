//! Simulated platform clouds and simulated phones that keep the platforms' real rules.

pub mod cloud;
pub mod phone;
