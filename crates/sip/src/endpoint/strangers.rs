//! What is said to whoever may be nobody: a challenge, a refusal, what we can do. It is said once, nothing is kept of it
//! (RFC 3261 §26.3.2.4), and over datagrams, whose source may be made up, it is hardly larger than what was asked.

use super::agent::begin;
use super::{Endpoint, ServerTxn};
use crate::transaction::server::Server;
use crate::{HeaderName, Message, ResponseBuilder, Transport};

/// Octets that may be answered for each octet of a datagram from nobody in particular: so that we are of no use for
/// flooding somebody else whose address it bears.
const AMPLIFICATION: usize = 2;

/// Whether an answer of so many octets may be given to a stranger who asked with so many.
pub fn may_be_answered(transport: Transport, asked: usize, answer: usize) -> bool {
    transport.is_reliable() || answer <= asked.saturating_mul(AMPLIFICATION)
}

impl Endpoint {
    /// Refuses a request and keeps nothing of it: a repetition is a new request, and the ACK to the refusal ends here.
    /// For whoever may be nobody, as a challenge is (RFC 3261 §26.3.2.4). Of the answers, made with
    /// [`Endpoint::refusal_to`], the best first, the first leaves that is not too large for what was asked
    /// ([`may_be_answered`]); `false` if none did. No effect when the request is being proxied or has been answered.
    pub fn refuse(&mut self, txn: ServerTxn, answers: impl IntoIterator<Item = Message>) -> bool {
        let waits = |server: &&mut Server| server.is_pending() && server.context.is_none();
        let Some(server) = self.servers.get_mut(txn.0).filter(waits) else {
            return true;
        };
        let (transport, asked) = (server.flow.transport, server.asked_octets());
        let fits = |answer: &Message| may_be_answered(transport, asked, answer.bytes().len());
        let answer = answers.into_iter().find(fits);
        match &answer {
            Some(answer) => server.refuse(&mut self.wire, answer),
            None => server.close(&mut self.wire),
        }
        self.reap_server(txn.0);
        answer.is_some()
    }

    /// Refuses a request with a status and nothing more.
    pub fn turn_away(&mut self, txn: ServerTxn, status: u16, reason: &str) -> bool {
        let answer = self.refusal_to(txn, status, reason);
        self.refuse(txn, answer.map(ResponseBuilder::build))
    }

    /// Begins a response for [`Endpoint::refuse`]: like [`Endpoint::response_to`], but its To tag is made of the
    /// request alone, so that a repetition gets the same.
    pub fn refusal_to(&self, txn: ServerTxn, status: u16, reason: &str) -> Option<ResponseBuilder> {
        let request = self.servers.get(txn.0)?.request.as_ref()?;
        Some(begin(request, status, reason).to_tag(&self.stateless_tag(request)))
    }

    /// To tag of a response that keeps no state: the same for the request, its repetitions and its ACK.
    pub(super) fn stateless_tag(&self, request: &Message) -> String {
        let branch = request
            .top_via()
            .ok()
            .and_then(|via| via.branch())
            .unwrap_or_default();
        let call_id = request.header(HeaderName::CallId).unwrap_or_default();
        self.secret.tag("stateless", [branch.as_bytes(), call_id])
    }
}
