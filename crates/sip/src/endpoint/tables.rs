//! The tables of an endpoint, and how transactions get into them, over to another flow, and out.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Config, Event, Flow};
use crate::proxy::context::Context;
use crate::transaction::answered::Answered;
use crate::transaction::branch::Secret;
use crate::transaction::by_flow::ByFlow;
use crate::transaction::client::{Client, User};
use crate::transaction::holders::Holders;
use crate::transaction::matching::Index;
use crate::transaction::server::Server;
use crate::transaction::{Key, Slab, Wire};

/// Transactions and response contexts of one listener or one phone.
#[derive(Debug)]
pub struct Endpoint {
    pub(crate) config: Config,
    pub(crate) secret: Secret,
    pub(crate) wire: Wire,
    pub(crate) events: VecDeque<Event>,
    pub(crate) servers: Slab<Server>,
    pub(crate) clients: Slab<Client>,
    pub(super) clients_by_flow: ByFlow,
    /// Only of connections: datagrams go back to where they came from.
    pub(super) servers_by_flow: ByFlow,
    pub(crate) contexts: Slab<Context>,
    /// Server transactions by their requests.
    pub(super) index: Index,
    pub(super) answered: Answered,
    /// Whose server transactions are.
    pub(super) holders: Holders,
    /// Server transactions whose 2xx waits for its ACK, by dialog.
    pub(super) accepted: Index,
    /// ACKs sent so far, for their branches.
    pub(super) acks: u64,
}

/// How many entries an endpoint's tables hold: for metrics, and to see that nothing is left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Requests that arrived and are not over.
    pub server_transactions: usize,
    /// Requests whose answer is kept for a repetition, and nothing else.
    pub answered: usize,
    /// Requests that were sent and are not over.
    pub client_transactions: usize,
    /// Response contexts.
    pub contexts: usize,
    /// Running timers.
    pub timers: usize,
    /// What transactions are looked up by.
    pub lookups: usize,
}

impl Endpoint {
    /// An endpoint with nothing going on.
    pub fn new(config: Config) -> Self {
        Self {
            secret: Secret::new(config.seed),
            wire: Wire::new(&config.timers),
            events: VecDeque::new(),
            servers: Slab::new(config.limits.server_transactions),
            clients: Slab::new(config.limits.client_transactions),
            clients_by_flow: ByFlow::default(),
            servers_by_flow: ByFlow::default(),
            contexts: Slab::new(config.limits.contexts),
            index: Index::default(),
            answered: Answered::new(config.limits.answered_octets),
            holders: Holders::new(config.limits.strangers),
            accepted: Index::default(),
            acks: 0,
            config,
        }
    }

    /// How full the tables are.
    pub fn load(&self) -> Load {
        Load {
            server_transactions: self.servers.len(),
            answered: self.answered.len(),
            client_transactions: self.clients.len(),
            contexts: self.contexts.len(),
            timers: self.wire.timers.len(),
            lookups: self.index.len()
                + self.accepted.len()
                + self.holders.len()
                + self.clients_by_flow.len()
                + self.servers_by_flow.len(),
        }
    }

    /// Takes up a transaction that was started under the next vacant key.
    pub(crate) fn add_client(&mut self, client: Client) {
        if let Some(key) = self.clients.insert(client) {
            self.clients_by_flow
                .link(self.secret, &mut self.clients, key);
        }
    }

    /// The same for a server transaction.
    pub(super) fn add_server(&mut self, server: Server) {
        let index = server.index;
        let has_connection = server.flow.transport.is_reliable();
        let Some(key) = self.servers.insert(server) else {
            return;
        };
        self.index.insert(index, key);
        if has_connection {
            self.servers_by_flow
                .link(self.secret, &mut self.servers, key);
        }
    }

    pub(crate) fn reap_server(&mut self, key: Key) {
        let Some(server) = self.servers.get(key).filter(|server| server.is_over()) else {
            return;
        };
        if server.is_linked() {
            self.servers_by_flow
                .unlink(self.secret, &mut self.servers, key);
        }
        if let Some(server) = self.servers.remove(key) {
            self.index.remove(&server.index);
            if let Some(place) = server.place {
                self.holders.give_back(place);
            }
            if let Some(index) = server.accepted_index {
                self.accepted.remove(&index);
            }
        }
    }

    pub(crate) fn reap_client(&mut self, key: Key) {
        let Some(client) = self.clients.get(key).filter(|client| client.is_over()) else {
            return;
        };
        if !client.is_stranded() {
            self.clients_by_flow
                .unlink(self.secret, &mut self.clients, key);
        }
        let user = self.clients.remove(key).map(|client| client.user);
        if let Some(User::Context(context)) = user {
            self.branch_gone(context, key);
        }
    }

    pub(super) fn move_client(&mut self, now: Instant, key: Key, flow: Flow) {
        let Some(client) = self
            .clients
            .get(key)
            .filter(|client| client.flow != flow || client.is_stranded())
        else {
            return;
        };
        if !client.is_stranded() {
            self.clients_by_flow
                .unlink(self.secret, &mut self.clients, key);
        }
        if let Some(client) = self.clients.get_mut(key) {
            client.move_to(now, &mut self.wire, flow);
        }
        self.clients_by_flow
            .link(self.secret, &mut self.clients, key);
    }

    /// The sender of a request whose connection is gone is reached over this flow.
    pub(super) fn come_back(&mut self, key: Key, flow: Flow) {
        let Some(server) = self
            .servers
            .get_mut(key)
            .filter(|server| server.is_stranded())
        else {
            return;
        };
        server.move_to(&mut self.wire, flow);
        if server.is_linked() {
            self.servers_by_flow
                .link(self.secret, &mut self.servers, key);
        }
    }
}
