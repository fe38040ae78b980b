//! Phones that move from inside to outside, or the other way round: asleep, in a call, and signed in over XMPP. The server's name leads
//! from either side to the right door, so what a push says of it is good wherever the phone is.

use super::{calling, rings, talk, took};
use crate::demo::{
    phone::{Actor, Part},
    programme::{JABBER_13, Person, WEBEX_13},
    report::Side,
    scene::Scene,
    stage::register_at,
};
use anyhow::{Context, Result, ensure};
use domain::trace::Step;
use lab::phone::{Entry, PhoneEvent};

/// What Bob reads before he moves, meanwhile, and after.
const TEXTS: [&str; 3] = [
    "Are you in the office?",
    "Or on your way home?",
    "See you tomorrow then.",
];

/// Falls asleep on one side and is pushed to on the other, where it knows no port: it registers where the push says, and the held INVITE
/// rings it.
pub(in crate::demo) async fn asleep(scene: &Scene) -> Result<String> {
    let alice = scene.caller(Person::Alice).await?;
    let bob = scene.phone(Part::of_bob(&WEBEX_13).roaming()).await?;
    scene.curtain();
    bob.sleeps().await?;
    let there = scene.side().other();
    bob.strays_to(there).await?;
    let call = alice.calls(&bob).await?;
    let invite = calling(&alice, &call).await?;
    let ringing = rings(&bob, &call).await?;
    bob.is_on(there).await?;
    talk(&alice, &bob, &call).await?;
    let push = bob.push(bob.voip(), "call").await?;
    let right = format!(
        "sip:localhost:{};transport=tls",
        scene.stage().edge().port()
    );
    let at = register_at(&push);
    ensure!(at == right, "the push says {at:?}, and not {right:?}");
    Ok(format!(
        "to {}: rang after {}",
        there.name(),
        took(&invite, &ringing)
    ))
}

/// Moves while it is in a call, and says from there where it is (re-INVITE): each of the two then finds the other, and either can end it.
pub(in crate::demo) async fn in_a_call(scene: &Scene) -> Result<String> {
    let alice = scene.caller(Person::Alice).await?;
    let bob = scene.phone(Part::of_bob(&WEBEX_13).roaming()).await?;
    scene.curtain();
    let [here, there] = [scene.side(), scene.side().other()];
    let call = begun(&alice, &bob).await?;
    let moved = moves(&bob, there).await?;
    found(&alice, &bob, &call).await?;
    alice.phone.hangup(&call).await?;
    ended(&bob, &call).await?;

    let call = begun(&alice, &bob).await?;
    moves(&bob, here).await?;
    // This time Alice's phone finds Bob's, which has said nothing from there.
    renews(&alice, &bob, &call).await?;
    bob.phone.hangup(&call).await?;
    ended(&alice, &call).await?;
    Ok(format!("to {}: {moved}, and back", there.name()))
}

/// A call over SIP that is up.
async fn begun(alice: &Actor, bob: &Actor) -> Result<String> {
    let call = alice.calls(bob).await?;
    rings(bob, &call).await?;
    bob.phone.answer(&call).await?;
    let is_up =
        |event: &PhoneEvent| matches!(event, PhoneEvent::Connected { call: id } if *id == call);
    bob.sees("got the ACK", is_up).await?;
    Ok(call)
}

/// Registers from the other side; says how long that took.
async fn moves(bob: &Actor, there: Side) -> Result<String> {
    let mark = bob.phone.mark();
    bob.moves_to(there).await?;
    arrives(bob, (mark, there)).await
}

/// The same of one that has left since this entry of its log: all its doors are there.
async fn arrives(bob: &Actor, (mark, there): (u64, Side)) -> Result<String> {
    let is_left = |event: &PhoneEvent| matches!(event, PhoneEvent::NetworkChanged);
    let left = bob.sees_from(mark, "left its network", is_left).await?;
    let is_there = |event: &PhoneEvent| matches!(event, PhoneEvent::Registered { .. });
    let arrived = bob.sees_from(mark, "registered anew", is_there).await?;
    bob.is_on(there).await?;
    Ok(took(&left, &arrived))
}

/// Either finds the other in the call: Bob's phone says where it is, and hears it of Alice's.
async fn found(alice: &Actor, bob: &Actor, call: &str) -> Result<()> {
    renews(bob, alice, call).await?;
    renews(alice, bob, call).await
}

/// One phone says in a call where it is, and the other hears it.
async fn renews(from: &Actor, to: &Actor, call: &str) -> Result<()> {
    let heard = to.phone.mark();
    let is_it =
        |event: &PhoneEvent| matches!(event, PhoneEvent::Renewed { call: id } if id == call);
    let mark = from.phone.mark();
    from.phone.renew().await?;
    to.sees_from(heard, "heard anew where the other is", is_it)
        .await?;
    // Until it knows that, it refuses what the other says (RFC 3261 §14.2).
    let is_taken =
        |event: &PhoneEvent| matches!(event, PhoneEvent::RenewalTaken { call: id } if id == call);
    from.sees_from(mark, "heard that it was found", is_taken)
        .await?;
    Ok(())
}

