//! What a client sends over a WebSocket, cut into messages (RFC 6455 §5).

use super::{Code, Fault};

/// Frames that one message may come in. Browsers split only what is very long.
const MOST_FRAGMENTS: usize = 256;

/// Octets of the longest payload of a frame that is no part of a message (RFC 6455 §5.5).
const LONGEST_CONTROL: usize = 125;

/// What a message is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// UTF-8, which is checked.
    Text,
    /// Anything.
    Binary,
}

/// What comes out of the octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A whole message.
    Message(Kind, Vec<u8>),
    /// The peer asks whether we are there, with this.
    Ping(Vec<u8>),
    /// It is there itself.
    Pong,
    /// It will send nothing more.
    Close,
}

/// Reads frames. It holds one message within the limit, and what was pushed last; between messages nothing.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// Octets that were pushed; those before `at` are read.
    buffer: Vec<u8>,
    at: usize,
    /// A part of a message, of which octets are still to come.
    part: Option<Part>,
    /// A message that is not whole.
    message: Option<Message>,
    /// The last frame was read, or one that breaks the rules.
    over: bool,
}

#[derive(Debug)]
struct Part {
    left: u64,
    mask: [u8; 4],
    /// Octets of it that were read.
    read: usize,
    is_last: bool,
}

#[derive(Debug)]
struct Message {
    kind: Kind,
    octets: Vec<u8>,
    fragments: usize,
}

/// What stands before the payload (RFC 6455 §5.2).
struct Head {
    is_last: bool,
    opcode: u8,
    length: u64,
    mask: [u8; 4],
    /// Octets of it.
    size: usize,
}

impl Frames {
    /// Adds octets that were received.
    pub(crate) fn push(&mut self, octets: &[u8]) {
        if !self.over {
            self.buffer.drain(..self.at);
            self.at = 0;
            self.buffer.extend_from_slice(octets);
        }
    }

    /// Is the peer in the midst of a frame or a message?
    pub(crate) fn is_midway(&self) -> bool {
        self.message.is_some() || self.at < self.buffer.len()
    }

    /// The next frame or message, of no more than so many octets; `None` if more are needed.
    ///
    /// # Errors
    /// It is none that we take. Nothing can be read behind it.
    pub(crate) fn next(&mut self, most: usize) -> Result<Option<Frame>, Fault> {
        if self.over {
            return Ok(None);
        }
        let frame = self.frame(most);
        self.over = matches!(frame, Err(_) | Ok(Some(Frame::Close)));
        if self.over || self.at == self.buffer.len() {
            // A connection that waits has no buffer.
            (self.buffer, self.at) = (Vec::new(), 0);
        }
        frame
    }

    fn frame(&mut self, most: usize) -> Result<Option<Frame>, Fault> {
        loop {
            if self.part.is_some() {
                match self.message()? {
                    Read::Message(kind, octets) => {
                        return Ok(Some(Frame::Message(kind, octets)));
                    }
                    Read::Part => continue,
                    Read::NeedsMore => return Ok(None),
                }
            }
            let Some(head) = head(&self.buffer[self.at..])? else {
                return Ok(None);
            };
            if head.opcode & 0x8 == 0 {
                self.at += head.size;
                self.begins(&head, most)?;
                continue;
            }
            let length = usize::try_from(head.length).unwrap_or(usize::MAX);
            if !head.is_last || length > LONGEST_CONTROL {
                return fault(Code::Protocol, "a control frame in parts, or too long");
            }
            let begins = self.at + head.size;
            let Some(payload) = self.buffer.get(begins..begins + length) else {
                return Ok(None);
            };
            let mut payload = payload.to_vec();
            unmask(&mut payload, head.mask, 0);
            self.at = begins + length;
            return control(head.opcode, payload).map(Some);
        }
    }

    /// A part of a message begins.
    fn begins(&mut self, head: &Head, most: usize) -> Result<(), Fault> {
        let kind = match (head.opcode, &self.message) {
            (0, Some(message)) => message.kind,
            (1, None) => Kind::Text,
            (2, None) => Kind::Binary,
            (0, None) => return fault(Code::Protocol, "the rest of a message that never began"),
            (1 | 2, Some(_)) => return fault(Code::Protocol, "a message within another"),
            _ => return fault(Code::Protocol, "a frame of no known kind"),
        };
        let message = self.message.get_or_insert(Message {
            kind,
            octets: Vec::new(),
            fragments: 0,
        });
        message.fragments += 1;
        if message.fragments > MOST_FRAGMENTS {
            return fault(Code::Policy, "a message in too many parts");
        }
        // Before any of it is kept.
        let room = most.saturating_sub(message.octets.len());
        if usize::try_from(head.length).map_or(true, |length| length > room) {
            return fault(Code::TooLong, "a message longer than is taken here");
        }
        self.part = Some(Part {
            left: head.length,
            mask: head.mask,
            read: 0,
            is_last: head.is_last,
        });
        Ok(())
    }

