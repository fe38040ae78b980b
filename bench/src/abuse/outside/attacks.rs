//! The attacks on an edge, each with the least that brings it about.

use super::{phone::Phone, quic, target::Target};
use crate::abuse::{
    attacker::{Done, Stands, address},
    attacks::connections::{held, hello, hellos},
    messages::status,
};
use crate::{load::DOMAIN, stream::Stream};
use anyhow::Result;
use std::{thread, time::Duration};

/// Connections over which nothing comes, and whence.
const IDLE: (usize, u32) = (10_000, 250);
/// Of them, handshakes at once that are to come to their end.
const BEGUN: usize = 500;
/// Connections whose answers nobody reads.
const DEAF: usize = 100;
/// An edge asks for a token so many times a connection.
const TOKENS: u32 = 6;
/// What is sent in the name of others, and by their flows.
const CLAIMS: [&str; 5] = ["INVITE", "MESSAGE", "BYE", "REFER", "NOTIFY"];
/// A source that is kept out comes again after so long.
const PAUSE: Duration = Duration::from_millis(5);

/// An attack.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) run: fn(&Target) -> Result<Done>,
    /// Why the edge refuses it, one of these at least; nothing where a kernel or QUIC does without a word.
    pub(super) reasons: &'static [&'static str],
    /// So many of its requests may reach the inside, which alone knows whether a user is signed out: each edge asks it once.
    pub(super) may_reach: u64,
}

const fn attack(
    name: &'static str,
    run: fn(&Target) -> Result<Done>,
    reasons: &'static [&'static str],
    may_reach: u64,
) -> Attack {
    Attack {
        name,
        run,
        reasons,
        may_reach,
    }
}

/// All of them.
pub(super) const ATTACKS: [Attack; 16] = [
    attack(
        "TLS handshakes, one source",
        |target| hellos(target, target.at, &target.tls, 1),
        &["silent", "connections", "shed", "banned"],
        0,
    ),
    attack(
        "TLS handshakes, 250 sources",
        |target| hellos(target, target.at, &target.tls, 250),
        &["silent", "connections", "shed", "banned"],
        0,
    ),
    attack(
        "QUIC: first packets, 250 sources",
        quic::first_packets,
        &["challenged"],
        0,
    ),
    attack(
        "QUIC: handshakes that go no further",
        quic::half_handshakes,
        &["shed", "silent"],
        0,
    ),
    attack(
        "QUIC: handshakes left half open, 250 sources",
        quic::half_open,
        &["shed", "silent"],
        0,
    ),
    attack(
        "10,000 idle connections, 250 sources",
        |target| Ok(held(target, target.at, (b"", IDLE.0), IDLE.1)),
        &["silent", "connections"],
        0,
    ),
    attack(
        "10,000 who say one octet, 250 sources",
        |target| Ok(held(target, target.at, (&[22], IDLE.0), IDLE.1)),
        &["silent", "connections"],
        0,
    ),
    attack(
        "10,000 who begin TLS and go no further, 250 sources",
        begun,
        &["silent", "connections"],
        0,
    ),
    attack(
        "10,000 who end the handshake and say nothing, 250 sources",
        |target| Ok(silent(target)),
        &["silent", "connections"],
        0,
    ),
    attack("100 who read no answer", |target| Ok(deaf(target)), &[], 0),
    attack(
        "requests that claim another's flow",
        claims_flow,
        &["not_signed_in"],
        0,
    ),
    attack(
        "forged tokens",
        |target| shows(target, &target.tokens.forged, target.bad_user),
        &["bad_token"],
        0,
    ),
    attack(
        "tokens of another system",
        |target| shows(target, &target.tokens.foreign, target.bad_user),
        &["bad_token"],
        0,
    ),
    attack(
        "tokens that have expired",
        |target| shows(target, &target.tokens.expired, target.bad_user),
        &["bad_token"],
        0,
    ),
    attack(
        "a token of who was signed out",
        |target| shows(target, &target.tokens.replayed, target.bad_user),
        &["bad_token"],
        1,
    ),
    attack(
        "a good token for somebody else",
        |target| shows(target, &target.tokens.own, 0),
        &["another_user"],
        0,
    ),
];

