//! Calls over XMPP (XEP-0353): for a phone whose app is in front, for one that sleeps, taken on one of several, given up; and
//! beside calls over SIP for phones that have one door or both.

use super::{calling, give_up, rings, took};
use crate::demo::{
    phone::{Actor, Part, Reach},
    programme::{Client, JABBER_13, Person, WEBEX_13, WEBEX_DROID},
    scene::Scene,
    stage::check_push,
};
use anyhow::{Context, Result, ensure};
use lab::phone::{Caller, PhoneEvent};

/// The proposal goes over the stream at once, a push as well; the phone rings once, and drops the push.
pub(in crate::demo) async fn foreground(scene: &Scene, client: &Client) -> Result<String> {
    let alice = scene.writer(Person::Alice).await?;
    let bob = scene.phone(Part::of_bob(client).called_by_xmpp()).await?;
    scene.curtain();
    let call = alice.offers(&bob).await?;
    let began = calling(&alice, &call).await?;
    let ringing = rings(&bob, &call).await?;
    hears_ringing(&alice, &call).await?;
    let dropped = |event: &PhoneEvent| matches!(event, PhoneEvent::DuplicatePushDropped { call: id } if *id == call);
    bob.sees("dropped the push", dropped).await?;
    talk(&alice, &bob, &call).await?;

    check_call_push(&alice, &bob, client).await?;
    rang(&bob, &call, 1)?;
    let callkit = |event: &PhoneEvent| matches!(event, PhoneEvent::CallKitRinging { .. });
    bob.never("rang by CallKit too", callkit)?;
    Ok(format!("rang after {}", took(&began, &ringing)))
}

/// The push wakes the phone, or is shown and tapped on; it goes on where it was, and the proposal that waited rings it. iOS 13 and newer
/// shows the call before that.
pub(in crate::demo) async fn suspended(scene: &Scene, client: &Client) -> Result<String> {
    let alice = scene.writer(Person::Alice).await?;
    let bob = scene.phone(Part::of_bob(client).called_by_xmpp()).await?;
    scene.curtain();
    bob.sleeps().await?;
    let call = alice.offers(&bob).await?;
    let began = calling(&alice, &call).await?;
    let woken = |event: &PhoneEvent| matches!(event, PhoneEvent::Resumed { by_push: true });
    if client.of.is_page() {
        opens_for_a_call(&bob).await?;
    } else {
        bob.sees("was woken by the push", woken).await?;
    }
    let ringing = rings(&bob, &call).await?;
    hears_ringing(&alice, &call).await?;
    talk(&alice, &bob, &call).await?;

    check_call_push(&alice, &bob, client).await?;
    rang(&bob, &call, 1)?;
    let order = order(&bob);
    if !client.of.has_callkit() {
        ensure!(
            order == ["push", "proposal"],
            "the order was {}",
            order.join(", ")
        );
        return Ok(format!("rang after {}", took(&began, &ringing)));
    }
    ensure!(
        order == ["push", "CallKit", "proposal"],
        "the order was {}",
        order.join(", ")
    );
    let is_callkit = |event: &PhoneEvent| matches!(event, PhoneEvent::CallKitRinging { .. });
    let callkit = bob.sees("rang by CallKit", is_callkit).await?;
    bob.sees("closed CallKit", is_closed).await?;
    Ok(format!(
        "CallKit {}, XMPP {}",
        took(&began, &callkit),
        took(&began, &ringing)
    ))
}

/// A page shows that somebody calls, and its user opens it.
async fn opens_for_a_call(page: &Actor) -> Result<()> {
    let is_shown = |event: &PhoneEvent| matches!(event, PhoneEvent::NotificationShown { kind, .. } if kind == "call");
    page.sees("showed the call", is_shown).await?;
    let resumed = |event: &PhoneEvent| matches!(event, PhoneEvent::Resumed { .. });
    page.never("came to the front by itself", resumed)?;
    page.phone.tap().await?;
    Ok(())
}

