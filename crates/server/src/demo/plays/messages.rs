//! A message for a phone whose app is in front, and for one that sleeps.

use super::{span, took};
use crate::demo::{
    phone::{Actor, Part},
    programme::{Client, Person},
    scene::Scene,
    stage::{check_push, unread},
};
use anyhow::{Result, ensure};
use domain::trace::Step;
use lab::phone::{Caller, PhoneEvent};
use std::time::Instant;

/// Goes over the connection, and nothing is pushed. That nothing comes cannot be waited for; so a message comes after it
/// for which there is a push, and that must be the only one.
pub(in crate::demo) async fn foreground(scene: &Scene, client: &Client) -> Result<String> {
    let alice = scene.caller(Person::Alice).await?;
    let carol = scene.caller(Person::Carol).await?;
    let bob = scene.phone(Part::of_bob(client)).await?;
    scene.curtain();
    let sent = Instant::now();
    alice.writes(&bob, "Shall we have lunch?").await?;
    let received = bob
        .sees("got the message", |event| {
            matches!(event, PhoneEvent::MessageReceived { .. })
        })
        .await?;
    let id = match &received.event {
        PhoneEvent::MessageReceived { id, .. } => id.split('@').next().unwrap_or_default(),
        _ => unreachable!("it is what was waited for"),
    };
    scene.stage().story_with(id, Step::MessageDelivered).await?;
    bob.sleeps().await?;
    carol.writes(&bob, "And dinner?").await?;
    bob.push(bob.message(), "message").await?;

    let pushes = bob.pushes(bob.message(), "message").len();
    ensure!(pushes == 1, "the message was pushed too");
    // A push that was owed, and turned out to be late, is one too many as well.
    let story = scene.stage().story(id).await?;
    let pushed = story
        .iter()
        .find(|event| event.step.name().starts_with("push"));
    ensure!(pushed.is_none(), "the server meant to push it");
    let took = received.instant.saturating_duration_since(sent);
    Ok(format!("delivered after {}", span(took)))
}

/// What Alice writes to a phone that sleeps.
pub(super) const TEXTS: [&str; 3] = ["Are you there?", "The train is late.", "Wait for me!"];

/// Kept, and pushed on the channel for messages; shown with sender and text, which only the phone can read; on a tap the
/// app registers and gets everything, in order, once.
pub(in crate::demo) async fn suspended(scene: &Scene, client: &Client) -> Result<String> {
    let alice = scene.caller(Person::Alice).await?;
    let bob = scene.phone(Part::of_bob(client)).await?;
    scene.curtain();
    bob.sleeps().await?;
    for text in TEXTS {
        alice.writes(&bob, text).await?;
    }
    let shown = bob
        .sees("showed the message", |event| {
            matches!(event, PhoneEvent::NotificationShown { .. })
        })
        .await?;
    check_message_push(&alice, &bob, client, &shown.event).await?;
    bob.never("woke up for a message", |event| {
        matches!(event, PhoneEvent::Resumed { .. })
    })?;

    bob.phone.tap().await?;
    let tapped = bob
        .sees("was tapped", |event| matches!(event, PhoneEvent::Tapped))
        .await?;
    let last = bob
        .sees("got the last message", |event| {
            matches!(event, PhoneEvent::MessageReceived { text, .. } if text == TEXTS[TEXTS.len() - 1])
        })
        .await?;
    bob.has_everything().await?;
    let received: Vec<String> = bob
        .seen()
        .into_iter()
        .filter_map(|entry| match entry.event {
            PhoneEvent::MessageReceived { text, .. } => Some(text),
            PhoneEvent::DuplicateMessageDropped { .. } => Some("a message again".to_owned()),
            _ => None,
        })
        .collect();
    ensure!(received == TEXTS, "it got {received:?}");
    Ok(format!(
        "{} in order after {}",
        TEXTS.len(),
        took(&tapped, &last)
    ))
}

/// The push went the right way, says how many wait, and the phone alone could read the rest.
pub(super) async fn check_message_push(
    alice: &Actor,
    bob: &Actor,
    client: &Client,
    shown: &PhoneEvent,
) -> Result<()> {
    let push = bob.push(bob.message(), "message").await?;
    let name = &alice.phone.config().display_name;
    let address = alice.address();
    check_push(&push, client, &[name, &address, TEXTS[0]])?;
    let waiting: usize = unread(&push).parse().unwrap_or_default();
    ensure!(
        (1..=TEXTS.len()).contains(&waiting),
        "the push says that {waiting} wait"
    );
    let PhoneEvent::NotificationShown { from, text, .. } = shown else {
        unreachable!("it is what was waited for")
    };
    // Over XMPP nobody says how they are called.
    let is_sender =
        |from: &Caller| from.name == *name || (from.name.is_empty() && from.number == address);
    ensure!(
        from.as_ref().is_some_and(is_sender),
        "it did not show the sender, but {from:?}"
    );
    // The next ones may have been kept before the push left.
    let waits = |text: &str| TEXTS[..waiting].contains(&text);
    ensure!(
        text.as_deref().is_some_and(waits),
        "it showed {text:?}, and {waiting} wait"
    );
    Ok(())
}
