//! A device that registers and stays: one for each user.

use super::{
    Path,
    world::{BOB, PUSH, Registers, World},
};
use anyhow::Result;

/// So many register together; then their transactions end.
const CROWD: usize = 100;

pub(super) fn prepare(runs: usize) -> Result<Path> {
    let mut world = World::of((0..runs).map(|user| format!("u{user}")))?;
    Ok(Box::new(move |run| {
        let registers = Registers::of(format!("u{run}"), u64::try_from(run)?)?;
        world.receive(BOB, registers.request(1, PUSH))?;
        world.sent(BOB, "200")?;
        if run % CROWD == CROWD - 1 {
            world.pause();
        }
        Ok(())
    }))
}
