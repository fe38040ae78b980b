//! Names: short texts that are copied around a lot, so that a copy costs no memory; and the one constructor of new ones.

use crate::Timestamp;
use sha2::{Digest, Sha256};

/// A type whose values are names: cheap to clone, compared as texts.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize)]
        #[serde(from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

pub(crate) use names;

/// Makes names that nobody can guess and that sort by the time at which they were made, which keeps the store's pages
/// together. All entropy is in the seed.
#[derive(Clone)]
pub struct Namer {
    seed: [u8; 32],
    made: u64,
}

impl std::fmt::Debug for Namer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Namer")
    }
}

impl Namer {
    /// With a seed unlike any other's, and unlike the last start's.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, made: 0 }
    }

    /// 64 bits that nobody can guess.
    pub fn bits(&mut self) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.made.to_be_bytes());
        self.made += 1;
        u64::from_be_bytes(first(&hash.finalize()))
    }

    /// A new name of 24 hexadecimal digits: 40 bits of time, 56 that nobody can guess.
    pub fn fresh<T: From<String>>(&mut self, now: Timestamp) -> T {
        let time = now.0 & 0xff_ffff_ffff;
        let secret = self.bits() >> 8;
        format!("{time:010x}{secret:014x}").into()
    }
}

/// A name of 32 hexadecimal digits for all of `parts`: the same every time, from which they cannot be read off.
pub(crate) fn digest<T: From<String>>(parts: &[&str]) -> T {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    format!("{:032x}", u128::from_be_bytes(first(&hash.finalize()))).into()
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_names_differ_and_sort_by_time() {
        let mut namer = Namer::new([7; 32]);
        let early: String = namer.fresh(Timestamp(1_700_000_000_000));
        let same: String = namer.fresh(Timestamp(1_700_000_000_000));
        let late: String = namer.fresh(Timestamp(1_700_000_000_001));
        assert_ne!(early, same);
        assert!(early < late && same < late);
        assert_eq!(early.len(), 24);
    }

    #[test]
    fn a_digest_tells_its_parts_apart() {
        let one: String = digest(&["ab", "c"]);
        let other: String = digest(&["a", "bc"]);
        assert_ne!(one, other);
        assert_eq!(one, digest::<String>(&["ab", "c"]));
    }
}
