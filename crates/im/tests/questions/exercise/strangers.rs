//! Whoever connects and may or may not have a secret.

use super::{NEXT, world::World};
use xmpp::{StreamId, ns, xml::Element};

/// What stands for a secret of Alice's: her password, a bearer's token, and the token that she was given last (XEP-0484), each as the first
/// message of its mechanism.
pub(super) const SECRETS: [&str; 3] = ["{plain}", "{bearer}", "{token}"];

/// As many connections of one run are enough.
const MOST: usize = 8;

/// Connections, each of which says something and is lost. Nobody is let in who shows no secret, and nobody twice. Says how many were.
pub(crate) fn strangers(octets: &[u8]) -> usize {
    let mut world = World::new();
    let mut total = 0;
    let parts = octets.split(|octet| *octet == NEXT);
    for (number, octets) in parts.take(MOST).enumerate() {
        let stream = StreamId(10 + number as u64);
        world.connects(stream);
        world.says(stream, octets);
        let success = |it: &&Element| it.is(ns::SASL, "success") || it.is(ns::SASL2, "success");
        let times = world.peer(stream).got().filter(success).count();
        let shows = SECRETS.iter().any(|secret| {
            let mut windows = octets.windows(secret.len());
            windows.any(|it| it == secret.as_bytes())
        });
        assert!(times <= usize::from(shows), "let in {times} times");
        total += times;
        world.is_lost(stream);
    }
    world.ends();
    total
}
