//! What outlives its flow: a branch that rings, and the answer to a request whose connection is gone. Both wait for
//! another flow, which the peer itself or the owner provides.

use std::net::SocketAddr;
use std::time::Instant;

use super::{BranchId, ContextId, Endpoint, Event, Flow, ServerTxn};
use crate::transaction::Key;
use crate::transaction::client::{Client, User};
use crate::{Limits, Message};

/// What becomes of a branch that is cancelled while there is no way to its phone: the same as when a CANCEL brings no
/// answer (RFC 3261 §9.1, §16.8).
pub(crate) const GIVEN_UP: u16 = 408;

impl Endpoint {
    /// Says over which flow the phone of a branch is reached from now on: CANCEL, and what else is for it, goes there;
    /// a CANCEL that was asked for while it was out of reach goes at once. `false`, and nothing happens, if the branch
    /// is over or was never answered provisionally.
    pub fn move_branch(&mut self, now: Instant, branch: BranchId, flow: Flow) -> bool {
        let moves = self
            .clients
            .get(branch.0)
            .is_some_and(Client::is_proceeding);
        if moves {
            self.move_client(now, branch.0, flow);
        }
        moves
    }

    /// Says over which flow the responses to a request go from now on; a response that waited for it leaves
    /// ([`Event::ResponseStranded`]). No effect once the transaction is over, or while its own flow is good.
    pub fn move_response(&mut self, txn: ServerTxn, flow: Flow) {
        self.come_back(txn.0, flow);
        self.reap_server(txn.0);
    }

    pub(super) fn flow_failed(&mut self, now: Instant, flow: Flow) {
        let over = self
            .clients_by_flow
            .of(self.secret, &self.clients, flow)
            .filter(|(_, client)| client.is_pending());
        for key in over.map(|(key, _)| key).collect::<Vec<_>>() {
            self.client_flow_failed(now, key);
        }
        let from = self
            .servers_by_flow
            .of(self.secret, &self.servers, flow)
            .map(|(key, _)| key);
        for key in from.collect::<Vec<_>>() {
            self.servers_by_flow
                .unlink(self.secret, &mut self.servers, key);
            if let Some(server) = self.servers.get_mut(key) {
                server.strand();
            }
            self.tell_missed(key);
        }
    }

    fn client_flow_failed(&mut self, now: Instant, key: Key) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let User::Context(context) = client.user else {
            client.close(&mut self.wire);
            self.client_failed(now, key, 503);
            return self.reap_client(key);
        };
        if !client.strand(&mut self.wire) {
            client.close(&mut self.wire);
            self.client_failed(now, key, 503);
            return self.reap_client(key);
        }
        let cancelled = client.is_cancelled();
        self.clients_by_flow
            .unlink(self.secret, &mut self.clients, key);
        if cancelled {
            self.client_failed(now, key, GIVEN_UP);
        } else {
            self.events.push_back(Event::BranchStranded {
                context: ContextId(context),
                branch: BranchId(key),
            });
        }
    }

    /// Tells of a response that has no way to leave by.
    pub(super) fn tell_missed(&mut self, key: Key) {
        let Some(server) = self.servers.get_mut(key) else {
            return;
        };
        let flow = server.flow;
        let missed = server.missed().and_then(|response| {
            let response = Message::parse(response.clone(), &Limits::default()).ok()?;
            let via = response.top_via().ok()?;
            let port = via.port.unwrap_or(flow.transport.default_port());
            Some(Event::ResponseStranded {
                txn: ServerTxn(key),
                transport: flow.transport,
                // By `received` if there is one, which is what the request came from.
                address: SocketAddr::new(flow.remote.ip(), port),
                host: via.host.to_owned(),
            })
        });
        self.events.extend(missed);
    }
}
