//! Frames as a server writes them: whole messages, and without a mask (RFC 6455 §5.1).

use bytes::Bytes;

use super::Code;

/// A message, or the answer to one, in one frame: the bit that says so, with the opcode (RFC 6455 §5.2).
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Octets of the longest payload whose length stands in the second octet, and in two more.
const SHORT: usize = 125;

/// Writes a message of text.
pub(crate) fn text(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, TEXT, payload);
}

/// Asks the peer whether it is there (RFC 6455 §5.5.2).
pub(crate) fn ping() -> Bytes {
    control(PING, &[])
}

/// The answer to such a question, with what stood in it (RFC 6455 §5.5.3).
pub(crate) fn pong(payload: &[u8]) -> Bytes {
    control(PONG, payload)
}

/// The last frame (RFC 6455 §5.5.1). The text is cut where a frame of this kind must end.
pub(crate) fn close(code: Code, text: &str) -> Bytes {
    let mut payload = (code as u16).to_be_bytes().to_vec();
    payload.extend_from_slice(&text.as_bytes()[..text.floor_char_boundary(SHORT - 2)]);
    control(CLOSE, &payload)
}

fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(2 + payload.len());
    frame(&mut out, opcode, payload);
    out.into()
}

fn frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(opcode);
    let length = payload.len();
    // The shortest way to say it is the only right one (RFC 6455 §5.2).
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if length <= SHORT => out.push(short),
        (_, Ok(length)) => {
            out.push(126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_written_in_the_shortest_way() {
        for (length, head) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (0xffff, &[0x81, 126, 0xff, 0xff]),
            (0x1_0000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            text(&mut out, &vec![b'x'; length]);
            assert_eq!((&out[..head.len()], out.len()), (head, head.len() + length));
        }
    }

    #[test]
    fn a_last_frame_says_why_and_is_no_longer_than_it_may_be() {
        assert_eq!(&close(Code::Normal, "")[..], &[0x88, 2, 0x03, 0xe8]);
        let long = close(Code::Policy, &"ü".repeat(100));
        assert_eq!(long[1], 2 + 122, "{long:?}");
        assert!(std::str::from_utf8(&long[4..]).is_ok());
    }
}
