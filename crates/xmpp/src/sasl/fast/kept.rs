//! Tokens as octets: how they are kept. What is kept is what they are made of, and not they themselves.

use super::{Maker, Slots, TOKEN_OCTETS, Token};
use crate::sasl::mechanism::Mechanism;

/// The first octet: what the rest is like.
const VERSION: u8 = 1;
/// Octets of one token.
const LENGTH: usize = 1 + TOKEN_OCTETS + 8 + 8 + 1 + 4;
/// Mechanisms by their numbers: never renumbered.
const MECHANISMS: [(u8, Mechanism); 3] = [
    (1, Mechanism::HtSha256Expr),
    (2, Mechanism::HtSha256Endp),
    (3, Mechanism::HtSha256None),
];

impl Slots {
    /// As they are kept: the one in use, then the new one, each behind an octet that says whether it is there.
    pub fn encode(&self) -> Vec<u8> {
        let mut octets = vec![VERSION];
        for slot in [&self.current, &self.new] {
            octets.push(u8::from(slot.is_some()));
            if let Some(token) = slot {
                token.encode(&mut octets);
            }
        }
        octets
    }

    /// Made of what was kept, by the maker that made them; `None`: it is nothing that we have written.
    pub fn decode(octets: &[u8], maker: &Maker) -> Option<Self> {
        let (&version, mut rest) = octets.split_first()?;
        let mut slots = Self::default();
        for slot in [&mut slots.current, &mut slots.new] {
            let (&is_there, after) = rest.split_first()?;
            rest = after;
            if is_there == 1 {
                let (token, after) = rest.split_at_checked(LENGTH)?;
                *slot = Some(Token::decode(token, maker)?);
                rest = after;
            }
        }
        (version == VERSION && rest.is_empty()).then_some(slots)
    }
}

impl Token {
    fn encode(&self, octets: &mut Vec<u8>) {
        let row = MECHANISMS.iter().find(|(_, it)| *it == self.mechanism);
        octets.push(row.map_or(0, |(number, _)| *number));
        octets.extend(self.seed);
        octets.extend(self.issued.to_be_bytes());
        octets.extend(self.expires.to_be_bytes());
        octets.push(u8::from(self.count.is_some()));
        octets.extend(self.count.unwrap_or_default().to_be_bytes());
    }

    fn decode(octets: &[u8], maker: &Maker) -> Option<Self> {
        let (number, rest) = octets.split_first()?;
        let (seed, rest) = rest.split_first_chunk::<TOKEN_OCTETS>()?;
        let (issued, rest) = rest.split_first_chunk()?;
        let (expires, rest) = rest.split_first_chunk()?;
        let (counted, rest) = rest.split_first()?;
        let count = u32::from_be_bytes(rest.try_into().ok()?);
        let (_, mechanism) = MECHANISMS.iter().find(|(known, _)| known == number)?;
        Some(Self {
            seed: *seed,
            secret: maker.secret(seed),
            mechanism: *mechanism,
            issued: u64::from_be_bytes(*issued),
            expires: u64::from_be_bytes(*expires),
            count: (*counted == 1).then_some(count),
        })
    }
}
