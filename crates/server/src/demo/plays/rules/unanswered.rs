//! Bob's phone lies in a drawer: the push is taken, and nobody comes.

use super::super::{calling, failed, give_up, rings, span, talk};
use crate::demo::{
    phone::{Actor, Part, Reach},
    programme::{JABBER_13, JABBER_DROID, Person, WEBEX_13},
    scene::Scene,
};
use anyhow::{Result, ensure};
use lab::phone::{Entry, PhoneEvent};
use std::time::Duration;

/// How late a timer may be on a busy machine.
const LATE: Duration = Duration::from_secs(2);

/// The caller hears ringing in time to stay.
pub(in crate::demo) async fn caller_hears_ringing(scene: &Scene) -> Result<String> {
    let alice = scene.caller(Person::Alice).await?;
    let bob = scene
        .phone(Part::of_bob(&JABBER_13).in_reach(Reach::Drawer))
        .await?;
    scene.curtain();
    bob.sleeps().await?;
    let after = scene.stage().timers().ringing.0;
    let call = alice.calls(&bob).await?;
    let invite = calling(&alice, &call).await?;
    bob.push(bob.voip(), "call").await?;
    let ringing = alice
        .sees_later(after, "heard ringing", |event| {
            matches!(event, PhoneEvent::Progress { status: 180, .. })
        })
        .await?;
    let heard = in_time(&invite, &ringing, after)?;
    give_up(&alice, &call).await?;
    Ok(format!("180 after {heard}"))
}

/// Without a forward the caller is told that Bob is not there.
pub(in crate::demo) async fn wake_fails(scene: &Scene) -> Result<String> {
    let alice = scene.caller(Person::Alice).await?;
    let bob = scene
        .phone(Part::of_bob(&WEBEX_13).in_reach(Reach::Drawer))
        .await?;
    scene.curtain();
    bob.sleeps().await?;
    let after = scene.stage().timers().wake.0;
    let call = alice.calls(&bob).await?;
    let invite = calling(&alice, &call).await?;
    let (failure, status) = failed(&alice, &call, after).await?;
    ensure!(status == 480, "the caller got {status}");
    Ok(format!("480 after {}", in_time(&invite, &failure, after)?))
}

/// With one, the call goes there.
pub(in crate::demo) async fn wake_fails_with_forward(scene: &Scene) -> Result<String> {
    let alice = scene.caller(Person::Alice).await?;
    let carol = scene.caller(Person::Carol).await?;
    let bob = scene
        .phone(Part::of_bob(&JABBER_DROID).in_reach(Reach::Drawer))
        .await?;
    forward(scene, &bob, &carol).await?;
    scene.curtain();
    bob.sleeps().await?;
    let after = scene.stage().timers().wake.0;
    let call = alice.calls(&bob).await?;
    let invite = calling(&alice, &call).await?;
    let ringing = carol
        .sees_later(after, "rang", |event| {
            matches!(event, PhoneEvent::Ringing { .. })
        })
        .await?;
    let rang = in_time(&invite, &ringing, after)?;
    rings(&carol, &call).await?;
    talk(&alice, &carol, &call).await?;
    Ok(format!("rang after {rang}"))
}

/// Calls for Bob that nobody takes go to Carol.
pub(super) async fn forward(scene: &Scene, bob: &Actor, carol: &Actor) -> Result<()> {
    let to = format!("sip:{}", carol.address());
    scene.stage().set_forward(&bob.address(), &to).await
}

/// The time between the two, if it is what the timer says.
fn in_time(from: &Entry, to: &Entry, timer: Duration) -> Result<String> {
    let took = to.instant.saturating_duration_since(from.instant);
    ensure!(
        (timer..timer + LATE).contains(&took),
        "that was after {}",
        span(took)
    );
    Ok(span(took))
}