/// One of three takes it. The one that rings hears so by a copy, the one that was pushed and not reached by a push.
pub(in crate::demo) async fn taken_elsewhere(scene: &Scene) -> Result<String> {
    let alice = scene.writer(Person::Alice).await?;
    let iphone = scene
        .phone(Part::of_bob(&WEBEX_13).called_by_xmpp())
        .await?;
    let ipad = Part::of_bob(&WEBEX_13).called_by_xmpp().called("iPad");
    let ipad = scene.phone(ipad).await?;
    let android = Part::of_bob(&WEBEX_DROID).called_by_xmpp();
    let android = scene.phone(android.in_reach(Reach::Lift)).await?;
    scene.curtain();
    iphone.phone.suspend().await?;
    android.phone.suspend().await?;
    for phone in [&iphone, &android] {
        phone.is_asleep().await?;
    }
    android.enters_lift();

    let call = alice.offers(&iphone).await?;
    rings(&ipad, &call).await?;
    rings(&iphone, &call).await?;
    let woken = |event: &PhoneEvent| matches!(event, PhoneEvent::Resumed { by_push: true });
    android.sees("was woken by the push", woken).await?;
    talk(&alice, &iphone, &call).await?;

    let cancelled = |event: &PhoneEvent| matches!(event, PhoneEvent::Cancelled { .. });
    let stopped = ipad.sees("stopped ringing", cancelled).await?;
    let PhoneEvent::Cancelled { reason, .. } = &stopped.event else {
        unreachable!("it is what was waited for")
    };
    ensure!(
        reason.as_deref() == Some("Call completed elsewhere"),
        "the iPad learned {reason:?}"
    );
    android.push(android.voip(), "call_cancelled").await?;
    android
        .sees("learned of the end by push", cancelled)
        .await?;

    // Out of the lift it must not ring for what is over: the proposal waits for it, and before this text.
    android.leaves_lift();
    alice.chats(&iphone, "That was quick.").await?;
    let text = |event: &PhoneEvent| matches!(event, PhoneEvent::MessageReceived { .. });
    android.sees("got the message", text).await?;
    rang(&android, &call, 0)?;
    let answered = |event: &PhoneEvent| matches!(event, PhoneEvent::Answered { .. });
    let answered = iphone.sees("answered", answered).await?;
    Ok(format!("iPad stopped after {}", took(&answered, &stopped)))
}

/// The caller gives up while an iPhone is still waking, which shows the call already: it is proposed it, sees it given up, and
/// closes the screen.
pub(in crate::demo) async fn given_up(scene: &Scene) -> Result<String> {
    let client = &WEBEX_13;
    let alice = scene.writer(Person::Alice).await?;
    let bob = Part::of_bob(client).called_by_xmpp();
    let bob = scene.phone(bob.in_reach(Reach::Lift)).await?;
    scene.curtain();
    bob.sleeps().await?;
    bob.enters_lift();
    let call = alice.offers(&bob).await?;
    let callkit = |event: &PhoneEvent| matches!(event, PhoneEvent::CallKitRinging { .. });
    bob.sees("rang by CallKit", callkit).await?;
    give_up(&alice, &call).await?;
    let missed = bob.push(bob.message(), "missed_call").await?;
    check_push(&missed, client, &[&alice.address()])?;

    bob.leaves_lift();
    bob.sees("closed CallKit", is_closed).await?;
    let seen = bob.seen();
    let order = seen.iter().filter_map(|entry| match &entry.event {
        PhoneEvent::Proposed { .. } => Some("proposed"),
        PhoneEvent::Cancelled { .. } => Some("retracted"),
        PhoneEvent::CallKitClosed { .. } => Some("closed"),
        _ => None,
    });
    let order: Vec<_> = order.collect();
    ensure!(
        order == ["proposed", "retracted", "closed"],
        "the order was {}",
        order.join(", ")
    );
    Ok(order.join(", "))
}

