//! Maps by what connections are called. Their ids are numbers that we gave, one after the other: nobody outside can choose two that
//! collide, so they need no hash that is kept secret, and each message is looked up three times.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// By the id of a [`Flow`](sip::endpoint::Flow) of a connection.
pub type ById<T> = HashMap<u64, T, BuildHasherDefault<Spread>>;

/// Spreads numbers that follow each other.
#[derive(Default)]
pub struct Spread(u64);

/// 2^64 over the golden ratio: Knuth, The Art of Computer Programming, volume 3, 6.4.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Spread {
    fn write_u64(&mut self, id: u64) {
        let product = id.wrapping_mul(FACTOR);
        // A table looks at the lowest bits and at the highest; only the high ones depend on all of the number.
        self.0 = product ^ product.rotate_left(32);
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.write_u64(self.0 ^ u64::from(*octet));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    #[test]
    fn ids_that_follow_each_other_are_spread_at_both_ends() {
        let hash = |id: u64| BuildHasherDefault::<Spread>::default().hash_one(id);
        let first = 1_700_000_000 << 28;
        let hashes: Vec<_> = (first..first + 1_024).map(hash).collect();
        let different = |of: fn(u64) -> u64| {
            let ends: HashSet<_> = hashes.iter().map(|hash| of(*hash)).collect();
            ends.len()
        };
        // Of 128 and of 1,024.
        assert_eq!(different(|hash| hash >> 57), 128);
        assert!(different(|hash| hash & 1_023) > 500);
        assert_eq!(different(|hash| hash), 1_024);
    }
}
