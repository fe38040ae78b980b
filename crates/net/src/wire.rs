//! How a message leaves: as it is, one behind the other, or as one of a WebSocket.

use bytes::Bytes;

use crate::websocket::{self, Code};

/// See above.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Wire {
    /// What is written is what is sent.
    #[default]
    Stream,
    /// Each message is a frame of its own (RFC 6455 §5.6).
    WebSocket,
}

impl Wire {
    /// Of a stream of XMPP that is framed so.
    pub(crate) fn of(framing: xmpp::stream::Framing) -> Self {
        match framing {
            xmpp::stream::Framing::Tcp | xmpp::stream::Framing::Component => Self::Stream,
            xmpp::stream::Framing::WebSocket => Self::WebSocket,
        }
    }

    /// One message.
    pub(crate) fn message(self, octets: Bytes) -> Bytes {
        match self {
            Self::Stream => octets,
            Self::WebSocket => self.messages(&[octets]),
        }
    }

    /// Several of them.
    pub(crate) fn messages(self, messages: &[impl AsRef<[u8]>]) -> Bytes {
        let mut out = Vec::new();
        for message in messages {
            match self {
                Self::Stream => out.extend_from_slice(message.as_ref()),
                Self::WebSocket => websocket::text(&mut out, message.as_ref()),
            }
        }
        out.into()
    }

    /// What is said behind the last message, if anything is (RFC 6455 §7.1.2).
    pub(crate) fn end(self, code: Code) -> Option<Bytes> {
        match self {
            Self::Stream => None,
            Self::WebSocket => Some(websocket::close(code, "")),
        }
    }
}
