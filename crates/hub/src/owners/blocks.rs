//! Users keep others away (XEP-0191): what becomes of the two of them is as if they did not see each other. Subscriptions stay as
//! they are, so that all is as before once nobody is blocked any more (XEP-0191 §4).

use super::{Owners, people::show};
use crate::{
    NotDone, Sight, What, Word,
    step::{Asker, Step, Then},
};
use domain::{
    Address, Blocks, Change,
    roster::{Contact, Direction, Request},
};

impl Owners {
    /// XEP-0191 §3.3.
    pub(super) fn plan_blocked(
        &self,
        asker: Asker,
        user: &Address,
        peers: Vec<Box<str>>,
    ) -> Result<Step, NotDone> {
        let before = self.accounts.blocks(user);
        let mut after = Blocks::clone(&before);
        let mut step = Step::of(asker);
        for peer in &peers {
            if after.insert(peer) {
                let (user, peer) = (user.clone(), peer.clone());
                step.changes.push(Change::Block { user, peer });
            }
        }
        if !after.fits() {
            return Err(NotDone::TooManyBlocks);
        }
        for contact in self.between(user, &after, &before) {
            if contact.from == Direction::Subscribed {
                step.then
                    .push(Then::Hides(user.clone(), contact.peer.clone()));
            }
        }
        step.then.push(Then::Blocks(user.clone(), Box::new(after)));
        step.say(show(user, None, Sight::Blocked(peers)));
        Ok(step)
    }

    /// XEP-0191 §3.4, §3.5.
    pub(super) fn plan_unblocked(
        &self,
        asker: Asker,
        user: &Address,
        peers: Vec<Box<str>>,
    ) -> Step {
        let before = self.accounts.blocks(user);
        let mut after = Blocks::clone(&before);
        let mut step = Step::of(asker);
        let all = || before.iter().map(Into::into).collect();
        let named: Vec<Box<str>> = if peers.is_empty() {
            all()
        } else {
            peers.clone()
        };
        for peer in named {
            if after.remove(&peer) {
                let user = user.clone();
                step.changes.push(Change::Unblock { user, peer });
            }
        }
        let contacts: Vec<&Contact> = self.between(user, &before, &after).collect();
        step.then.push(Then::Blocks(user.clone(), Box::new(after)));
        step.say(show(user, None, Sight::Unblocked(peers)));
        for contact in contacts {
            if contact.from == Direction::Subscribed {
                step.then
                    .push(Then::Shows(user.clone(), contact.peer.clone()));
            }
            // What they have become meanwhile nobody has told us.
            for news in self.presences.seen(user) {
                if contact.to == Direction::Subscribed {
                    step.tell(user, &contact.peer, What::Probe(news.resource));
                }
            }
        }
        step
    }

    /// The contacts whom one list bars and another does not; nobody is their own contact.
    fn between(
        &self,
        user: &Address,
        bars: &Blocks,
        lets: &Blocks,
    ) -> impl Iterator<Item = &Contact> {
        let is_between = move |it: &&Contact| {
            let peer = it.peer.as_str();
            bars.bars(peer) && !lets.bars(peer)
        };
        self.rosters.contacts(user).filter(is_between)
    }

    /// Whether somebody says this whom the user blocks.
    pub(super) fn is_barred(&self, user: &Address, word: &Word) -> bool {
        let client = match &word.what {
            What::Presence(news, _) => &*news.resource,
            What::Probe(client) => client,
            What::Request(..) | What::Talks(..) | What::HasCome => "",
        };
        let from = word.from.as_str();
        let is_of_client = || self.accounts.bars(user, &[from, "/", client].concat());
        if client.is_empty() {
            self.accounts.bars(user, from)
        } else {
            is_of_client()
        }
    }

    /// Nothing of it is shown and nobody is answered (XEP-0191 §3.3). That a subscription has ended is kept all the same: should
    /// their address become somebody else's, that one is not let in.
    pub(super) fn plan_told_by_barred(&self, user: &Address, word: Word) -> Step {
        let What::Request(request @ (Request::Unsubscribe | Request::Unsubscribed), words) =
            word.what
        else {
            return Step::of(Asker::Nobody);
        };
        let mut step = self.rosters.plan_heard(user, &word.from, request, words);
        let is_kept = |then: &Then| matches!(then, Then::Contact(_) | Then::NoContact(..));
        step.then.retain(is_kept);
        step
    }
}
