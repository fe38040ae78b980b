//! What becomes of a request that was sent: a response, or nothing in time.

use std::time::Instant;

use super::{BranchId, ClientTxn, Endpoint, Event, Flow};
use crate::Message;
use crate::transaction::Key;
use crate::transaction::branch::Branch;
use crate::transaction::client::{Client, Heard, User};

impl Endpoint {
    pub(super) fn receive_response(&mut self, now: Instant, flow: Flow, response: &Message) {
        // What matches no transaction is dropped (RFC 6026 §7.3), and so is what cannot be read.
        let Some(Branch { key, .. }) = response
            .top_via()
            .ok()
            .and_then(|via| Branch::read(via.branch()?, self.secret))
            .filter(|branch| branch.shard == self.config.shard)
        else {
            return;
        };
        if self.clients.get(key).is_some_and(Client::is_stranded) {
            // That is where the phone is now.
            self.move_client(now, key, flow);
        }
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let (Ok(cseq), Ok(())) = (response.cseq(), response.validate()) else {
            return;
        };
        if !client.is_for_request(cseq.method) {
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

    /// The branch that a response answers, if it is of a request that is proxied.
    pub fn branch_of(&self, response: &Message) -> Option<BranchId> {
        let via = response.top_via().ok()?;
        let Branch { key, shard, .. } = Branch::read(via.branch()?, self.secret)?;
        let client = self.clients.get(key)?;
        let proxied = matches!(client.user, User::Context(_));
        let is_ours =
            shard == self.config.shard && client.is_for_request(response.cseq().ok()?.method);
        (proxied && is_ours).then_some(BranchId(key))
    }

    pub(crate) fn client_failed(&mut self, now: Instant, key: Key, status: u16) {
        match self.clients.get(key).map(|client| client.user) {
            Some(User::Owner) => self.events.push_back(Event::Failed {
                txn: ClientTxn(key),
                status,
            }),
            Some(User::Context(context)) => self.branch_ended(now, context, key, status, None),
            Some(User::Nobody) | None => {}
        }
    }
}
