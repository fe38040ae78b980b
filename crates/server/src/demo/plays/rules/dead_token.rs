//! A token that its provider declares dead: known within one round trip, never pushed to again, healed by a new one
//! (`behaviour.md` 5.6 and 8).

use super::super::{calling, rings, span, talk};
use super::unanswered::forward;
use crate::demo::{
    phone::{Actor, Part},
    programme::{JABBER_13, Person},
    scene::Scene,
};
use anyhow::{Result, ensure};
use std::time::Duration;

pub(in crate::demo) async fn play(scene: &Scene) -> Result<String> {
    let alice = scene.caller(Person::Alice).await?;
    let carol = scene.caller(Person::Carol).await?;
    let bob = scene.phone(Part::of_bob(&JABBER_13)).await?;
    forward(scene, &bob, &carol).await?;
    scene.curtain();
    bob.sleeps().await?;
    scene.stage().kill_token(bob.voip())?;

    let took = call_goes_to_carol(&alice, &bob, &carol).await?;
    ensure!(
        took < scene.stage().timers().ringing.0,
        "the forward rang after {}",
        span(took)
    );
    let pushes = || bob.pushes(bob.voip(), "call").len();
    ensure!(pushes() == 1, "it was pushed to {} times", pushes());
    call_goes_to_carol(&alice, &bob, &carol).await?;
    ensure!(pushes() == 1, "the dead token was pushed to again");

    let bob = scene.reinstalled(&bob).await?;
    bob.sleeps().await?;
    let call = alice.calls(&bob).await?;
    rings(&bob, &call).await?;
    talk(&alice, &bob, &call).await?;
    Ok(format!("forwarded in {}, healed", span(took)))
}

/// Alice calls Bob; says how long it took until Carol's phone rang.
async fn call_goes_to_carol(alice: &Actor, bob: &Actor, carol: &Actor) -> Result<Duration> {
    let call = alice.calls(bob).await?;
    let invite = calling(alice, &call).await?;
    let ringing = rings(carol, &call).await?;
    talk(alice, carol, &call).await?;
    Ok(ringing.instant.saturating_duration_since(invite.instant))
}
