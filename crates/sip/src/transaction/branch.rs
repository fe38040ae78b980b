//! Our Via branch: magic cookie, slot and generation of the client transaction, the mark that finds loops (RFC 5393
//! §4.2.1), and a check that nobody without the seed can make. So a response leads straight to its transaction, one
//! that was made up leads nowhere, and our own Via is known again wherever the request went in between.

use super::slab::Key;
use crate::MAGIC_COOKIE;

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
        // SipHash, which std keys with zeros here: the seed goes in front, as a prefix of fixed length.
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write(&self.0);
        hasher.write(purpose.as_bytes());
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish()
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
    pub(crate) key: Key,
    /// Mark of the request as it was received; 0 if it is our own request.
    pub(crate) loop_mark: u32,
}

const DIGITS: usize = 8;

impl Branch {
    pub(crate) fn write(self, secret: Secret) -> String {
        let Key { slot, generation } = self.key;
        let check = self.check(secret);
        format!(
            "{MAGIC_COOKIE}{slot:08x}{generation:08x}{:08x}{check:08x}",
            self.loop_mark
        )
    }

    /// Reads a branch; `None` if it is not one of ours.
    pub(crate) fn read(text: &str, secret: Secret) -> Option<Self> {
        let digits = text.strip_prefix(MAGIC_COOKIE)?;
        if digits.len() != 4 * DIGITS || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let word = |place: usize| {
            let start = place * DIGITS;
            u32::from_str_radix(&digits[start..start + DIGITS], 16).ok()
        };
        let branch = Self {
            key: Key {
                slot: word(0)?,
                generation: word(1)?,
            },
            loop_mark: word(2)?,
        };
        (word(3)? == branch.check(secret)).then_some(branch)
    }

    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    fn check(self, secret: Secret) -> u32 {
        let Key { slot, generation } = self.key;
        let words = [slot, generation, self.loop_mark].map(u32::to_be_bytes);
        secret.hash("branch", words.iter().map(|word| &word[..])) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRANCH: Branch = Branch {
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
        assert_eq!(
            Branch::read(&text.replacen("00000007", "00000008", 1), secret),
            None
        );
        assert_eq!(Branch::read("z9hG4bKnashds8", secret), None);
        assert_eq!(
            Branch::read(&format!("z9hG4bK{}", "+1".repeat(16)), secret),
            None
        );
    }
}
