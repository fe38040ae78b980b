//! A REGISTER with digest, as a phone refreshes it.

use super::{
    Path,
    world::{BOB, PUSH, Registers, World},
};
use anyhow::Result;

pub(super) fn prepare(runs: usize) -> Result<Path> {
    let mut world = World::new()?;
    let registers = Registers::new()?;
    let requests: Vec<String> = (1..)
        .take(runs)
        .map(|count| registers.request(count, PUSH))
        .collect();
    Ok(Box::new(move |run| {
        world.pause();
        world.receive(BOB, requests[run].clone())?;
        world.sent(BOB, "200").map(drop)
    }))
}
