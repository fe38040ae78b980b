//! The endpoint as a user agent (RFC 3261 §8): answers to what arrived, and requests of its own.

use std::time::Instant;

use super::{ClientTxn, Crowded, Endpoint, Flow, Holder, Overload, ServerTxn};
use crate::transaction::branch::{self, Branch};
use crate::transaction::client::{Client, User};
use crate::transaction::matching;
use crate::transaction::{Key, Span};
use crate::{Edit, HeaderName, Message, ResponseBuilder, reason_phrase};

impl Endpoint {
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
            let to_tag = response.to_tag().unwrap_or_default();
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
        let Some(known) = self.servers.get_mut(server) else {
            return false;
        };
        let sent = known.respond(now, &mut self.wire, response, repeat_accepted);
        if sent && known.may_come_again() {
            let until = now + self.wire.timers.lasts(Span::Patience);
            self.answered
                .keep(until, known.index, known.flow, response.bytes());
        }
        self.tell_missed(server);
        self.reap_server(server);
        sent
    }

    /// Says whose a request is: it counts for them until it is over. Without this it counts for nobody.
    ///
    /// # Errors
    /// They have as many as they may, or strangers have: it is to be refused ([`Endpoint::refuse`]).
    pub fn charge(&mut self, txn: ServerTxn, holder: Holder<'_>) -> Result<(), Crowded> {
        let Some(server) = self
            .servers
            .get_mut(txn.0)
            .filter(|server| server.place.is_none())
        else {
            return Ok(());
        };
        server.place = Some(self.holders.take(self.secret, holder)?);
        Ok(())
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
        let response = begin(request, status, reason);
        Some(if status > 100 {
            response.to_tag(&self.local_tag(txn))
        } else {
            response
        })
    }

    /// A request that still waits for its final response, and where it came from.
    pub fn asked(&self, txn: ServerTxn) -> Option<(Flow, &Message)> {
        let server = self.servers.get(txn.0)?;
        Some((server.flow, server.request.as_ref()?))
    }

    /// The To tag of our own responses in this transaction, always the same (RFC 3261 §8.2.6.2).
    pub fn local_tag(&self, txn: ServerTxn) -> String {
        let Key { slot, generation } = txn.0;
        let (slot, generation) = (slot.to_be_bytes(), generation.to_be_bytes());
        let shard = [self.config.shard];
        self.secret
            .tag("tag", [&shard[..], &slot[..], &generation[..]])
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
        let branch = self.branch(key, 0);
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
        let ack = self.with_via(ack, flow, &branch::stateless(self.config.shard, 'a', hash));
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

    /// The branch of a request that is sent under this key.
    pub(crate) fn branch(&self, key: Key, loop_mark: u32) -> String {
        let branch = Branch {
            shard: self.config.shard,
            key,
            loop_mark,
        };
        branch.write(self.secret)
    }

    /// Our Via for a request over this flow. Over UDP the response shall come to the port that we send from
    /// (RFC 3581 §3).
    pub(crate) fn via(&self, flow: Flow, branch: &str) -> String {
        /// `SIP/2.0/`, `;branch=`, `;rport`, and the longest address.
        const ADDED: usize = 96;
        let mut via = String::with_capacity(branch.len() + ADDED);
        via.push_str("SIP/2.0/");
        via.push_str(flow.transport.as_str());
        via.push(' ');
        self.config.write_sent_by(flow, &mut via);
        via.push_str(";branch=");
        via.push_str(branch);
        if !flow.transport.is_reliable() {
            via.push_str(";rport");
        }
        via
    }
}

pub(super) fn begin(request: &Message, status: u16, reason: &str) -> ResponseBuilder {
    let reason = if reason.is_empty() {
        reason_phrase(status)
    } else {
        reason
    };
    ResponseBuilder::to(request, status, reason)
}
