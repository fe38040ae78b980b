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
    let written = clock::now();
    for number in 1..=MESSAGES {
        let text = format!("Part {number} of {MESSAGES}.");
        alice.writes_by(scheme, &bob, &text).await?;
    }
    let window = scene.stage().timers().collapse.0;
    let mut push = bob.push(bob.message(), "message").await?;
    let (mut count, mut later) = (1, push.time.since(written));
    // On a slow machine they are written in more than one window.
    while count == 1 || unread(&push) != MESSAGES.to_string() {
        let next = scene.stage().push_after(bob.message(), push.seq, window);
        push = next.await.context("no push at the end of the window")?;
        later = push.time.since(written);
        // The windows are the server's and the first opens with the first message, however long a push is on its way.
        ensure!(
            later >= window * count,
            "push {} came after {}",
            count + 1,
            span(later)
        );
        count += 1;
    }

    // One of somebody else is pushed at once; had there been any more before it, they would be here by now.
    carol.writes_by(scheme, &bob, "Did you get it all?").await?;
    scene
        .stage()
        .push_after(bob.message(), push.seq, window)
        .await
        .context("no push for another conversation")?;
    let all = bob.pushes(bob.message(), "message").len();
    ensure!(
        all == count as usize + 1,
        "there were {} pushes for {MESSAGES} messages, and one of them came after the last",
        all - 1
    );
    Ok(format!("{count} pushes, last after {}", span(later)))
}
