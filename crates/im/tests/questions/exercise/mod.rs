//! What clients, phones and an app's own server may say, whatever it is, in a world of a role and its hub: what the server writes can be read,
//! each question is answered once, nobody is let in without a secret, and nothing is left of anybody who has gone. Shared with the fuzz
//! targets `im_questions`, `im_strangers` and `im_phones`.

mod peer;
mod phones;
mod store;
mod strangers;
mod world;

pub(crate) use phones::phone;
pub(crate) use strangers::strangers;

use std::collections::BTreeMap;
use world::World;
use xmpp::{StreamId, ns, xml::Element};

/// Between what one says and what the next one does: no octet of UTF-8.
pub(crate) const NEXT: u8 = 0xFF;

const ALICE: StreamId = StreamId(1);
const BOB: StreamId = StreamId(2);
const SERVER: StreamId = StreamId(3);
const AGAIN: StreamId = StreamId(4);

/// What a run has come to.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// Questions that were answered.
    pub(crate) answered: usize,
    /// Pushes that went to the app's own server.
    pub(crate) published: usize,
    /// Sessions that were gone on with.
    pub(crate) resumed: usize,
}

/// Alice says something; then Bob does, then the app's own server; and then, her connection lost, Alice over another one, with no address
/// yet.
pub(crate) fn questions(octets: &[u8]) -> Reached {
    let mut parts = octets.split(|octet| *octet == NEXT);
    let mut world = World::new();
    world.server_connects(SERVER);
    world.comes(BOB, "bob");
    world.comes(ALICE, "alice");
    let mut reached = Reached {
        answered: asks(&mut world, ALICE, parts.next().unwrap_or_default()),
        ..Reached::default()
    };
    let rest: Vec<&[u8]> = parts.collect();
    if rest.len() > 2 {
        world.is_lost(ALICE);
    }
    if let Some(octets) = rest.first() {
        reached.answered += asks(&mut world, BOB, octets);
    }
    if let Some(octets) = rest.get(1) {
        world.says(SERVER, octets);
    }
    if let Some(octets) = rest.get(2) {
        world.signs_in(AGAIN, "alice");
        world.says(AGAIN, octets);
        let back = |it: &&Element| it.is(ns::SM, "resumed");
        reached.resumed = world.peer(AGAIN).got().filter(back).count();
        assert!(reached.resumed <= 1, "once");
    }
    let published = |it: &&Element| it.is(ns::CLIENT, "iq") && it.attr("type") == Some("set");
    reached.published = world.peer(SERVER).got().filter(published).count();
    world.ends();
    reached
}

/// A client says something that may ask for answers, and has got one to each question. How many.
fn asks(world: &mut World, stream: StreamId, octets: &[u8]) -> usize {
    world.peer(stream).forgets();
    let asked = world.says(stream, octets);
    let peer = world.peer(stream);
    let mut answered: BTreeMap<&str, usize> = BTreeMap::new();
    for element in peer.got() {
        let is_answer = matches!(element.attr("type"), Some("result" | "error"));
        if let Some(id) = element
            .attr("id")
            .filter(|_| is_answer && element.is(ns::CLIENT, "iq"))
        {
            *answered.entry(id).or_default() += 1;
        }
    }
    let mut total = 0;
    for (id, times) in asked {
        let got = answered.get(&*id).copied().unwrap_or_default();
        total += got;
        // Whose stream has ended waits for nothing.
        assert!(
            got == times || peer.has_ended,
            "{id}: asked {times} times, answered {got} times"
        );
    }
    total
}
