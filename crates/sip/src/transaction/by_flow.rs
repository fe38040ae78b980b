//! Transactions by flow, so that a flow that fails costs what it carried, and not a look at all the others. They stand
//! in a chain through the transactions themselves, as a flow may carry one or ten thousand.

use super::branch::Secret;
use super::matching::Index;
use super::slab::{Key, Slab};
use crate::Flow;

/// Neighbours in the chain of one flow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Links {
    before: Option<Key>,
    after: Option<Key>,
}

/// What has a flow, and a place in its chain.
pub(crate) trait OnFlow {
    fn flow(&self) -> Flow;
    fn links(&self) -> Links;
    fn links_mut(&mut self) -> &mut Links;
}

/// The first transaction of each flow, by a hash of the flow. Flows that meet in it share a chain, so whoever walks
/// along it looks at the flow again.
#[derive(Debug, Default)]
pub(crate) struct ByFlow(Index);

impl ByFlow {
    /// Puts a transaction of the table at the head of the chain of its flow.
    pub(crate) fn link<T: OnFlow>(&mut self, secret: Secret, table: &mut Slab<T>, key: Key) {
        let Some(entry) = table.get_mut(key) else {
            return;
        };
        let first = self.0.insert(hash(secret, entry.flow()), key);
        *entry.links_mut() = Links {
            before: None,
            after: first,
        };
        if let Some(next) = first.and_then(|first| table.get_mut(first)) {
            next.links_mut().before = Some(key);
        }
    }

    /// Takes a transaction that is linked out of its chain; it stays in the table.
    pub(crate) fn unlink<T: OnFlow>(&mut self, secret: Secret, table: &mut Slab<T>, key: Key) {
        let Some(entry) = table.get_mut(key) else {
            return;
        };
        let Links { before, after } = std::mem::take(entry.links_mut());
        let flow = entry.flow();
        if let Some(next) = after.and_then(|after| table.get_mut(after)) {
            next.links_mut().before = before;
        }
        match (before.and_then(|before| table.get_mut(before)), after) {
            (Some(previous), _) => previous.links_mut().after = after,
            (None, Some(after)) => drop(self.0.insert(hash(secret, flow), after)),
            (None, None) => drop(self.0.remove(&hash(secret, flow))),
        }
    }

    /// The transactions over this flow, latest first.
    pub(crate) fn of<'c, T: OnFlow>(
        &self,
        secret: Secret,
        table: &'c Slab<T>,
        flow: Flow,
    ) -> impl Iterator<Item = (Key, &'c T)> {
        let mut next = self.0.get(&hash(secret, flow)).copied();
        std::iter::from_fn(move || {
            let key = next?;
            let entry = table.get(key)?;
            next = entry.links().after;
            Some((key, entry))
        })
        .filter(move |(_, entry)| entry.flow() == flow)
    }

    /// How many flows there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn hash(secret: Secret, flow: Flow) -> u64 {
    let octets = |address: std::net::SocketAddr| {
        let mut octets = [0; 18];
        match address.ip() {
            std::net::IpAddr::V4(ip) => octets[..4].copy_from_slice(&ip.octets()),
            std::net::IpAddr::V6(ip) => octets[..16].copy_from_slice(&ip.octets()),
        }
        octets[16..].copy_from_slice(&address.port().to_be_bytes());
        octets
    };
    let (local, remote, id) = (
        octets(flow.local),
        octets(flow.remote),
        flow.id.to_be_bytes(),
    );
    let transport = flow.transport.as_str().as_bytes();
    secret.hash("flow", [transport, &local[..], &remote[..], &id[..]])
}
