//! Over XMPP: a message for a phone whose app is in front, one for a phone that sleeps, and how its user is seen meanwhile.
//! Jabber has a SIP door beside it, and is one device all the same: each message comes once. Webex has none.

use super::messages::{TEXTS, check_message_push};
use super::{span, took};
use crate::demo::{
    phone::{Actor, Part},
    programme::{Client, Person},
    scene::Scene,
};
use anyhow::{Result, ensure};
use domain::trace::Step;
use lab::phone::{Entry, PhoneEvent};
use std::time::{Duration, Instant};

/// How long a user may sleep before anybody sees it: longer than a tunnel (`behaviour.md` 4).
const UNSEEN: Duration = Duration::from_secs(2);

/// Goes over the stream, is shown once, and nothing is pushed. As over SIP, one that is pushed comes after it, and must be
/// the only one.
pub(in crate::demo) async fn foreground(scene: &Scene, client: &Client) -> Result<String> {
    let alice = scene.writer(Person::Alice).await?;
    let carol = scene.writer(Person::Carol).await?;
    let bob = scene.phone(Part::of_bob(client).by_xmpp()).await?;
    scene.curtain();
    let sent = Instant::now();
    alice.chats(&bob, "Shall we have lunch?").await?;
    let received = received(&bob, "Shall we have lunch?").await?;
    let delivered = |event: &PhoneEvent| matches!(event, PhoneEvent::MessageDelivered { .. });
    alice.sees("was told that it is there", delivered).await?;
    let PhoneEvent::MessageReceived { id, .. } = &received.event else {
        unreachable!("it is what was waited for")
    };
    let id = id.split('@').next().unwrap_or_default();
    scene.stage().story_with(id, Step::MessageDelivered).await?;
    bob.has_everything().await?;
    bob.sleeps().await?;
    carol.chats(&bob, "And dinner?").await?;
    bob.push(bob.message(), "message").await?;

    let pushes = bob.pushes(bob.message(), "message").len();
    ensure!(pushes == 1, "the message was pushed too");
    let story = scene.stage().story(id).await?;
    let pushed = story
        .iter()
        .find(|event| event.step.name().starts_with("push"));
    ensure!(pushed.is_none(), "the server meant to push it");
    let shown = bob.count(|event| matches!(event, PhoneEvent::MessageReceived { .. }));
    ensure!(shown == 1, "it was shown {shown} times");
    let took = received.instant.saturating_duration_since(sent);
    Ok(format!("delivered after {}", span(took)))
}

/// Kept, and pushed on the channel for messages; on a tap the app goes on where it was, and gets everything, in order, once.
pub(in crate::demo) async fn suspended(scene: &Scene, client: &Client) -> Result<String> {
    let alice = scene.writer(Person::Alice).await?;
    let bob = scene.phone(Part::of_bob(client).by_xmpp()).await?;
    scene.curtain();
    bob.sleeps().await?;
    for text in TEXTS {
        alice.chats(&bob, text).await?;
    }
    let is_shown = |event: &PhoneEvent| matches!(event, PhoneEvent::NotificationShown { .. });
    let shown = bob.sees("showed the message", is_shown).await?;
    check_message_push(&alice, &bob, client, &shown.event).await?;
    bob.never("woke up for a message", |event| {
        matches!(event, PhoneEvent::Resumed { .. })
    })?;

    bob.phone.tap().await?;
    let is_tapped = |event: &PhoneEvent| matches!(event, PhoneEvent::Tapped);
    let tapped = bob.sees("was tapped", is_tapped).await?;
    let resumed = |event: &PhoneEvent| matches!(event, PhoneEvent::SignedIn { resumed: true, .. });
    bob.sees("went on where it was", resumed).await?;
    let last = received(&bob, TEXTS[TEXTS.len() - 1]).await?;
    bob.has_everything().await?;
    let seen = bob.seen();
    let texts = seen.iter().filter_map(|entry| match &entry.event {
        PhoneEvent::MessageReceived { text, .. } => Some(text.as_str()),
        PhoneEvent::DuplicateMessageDropped { .. } => Some("a message again"),
        _ => None,
    });
    let texts: Vec<_> = texts.collect();
    ensure!(texts == TEXTS, "it got {texts:?}");
    Ok(format!(
        "{} in order after {}",
        TEXTS.len(),
        took(&tapped, &last)
    ))
}

/// Bob is there, sleeps, and is back: his friends see him so, away, and there again.
pub(in crate::demo) async fn away(scene: &Scene, client: &Client) -> Result<String> {
    let alice = scene.writer(Person::Alice).await?;
    let bob = scene.phone(Part::of_bob(client).by_xmpp()).await?;
    alice.phone.subscribe(&bob.address()).await?;
    sees(&alice, &bob, Duration::ZERO, "available").await?;
    scene.curtain();
    bob.sleeps().await?;
    let asleep = Instant::now();
    let away = sees(&alice, &bob, UNSEEN, "away").await?;
    alice.curtain();
    bob.phone.tap().await?;
    sees(&alice, &bob, Duration::ZERO, "available").await?;
    let took = away.instant.saturating_duration_since(asleep);
    Ok(format!("away after {}, and back", span(took)))
}

async fn received(phone: &Actor, wanted: &str) -> Result<Entry> {
    let is_it = |event: &PhoneEvent| matches!(event, PhoneEvent::MessageReceived { text, .. } if text == wanted);
    phone.sees("got the message", is_it).await
}

/// One user sees another so.
async fn sees(who: &Actor, whom: &Actor, later: Duration, wanted: &str) -> Result<Entry> {
    let whose = whom.address();
    let is_it = |event: &PhoneEvent| matches!(event, PhoneEvent::PresenceSeen { from, show } if from.starts_with(&whose) && *show == wanted);
    let what = format!("saw {} {wanted}", whom.who);
    who.sees_later(later, &what, is_it).await
}
