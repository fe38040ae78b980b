//! What people, networks, clouds and operators do in a world: drawn from its seed.

use std::time::Duration;

use domain::User;

use super::operator;
use super::setting::{self, DOMAIN};
use crate::phone::machine::{Order, Word, WordId};
use crate::rng::Rng;

/// Something that somebody does.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// To a phone.
    Order(usize, Order),
    /// The app of a phone is installed anew.
    Reinstall(usize),
    /// What the app of a phone has to say reaches the device API ...
    Tell(usize, WordId, Word),
    /// ... and what that says reaches it.
    Told(usize, WordId, Result<(), String>),
    /// The operator changes something.
    Operator(operator::Order),
    /// The process is asked to stop.
    Stop,
    /// The process dies.
    Kill,
    /// Another one starts.
    Start,
    /// All is well from here on: no faults, and everybody opens their phone.
    Calm,
    /// Everybody opens their phone once more.
    Resume,
}

/// Whose phone it is, and what it speaks.
pub(super) struct Owner {
    pub(super) name: String,
    pub(super) sip: bool,
    pub(super) chats: bool,
}

/// The acts of a world, each with its time, and when all is well.
pub(super) struct Plot {
    pub(super) acts: Vec<(Duration, Act)>,
    pub(super) calm: Duration,
}

const SECOND: Duration = Duration::from_secs(1);

/// A plot for phones of these users.
pub(super) fn drawn(rng: &mut Rng, owners: &[Owner], people: &[User], restarts: bool) -> Plot {
    let users: Vec<String> = owners.iter().map(|it| it.name.clone()).collect();
    let users = &users[..];
    let longest = *rng.pick(&[60, 120, 300, 1_500]).unwrap_or(&60);
    let calm = rng.between(30 * SECOND, longest * SECOND);
    let mut acts: Vec<_> = (0..users.len()).map(|who| comes(rng, who, calm)).collect();
    let mut texts = 0;
    for _ in 0..10 + rng.below(40) {
        let at = rng.between(SECOND, calm);
        let who = usize::try_from(rng.below(users.len() as u64)).unwrap_or_default();
        let uri = |rng: &mut Rng| {
            let whom = rng.pick(users).cloned().unwrap_or_default();
            format!("sip:{whom}@{DOMAIN}")
        };
        let order = match rng.below(16) {
            0..4 => Order::Suspend,
            4 => Order::Background,
            5 => Order::Resume,
            6 => Order::ChangeNetwork,
            7 if rng.chance(300) => Order::Crash,
            7 if rng.chance(300) => Order::Unregister,
            7 if rng.chance(300) => {
                acts.push((at, Act::Reinstall(who)));
                continue;
            }
            8..12 => {
                // Whoever writes has the app open.
                acts.push((at, Act::Order(who, Order::Resume)));
                texts += 1;
                let from = users.get(who).cloned().unwrap_or_default();
                let text = format!("{from} {texts}");
                let to = uri(rng);
                let uri = way(rng, &owners[who], to);
                Order::Send { uri, text }
            }
            _ => {
                acts.push((at, Act::Order(who, Order::Resume)));
                let to = uri(rng);
                // Over XMPP nobody calls themselves.
                if !owners[who].sip && is_own(&owners[who], &to) {
                    continue;
                }
                Order::Call {
                    uri: way(rng, &owners[who], to),
                }
            }
        };
        let after = match order {
            Order::Call { .. } | Order::Send { .. } => rng.between(Duration::ZERO, 2 * SECOND),
            _ => Duration::ZERO,
        };
        acts.push((at + after, Act::Order(who, order)));
    }
    if restarts {
        for _ in 0..=rng.below(3) {
            let end = if rng.chance(700) {
                Act::Kill
            } else {
                Act::Stop
            };
            acts.push((rng.between(SECOND, calm), end));
        }
    }
    if rng.chance(300) {
        operator(rng, people, calm, &mut acts);
    }
    acts.push((calm, Act::Calm));
    for minute in 1..4 {
        acts.push((calm + minute * 60 * SECOND, Act::Resume));
    }
    Plot { acts, calm }
}

