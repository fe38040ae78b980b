//! A call of 13 messages to a phone that has registered.

use super::{
    Path,
    world::{ALICE, BOB, Registers, World, request},
};
use anyhow::{Context, Result};
use sip::{HeaderName, ResponseBuilder};

pub(super) fn prepare(_runs: usize) -> Result<Path> {
    let mut world = World::new()?;
    world.receive(BOB, Registers::new()?.request(1, ""))?;
    world.sent(BOB, "200")?;
    Ok(Box::new(move |run| {
        world.pause();
        world.receive(ALICE, request("INVITE", run, None))?;
        talk(&mut world, run)
    }))
}

/// Bob's phone has the call, rings and answers; then Alice hangs up.
pub(super) fn talk(world: &mut World, run: usize) -> Result<()> {
    let invite = world.sent(BOB, "INVITE")?;
    let route = invite.header_text(HeaderName::RecordRoute);
    let route = route.context("the INVITE has no Record-Route")?;
    world.sent(ALICE, "100")?;
    for (status, reason) in [(180, "Ringing"), (200, "OK")] {
        let answer = ResponseBuilder::to(&invite, status, reason).to_tag("b");
        let answer = answer.header(HeaderName::RecordRoute, route);
        world.take(BOB, answer.build());
    }
    world.sent(ALICE, "180")?;
    let answered = world.sent(ALICE, "200")?;
    world.receive(ALICE, request("ACK", run, Some(&answered)))?;
    world.sent(BOB, "ACK")?;
    world.receive(ALICE, request("BYE", run, Some(&answered)))?;
    let bye = world.sent(BOB, "BYE")?;
    world.take(BOB, ResponseBuilder::to(&bye, 200, "OK").build());
    world.sent(ALICE, "200").map(drop)
}
