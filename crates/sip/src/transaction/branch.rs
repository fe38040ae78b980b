//! Our Via branch: magic cookie, the shard that sent the request, slot and generation of its client transaction, the
//! mark that finds loops (RFC 5393 §4.2.1), and a check that nobody without the seed can make. So a response leads
//! straight to its shard and its transaction, one that was made up leads nowhere, and our own Via is known again
//! wherever the request went in between.

use smallvec::SmallVec;

use super::slab::Key;
use crate::MAGIC_COOKIE;
use crate::steer::{SHARD_DIGITS, split_shard};

/// A keyed hash over the endpoint's seed.
#[derive(Clone, Copy)]
pub(crate) struct Secret([u8; 16]);

impl Secret {
    pub(crate) fn new(seed: [u8; 16]) -> Self {
        Self(seed)
    }

    /// Hash of some parts; `purpose` keeps hashes of different meaning apart.
    pub(crate) fn hash<'p>(self, purpose: &str, parts: impl IntoIterator<Item = &'p [u8]>) -> u64 {
        use std::hash::Hasher;
        // SipHash, which std keys with zeros here: the seed goes in front, as a prefix of fixed length. It is quickest
        // when it gets many octets at once.
        let mut hasher = std::hash::DefaultHasher::new();
        let mut octets: SmallVec<[u8; 256]> = SmallVec::from_slice(&self.0);
        octets.extend_from_slice(purpose.as_bytes());
        for part in parts {
            octets.extend_from_slice(&part.len().to_ne_bytes());
            octets.extend_from_slice(part);
        }
        hasher.write(&octets);
        hasher.finish()
    }

    /// The same as a To tag.
    pub(crate) fn tag<'p>(
        self,
        purpose: &str,
        parts: impl IntoIterator<Item = &'p [u8]>,
    ) -> String {
        let mut text = String::with_capacity(TAG_DIGITS);
        push_hex(&mut text, self.hash(purpose, parts), TAG_DIGITS);
        text
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What a branch of ours says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Branch {
    /// Which of the endpoints with one seed sent the request.
    pub(crate) shard: u8,
    pub(crate) key: Key,
    /// Mark of the request as it was received; 0 if it is our own request.
    pub(crate) loop_mark: u32,
}

/// Digits of each number behind the shard's ([`SHARD_DIGITS`]).
const DIGITS: usize = 8;
const NUMBERS: usize = 4;

/// A whole hash, as it stands in our tags.
pub(crate) const TAG_DIGITS: usize = 16;

impl Branch {
    pub(crate) fn write(self, secret: Secret) -> String {
        let Key { slot, generation } = self.key;
        let mut text = prefix(self.shard);
        text.reserve(NUMBERS * DIGITS);
        for number in [slot, generation, self.loop_mark, self.check(secret)] {
            push_hex(&mut text, number.into(), DIGITS);
        }
        text
    }

    /// Reads a branch; `None` if it is not one of ours.
    pub(crate) fn read(text: &str, secret: Secret) -> Option<Self> {
        let (shard, numbers) = split_shard(text.strip_prefix(MAGIC_COOKIE)?)?;
        let numbers = numbers.as_bytes();
        if numbers.len() != NUMBERS * DIGITS {
            return None;
        }
        let number = |place: usize| read_hex(&numbers[place * DIGITS..(place + 1) * DIGITS]);
        let branch = Self {
            shard,
            key: Key {
                slot: number(0)?,
                generation: number(1)?,
            },
            loop_mark: number(2)?,
        };
        (number(3)? == branch.check(secret)).then_some(branch)
    }

    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    fn check(self, secret: Secret) -> u32 {
        let Key { slot, generation } = self.key;
        let mut octets = [0; 13];
        octets[0] = self.shard;
        for (place, number) in [slot, generation, self.loop_mark].into_iter().enumerate() {
            octets[1 + 4 * place..5 + 4 * place].copy_from_slice(&number.to_be_bytes());
        }
        secret.hash("branch", [&octets[..]]) as u32
    }
}

/// Branch of a request that keeps no transaction: an ACK to a 2xx. `what` keeps those of different origin apart.
pub(crate) fn stateless(shard: u8, what: char, hash: u64) -> String {
    let mut text = prefix(shard);
    text.push(what);
    push_hex(&mut text, hash, TAG_DIGITS);
    text
}

/// How each branch of ours begins: whoever gets a response knows by it which shard it is for.
fn prefix(shard: u8) -> String {
    let mut text = String::with_capacity(MAGIC_COOKIE.len() + SHARD_DIGITS + NUMBERS * DIGITS);
    text.push_str(MAGIC_COOKIE);
    push_hex(&mut text, shard.into(), SHARD_DIGITS);
    text
}

fn push_hex(text: &mut String, number: u64, digits: usize) {
    for place in (0..digits).rev() {
        let digit = ((number >> (4 * place)) & 0xf) as usize;
        text.push(char::from(b"0123456789abcdef"[digit]));
    }
}

fn read_hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number: u32, digit| {
        Some(number << 4 | char::from(*digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRANCH: Branch = Branch {
        shard: 0xa3,
        key: Key {
            slot: 7,
            generation: 0xffff_fffe,
        },
        loop_mark: 99,
    };

    #[test]
    fn a_branch_is_read_as_it_was_written_in_any_case() {
        let secret = Secret::new([1; 16]);
        let text = BRANCH.write(secret);
        assert!(
            text.starts_with("z9hG4bKa300000007fffffffe00000063"),
            "{text}"
        );
        assert_eq!(Branch::read(&text, secret), Some(BRANCH));
        let digits = text[MAGIC_COOKIE.len()..].to_uppercase();
        assert_eq!(
            Branch::read(&format!("{MAGIC_COOKIE}{digits}"), secret),
            Some(BRANCH)
        );
    }

    #[test]
    fn a_branch_of_another_start_or_a_made_up_one_is_not_ours() {
        let secret = Secret::new([1; 16]);
        let text = BRANCH.write(secret);
        assert_eq!(Branch::read(&text, Secret::new([2; 16])), None);
        for (from, to) in [("00000007", "00000008"), ("Ka3", "Ka4")] {
            let made_up = text.replacen(from, to, 1);
            assert_eq!(Branch::read(&made_up, secret), None, "{made_up}");
        }
        assert_eq!(Branch::read("z9hG4bKnashds8", secret), None);
        assert_eq!(
            Branch::read(&format!("z9hG4bK{}", "+1".repeat(17)), secret),
            None
        );
    }
}
