//! What must be so of any octets: the unit tests run it over the seed corpus, and `fuzz/fuzz_targets/websocket.rs` over
//! whatever it finds, which has these sources as its own.

use super::handshake::{self, Outcome, Served};
use super::{Fault, Frame, Frames, Origins, close, pong};

/// Octets of the longest message that is taken here.
const MOST: usize = 4_096;

/// Reads frames, cut in as many ways as can be told from the octets themselves, and takes them for a handshake.
pub(crate) fn websocket(octets: &[u8]) {
    let whole = read(octets, usize::MAX);
    for cut in [1, 2, 5, 14, 125] {
        assert_eq!(read(octets, cut), whole, "{cut}");
    }
    shakes_hands(octets);
}

/// All that can be read, and how it ends.
fn read(octets: &[u8], cut: usize) -> (Vec<Frame>, Option<Fault>) {
    let (mut frames, mut read) = (Frames::default(), Vec::new());
    for part in octets.chunks(cut) {
        frames.push(part);
        loop {
            match frames.next(MOST) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    match &frame {
                        Frame::Message(_, message) => assert!(message.len() <= MOST),
                        Frame::Ping(payload) => assert!(pong(payload).len() <= 127),
                        Frame::Pong | Frame::Close => {}
                    }
                    read.push(frame);
                }
                Err(fault) => {
                    assert!(close(fault.code, fault.text).len() <= 127);
                    assert_eq!(frames.next(MOST), Ok(None), "it goes on behind a fault");
                    return (read, Some(fault));
                }
            }
        }
    }
    (read, None)
}

fn shakes_hands(octets: &[u8]) {
    let origins = Origins::default();
    let served = Served {
        path: "/xmpp-websocket",
        protocol: "xmpp",
        origins: &origins,
        documents: &[],
    };
    let answered = |octets| handshake::answer(octets, &served);
    let outcome = answered(octets);
    if let Outcome::Agreed(answer, _) = &outcome {
        assert!(answer.starts_with(b"HTTP/1.1 101 ") && answer.ends_with(b"\r\n\r\n"));
        // Nothing less will do, so it cannot be agreed to twice.
        assert_eq!(answered(&octets[..octets.len() - 1]), Outcome::NeedsMore);
    }
    if outcome == Outcome::NeedsMore {
        assert!(octets.len() < handshake::MOST_OCTETS);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    const CORPUS: &str = "fuzz/corpus-seed/websocket";

    #[test]
    fn the_corpus_and_what_is_near_it_holds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(CORPUS);
        let mut count = 0;
        for entry in folder.read_dir().expect(CORPUS) {
            let octets = std::fs::read(entry.unwrap().path()).unwrap();
            super::websocket(&octets);
            for at in 0..octets.len().min(400) {
                super::websocket(&octets[..at]);
                let mut other = octets.clone();
                other[at] ^= 1 << (at % 8);
                super::websocket(&other);
            }
            count += 1;
        }
        assert!(count > 10, "{count} in {CORPUS}");
    }
}