    /// Reads on in a part of a message.
    fn message(&mut self) -> Result<Read, Fault> {
        let (Some(part), Some(message)) = (&mut self.part, &mut self.message) else {
            return Ok(Read::Part);
        };
        let there = &self.buffer[self.at..];
        let length = usize::try_from(part.left).map_or(there.len(), |left| left.min(there.len()));
        let begins = message.octets.len();
        message.octets.extend_from_slice(&there[..length]);
        unmask(&mut message.octets[begins..], part.mask, part.read);
        self.at += length;
        part.read += length;
        part.left -= length as u64;
        if part.left > 0 {
            return Ok(Read::NeedsMore);
        }
        let is_last = part.is_last;
        self.part = None;
        let Some(message) = self.message.take_if(|_| is_last) else {
            return Ok(Read::Part);
        };
        // RFC 6455 §8.1.
        if message.kind == Kind::Text && std::str::from_utf8(&message.octets).is_err() {
            return fault(Code::NotUtf8, "a text that is not in UTF-8");
        }
        Ok(Read::Message(message.kind, message.octets))
    }
}

/// What was read of a part of a message.
enum Read {
    /// The message is whole.
    Message(Kind, Vec<u8>),
    /// The part is, and another one follows.
    Part,
    NeedsMore,
}

fn fault<T>(code: Code, text: &'static str) -> Result<T, Fault> {
    Err(Fault { code, text })
}

/// What a frame says that is no part of a message.
fn control(opcode: u8, payload: Vec<u8>) -> Result<Frame, Fault> {
    match opcode {
        8 => {
            check_close(&payload)?;
            Ok(Frame::Close)
        }
        9 => Ok(Frame::Ping(payload)),
        10 => Ok(Frame::Pong),
        _ => fault(Code::Protocol, "a frame of no known kind"),
    }
}

/// RFC 6455 §5.5.1, §7.4.
fn check_close(payload: &[u8]) -> Result<(), Fault> {
    let Some((code, text)) = payload.split_first_chunk() else {
        return match payload {
            [] => Ok(()),
            _ => fault(Code::Protocol, "a last frame with half a reason"),
        };
    };
    if !matches!(u16::from_be_bytes(*code), 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return fault(
            Code::Protocol,
            "a last frame with a reason that may not be sent",
        );
    }
    match std::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(_) => fault(
            Code::NotUtf8,
            "a last frame with a text that is not in UTF-8",
        ),
    }
}

/// RFC 6455 §5.2. What is wrong is said as soon as it is seen.
fn head(octets: &[u8]) -> Result<Option<Head>, Fault> {
    let [first, second, rest @ ..] = octets else {
        return Ok(None);
    };
    if first & 0x70 != 0 {
        return fault(Code::Protocol, "an extension that was not agreed to");
    }
    // RFC 6455 §5.1.
    if second & 0x80 == 0 {
        return fault(Code::Protocol, "a frame without a mask");
    }
    let (length, rest, size) = match second & 0x7f {
        126 => match rest.split_first_chunk() {
            Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest, 4),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk() {
            Some((length, rest)) => (u64::from_be_bytes(*length), rest, 10),
            None => return Ok(None),
        },
        length => (u64::from(length), rest, 2),
    };
    let shortest = match length {
        0..126 => 2,
        126..0x1_0000 => 4,
        _ => 10,
    };
    if size != shortest || length >> 63 != 0 {
        return fault(Code::Protocol, "a length that is not written as it must be");
    }
    let Some((mask, _)) = rest.split_first_chunk() else {
        return Ok(None);
    };
    Ok(Some(Head {
        is_last: first & 0x80 != 0,
        opcode: first & 0xf,
        length,
        mask: *mask,
        size: size + mask.len(),
    }))
}

/// RFC 6455 §5.3, from this octet of the payload on.
fn unmask(octets: &mut [u8], mut mask: [u8; 4], from: usize) {
    let from = from % mask.len();
    mask.rotate_left(from);
    for (octet, mask) in octets.iter_mut().zip(mask.into_iter().cycle()) {
        *octet ^= mask;
    }
}

#[cfg(test)]
mod tests;
