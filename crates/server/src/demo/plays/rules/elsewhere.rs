//! Three devices share a line, one answers: the one that rings stops and learns why, the one that was pushed and not
//! reached is told by a push (`behaviour.md` 5.7).

use super::super::{calling, rings, talk, took};
use crate::demo::{
    phone::{Part, Reach},
    programme::{JABBER_13, JABBER_DROID, Person, WEBEX_13},
    scene::Scene,
};
use anyhow::{Result, ensure};
use lab::phone::PhoneEvent;

pub(in crate::demo) async fn play(scene: &Scene) -> Result<String> {
    let alice = scene.caller(Person::Alice).await?;
    let iphone = scene.phone(Part::of_bob(&JABBER_13)).await?;
    let ipad = scene.phone(Part::of_bob(&WEBEX_13).called("iPad")).await?;
    let android = scene
        .phone(Part::of_bob(&JABBER_DROID).in_reach(Reach::Lift))
        .await?;
    scene.curtain();
    iphone.sleeps().await?;
    android.sleeps().await?;
    android.enters_lift();

    let call = alice.calls(&iphone).await?;
    calling(&alice, &call).await?;
    rings(&ipad, &call).await?;
    rings(&iphone, &call).await?;
    android
        .sees("was woken by the push", |event| {
            matches!(event, PhoneEvent::Resumed { by_push: true })
        })
        .await?;
    talk(&alice, &iphone, &call).await?;

    let stopped = ipad
        .sees("stopped ringing", |event| {
            matches!(event, PhoneEvent::Cancelled { .. })
        })
        .await?;
    let PhoneEvent::Cancelled { reason, .. } = &stopped.event else {
        unreachable!("it is what was waited for")
    };
    ensure!(
        reason.as_deref() == Some("Call completed elsewhere"),
        "the iPad learned {reason:?}"
    );
    android.push(android.voip(), "call_cancelled").await?;
    android
        .sees("learned of the end by push", |event| {
            matches!(event, PhoneEvent::Cancelled { .. })
        })
        .await?;

    // Out of the lift it must not ring for what is over: a message comes, and no INVITE before it.
    android.leaves_lift();
    alice.writes(&iphone, "That was quick.").await?;
    android
        .sees("got the message", |event| {
            matches!(event, PhoneEvent::MessageReceived { .. })
        })
        .await?;
    android.never("rang for a call that is over", |event| {
        matches!(event, PhoneEvent::InviteReceived { .. })
    })?;
    let answered = iphone
        .sees("answered", |event| {
            matches!(event, PhoneEvent::Answered { .. })
        })
        .await?;
    Ok(format!("iPad stopped after {}", took(&answered, &stopped)))
}
