//! Whole messages out of a stream (RFC 3261 §18.3), and the keep-alives between them (RFC 5626 §3.5.1).

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

use super::Message;
use super::scan::{self, Head};
use crate::{Limits, ParseError};

/// What comes out of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One message.
    Message(Message),
    /// The octets of one that cannot be read, and why; [`ParseError::reply`] answers them.
    Malformed(Bytes, ParseError),
    /// `CRLF CRLF` between messages: answer `CRLF` at once.
    Ping,
    /// `CRLF` between messages, the answer to our ping.
    Pong,
}

/// The stream cannot be read on: where the next message starts is unknown. Send the reply if there is one, and close.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct FrameError {
    /// What is wrong with the message that broke the stream.
    pub error: ParseError,
    /// What there is of that message.
    head: Bytes,
}

impl FrameError {
    /// The answer to the message that broke the stream, see [`ParseError::reply`].
    pub fn reply(&self) -> Option<Bytes> {
        self.error.reply(&self.head)
    }
}

/// Cuts one stream into messages. It holds what was pushed and not yet taken: take frames until there is none
/// before the next push, and it never holds more than one message within [`Limits`] and one push.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    side: Side,
    buffer: BytesMut,
    /// Octets of the buffer in which no end of a head was found.
    searched: usize,
    /// Octets of the message at the start of the buffer, once its head is there.
    whole: Option<usize>,
    broken: Option<FrameError>,
}

/// Who sends pings (RFC 5626 §3.5.1: the client).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

impl Framer {
    /// For a connection that was accepted: a double CRLF is a ping, a single one means nothing.
    pub fn new(limits: Limits) -> Self {
        Self::of(Side::Server, limits)
    }

    /// For a connection that was opened: every CRLF is a pong.
    pub fn client(limits: Limits) -> Self {
        Self::of(Side::Client, limits)
    }

    fn of(side: Side, limits: Limits) -> Self {
        Self {
            limits,
            side,
            buffer: BytesMut::new(),
            searched: 0,
            whole: None,
            broken: None,
        }
    }

    /// Adds octets that were received.
    pub fn push(&mut self, octets: &[u8]) {
        if self.broken.is_none() {
            self.buffer.extend_from_slice(octets);
        }
    }

