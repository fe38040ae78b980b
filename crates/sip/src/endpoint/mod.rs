//! The endpoint: transaction layer, user agent and proxy in one machine, which the server's call role and the
//! simulated phone both drive. It is told what arrived and what time it is, and says what to send and what its owner
//! must know; sockets, clocks and decisions about users are not its affair.
//!
//! ```text
//! handle(now, Input) ─┐                     ┌─ poll_transmit() -> octets for a flow
//! handle_timeout(now) ├─> transactions,     ├─ poll_event()    -> what the owner must know
//! respond, request,   │   response contexts ├─ next_timeout()  -> when to call handle_timeout
//! open, fork, finish ─┘                     ┘
//! ```
//!
//! After every call the owner drains [`Endpoint::poll_transmit`] and [`Endpoint::poll_event`], in that order and both
//! to the end: the queues behind them hold no more than what one call brought about.

mod arrival;
mod config;
mod receive;
mod types;

use std::collections::VecDeque;
use std::time::Instant;

pub use config::{Config, IsOurs, TableLimits};
pub use types::{
    BranchId, ClientTxn, ContextId, Event, Flow, Input, Overload, ServerTxn, Transmit, Transport,
};

pub use crate::proxy::{ForkError, HeaderChange, Refused, Target};
pub use crate::transaction::Timers;

use crate::proxy::context::Context;
use crate::transaction::branch::{Branch, Secret};
use crate::transaction::by_flow::ByFlow;
use crate::transaction::client::{Client, Heard, User};
use crate::transaction::matching::{self, Index};
use crate::transaction::server::Server;
use crate::transaction::{Due, Key, Slab, Wire};
use crate::{Edit, HeaderName, MAGIC_COOKIE, Message, ResponseBuilder, reason_phrase};

/// Transactions and response contexts of one listener or one phone.
#[derive(Debug)]
pub struct Endpoint {
    pub(crate) config: Config,
    pub(crate) secret: Secret,
    pub(crate) wire: Wire,
    pub(crate) events: VecDeque<Event>,
    pub(crate) servers: Slab<Server>,
    pub(crate) clients: Slab<Client>,
    by_flow: ByFlow,
    pub(crate) contexts: Slab<Context>,
    /// Server transactions by their requests.
    index: Index,
    /// Server transactions whose 2xx waits for its ACK, by dialog.
    accepted: Index,
    /// ACKs sent so far, for their branches.
    acks: u64,
}

