//! The caller gives up while an iPhone is still waking: CallKit rings already, and only INVITE and CANCEL can close it
//! (`behaviour.md` 5.8). And Bob learns that he missed a call.

use super::super::{calling, give_up};
use crate::demo::{
    phone::{Part, Reach},
    programme::{JABBER_13, Person},
    scene::Scene,
    stage::check_push,
};
use anyhow::{Result, ensure};
use lab::phone::PhoneEvent;

pub(in crate::demo) async fn play(scene: &Scene) -> Result<String> {
    let client = &JABBER_13;
    let alice = scene.caller(Person::Alice).await?;
    let bob = scene
        .phone(Part::of_bob(client).in_reach(Reach::Lift))
        .await?;
    scene.curtain();
    bob.sleeps().await?;
    bob.enters_lift();
    let call = alice.calls(&bob).await?;
    calling(&alice, &call).await?;
    bob.sees("rang by CallKit", |event| {
        matches!(event, PhoneEvent::CallKitRinging { .. })
    })
    .await?;
    give_up(&alice, &call).await?;
    let missed = bob.push(bob.message(), "missed_call").await?;
    check_push(
        &missed,
        client,
        &[&alice.phone.config().display_name, &alice.address()],
    )?;

    bob.leaves_lift();
    bob.sees("closed CallKit", |event| {
        matches!(event, PhoneEvent::CallKitClosed { .. })
    })
    .await?;
    let order: Vec<_> = bob
        .seen()
        .iter()
        .filter_map(|entry| match &entry.event {
            PhoneEvent::InviteReceived { .. } => Some("INVITE"),
            PhoneEvent::Cancelled { .. } => Some("CANCEL"),
            PhoneEvent::CallKitClosed { .. } => Some("closed"),
            _ => None,
        })
        .collect();
    ensure!(
        order == ["INVITE", "CANCEL", "closed"],
        "the order was {}",
        order.join(", ")
    );
    Ok("INVITE, CANCEL, closed".to_owned())
}
