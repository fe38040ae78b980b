//! As much of RFC 6455 as a client needs, written apart from Reveille's own. It lets its user break every rule.

use crate::xml;

/// What a stream to `localhost` begins with (RFC 7395 §3.4).
pub const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";

/// Where the server has it.
pub const WEBSOCKET: &str = "/xmpp-websocket";

/// First octets of frames: a whole message of text, one of octets, parts of one, the end, a question.
pub const TEXT: u8 = 0x81;
/// See above.
pub const BINARY: u8 = 0x82;
/// The first part of a text.
pub const BEGINS: u8 = 0x01;
/// A part that is not the last.
pub const GOES_ON: u8 = 0x00;
/// The last part.
pub const ENDS: u8 = 0x80;
/// The last frame.
pub const CLOSES: u8 = 0x88;
/// Asks whether the other side is there.
pub const PING: u8 = 0x89;

/// The request that a WebSocket begins with (RFC 6455 §4.1), for XMPP.
pub fn handshake() -> String {
    format!(
        "GET {WEBSOCKET} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\nSec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// What the answer to that must have (RFC 6455 §4.2.2), computed by another program.
pub(crate) const ACCEPTED: &str = "Sec-WebSocket-Accept: +I6SyLIaWoDVyDga6eYd6AAeTAo=";

/// A frame as a client must write it.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..=125 => out.push(0x80 + u8::try_from(short).expect("short")),
        middle @ 126..=0xffff => {
            out.push(0x80 + 126);
            out.extend_from_slice(&u16::try_from(middle).expect("middle").to_be_bytes());
        }
        long => {
            out.push(0x80 + 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    let mask = [0xa5, 0x5a, 0xc3, 0x3c];
    out.extend_from_slice(&mask);
    for (at, octet) in payload.iter().enumerate() {
        out.push(octet ^ mask[at % 4]);
    }
    out
}

/// Cuts the first frame of a server off what was received: its first octet and its payload.
pub(crate) fn take_frame(pending: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let second = *pending.get(1)?;
    assert!(second < 0x80, "a server's frame has no mask");
    let (size, length) = match second {
        126 => (
            4,
            usize::from(u16::from_be_bytes(pending.get(2..4)?.try_into().ok()?)),
        ),
        127 => {
            let length = u64::from_be_bytes(pending.get(2..10)?.try_into().ok()?);
            (
                10,
                usize::try_from(length).expect("no more than there is memory"),
            )
        }
        short => (2, usize::from(short)),
    };
    if pending.len() < size + length {
        return None;
    }
    let mut octets: Vec<u8> = pending.drain(..size + length).collect();
    Some((octets[0], octets.split_off(size)))
}

/// What is said over TCP, as it is said over a WebSocket: stanzas name their namespace.
pub(crate) fn as_message(text: &str) -> String {
    let name = text.trim_start_matches('<').split([' ', '/', '>']).next();
    let name = name.unwrap_or_default();
    let is_stanza = ["message", "presence", "iq"].contains(&name);
    if is_stanza && xml::attribute(text, "xmlns").is_none() {
        return text.replacen(name, &format!("{name} xmlns='jabber:client'"), 1);
    }
    text.to_owned()
}
