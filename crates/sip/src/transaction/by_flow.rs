//! Client transactions by flow, so that a flow that fails costs what it carried, and not a look at all the others.
//! They stand in a chain through the transactions themselves, as a flow may carry one or ten thousand.

use super::branch::Secret;
use super::client::Client;
use super::matching::Index;
use super::slab::{Key, Slab};
use crate::endpoint::Flow;

/// Neighbours in the chain of one flow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Links {
    before: Option<Key>,
    after: Option<Key>,
}

/// The first transaction of each flow, by a hash of the flow. Flows that meet in it share a chain, so whoever walks
/// along it looks at the flow again.
#[derive(Debug, Default)]
pub(crate) struct ByFlow(Index);

impl ByFlow {
    /// Puts a transaction into the table and into the chain of its flow.
    pub(crate) fn insert(
        &mut self,
        secret: Secret,
        clients: &mut Slab<Client>,
        mut client: Client,
    ) {
        let hash = hash(secret, client.flow);
        let first = self.0.get(&hash).copied();
        client.links = Links {
            before: None,
            after: first,
        };
        let Some(key) = clients.insert(client) else {
            return;
        };
        if let Some(next) = first.and_then(|first| clients.get_mut(first)) {
            next.links.before = Some(key);
        }
        self.0.insert(hash, key);
    }

    /// Takes a transaction out of both.
    pub(crate) fn remove(
        &mut self,
        secret: Secret,
        clients: &mut Slab<Client>,
        key: Key,
    ) -> Option<Client> {
        let client = clients.remove(key)?;
        let Links { before, after } = client.links;
        if let Some(next) = after.and_then(|after| clients.get_mut(after)) {
            next.links.before = before;
        }
        match (before.and_then(|before| clients.get_mut(before)), after) {
            (Some(previous), _) => previous.links.after = after,
            (None, Some(after)) => drop(self.0.insert(hash(secret, client.flow), after)),
            (None, None) => drop(self.0.remove(&hash(secret, client.flow))),
        }
        Some(client)
    }

    /// The transactions over this flow, latest first.
    pub(crate) fn of<'c>(
        &self,
        secret: Secret,
        clients: &'c Slab<Client>,
        flow: Flow,
    ) -> impl Iterator<Item = (Key, &'c Client)> {
        let mut next = self.0.get(&hash(secret, flow)).copied();
        std::iter::from_fn(move || {
            let key = next?;
            let client = clients.get(key)?;
            next = client.links.after;
            Some((key, client))
        })
        .filter(move |(_, client)| client.flow == flow)
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
