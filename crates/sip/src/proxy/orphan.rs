//! A phone that answers a call which is gone: the caller has got a final response or its transaction is over, so the
//! 2xx can go nowhere (RFC 6026 §8.3 lets it be discarded), or the phone got the INVITE only to see that it is over. The phone would show a call for half a minute, waiting
//! for an ACK; so it gets ACK and BYE instead, in the caller's name. It happens when a woken phone's user answers
//! before the INVITE arrives, and the caller has just hung up.

use std::time::Instant;

use super::routes;
use crate::endpoint::Endpoint;
use crate::transaction::Key;
use crate::transaction::branch;
use crate::transaction::client::{Client, User};
use crate::{HeaderName, Message, Method, RequestBuilder};

impl Endpoint {
    /// Acknowledges the 2xx, each time it comes, and ends its dialog, once.
    pub(super) fn end_orphan(
        &mut self,
        now: Instant,
        context: Key,
        branch: Key,
        response: &Message,
    ) {
        let Some(flow) = self.clients.get(branch).map(|client| client.flow) else {
            return;
        };
        let Some(known) = self.contexts.get_mut(context) else {
            return;
        };
        let reason = known
            .ending
            .as_ref()
            .and_then(|ending| ending.reason.clone());
        let Some(entry) = known.branch_mut(branch) else {
            return;
        };
        let first = !std::mem::replace(&mut entry.orphaned, true);

        let Some(ack) = self.in_dialog(response, Method::Ack, 0) else {
            return;
        };
        let hash = self.secret.hash(
            "orphan",
            [
                &branch.slot.to_be_bytes()[..],
                &branch.generation.to_be_bytes(),
            ],
        );
        let via = self.via(flow, &branch::stateless(self.config.shard, 'o', hash));
        self.wire.send(flow, with_via(ack, &via).bytes());
        let Some(key) = self.clients.vacant().filter(|_| first) else {
            return;
        };
        let Some(mut bye) = self.in_dialog(response, Method::Bye, 1) else {
            return;
        };
        if let Some(reason) = reason {
            bye = bye.header(HeaderName::Reason, reason);
        }
        let via = self.via(flow, &self.branch(key, 0));
        let client = Client::start(
            now,
            &mut self.wire,
            key,
            User::Nobody,
            flow,
            with_via(bye, &via),
        );
        self.add_client(client);
    }

    /// A request in the dialog that the response establishes; `None` if it names no target.
    fn in_dialog(
        &self,
        response: &Message,
        method: Method<'_>,
        after: u32,
    ) -> Option<RequestBuilder> {
        let crate::Contacts::List(contacts) = response.contacts().ok()? else {
            return None;
        };
        let mut request = RequestBuilder::new(method, contacts.first()?.uri.as_str());
        for route in routes::onward(&self.config.is_ours, response) {
            request = request.header(HeaderName::Route, route);
        }
        for name in [HeaderName::From, HeaderName::To, HeaderName::CallId] {
            request = request.header(name, response.header(name)?);
        }
        let number = response.cseq().ok()?.number + after;
        Some(request.header(HeaderName::CSeq, format!("{number} {method}")))
    }
}

fn with_via(request: RequestBuilder, via: &str) -> Message {
    let request = request.build();
    crate::Edit::new(&request)
        .prepend(HeaderName::Via, via)
        .finish()
}