    /// Octets that wait for the rest of their message: is the peer in the midst of one?
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// The next frame; `None` if more octets are needed.
    ///
    /// # Errors
    /// The stream is broken, and stays so.
    #[expect(
        clippy::should_implement_trait,
        reason = "a framer is no iterator: after `None` it goes on"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        if self.whole.is_none()
            && let Some(keep_alive) = self.keep_alive()
        {
            return Ok(Some(keep_alive));
        }
        self.message().map_err(|error| {
            let head = std::mem::take(&mut self.buffer).freeze();
            let error = FrameError { error, head };
            self.broken = Some(error.clone());
            error
        })
    }

    /// Takes the line ends between messages.
    fn keep_alive(&mut self) -> Option<Frame> {
        while self.buffer.starts_with(b"\r\n") {
            self.searched = 0;
            if self.side == Side::Client {
                self.buffer.advance(2);
                return Some(Frame::Pong);
            }
            match self.buffer[2..] {
                [b'\r', b'\n', ..] => {
                    self.buffer.advance(4);
                    return Some(Frame::Ping);
                }
                // It may become a ping yet.
                [] | [b'\r'] => return None,
                _ => self.buffer.advance(2),
            }
        }
        None
    }

    fn message(&mut self) -> Result<Option<Frame>, ParseError> {
        if self.whole.is_none() && !self.has_head()? {
            return Ok(None);
        }
        if self.whole.is_some_and(|whole| self.buffer.len() < whole) {
            return Ok(None);
        }
        // Once more if its body was not there before, which is rare: a head takes too much room to be kept.
        let head = self.head()?;
        let whole = self.length(&head)?;
        if self.buffer.len() < whole {
            self.whole = Some(whole);
            return Ok(None);
        }
        self.whole = None;
        self.searched = 0;
        let octets = self.taken(whole);
        Ok(Some(match Message::read(octets.clone(), &head) {
            Ok(message) => Frame::Message(message),
            Err(error) => Frame::Malformed(octets, error),
        }))
    }

    /// Takes so many octets out. An empty buffer does not hold on to them: most streams are idle most of the time.
    fn taken(&mut self, whole: usize) -> Bytes {
        if self.buffer.len() == whole {
            std::mem::take(&mut self.buffer).freeze()
        } else {
            self.buffer.split_to(whole).freeze()
        }
    }

    /// Whether the head of the message at the start of the buffer is complete.
    fn has_head(&mut self) -> Result<bool, ParseError> {
        // An end that came in two pushes starts up to three octets before the new ones.
        let from = self.searched.saturating_sub(3);
        if memmem::find(&self.buffer[from..], b"\r\n\r\n").is_some() {
            return Ok(true);
        }
        self.searched = self.buffer.len();
        if self.searched > self.limits.message_bytes {
            return Err(ParseError::new(513, "Message Too Large"));
        }
        Ok(false)
    }

    fn head(&self) -> Result<Head, ParseError> {
        let start_line = scan::start_line_end(&self.buffer, &self.limits)?;
        scan::head(&self.buffer, start_line, &self.limits)
    }

    /// Octets of the message with this head.
    fn length(&self, head: &Head) -> Result<usize, ParseError> {
        let length = scan::stated_length(&self.buffer, &head.lines)?
            .ok_or(ParseError::bad("Content-Length Required on a Stream"))?;
        head.body
            .checked_add(length)
            .filter(|whole| *whole <= self.limits.message_bytes)
            .ok_or(ParseError::new(513, "Message Too Large"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:reveille.example SIP/2.0\r\n\
        Via: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKo1\r\n\
        From: <sip:a@reveille.example>;tag=1\r\n\
        To: <sip:reveille.example>\r\n\
        Call-ID: o1\r\n\
        CSeq: 1 OPTIONS\r\n\
        Content-Length: 5\r\n\
        \r\n\
        h\r\n\r\n";

    fn options() -> Frame {
        let octets = Bytes::from_static(OPTIONS.as_bytes());
        Frame::Message(Message::parse(octets, &Limits::default()).unwrap())
    }

    fn frames(framer: &mut Framer) -> Vec<Frame> {
        std::iter::from_fn(|| framer.next().unwrap()).collect()
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_frames() {
        let stream = format!("\r\n\r\n{OPTIONS}\r\n\r\n{OPTIONS}{OPTIONS}\r\n{OPTIONS}\r\n\r\n");
        let message = options();
        let expected = [
            Frame::Ping,
            message.clone(),
            Frame::Ping,
            message.clone(),
            message.clone(),
            message.clone(),
            Frame::Ping,
        ];
        for cut in 0..=stream.len() {
            let mut framer = Framer::new(Limits::default());
            let (first, second) = stream.as_bytes().split_at(cut);
            framer.push(first);
            let mut got = frames(&mut framer);
            framer.push(second);
            got.extend(frames(&mut framer));
            assert_eq!(got, expected, "cut at {cut}");
            assert_eq!(framer.pending(), 0);
        }
    }

    #[test]
    fn a_stream_that_comes_octet_by_octet_gives_the_same_frames() {
        let mut framer = Framer::new(Limits::default());
        let mut got = Vec::new();
        for octet in format!("{OPTIONS}{OPTIONS}").as_bytes() {
            framer.push(&[*octet]);
            got.extend(frames(&mut framer));
        }
        assert_eq!(got, vec![options(); 2]);
    }

    #[test]
    fn a_client_takes_each_line_end_for_a_pong() {
        let mut framer = Framer::client(Limits::default());
        framer.push(b"\r\n");
        assert_eq!(framer.next(), Ok(Some(Frame::Pong)));
        framer.push(b"\r\n");
        assert_eq!(framer.next(), Ok(Some(Frame::Pong)));
        assert_eq!(framer.next(), Ok(None));
    }

    #[test]
    fn without_a_length_the_stream_is_broken_and_the_peer_is_told() {
        let mut framer = Framer::new(Limits::default());
        framer.push(OPTIONS.replace("Content-Length: 5\r\n", "").as_bytes());
        let error = framer.next().unwrap_err();
        assert_eq!(error.error.status, 400);
        let reply = String::from_utf8(error.reply().unwrap().to_vec()).unwrap();
        assert!(reply.starts_with(
            "SIP/2.0 400 Content-Length Required on a Stream\r\nVia: SIP/2.0/TCP 192.0.2.7"
        ));
        framer.push(OPTIONS.as_bytes());
        assert_eq!(framer.next(), Err(error), "it does not find its feet again");
    }

    #[test]
    fn two_lengths_that_differ_break_the_stream() {
        let mut framer = Framer::new(Limits::default());
        framer.push(
            OPTIONS
                .replace("Content-Length: 5\r\n", "Content-Length: 5\r\nl: 0\r\n")
                .as_bytes(),
        );
        assert_eq!(
            framer.next().unwrap_err().error.reason,
            "Different Content-Length Values"
        );
    }

    #[test]
    fn a_nameless_header_field_costs_the_message_but_not_the_stream() {
        let mut framer = Framer::new(Limits::default());
        let broken = OPTIONS.replace("Call-ID: o1", "no colon here");
        framer.push(broken.as_bytes());
        framer.push(OPTIONS.as_bytes());
        let Ok(Some(Frame::Malformed(octets, error))) = framer.next() else {
            panic!("a frame")
        };
        assert_eq!((&octets[..], error.status), (broken.as_bytes(), 400));
        assert_eq!(framer.next(), Ok(Some(options())));
    }

    #[test]
    fn a_message_beyond_the_limit_is_refused_before_its_body_is_held() {
        let limits = Limits {
            message_bytes: 1000,
            ..Limits::default()
        };
        let mut framer = Framer::new(limits);
        framer.push(
            OPTIONS
                .replace("Length: 5", "Length: 4294967295")
                .as_bytes(),
        );
        assert_eq!(framer.next().unwrap_err().error.status, 513);
        let mut framer = Framer::new(limits);
        framer.push(&[b'x'; 1001]);
        assert_eq!(framer.next().unwrap_err().error.status, 513);
    }
}
