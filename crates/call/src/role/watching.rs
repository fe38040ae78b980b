//! Presence: a phone that wants to see somebody, or says what its user does.

use super::Role;
use crate::{
    dialogs::Whereabouts,
    gate::{Realm, Sender},
    presence,
    vocabulary::Output,
};
use domain::{Address, Now, Refusal, roster::Direction};
use hub::{Directory, NotDone, Ticket};
use sip::{Flow, Message, endpoint::ServerTxn, steer::is_for_presence};

impl Role {
    /// A user's phone wants to see somebody.
    pub(super) fn subscribe(
        &mut self,
        now: Now,
        txn: ServerTxn,
        flow: Flow,
        message: &Message,
        peer: Address,
        sender: &Sender,
    ) {
        let client = format!("sip.{:016x}", self.namer.bits()).into();
        let names = (self.ticket(), client);
        let request = presence::Request {
            txn,
            flow,
            message,
            sender,
        };
        let endpoint = &mut self.endpoint;
        let told = self
            .presence
            .subscribe(now, endpoint, &request, peer, names);
        self.tell_or_count(told);
    }

    /// That somebody was refused since they have as many as one may is counted.
    fn tell_or_count(&mut self, told: Result<hub::Input, u16>) {
        match told {
            Ok(told) => self.tell([told]),
            Err(503) => self.out.push_back(Output::Refused(Refusal::Requests)),
            Err(_) => {}
        }
    }

    /// A subscription of this user goes on. Nobody else is asked who they are there: they could guess passwords by it.
    pub(super) fn resubscribe(
        &mut self,
        now: Now,
        txn: ServerTxn,
        flow: Flow,
        message: &Message,
        user: &Address,
    ) {
        let from = message.from().ok();
        let from = from.and_then(|it| self.settings.local_address(&it.uri));
        if from.as_ref() != Some(user) {
            return self.turn_away(now, txn, 403, "Another User's Subscription");
        }
        if let Some(sender) = self.admit(now, txn, flow, message, Realm::Proxy) {
            let request = presence::Request {
                txn,
                flow,
                message,
                sender: &sender,
            };
            self.presence.resubscribe(now, &mut self.endpoint, &request);
        }
    }

    /// The hub has spoken of a phone that wants to see somebody.
    pub(super) fn watched(&mut self, now: Now, ticket: Ticket, result: Result<Direction, NotDone>) {
        let endpoint = &mut self.endpoint;
        let refused = self.presence.watched(now, endpoint, ticket, result);
        if let Some((txn, why, told)) = refused {
            self.tell([told]);
            self.answer_kept(now, txn, Err(why));
        }
    }

    /// A user's phone says what its user does.
    pub(super) fn publish(
        &mut self,
        now: Now,
        txn: ServerTxn,
        flow: Flow,
        message: &Message,
        user: &Address,
        sender: &Sender,
    ) {
        if !is_for_presence(message) {
            return presence::refuse_event(&mut self.endpoint, now, txn);
        }
        let tag = format!("{:016x}", self.namer.bits());
        let request = presence::Request {
            txn,
            flow,
            message,
            sender,
        };
        let endpoint = &mut self.endpoint;
        let told = self.presence.publish(now, endpoint, &request, user, &tag);
        self.tell_or_count(told);
    }

    /// Watchers are told what is due. Says whether anything was.
    pub(super) fn notifies(&mut self, now: Now, directory: &Directory) -> bool {
        let whereabouts = Whereabouts {
            directory,
            bindings: &self.bindings,
        };
        let (endpoint, dialogs) = (&mut self.endpoint, &self.dialogs);
        let (any, told) = self.presence.notifies(now, endpoint, dialogs, whereabouts);
        self.tell(told);
        any
    }
}
