//! Accounts that are made and changed, by an operator, their users or an invitation.

use super::Owners;
use crate::{
    NotDone, What,
    step::{Asker, Step, Then},
};
use domain::{
    Address, Change, User,
    roster::{Contact, Direction},
};

impl Owners {
    /// The invitation and the account stand or fall together: so it is used once.
    pub(super) fn plan_redeemed(
        &self,
        asker: Asker,
        user: Box<User>,
        token: Box<str>,
        inviter: Option<Address>,
    ) -> Result<Step, NotDone> {
        if self.accounts.has(&user.address) {
            return Err(NotDone::Exists);
        }
        let address = user.address.clone();
        let mut step = Step::of(asker);
        step.changes = vec![Change::Redeem(token), Change::PutUser(user.clone())];
        step.then.push(Then::Account(user));
        if let Some(inviter) = inviter.filter(|it| self.accounts.has(it)) {
            let contact = friends(&address, &inviter);
            step.changes.push(Change::PutContact(Box::new(contact)));
            step.tell(&address, &inviter, What::HasCome);
        }
        Ok(step)
    }

    /// What was made of an account that signs in otherwise by now is not put: it would bring back what is no good any more.
    pub(super) fn plan_put(
        &self,
        asker: Asker,
        user: Box<User>,
        read: i64,
    ) -> Result<Step, NotDone> {
        let known = self.accounts.get(&user.address);
        if known.map_or(0, |known| known.secrets.mark) != read {
            return Err(NotDone::Changed);
        }
        Ok(Step {
            changes: vec![Change::PutUser(user.clone())],
            then: vec![Then::Account(user)],
            asker,
        })
    }

    /// Whoever invited somebody wants to see them, as far as there is room on the list.
    pub(super) fn plan_has_come(&self, user: &Address, guest: &Address) -> Step {
        let mut step = Step::of(Asker::Nobody);
        let before = self.rosters.contact(user, guest).cloned();
        let before = before.unwrap_or_else(|| Contact::new(user.clone(), guest.clone()));
        let after = Contact {
            to: Direction::Subscribed,
            from: Direction::Subscribed,
            is_listed: true,
            asked: bytes::Bytes::new(),
            ..before.clone()
        };
        if self.rosters.has_room(&before, &after).is_ok() {
            step.keep_contact(&before, after);
            step.then.push(Then::Shows(user.clone(), guest.clone()));
        }
        step
    }
}

fn friends(user: &Address, peer: &Address) -> Contact {
    Contact {
        to: Direction::Subscribed,
        from: Direction::Subscribed,
        is_listed: true,
        ..Contact::new(user.clone(), peer.clone())
    }
}
