//! A call to a phone that sleeps: it is pushed to, registers, and has the call.

use super::{
    Path, call,
    world::{ALICE, BOB, PUSH, Registers, World, request},
};
use anyhow::Result;

pub(super) fn prepare(runs: usize) -> Result<Path> {
    let mut world = World::new()?;
    let registers = Registers::new()?;
    world.receive(BOB, registers.request(1, PUSH))?;
    world.sent(BOB, "200")?;
    let requests: Vec<String> = (2..)
        .take(runs)
        .map(|count| registers.request(count, PUSH))
        .collect();
    Ok(Box::new(move |run| {
        world.pause();
        let before = world.pushes;
        world.receive(ALICE, request("INVITE", run, None))?;
        anyhow::ensure!(world.pushes == before + 1, "the phone was not pushed to");
        world.receive(BOB, requests[run].clone())?;
        world.sent(BOB, "200")?;
        call::talk(&mut world, run)
    }))
}
