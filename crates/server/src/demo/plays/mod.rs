//! The plays. Alice calls and writes, Bob has the phones, Carol is Bob's forward or somebody else who writes.

pub(super) mod calls;
pub(super) mod chats;
pub(super) mod messages;
pub(super) mod moves;
pub(super) mod offers;
pub(super) mod rules;

use super::phone::Actor;
use anyhow::{Result, ensure};
use lab::phone::{Entry, PhoneEvent};
use std::time::Duration;

/// The time between two things on phones of this process, as people read it.
fn took(from: &Entry, to: &Entry) -> String {
    span(to.instant.saturating_duration_since(from.instant))
}

/// Milliseconds up to a second, then seconds.
fn span(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

/// The caller's INVITE goes out.
async fn calling(caller: &Actor, call: &str) -> Result<Entry> {
    let is_it =
        |event: &PhoneEvent| matches!(event, PhoneEvent::Calling { call: id, .. } if id == call);
    caller.sees("called", is_it).await
}

/// The phone rings, by SIP.
async fn rings(phone: &Actor, call: &str) -> Result<Entry> {
    let is_it =
        |event: &PhoneEvent| matches!(event, PhoneEvent::Ringing { call: id } if id == call);
    phone.sees("rang", is_it).await
}

/// The phone that rings is answered, the two talk, the caller hangs up: all of it over SIP.
async fn talk(caller: &Actor, phone: &Actor, call: &str) -> Result<()> {
    phone.phone.answer(call).await?;
    let is_up =
        |event: &PhoneEvent| matches!(event, PhoneEvent::Answered { call: id } if id == call);
    caller.sees("was answered", is_up).await?;
    let is_connected =
        |event: &PhoneEvent| matches!(event, PhoneEvent::Connected { call: id } if id == call);
    phone.sees("got the ACK", is_connected).await?;
    caller.phone.hangup(call).await?;
    let is_over = |event: &PhoneEvent| matches!(event, PhoneEvent::Ended { call: id, by_us: false } if id == call);
    phone.sees("got the BYE", is_over).await?;
    Ok(())
}

/// The caller gives up before anybody answers.
async fn give_up(caller: &Actor, call: &str) -> Result<()> {
    caller.phone.hangup(call).await?;
    let status = failed(caller, call, Duration::ZERO).await?.1;
    ensure!(status == 487, "the caller got {status} for a CANCEL");
    Ok(())
}

/// The call fails, `patience` later than what ought to happen at once; says with which status.
async fn failed(caller: &Actor, call: &str, patience: Duration) -> Result<(Entry, u16)> {
    let failure = |event: &PhoneEvent| match event {
        PhoneEvent::CallFailed {
            call: id, status, ..
        } if id == call => Some(*status),
        _ => None,
    };
    let entry = caller
        .sees_later(patience, "was told that the call failed", |event| {
            failure(event).is_some()
        })
        .await?;
    let status = failure(&entry.event).unwrap_or_default();
    Ok((entry, status))
}