/// How many entries an endpoint's tables hold: for metrics, and to see that nothing is left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Requests that arrived and are not over.
    pub server_transactions: usize,
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
            by_flow: ByFlow::default(),
            contexts: Slab::new(config.limits.contexts),
            index: Index::default(),
            accepted: Index::default(),
            acks: 0,
            config,
        }
    }

    /// Takes in what happened. `now` never goes back from one call to the next.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Received { flow, message } if message.is_request() => {
                self.receive_request(now, flow, &message);
            }
            Input::Received { message, .. } => self.receive_response(now, &message),
            Input::FlowFailed { flow } => self.flow_failed(now, flow),
        }
    }

    /// Does what is due. Call it at [`Endpoint::next_timeout`]; later is harmless, earlier does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(due) = self.wire.timers.pop(now) {
            match due {
                Due::Client(key, timer) => {
                    let Some(client) = self.clients.get_mut(key) else {
                        continue;
                    };
                    if let Some(status) = client.expired(now, &mut self.wire, timer) {
                        self.client_failed(now, key, status);
                    }
                    self.reap_client(key);
                }
                Due::Server(key, timer) => {
                    let Some(server) = self.servers.get_mut(key) else {
                        continue;
                    };
                    if server.expired(now, &mut self.wire, timer) {
                        self.events.push_back(Event::AckMissing {
                            txn: ServerTxn(key),
                        });
                    }
                    self.reap_server(key);
                }
                Due::Context(key) => self.guard_expired(now, key),
            }
        }
    }

    /// When [`Endpoint::handle_timeout`] is to be called; `None` while there is nothing to wait for.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.wire.timers.next()
    }

    /// The next message to send. Messages to one flow must leave in this order.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.wire.out.pop_front()
    }

    /// The next thing that the owner must know, in the order in which they happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// How full the tables are.
    pub fn load(&self) -> Load {
        Load {
            server_transactions: self.servers.len(),
            client_transactions: self.clients.len(),
            contexts: self.contexts.len(),
            timers: self.wire.timers.len(),
            lookups: self.index.len() + self.accepted.len() + self.by_flow.len(),
        }
    }

    /// Answers a request with a response made for it ([`ResponseBuilder::to`]). The final response to an INVITE is
    /// repeated until its ACK comes, a 2xx too (then the ACK is told, [`Event::Ack`]). Nothing is sent when the
    /// transaction is over or has had its final response (but for a further 2xx to an INVITE), and to a non-INVITE
    /// neither a provisional response nor 408 (RFC 4320 §4). A request that is being proxied is not answered this way
    /// but with [`Endpoint::finish`].
    pub fn respond(&mut self, now: Instant, txn: ServerTxn, response: &Message) {
        let ServerTxn(key) = txn;
        let Some(server) = self.servers.get_mut(key) else {
            return;
        };
        if server.context.is_some() {
            return;
        }
        let accepts = server.is_invite()
            && server.is_pending()
            && response.status().is_some_and(|s| s / 100 == 2);
        if accepts {
            let to_tag = response
                .to()
                .ok()
                .and_then(|to| to.tag())
                .unwrap_or_default();
            server.accepted_index = matching::accepted(self.secret, response, to_tag);
            self.accepted
                .extend(server.accepted_index.map(|index| (index, key)));
        }
        self.send_response(now, key, response, true);
    }

    /// Gives a response to its transaction; `false` if it has no place there any more.
    pub(crate) fn send_response(
        &mut self,
        now: Instant,
        server: Key,
        response: &Message,
        repeat_accepted: bool,
    ) -> bool {
        let sent = self
            .servers
            .get_mut(server)
            .is_some_and(|server| server.respond(now, &mut self.wire, response, repeat_accepted));
        self.reap_server(server);
        sent
    }

    /// Answers a request with a status and nothing more; the To tag is [`Endpoint::local_tag`]. `reason` stands in
    /// the status line; empty means the usual phrase.
    pub fn answer(&mut self, now: Instant, txn: ServerTxn, status: u16, reason: &str) {
        if let Some(response) = self.response_to(txn, status, reason) {
            self.respond(now, txn, &response.build());
        }
    }

    /// Begins a response to a request that still waits for its final one, with [`Endpoint::local_tag`] in To.
    pub fn response_to(
        &self,
        txn: ServerTxn,
        status: u16,
        reason: &str,
    ) -> Option<ResponseBuilder> {
        let request = self.servers.get(txn.0)?.request.as_ref()?;
        let reason = if reason.is_empty() {
            reason_phrase(status)
        } else {
            reason
        };
        let response = ResponseBuilder::to(request, status, reason);
        Some(if status > 100 {
            response.to_tag(&self.local_tag(txn))
        } else {
            response
        })
    }

    /// The To tag of our own responses in this transaction, always the same (RFC 3261 §8.2.6.2).
    pub fn local_tag(&self, txn: ServerTxn) -> String {
        let Key { slot, generation } = txn.0;
        let (slot, generation) = (slot.to_be_bytes(), generation.to_be_bytes());
        format!(
            "{:016x}",
            self.secret.hash("tag", [&slot[..], &generation[..]])
        )
    }

    /// Sends a request of our own, which comes without a Via, and has it repeated until it is answered. The ACK to a
    /// non-2xx is sent by itself; the one to a 2xx is the owner's ([`Endpoint::send_ack`]).
    ///
    /// # Errors
    /// The table of client transactions is full.
    pub fn request(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Message,
    ) -> Result<ClientTxn, Overload> {
        let key = self
            .clients
            .vacant()
            .ok_or(Overload("client transactions"))?;
        let branch = Branch { key, loop_mark: 0 }.write(self.secret);
        let request = self.with_via(request, flow, &branch);
        let client = Client::start(now, &mut self.wire, key, User::Owner, flow, request);
        self.add_client(client);
        Ok(ClientTxn(key))
    }

    /// Cancels an INVITE of [`Endpoint::request`]: as soon as a provisional response is there (RFC 3261 §9.1). Its
    /// outcome is told as ever, usually 487. `reason` is the value of the Reason header field.
    pub fn cancel(&mut self, now: Instant, txn: ClientTxn, reason: Option<&str>) {
        if let Some(client) = self.clients.get_mut(txn.0) {
            client.cancel(now, &mut self.wire, reason);
        }
    }

    /// Sends the ACK to a 2xx, which comes without a Via. To be called again for every [`Event::Response`] that
    /// repeats the 2xx.
    pub fn send_ack(&mut self, flow: Flow, ack: &Message) {
        self.acks += 1;
        let hash = self.secret.hash("ack", [&self.acks.to_be_bytes()[..]]);
        let ack = self.with_via(ack, flow, &format!("{MAGIC_COOKIE}a{hash:016x}"));
        self.wire.send(flow, ack.bytes());
    }

    /// Sends a message as it is, once.
    pub fn send_stateless(&mut self, flow: Flow, message: &Message) {
        self.wire.send(flow, message.bytes());
    }

    fn with_via(&self, request: &Message, flow: Flow, branch: &str) -> Message {
        Edit::new(request)
            .prepend(HeaderName::Via, self.via(flow, branch))
            .finish()
    }

    /// Our Via for a request over this flow. Over UDP the response shall come to the port that we send from
    /// (RFC 3581 §3).
    pub(crate) fn via(&self, flow: Flow, branch: &str) -> String {
        let rport = if flow.transport.is_reliable() {
            ""
        } else {
            ";rport"
        };
        let transport = flow.transport.as_str();
        let sent_by = self.config.sent_by(flow);
        format!("SIP/2.0/{transport} {sent_by};branch={branch}{rport}")
    }

    fn receive_response(&mut self, now: Instant, response: &Message) {
        // What matches no transaction is dropped (RFC 6026 §7.3), and so is what cannot be read.
        let Some(Branch { key, .. }) = response
            .top_via()
            .ok()
            .and_then(|via| Branch::read(via.branch()?, self.secret))
        else {
            return;
        };
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let (Ok(cseq), Ok(())) = (response.cseq(), response.validate()) else {
            return;
        };
        if Some(cseq.method) != client.request.method() {
            if cseq.method == crate::Method::Cancel {
                client.cancel_response(&mut self.wire, response.status().unwrap_or_default());
            }
            return;
        }
        let user = client.user;
        if matches!(user, User::Context(_)) && response.vias().nth(1).is_none() {
            // It would have nobody to go to.
            return;
        }
        match (client.response(now, &mut self.wire, response), user) {
            (Heard::Nothing, _) | (_, User::Nobody) => {}
            (_, User::Owner) => self.events.push_back(Event::Response {
                txn: ClientTxn(key),
                response: response.clone(),
            }),
            (heard, User::Context(context)) => {
                self.branch_heard(now, context, key, heard, response);
            }
        }
        self.reap_client(key);
    }

    fn flow_failed(&mut self, now: Instant, flow: Flow) {
        let failed: Vec<Key> = self
            .by_flow
            .of(self.secret, &self.clients, flow)
            .filter(|(_, client)| client.is_pending())
            .map(|(key, _)| key)
            .collect();
        for key in failed {
            if let Some(client) = self.clients.get_mut(key) {
                client.close(&mut self.wire);
            }
            self.client_failed(now, key, 503);
            self.reap_client(key);
        }
    }

    fn client_failed(&mut self, now: Instant, key: Key, status: u16) {
        match self.clients.get(key).map(|client| client.user) {
            Some(User::Owner) => self.events.push_back(Event::Failed {
                txn: ClientTxn(key),
                status,
            }),
            Some(User::Context(context)) => self.branch_ended(now, context, key, status, None),
            Some(User::Nobody) | None => {}
        }
    }

    /// Takes up a transaction that was started under the next vacant key.
    pub(crate) fn add_client(&mut self, client: Client) {
        self.by_flow.insert(self.secret, &mut self.clients, client);
    }

    pub(crate) fn reap_server(&mut self, key: Key) {
        if self.servers.get(key).is_some_and(Server::is_over)
            && let Some(server) = self.servers.remove(key)
        {
            self.index.remove(&server.index);
            if let Some(index) = server.accepted_index {
                self.accepted.remove(&index);
            }
        }
    }

    pub(crate) fn reap_client(&mut self, key: Key) {
        if self.clients.get(key).is_some_and(Client::is_over)
            && let Some(client) = self.by_flow.remove(self.secret, &mut self.clients, key)
            && let User::Context(context) = client.user
        {
            self.branch_gone(context);
        }
    }
}