/// A phone with both doors and one with a door to XMPP: a call over SIP rings the first alone, one over XMPP both, each once.
pub(in crate::demo) async fn both_doors(scene: &Scene) -> Result<String> {
    let alice = scene.writer(Person::Alice).await?;
    let jabber = scene.phone(Part::of_bob(&JABBER_13).by_xmpp()).await?;
    let webex = Part::of_bob(&WEBEX_13).by_xmpp().called("iPad");
    let webex = scene.phone(webex).await?;
    scene.curtain();
    let by_sip = alice.calls(&jabber).await?;
    rings(&jabber, &by_sip).await?;
    give_up(&alice, &by_sip).await?;
    let by_xmpp = alice.offers(&jabber).await?;
    rings(&webex, &by_xmpp).await?;
    rings(&jabber, &by_xmpp).await?;
    talk(&alice, &jabber, &by_xmpp).await?;
    let cancelled = |event: &PhoneEvent| matches!(event, PhoneEvent::Cancelled { call, .. } if *call == by_xmpp);
    webex.sees("stopped ringing", cancelled).await?;
    for (phone, sip) in [(&jabber, 1), (&webex, 0)] {
        rang(phone, &by_sip, sip)?;
        rang(phone, &by_xmpp, 1)?;
    }
    Ok("SIP: one of two, XMPP: both".to_owned())
}

/// The phone that rings is answered, and the caller hangs up.
pub(super) async fn talk(caller: &Actor, phone: &Actor, call: &str) -> Result<()> {
    phone.phone.answer(call).await?;
    let is_up =
        |event: &PhoneEvent| matches!(event, PhoneEvent::Answered { call: id } if id == call);
    caller.sees("was answered", is_up).await?;
    caller.phone.hangup(call).await?;
    let is_over = |event: &PhoneEvent| matches!(event, PhoneEvent::Ended { call: id, by_us: false } if id == call);
    phone.sees("heard that it is over", is_over).await?;
    Ok(())
}

async fn hears_ringing(caller: &Actor, call: &str) -> Result<()> {
    let is_it = |event: &PhoneEvent| matches!(event, PhoneEvent::Progress { call: id, status: 180 } if id == call);
    caller.sees("heard ringing", is_it).await?;
    Ok(())
}

fn is_closed(event: &PhoneEvent) -> bool {
    matches!(event, PhoneEvent::CallKitClosed { .. })
}

/// So often a call has rung on a phone.
fn rang(phone: &Actor, call: &str, wanted: usize) -> Result<()> {
    let is_it =
        |event: &PhoneEvent| matches!(event, PhoneEvent::Ringing { call: id } if id == call);
    let times = phone.count(is_it);
    ensure!(times == wanted, "{} rang {times} times", phone.who);
    Ok(())
}

/// There was one push for the call, it went the right way, and only the phone could read who calls.
async fn check_call_push(alice: &Actor, bob: &Actor, client: &Client) -> Result<()> {
    let pushes = bob.pushes(bob.voip(), "call");
    ensure!(pushes.len() == 1, "there were {} pushes", pushes.len());
    let address = alice.address();
    check_push(&pushes[0], client, &[&address])?;
    let is_push =
        |event: &PhoneEvent| matches!(event, PhoneEvent::Pushed { kind, .. } if kind == "call");
    let pushed = bob.sees("got a push", is_push).await?;
    let PhoneEvent::Pushed { caller, .. } = pushed.event else {
        unreachable!("it is what was waited for")
    };
    // Over XMPP nobody says how they are called: the name is that of the account.
    let Caller { number, .. } = caller.context("nothing was sealed into the push")?;
    ensure!(number == address, "the push told of {number}");
    Ok(())
}

/// What brings a call to the phone, in the order in which it came.
fn order(bob: &Actor) -> Vec<&'static str> {
    let seen = bob.seen();
    let order = seen.iter().filter_map(|entry| match &entry.event {
        PhoneEvent::Pushed { .. } => Some("push"),
        PhoneEvent::CallKitRinging { .. } => Some("CallKit"),
        PhoneEvent::Proposed { .. } => Some("proposal"),
        _ => None,
    });
    order.collect()
}
