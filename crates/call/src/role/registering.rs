//! REGISTER: what a phone says of where it is.

use super::Role;
use crate::{
    gate::{Realm, Sender},
    registrations::{Next, Register, may_come_over},
    vocabulary::Output,
};
use domain::{Address, Now, Refusal};
use hub::Directory;
use sip::{Flow, Message, endpoint::ServerTxn};

impl Role {
    pub(super) fn register(
        &mut self,
        now: Now,
        directory: &Directory,
        txn: ServerTxn,
        flow: Flow,
        request: Message,
        user: Option<Address>,
    ) {
        let Some(to) = user.filter(|_| may_come_over(flow)) else {
            return self.turn_away(now, txn, 404, "Not An Address Of This Server");
        };
        let user = match self.admit(now, txn, flow, &request, Realm::Server) {
            Some(Sender::User(sender)) if sender == to => sender,
            Some(_) => return self.answer(now, txn, 403, "Register Yourself Only"),
            None => return,
        };
        let register = Register {
            txn,
            flow,
            request,
            account: self.accounts.get(&user),
            user,
            received: now.instant,
            is_there: true,
        };
        self.registers(now, directory, register);
    }

    pub(super) fn registers(&mut self, now: Now, directory: &Directory, register: Register) {
        let is_there = self.dialogs.is_up(&register.flow);
        let register = Register {
            is_there,
            ..register
        };
        let Some(account) = self.accounts.get(&register.user) else {
            return self.answer(now, register.txn, 404, "No Such User");
        };
        // Its user may sign in otherwise since it began to wait for those before it.
        let let_in_by = register.account.as_ref();
        if let_in_by.is_none_or(|it| it.secrets != account.secrets) {
            return self.answer(now, register.txn, 403, "Sign In Again");
        }
        let ticket = self.ticket();
        let tag = self.endpoint.local_tag(register.txn);
        let bindings = &self.bindings;
        let next = self
            .registrations
            .register(now, ticket, register, &tag, directory, bindings);
        match next {
            Next::Waits => {}
            Next::Answer(txn, response) => {
                if response.status() == Some(503) {
                    self.out.push_back(Output::Refused(Refusal::Overloaded));
                }
                self.respond(now, txn, &response);
            }
            Next::Doors(doors) => {
                for opening in doors.opened.iter().filter(|opening| opening.fresh) {
                    self.messages.give_up(&opening.door);
                }
                self.tell([hub::Input::Doors(doors)]);
            }
        }
    }
}
