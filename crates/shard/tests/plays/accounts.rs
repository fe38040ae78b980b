//! What the role wants done about accounts: as the server does it, but at once.

use crate::{
    users::{account_with, address},
    world::World,
};
use domain::{Invitation, Timestamp, invitation::digest};
use hub::{Answer, NotDone, Question, Ticket};
use im::AccountOrder;
use shard::Input;
use std::time::Duration;

impl World {
    /// Somebody is invited by a word, which is good for an hour.
    pub(crate) fn invites(&mut self, inviter: Option<&str>, guest: Option<&str>, word: &str) {
        let invitation = Invitation {
            token: digest(word),
            inviter: inviter.map(address),
            address: guest.map(address),
            expires_at: self.now.wall.plus(Duration::from_hours(1)),
        };
        let invitations = &mut self.store.kept.invitations;
        invitations.insert(invitation.token.clone(), invitation);
    }

    fn invitation(&self, word: &str, now: Timestamp) -> Result<Invitation, NotDone> {
        let found = self.store.kept.invitations.get(&digest(word));
        let good = found.filter(|it| it.expires_at > now);
        good.cloned().ok_or(NotDone::Missing)
    }

    pub(crate) fn about_account(&mut self, shard: usize, ticket: Ticket, order: AccountOrder) {
        let invitation = |word: &str| self.invitation(word, self.now.wall);
        let question = match order {
            AccountOrder::IsInvited(word) => Err(invitation(&word).map(drop)),
            AccountOrder::Password(user, password) => {
                let user = account_with(user.name(), &password);
                Ok(Question::PutUser(Box::new(user), 0))
            }
            AccountOrder::Register(user, password, word) => match invitation(&word) {
                Err(why) => Err(Err(why)),
                Ok(it) if it.address.as_ref().is_some_and(|it| *it != user) => {
                    Err(Err(NotDone::NotLet))
                }
                Ok(it) => {
                    let user = account_with(user.name(), &password);
                    Ok(Question::Redeem(Box::new(user), it.token, it.inviter))
                }
            },
        };
        match question {
            Err(result) => self.account_done(shard, ticket, result),
            Ok(question) => {
                let (Question::PutUser(user, _) | Question::Redeem(user, ..)) = &question else {
                    return;
                };
                let owner = self.shard_of(&user.address);
                self.numbers += 1;
                let asked = Ticket(u64::from(self.numbers) + 1_000);
                self.orders.insert(asked, (shard, ticket));
                self.inputs
                    .push_back((owner, Input::Asked(asked, question)));
            }
        }
    }

    /// A hub has answered what was asked of it for a role.
    pub(crate) fn account_answered(&mut self, asked: Ticket, answer: Result<Answer, NotDone>) {
        if let Some((shard, ticket)) = self.orders.remove(&asked) {
            self.account_done(shard, ticket, answer.map(drop));
        }
    }

    fn account_done(&mut self, shard: usize, ticket: Ticket, result: Result<(), NotDone>) {
        let done = im::Input::Account(ticket, result);
        self.inputs.push_back((shard, Input::Im(done)));
    }
}
