//! The WebSocket of a page (RFC 6455), from the client's side: the handshake, frames with a mask out, frames without one in. Whatever a
//! server does against the rules is the end of the connection.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, Bytes, BytesMut};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::made_up;

/// Where it is at our server.
const PATH: &str = "/xmpp-websocket";
/// What goes over it (RFC 7395 §3.1).
const PROTOCOL: &str = "xmpp";
/// RFC 6455 §1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Octets of the longest answer to the handshake that is read.
const LONGEST_ANSWER: usize = 8 * 1_024;
/// Octets of the longest message that is taken: a page of an archive is shorter.
const LONGEST_MESSAGE: usize = 1 << 20;
/// Octets of the longest payload of a frame that is no part of a message (RFC 6455 §5.5).
const LONGEST_CONTROL: usize = 125;

/// In the second octet of a frame (RFC 6455 §5.2): that it has a mask, and how many octets say how long it is.
const MASKED: u8 = 0x80;
const IN_TWO: u8 = 0x7e;
const IN_EIGHT: u8 = 0x7f;

const TEXT: u8 = 1;
const PONG: u8 = 10;

/// What the server sends.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Frame {
    /// A whole message.
    Message(Bytes),
    /// It asks whether we are there: this is the answer.
    Ping(Bytes),
    /// It is there itself.
    Pong,
    /// It sends nothing more.
    Close,
}

/// Begins a WebSocket as a page of `host` does; gives what was read behind the server's answer.
pub(super) async fn begin(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    host: &str,
) -> Result<Frames, String> {
    let seeds = [made_up::seed(), made_up::seed()].map(u64::to_le_bytes);
    let key = STANDARD.encode(seeds.concat());
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nHost: {host}\r\nOrigin: https://{host}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n"
    );
    let io = |error: std::io::Error| error.to_string();
    stream.write_all(request.as_bytes()).await.map_err(io)?;
    stream.flush().await.map_err(io)?;
    let mut read = BytesMut::new();
    let end = loop {
        if let Some(at) = read.windows(4).position(|it| it == b"\r\n\r\n") {
            break at;
        }
        let is_over = stream.read_buf(&mut read).await.map_err(io)? == 0;
        if is_over || read.len() > LONGEST_ANSWER {
            return Err("the server does not answer the handshake".to_owned());
        }
    };
    let head = read.split_to(end + 4);
    check(&String::from_utf8_lossy(&head), &key)?;
    Ok(Frames {
        buffer: read,
        message: None,
    })
}

/// RFC 6455 §4.1: what the server must have answered.
fn check(head: &str, key: &str) -> Result<(), String> {
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 101 ") {
        return Err(format!("the server answers the handshake with {status:?}"));
    }
    let fields: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
    let says = |name: &str, value: &str| {
        let mut named = fields.iter().filter(|it| it.0.eq_ignore_ascii_case(name));
        named.next().is_some_and(|it| it.1.trim() == value) && named.next().is_none()
    };
    let accept = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    if !says("Sec-WebSocket-Accept", &STANDARD.encode(accept)) {
        return Err("the server accepts another key".to_owned());
    }
    if !says("Sec-WebSocket-Protocol", PROTOCOL) {
        return Err("the server speaks another protocol".to_owned());
    }
    Ok(())
}

/// A message as a page sends it.
pub(super) fn message(text: &[u8]) -> Bytes {
    frame(TEXT, text, mask())
}

/// The answer to a question whether we are there.
pub(super) fn pong(payload: &[u8]) -> Bytes {
    frame(PONG, payload, mask())
}

/// RFC 6455 §5.3: a new one that nobody can foresee for each frame.
fn mask() -> [u8; 4] {
    let [a, b, c, d, ..] = made_up::seed().to_le_bytes();
    [a, b, c, d]
}

/// A frame that is the only one of its message (RFC 6455 §5.2).
fn frame(opcode: u8, payload: &[u8], mask: [u8; 4]) -> Bytes {
    let mut octets = vec![0x80 | opcode];
    if let Ok(length @ 0..=125) = u8::try_from(payload.len()) {
        octets.push(MASKED | length);
    } else if let Ok(length) = u16::try_from(payload.len()) {
        octets.push(MASKED | IN_TWO);
        octets.extend_from_slice(&length.to_be_bytes());
    } else {
        octets.push(MASKED | IN_EIGHT);
        octets.extend_from_slice(&(payload.len() as u64).to_be_bytes());
    }
    octets.extend_from_slice(&mask);
    let masked = payload.iter().zip(mask.into_iter().cycle());
    octets.extend(masked.map(|(octet, mask)| octet ^ mask));
    octets.into()
}

/// Reads what the server sends.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: BytesMut,
    /// The parts of a message so far.
    message: Option<BytesMut>,
}