/// Shows a token for a user, as often as one connection may and then over another one, from 50 sources.
fn shows(target: &Target, token: &str, user: u32) -> Result<Done> {
    let mut done = Done::default();
    let mut number = 0;
    let shown = format!("Authorization: Bearer {token}\r\n");
    while target.stands() {
        number += 1;
        // A source that is banned gets no connection, and comes again.
        let Ok(mut phone) = Phone::connect(address(number % 50), target) else {
            thread::sleep(PAUSE);
            continue;
        };
        for step in 0..TOKENS {
            let draft = phone.register(user, 1_000_000 + number * TOKENS + step);
            let text = draft.text(0, &shown);
            done.sends(text.len());
            let Some(answer) = phone.asks(&draft, &text) else {
                break;
            };
            done.gets(answer.len());
            anyhow::ensure!(
                status(&answer, &draft.id) != Some(200),
                "a token that is no good was taken"
            );
        }
    }
    Ok(done)
}

/// Requests and answers as in the dialogs and over the flows of others: by the token that would be in our Record-Route, in the name of
/// a phone that is there.
fn claims_flow(target: &Target) -> Result<Done> {
    let mut done = Done::default();
    for number in 0.. {
        if !target.stands() {
            break;
        }
        let Ok(mut phone) = Phone::connect(address(number % 50), target) else {
            thread::sleep(PAUSE);
            continue;
        };
        let turn = usize::try_from(number)? % CLAIMS.len();
        let mut draft = phone.register(number % 100, 3_000_000 + number);
        draft.method = CLAIMS[turn];
        let flow = format!("Route: <sip:{}@{DOMAIN};lr>\r\n", "A".repeat(86));
        let text = draft.text(0, &flow);
        done.sends(text.len());
        if let Some(answer) = phone.asks(&draft, &text) {
            done.gets(answer.len());
            let refused = status(&answer, &draft.id).is_some_and(|it| it >= 300);
            anyhow::ensure!(refused, "somebody else's flow was taken");
        }
    }
    Ok(done)
}

/// Connections over which TLS begins, whose peers say nothing more and stay.
fn begun(target: &Target) -> Result<Done> {
    let hello = hello(&target.tls)?;
    Ok(held(target, target.at, (&hello, IDLE.0), IDLE.1))
}

/// Connections over which TLS is there, and nothing more comes.
fn silent(target: &Target) -> Done {
    let (mut done, mut number) = (Done::default(), 0);
    let mut streams: Vec<Stream> = Vec::new();
    while target.stands() {
        streams.retain_mut(|stream| stream.read(|_| {}).and_then(|()| stream.flush()).is_ok());
        let begun = streams.iter().filter(|it| it.is_handshaking()).count();
        let room = (IDLE.0 - streams.len()).min(BEGUN.saturating_sub(begun));
        for _ in 0..room {
            number += 1;
            let from = address(number % IDLE.1);
            let Ok(stream) = Stream::connect(from, target.at, &target.tls, DOMAIN) else {
                break;
            };
            streams.push(stream);
            done.sent += 1;
        }
        thread::sleep(PAUSE);
    }
    done
}

/// Connections that say more and more, and read nothing of what is answered.
fn deaf(target: &Target) -> Done {
    let mut done = Done::default();
    let mut phones: Vec<Phone> = Vec::new();
    let mut number = 0;
    while target.stands() {
        while phones.len() < DEAF && target.stands() {
            number += 1;
            let Ok(mut phone) = Phone::connect(address(number % 50), target) else {
                break;
            };
            if phone.is_up() {
                phones.push(phone);
            }
        }
        phones.retain_mut(|phone| {
            number += 1;
            let mut draft = phone.register(target.bad_user, 2_000_000 + number);
            draft.method = "OPTIONS";
            let text = draft.text(0, "");
            done.sends(text.len());
            phone.says(&text).is_ok()
        });
    }
    done
}
