//! Which shard a message is for, from the message alone.

use call::Settings;
use domain::Slice;
use sip::{Message, steer::Whose};

/// The shard of a message, of so many: of its user, or the one that wrote its number into it.
pub fn steer(settings: &Settings, message: &Message, shards: usize) -> usize {
    let shards = shards.max(1);
    let uri = match sip::steer::steer(message) {
        Whose::Shard(shard) => return usize::from(shard) % shards,
        Whose::Anyone => return 0,
        Whose::Uri(uri) => uri,
    };
    if let Some(user) = settings.local_address(&uri) {
        return Slice::of(&user).shard(shards);
    }
    // Nobody's of ours: the same shard for the request, its CANCEL and its ACK.
    let octets = uri.as_str().bytes().map(usize::from);
    octets.fold(0, |sum: usize, it| sum.wrapping_mul(31) ^ it) % shards
}
