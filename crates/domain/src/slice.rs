//! Which part of all users a user belongs to. Users are split over shards, and shards over nodes, by this alone.

use crate::Address;

/// One of [`Slice::COUNT`] fixed parts of all users.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Slice(u8);

impl Slice {
    /// How many there are. Never changes: the store and other nodes count on it.
    pub const COUNT: usize = 256;

    /// The slice of an address (FNV-1a over its octets, folded).
    pub fn of(address: &Address) -> Self {
        Self::of_name(address.as_str())
    }

    /// The same of something else that has a name.
    pub fn of_name(name: &str) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
        });
        let folded = hash ^ (hash >> 32);
        Self((folded ^ (folded >> 16) ^ (folded >> 8)).to_le_bytes()[0])
    }

    /// The shard that has this slice, of so many; `0` if there are none.
    pub fn shard(self, shards: usize) -> usize {
        usize::from(self.0).checked_rem(shards).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_spread_evenly() {
        let mut users = [0; 4];
        for number in 0..4_000 {
            let address = Address::new(&format!("user{number}"), "example.org").unwrap();
            users[Slice::of(&address).shard(4)] += 1;
        }
        assert!(
            users.iter().all(|users| (850..1150).contains(users)),
            "{users:?}"
        );
    }
}