impl Frames {
    pub(super) fn push(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// The next message or frame; `None` if more is needed.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, &'static str> {
        while let Some((first, payload)) = self.frame()? {
            let (is_last, opcode) = (first & 0x80 != 0, first & 0xf);
            if opcode >= 8 {
                if !is_last || payload.len() > LONGEST_CONTROL {
                    return Err("a control frame in parts, or too long");
                }
                return match opcode {
                    8 => Ok(Some(Frame::Close)),
                    9 => Ok(Some(Frame::Ping(payload.freeze()))),
                    PONG => Ok(Some(Frame::Pong)),
                    _ => Err("a frame of no known kind"),
                };
            }
            let mut message = match (opcode, self.message.take()) {
                (0, Some(message)) => message,
                (TEXT, None) => BytesMut::new(),
                _ => return Err("no text, or parts in disorder"),
            };
            if message.len() + payload.len() > LONGEST_MESSAGE {
                return Err("a message longer than is taken here");
            }
            message.unsplit(payload);
            if is_last {
                return Ok(Some(Frame::Message(message.freeze())));
            }
            self.message = Some(message);
        }
        Ok(None)
    }

    /// First octet and payload of the next frame.
    fn frame(&mut self) -> Result<Option<(u8, BytesMut)>, &'static str> {
        let [first, second, rest @ ..] = &*self.buffer else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err("an extension that was not agreed to");
        }
        // RFC 6455 §5.1.
        if second & MASKED != 0 {
            return Err("a server's frame with a mask");
        }
        let (length, head) = match *second {
            IN_TWO => (
                rest.first_chunk()
                    .map(|it| u64::from(u16::from_be_bytes(*it))),
                4,
            ),
            IN_EIGHT => (rest.first_chunk().map(|it| u64::from_be_bytes(*it)), 10),
            length => (Some(u64::from(length)), 2),
        };
        let Some(length) = length else {
            return Ok(None);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > LONGEST_MESSAGE {
            return Err("a frame longer than is taken here");
        }
        if self.buffer.len() < head + length {
            return Ok(None);
        }
        let first = *first;
        self.buffer.advance(head);
        Ok(Some((first, self.buffer.split_to(length))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> Result<Vec<Frame>, &'static str> {
        let (mut frames, mut all) = (Frames::default(), Vec::new());
        for octet in octets {
            frames.push(&[*octet]);
            all.extend(frames.next()?);
        }
        Ok(all)
    }

    fn text(text: &'static str) -> Frame {
        Frame::Message(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn the_examples_of_rfc_6455_section_5_7_are_read_and_written() {
        assert_eq!(read(b"\x81\x05Hello"), Ok(vec![text("Hello")]));
        let parts = read(b"\x01\x03Hel\x89\x02??\x80\x02lo");
        let ping = Frame::Ping(Bytes::from_static(b"??"));
        assert_eq!(parts, Ok(vec![ping, text("Hello")]));
        let masked = frame(TEXT, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(
            &masked[..],
            [
                0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58
            ]
        );
    }

    #[test]
    fn lengths_are_written_as_they_are_read() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let written = frame(TEXT, &payload, [0; 4]);
            // Of a server's the mask and its bit are missing.
            let head = written.len() - length - 4;
            let mut octets = written[..head].to_vec();
            octets[1] &= 0x7f;
            octets.extend_from_slice(&payload);
            let mut frames = Frames::default();
            frames.push(&octets);
            assert_eq!(frames.next(), Ok(Some(Frame::Message(payload.into()))));
            assert_eq!(frames.next(), Ok(None));
        }
    }

    #[test]
    fn what_breaks_the_rules_is_not_read() {
        for octets in [
            &b"\x81\x85\x00\x00\x00\x00Hello"[..],
            b"\xc1\x05Hello",
            b"\x82\x05Hello",
            b"\x80\x05Hello",
            b"\x01\x03Hel\x01\x02lo",
            b"\x09\x02??",
            b"\x8b\x00",
            b"\x81\x7f\x00\x00\x00\x01\x00\x00\x00\x00",
        ] {
            assert!(read(octets).is_err(), "{octets:x?}");
        }
    }

    #[test]
    fn the_server_must_accept_this_key_and_this_protocol() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let good = "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
                    Sec-WebSocket-Protocol: xmpp\r\n\r\n";
        assert_eq!(check(good, key), Ok(()));
        for (from, to) in [
            ("101", "200"),
            ("s3pP", "S3pP"),
            (": xmpp", ": sip"),
            ("Sec-WebSocket-Protocol", "Sec-WebSocket-Other"),
        ] {
            assert!(check(&good.replace(from, to), key).is_err(), "{to}");
        }
    }
}
