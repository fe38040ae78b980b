//! A call for a phone whose app is in front, and for one that sleeps.

use super::{calling, rings, talk, took};
use crate::demo::{
    phone::{Actor, Part},
    programme::{Client, Person},
    scene::Scene,
    stage::check_push,
};
use anyhow::{Context, Result, ensure};
use lab::phone::{Caller, PhoneEvent};

/// The INVITE goes out over SIP at once, a push as well; the phone rings once, and drops the push.
pub(in crate::demo) async fn foreground(scene: &Scene, client: &Client) -> Result<String> {
    let alice = scene.caller(Person::Alice).await?;
    let bob = scene.phone(Part::of_bob(client)).await?;
    scene.curtain();
    let call = alice.calls(&bob).await?;
    let invite = calling(&alice, &call).await?;
    let ringing = rings(&bob, &call).await?;
    bob.sees("got a push", is_call_push).await?;
    bob.sees(
        "dropped the push",
        |event| matches!(event, PhoneEvent::DuplicatePushDropped { call: id } if *id == call),
    )
    .await?;
    talk(&alice, &bob, &call).await?;

    check_call_push(&alice, &bob, client).await?;
    let times = bob.count(|event| matches!(event, PhoneEvent::Ringing { .. }));
    ensure!(times == 1, "it rang {times} times");
    bob.never("rang by CallKit too", |event| {
        matches!(event, PhoneEvent::CallKitRinging { .. })
    })?;
    Ok(format!("rang after {}", took(&invite, &ringing)))
}

/// The push wakes the phone; it begins to register, the held INVITE rings it, it answers. iOS 13 and newer shows the call, with
/// the caller's name and number out of the push, before any SIP.
pub(in crate::demo) async fn suspended(scene: &Scene, client: &Client) -> Result<String> {
    let alice = scene.caller(Person::Alice).await?;
    let bob = scene.phone(Part::of_bob(client)).await?;
    scene.curtain();
    bob.sleeps().await?;
    let call = alice.calls(&bob).await?;
    let invite = calling(&alice, &call).await?;
    bob.sees("got a push", is_call_push).await?;
    bob.sees("was woken by the push", |event| {
        matches!(event, PhoneEvent::Resumed { by_push: true })
    })
    .await?;
    bob.sees("registered", |event| {
        matches!(event, PhoneEvent::Registered { .. })
    })
    .await?;
    let ringing = rings(&bob, &call).await?;
    talk(&alice, &bob, &call).await?;

    check_call_push(&alice, &bob, client).await?;
    let order = order(&bob);
    if !client.of.has_callkit() {
        ensure!(
            order == ["push", "INVITE"],
            "the order was {}",
            order.join(", ")
        );
        return Ok(format!("rang after {}", took(&invite, &ringing)));
    }
    ensure!(
        order == ["push", "CallKit", "INVITE"],
        "the order was {}",
        order.join(", ")
    );
    let callkit = bob
        .sees("rang by CallKit", |event| {
            matches!(event, PhoneEvent::CallKitRinging { .. })
        })
        .await?;
    let PhoneEvent::CallKitRinging { name, number, .. } = &callkit.event else {
        unreachable!("it is what was waited for")
    };
    let shown = Caller {
        name: name.clone(),
        number: number.clone(),
    };
    ensure!(shown == caller(&alice), "CallKit showed {shown}");
    bob.sees("closed CallKit", |event| {
        matches!(event, PhoneEvent::CallKitClosed { .. })
    })
    .await?;
    Ok(format!(
        "CallKit {}, SIP {}",
        took(&invite, &callkit),
        took(&invite, &ringing)
    ))
}

fn is_call_push(event: &PhoneEvent) -> bool {
    matches!(event, PhoneEvent::Pushed { kind, .. } if kind == "call")
}

/// There was one push for the call, it went the right way, and only the phone could read who calls.
async fn check_call_push(alice: &Actor, bob: &Actor, client: &Client) -> Result<()> {
    let pushes = bob.pushes(bob.voip(), "call");
    ensure!(pushes.len() == 1, "there were {} pushes", pushes.len());
    let Caller { name, number } = caller(alice);
    check_push(&pushes[0], client, &[&name, &number])?;
    let pushed = bob.sees("got a push", is_call_push).await?;
    let PhoneEvent::Pushed {
        caller: unsealed, ..
    } = pushed.event
    else {
        unreachable!("it is what was waited for")
    };
    let unsealed = unsealed.context("nothing was sealed into the push")?;
    ensure!(unsealed == caller(alice), "the push told of {unsealed}");
    Ok(())
}

/// The caller as Bob is to see them.
fn caller(alice: &Actor) -> Caller {
    Caller {
        name: alice.phone.config().display_name.clone(),
        number: alice.address(),
    }
}

/// What brings a call to the phone, in the order in which it came.
fn order(bob: &Actor) -> Vec<&'static str> {
    bob.seen()
        .iter()
        .filter_map(|entry| match &entry.event {
            PhoneEvent::Pushed { .. } => Some("push"),
            PhoneEvent::CallKitRinging { .. } => Some("CallKit"),
            PhoneEvent::InviteReceived { .. } => Some("INVITE"),
            _ => None,
        })
        .collect()
}
