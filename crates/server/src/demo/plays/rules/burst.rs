//! Many messages at once to a phone that sleeps: one push a conversation and window (`behaviour.md` 6.3).

use super::super::span;
use crate::{
    clock,
    demo::{
        phone::{Part, Reach},
        programme::{Person, WEBEX_13},
        scene::Scene,
        stage::unread,
    },
};
use anyhow::{Context, Result, ensure};
use std::time::Instant;

/// Messages of the burst.
const MESSAGES: usize = 6;

pub(in crate::demo) async fn play(scene: &Scene, by_xmpp: bool) -> Result<String> {
    let part = Part::of_bob(&WEBEX_13).in_reach(Reach::Good);
    let (alice, carol, part) = if by_xmpp {
        let alice = scene.writer(Person::Alice).await?;
        (alice, scene.writer(Person::Carol).await?, part.by_xmpp())
    } else {
        let alice = scene.caller(Person::Alice).await?;
        (alice, scene.caller(Person::Carol).await?, part)
    };
    let scheme = if by_xmpp { "xmpp" } else { "sip" };
    let bob = scene.phone(part).await?;
    scene.curtain();
    bob.sleeps().await?;
    let (began, written) = (Instant::now(), clock::now());
    for number in 1..=MESSAGES {
        let text = format!("Part {number} of {MESSAGES}.");
        alice.writes_by(scheme, &bob, &text).await?;
    }
    let window = scene.stage().timers().collapse.0;
    ensure!(
        began.elapsed() < window,
        "this machine is too slow for a burst"
    );
    let pushes = || bob.pushes(bob.message(), "message");
    let first = bob.push(bob.message(), "message").await?;
    let second = scene
        .stage()
        .push_after(bob.message(), first.seq, window)
        .await;
    let second = second.context("no push at the end of the window")?;
    // The window is the server's and opens with the first message, however long the first push is on its way.
    let later = second.time.since(written);
    ensure!(
        later >= window,
        "the second push came after {}",
        span(later)
    );
    let last = MESSAGES.to_string();
    ensure!(
        unread(&second) == last,
        "the second push says that {} wait",
        unread(&second)
    );

    // One of somebody else is pushed at once; had there been any more before it, they would be here by now.
    carol.writes_by(scheme, &bob, "Did you get it all?").await?;
    scene
        .stage()
        .push_after(bob.message(), second.seq, scene.stage().timers().collapse.0)
        .await
        .context("no push for another conversation")?;
    let all = pushes().len();
    ensure!(
        all == 3,
        "there were {} pushes for {MESSAGES} messages",
        all - 1
    );
    Ok(format!(
        "2 pushes for {MESSAGES}, the second after {}",
        span(later)
    ))
}