/// By which door somebody writes who has two. To themselves over SIP alone: a client sees what it writes as it is written.
fn way(rng: &mut Rng, from: &Owner, uri: String) -> String {
    if from.chats && !is_own(from, &uri) && rng.chance(500) {
        return uri.replacen("sip:", "xmpp:", 1);
    }
    uri
}

fn is_own(owner: &Owner, uri: &str) -> bool {
    uri == format!("sip:{}@{DOMAIN}", owner.name)
}

/// When a phone registers first. Some come late: they are written to before.
fn comes(rng: &mut Rng, who: usize, calm: Duration) -> (Duration, Act) {
    let latest = if rng.chance(800) { SECOND } else { calm };
    let at = rng.between(Duration::ZERO, latest);
    (at, Act::Order(who, Order::Register))
}

/// The operator locks a user out for a while, removes them and lets them in again, or sends their calls elsewhere.
fn operator(rng: &mut Rng, people: &[User], calm: Duration, acts: &mut Vec<(Duration, Act)>) {
    for _ in 0..=rng.below(3) {
        let Some(user) = rng.pick(people).cloned() else {
            return;
        };
        let at = rng.between(SECOND, calm);
        let again = operator::Order::Put(Box::new(user.clone()));
        let order = match rng.below(4) {
            0 => operator::Order::Remove(user.address),
            1 => {
                let forward = rng.pick(people).map(|it| format!("sip:{}", it.address));
                operator::Order::Put(Box::new(User { forward, ..user }))
            }
            _ => {
                let secrets = setting::secrets(user.address.name(), "other");
                operator::Order::Put(Box::new(User { secrets, ..user }))
            }
        };
        acts.push((at, Act::Operator(order)));
        let later = rng.between(Duration::ZERO, 30 * SECOND);
        acts.push((at + later, Act::Operator(again)));
    }
}

/// What somebody does who is none of our users.
pub(super) fn outsider(
    rng: &mut Rng,
    who: usize,
    users: &[String],
    calm: Duration,
) -> Vec<(Duration, Act)> {
    let mut acts = vec![(Duration::ZERO, Act::Order(who, Order::Register))];
    for number in 0..rng.below(12) {
        let whom = rng.pick(users).cloned().unwrap_or_default();
        let uri = format!("sip:{whom}@{DOMAIN}");
        let order = match rng.below(8) {
            0..4 => Order::Call { uri },
            4..6 => Order::Send {
                uri,
                text: format!("gateway {number}"),
            },
            6 => Order::ChangeNetwork,
            _ => Order::Renew,
        };
        acts.push((rng.between(SECOND, calm), Act::Order(who, order)));
    }
    acts
}

/// What is done about a call that was just made: when its caller hangs up.
pub(super) fn patience(rng: &mut Rng) -> Duration {
    let most = *rng.pick(&[5, 20, 100]).unwrap_or(&5);
    rng.between(SECOND / 10, most * SECOND)
}

/// What its callee does with a call that rings, and when.
pub(super) fn choice(rng: &mut Rng, call: &str) -> Option<(Duration, Order)> {
    let order = match rng.below(4) {
        0 => Order::Decline(call.to_owned()),
        1 | 2 => Order::Answer(call.to_owned()),
        _ => return None,
    };
    Some((rng.between(Duration::ZERO, 15 * SECOND), order))
}

/// What its callee does in a call, and when.
pub(super) fn talk(rng: &mut Rng, call: &str) -> Option<(Duration, Order)> {
    let order = match rng.below(5) {
        0 | 1 => Order::Hangup(call.to_owned()),
        2 => Order::Renew,
        _ => return None,
    };
    Some((rng.between(Duration::ZERO, 30 * SECOND), order))
}

/// When somebody reads what their phone shows.
pub(super) fn reads(rng: &mut Rng) -> Option<Duration> {
    let after = rng.between(Duration::ZERO, 20 * SECOND);
    rng.chance(500).then_some(after)
}

/// When somebody leaves the network during a call.
pub(super) fn walks(rng: &mut Rng) -> Option<Duration> {
    let after = rng.between(Duration::ZERO, 10 * SECOND);
    rng.chance(300).then_some(after)
}

/// When a phone on another network says in its calls where it is now.
pub(super) fn finds_itself(rng: &mut Rng) -> Option<Duration> {
    let after = rng.between(Duration::ZERO, 6 * SECOND);
    rng.chance(800).then_some(after)
}
