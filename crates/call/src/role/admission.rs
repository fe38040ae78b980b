//! Who may ask anything of us, of whom, and by which name.

use super::Role;
use crate::{
    gate::{NotAdmitted, Realm, Sender},
    settings::is_spiral,
    vocabulary::Output,
};
use domain::{Address, Now, Refusal, guard::Source};
use sip::{
    Flow, Message,
    endpoint::{Crowded, Holder, ServerTxn},
};
use std::time::Duration;

/// When whoever has too many requests under way may try again.
const CROWDED: Duration = Duration::from_secs(5);

impl Role {
    /// Whether an operator has banned whoever is there; they are not answered.
    pub(super) fn is_shut_out(&self, now: Now, flow: Flow) -> bool {
        !is_spiral(flow)
            && self
                .accounts
                .guards()
                .is_shut_out(now.wall, flow.remote.ip())
    }

    /// Whether one of our users has blocked an address.
    pub(super) fn bars(&self, user: Option<&Address>, peer: &str) -> bool {
        user.is_some_and(|user| self.accounts.bars(user, peer))
    }

    /// Lets a request in, or answers it: with a challenge, or why not. A refusal keeps no state (RFC 3261 §26.3.2.4).
    pub(super) fn admit(
        &mut self,
        now: Now,
        txn: ServerTxn,
        flow: Flow,
        request: &Message,
        realm: Realm,
    ) -> Option<Sender> {
        let namer = &mut self.namer;
        let admitted = self.gate.admit(now, flow, request, realm, || namer.bits());
        let (status, header, values) = match admitted {
            Ok(sender) => {
                return self
                    .has_room(now, txn, flow, Some(&sender))
                    .then_some(sender);
            }
            Err(NotAdmitted::Challenge(status, header, values)) => (status, header, values),
            Err(refused) => {
                self.not_admitted(now, txn, &refused);
                return None;
            }
        };
        let refusal = self.endpoint.refusal_to(txn, status, "")?;
        self.out.push_back(Output::Refused(Refusal::Challenged));
        // The last algorithm alone is the one that everybody knows.
        let last = values.last().into_iter().cloned().collect();
        let challenges = [values, last].map(|values: Vec<_>| {
            let values = values.into_iter();
            values.fold(refusal.clone(), |it, value| it.header(header, value))
        });
        self.refuse(txn, challenges);
        None
    }

    /// Counts a request for whose it is, or refuses it: a user, else the source that it comes from. Servers that the
    /// operator trusts speak for many.
    pub(super) fn has_room(
        &mut self,
        now: Now,
        txn: ServerTxn,
        flow: Flow,
        sender: Option<&Sender>,
    ) -> bool {
        if self.gate.trusts(flow) {
            return true;
        }
        let (user, from) = (sender.and_then(Sender::user), flow.remote.ip());
        let name = user.map_or_else(|| Source::of(from).to_string(), Address::to_string);
        let is_known = user.is_some() || self.accounts.guards().is_known(now.wall, from);
        let holder = Holder {
            name: name.as_bytes(),
            is_known,
            most: self.settings.requests_per_source,
        };
        let crowded = match self.endpoint.charge(txn, holder) {
            Ok(()) => return true,
            Err(crowded) => crowded,
        };
        self.out.push_back(Output::Refused(match crowded {
            Crowded::Holder { .. } => Refusal::Requests,
            Crowded::Strangers => Refusal::NoRoom,
        }));
        if crowded == (Crowded::Holder { first: true }) {
            tracing::warn!(who = ?name, %from, "requests are refused: too many wait for their answer");
        }
        self.turn_away_for(now, txn, 503, "Too Many Requests At Once", CROWDED);
        false
    }

    pub(super) fn not_admitted(&mut self, now: Now, txn: ServerTxn, why: &NotAdmitted) {
        match why {
            NotAdmitted::Refused(status, reason) => self.turn_away(now, txn, *status, reason),
            NotAdmitted::Wrong => {
                self.out.push_back(Output::Refused(Refusal::Password));
                self.turn_away(now, txn, 403, "Wrong User Or Password");
            }
            NotAdmitted::Wait(wait) => {
                self.out.push_back(Output::Refused(Refusal::Waiting));
                self.turn_away_for(now, txn, 503, "Too Many Wrong Passwords", *wait);
            }
            NotAdmitted::Banned => {
                self.out.push_back(Output::Refused(Refusal::Banned));
                self.endpoint.refuse(txn, []);
            }
            NotAdmitted::Challenge(..) => {}
        }
    }

    /// The name that a request's sender goes by: their own word, else that of their account.
    pub(super) fn display_name(&self, request: &Message, sender: &Sender) -> String {
        let from = request.from().ok();
        let said: Option<String> = from.and_then(|from| from.display_name().map(Into::into));
        let account = || {
            let user = self.accounts.get(sender.user()?)?;
            Some(user.display_name.clone())
        };
        said.filter(|name| !name.is_empty())
            .or_else(account)
            .unwrap_or_default()
    }
}