async fn ended(phone: &Actor, call: &str) -> Result<()> {
    let is_over = |event: &PhoneEvent| matches!(event, PhoneEvent::Ended { call: id, by_us: false } if id == call);
    phone.sees("got the BYE", is_over).await?;
    Ok(())
}

/// The same over XMPP: the session goes on through the other door, and what waited for it is there: a call and a text, each once.
pub(in crate::demo) async fn asleep_over_xmpp(scene: &Scene) -> Result<String> {
    let alice = scene.writer(Person::Alice).await?;
    let bob = Part::of_bob(&WEBEX_13).called_by_xmpp().roaming();
    let bob = scene.phone(bob).await?;
    scene.curtain();
    bob.sleeps().await?;
    let there = scene.side().other();
    bob.moves_to(there).await?;
    alice.chats(&bob, TEXTS[0]).await?;
    let call = alice.offers(&bob).await?;
    let began = calling(&alice, &call).await?;
    let ringing = rings(&bob, &call).await?;
    resumed(&bob, 0).await?;
    bob.is_on(there).await?;
    super::offers::talk(&alice, &bob, &call).await?;
    has_read(&bob, &TEXTS[..1]).await?;
    Ok(format!(
        "to {}: rang after {}",
        there.name(),
        took(&began, &ringing)
    ))
}

/// A phone with both doors moves while its app is in front: it registers and goes on with its session from there, and neither a text nor
/// a call is lost.
pub(in crate::demo) async fn in_front(scene: &Scene) -> Result<String> {
    let alice = scene.writer(Person::Alice).await?;
    let bob = scene
        .phone(Part::of_bob(&JABBER_13).by_xmpp().roaming())
        .await?;
    scene.curtain();
    alice.chats(&bob, TEXTS[0]).await?;
    has_read(&bob, &TEXTS[..1]).await?;
    let there = scene.side().other();
    let mark = bob.phone.mark();
    bob.moves_to(there).await?;
    alice.chats(&bob, TEXTS[1]).await?;
    let moved = arrives(&bob, (mark, there)).await?;
    resumed(&bob, mark).await?;
    has_read(&bob, &TEXTS[..2]).await?;
    alice.chats(&bob, TEXTS[2]).await?;
    has_read(&bob, &TEXTS).await?;
    came_by_xmpp(scene, &bob, there).await?;
    let call = alice.calls(&bob).await?;
    rings(&bob, &call).await?;
    talk(&alice, &bob, &call).await?;
    Ok(format!("to {}: {moved}", there.name()))
}

/// It went on where it was (XEP-0198).
async fn resumed(bob: &Actor, mark: u64) -> Result<Entry> {
    let is_it = |event: &PhoneEvent| matches!(event, PhoneEvent::SignedIn { .. });
    let entry = bob.sees_from(mark, "signed in", is_it).await?;
    let went_on = matches!(entry.event, PhoneEvent::SignedIn { resumed: true, .. });
    ensure!(went_on, "it signed in anew");
    Ok(entry)
}

/// The last text came over XMPP, as its story says, by an edge or not.
async fn came_by_xmpp(scene: &Scene, bob: &Actor, there: Side) -> Result<()> {
    let seen = bob.seen();
    let mut ids = seen.iter().filter_map(|entry| match &entry.event {
        PhoneEvent::MessageReceived { id, .. } => id.split('@').next(),
        _ => None,
    });
    let last = ids.next_back().context("it got nothing")?;
    let story = scene.stage().story_with(last, Step::MessageDelivered);
    let story = story.await?.into_iter();
    let to_bob = story.filter(|event| event.step == Step::ByEdge && event.device.is_some());
    let ways: Vec<_> = to_bob.map(|event| event.detail).collect();
    let is_by_edge = there == Side::Outside;
    ensure!(
        ways.is_empty() != is_by_edge && ways.iter().all(|way| way.starts_with("to XMPP ")),
        "it came so by an edge: {ways:?}"
    );
    Ok(())
}

/// These texts came, each once and in order.
async fn has_read(bob: &Actor, texts: &[&str]) -> Result<()> {
    let last = texts[texts.len() - 1];
    let is_last = |event: &PhoneEvent| matches!(event, PhoneEvent::MessageReceived { text, .. } if text == last);
    bob.sees("got the message", is_last).await?;
    bob.has_everything().await?;
    let seen = bob.seen();
    let read = seen.iter().filter_map(|entry| match &entry.event {
        PhoneEvent::MessageReceived { text, .. } => Some(text.as_str()),
        PhoneEvent::DuplicateMessageDropped { .. } => Some("a message again"),
        _ => None,
    });
    let read: Vec<_> = read.collect();
    ensure!(read == texts, "it got {read:?}");
    Ok(())
}
