use super::*;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame as a client writes it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    super::super::text(&mut out, payload);
    out[0] = first;
    let begin = out.len() - payload.len();
    out[1] |= 0x80;
    for (octet, mask) in out[begin..].iter_mut().zip(MASK.iter().cycle()) {
        *octet ^= mask;
    }
    out.splice(begin..begin, MASK);
    out
}

fn text(payload: &str) -> Frame {
    Frame::Message(Kind::Text, payload.as_bytes().to_vec())
}

/// All frames, however the octets are cut.
fn read(octets: &[u8], cut: usize, most: usize) -> Result<Vec<Frame>, Fault> {
    let (mut frames, mut read) = (Frames::default(), Vec::new());
    for part in octets.chunks(cut) {
        frames.push(part);
        while let Some(frame) = frames.next(most)? {
            read.push(frame);
        }
        assert!(
            frames.buffer.len() < 14 + 125,
            "it keeps what it could take"
        );
    }
    Ok(read)
}

fn code(octets: &[u8], most: usize) -> u16 {
    match read(octets, usize::MAX, most) {
        Err(fault) => fault.code as u16,
        Ok(frames) => panic!("it was taken: {frames:?}"),
    }
}

#[test]
fn messages_come_out_as_they_went_in_however_they_are_cut() {
    let long = "x".repeat(70_000);
    let octets = [
        frame(0x81, b"Hello"),
        // RFC 6455 §5.4: in parts, with a question between them.
        frame(0x01, "Gr".as_bytes()),
        frame(0x89, b"there?"),
        frame(0x00, &"üße".as_bytes()[..1]),
        frame(0x80, &"üße".as_bytes()[1..]),
        frame(0x82, &[0xff; 200]),
        frame(0x8a, b""),
        frame(0x81, b""),
        frame(0x81, long.as_bytes()),
        frame(0x88, &[0x03, 0xe8, b'b', b'y', b'e']),
        frame(0x81, b"behind the last frame"),
    ]
    .concat();
    let expected = [
        text("Hello"),
        Frame::Ping(b"there?".to_vec()),
        text("Grüße"),
        Frame::Message(Kind::Binary, vec![0xff; 200]),
        Frame::Pong,
        text(""),
        text(&long),
        Frame::Close,
    ];
    for cut in [1, 2, 3, 7, 1_000, usize::MAX] {
        assert_eq!(read(&octets, cut, 100_000).unwrap(), expected, "{cut}");
    }
}

#[test]
fn the_masked_example_of_the_rfc_is_read() {
    let octets = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(read(&octets, 1, 5).unwrap(), [text("Hello")]);
}

#[test]
fn what_breaks_the_rules_ends_it_with_the_code_for_that() {
    let half_a_head =
        |second: u8, length: &[u8]| [&[0x81, second], length, &MASK[..], &[0; 130][..]].concat();
    let too_many = [frame(0x01, b""), frame(0x00, b"").repeat(MOST_FRAGMENTS)].concat();
    for (what, octets, expected) in [
        (
            "no mask",
            vec![0x81, 0x05, b'H', b'e', b'l', b'l', b'o'],
            1002,
        ),
        ("an extension", frame(0xc1, b"a"), 1002),
        ("an unknown message", frame(0x83, b"a"), 1002),
        ("an unknown control frame", frame(0x8b, b"a"), 1002),
        ("a rest of nothing", frame(0x80, b"a"), 1002),
        (
            "one in another",
            [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
            1002,
        ),
        ("half a question", frame(0x09, b"a"), 1002),
        ("a long question", frame(0x89, &[0; 126]), 1002),
        (
            "a length in two octets too many",
            half_a_head(0xfe, &[0, 125]),
            1002,
        ),
        (
            "in eight",
            half_a_head(0xff, &[0, 0, 0, 0, 0, 0, 0xff, 0xff]),
            1002,
        ),
        (
            "beyond all",
            half_a_head(0xff, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
            1002,
        ),
        ("half a reason", frame(0x88, &[3]), 1002),
        (
            "a reason for nobody",
            frame(0x88, &1005_u16.to_be_bytes()),
            1002,
        ),
        (
            "a reason that is none",
            frame(0x88, &999_u16.to_be_bytes()),
            1002,
        ),
        (
            "a reason in no words",
            frame(0x88, &[0x03, 0xe8, 0xff]),
            1007,
        ),
        ("no UTF-8", frame(0x81, &[0xc3]), 1007),
        ("a surrogate", frame(0x81, &[0xed, 0xa0, 0x80]), 1007),
        ("too many parts", too_many, 1008),
        ("too long", frame(0x81, &[b'a'; 1_001]), 1009),
        (
            "too long in parts",
            [frame(0x01, &[b'a'; 999]), frame(0x80, b"bb")].concat(),
            1009,
        ),
    ] {
        assert_eq!(code(&octets, 1_000), expected, "{what}");
    }
}

#[test]
fn a_message_that_is_too_long_is_refused_before_it_is_there() {
    let mut frames = Frames::default();
    frames.push(&[
        0x81, 0xff, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4,
    ]);
    let fault = frames.next(1_000).unwrap_err();
    assert_eq!(fault.code, Code::TooLong);
    // And nothing is read behind it.
    frames.push(&frame(0x81, b"a"));
    assert_eq!(frames.next(1_000), Ok(None));
    assert!(frames.buffer.is_empty());
}

#[test]
fn between_messages_nothing_is_kept() {
    let mut frames = Frames::default();
    assert!(!frames.is_midway());
    let octets = frame(0x81, &[b'a'; 500]);
    for &octet in &octets[..octets.len() - 1] {
        frames.push(&[octet]);
        assert_eq!(frames.next(1_000), Ok(None));
        assert!(frames.is_midway());
    }
    frames.push(&octets[octets.len() - 1..]);
    assert!(matches!(frames.next(1_000), Ok(Some(_))));
    assert!(!frames.is_midway());
    assert_eq!(frames.buffer.capacity(), 0);
}
