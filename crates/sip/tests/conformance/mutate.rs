//! Random small changes of a message, the same for a seed everywhere.

use crate::torture::CASES;

/// One small change, of a kind that breaks parsers.
pub(crate) fn mutate(octets: &mut Vec<u8>, random: &mut Random) {
    const TOKENS: &[&[u8]] = &[
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"\"",
        b"<",
        b">",
        b",",
        b";",
        b":",
        b"=",
        b"%",
        b"@",
        b"[",
        b"]",
        b"\\\"",
        b"\r\n ",
        b"\xff\xfe",
        b"Content-Length: 3\r\n",
        b"l: 99999999999\r\n",
        b"Via: ",
        b"v:,\r\n",
        b"SIP/2.0",
        b"\r\n\r\n",
        b"4294967296",
        b"-1",
        b"Contact: *\r\n",
        b"tag=",
        b"\xc3\xa4",
        b"sip:",
        b"z9hG4bK",
    ];
    let at = random.below(octets.len() + 1);
    let end = (at + 1 + random.below(12)).min(octets.len());
    match random.below(7) {
        0 if at < octets.len() => octets[at] ^= 1 << random.below(8),
        1 => drop(octets.drain(at..end)),
        2 => {
            let copy = octets[at..end].to_vec();
            let to = random.below(octets.len() + 1);
            octets.splice(to..to, copy);
        }
        3 => octets.truncate(at),
        4 => {
            let (_, other, _) = &CASES[random.below(CASES.len())];
            let from = random.below(other.len());
            octets.splice(at..end, other[from..].iter().copied().take(200));
        }
        _ => {
            let token = TOKENS[random.below(TOKENS.len())];
            octets.splice(at..at, token.iter().copied());
        }
    }
}

/// A small generator (`splitmix`), the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound` (0 if that is 0).
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound.max(1) as u64).expect("below a usize")
    }
}
