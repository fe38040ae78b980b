//! What a user says of a contact, and a contact to the user, becomes a step.

use super::Rosters;
use crate::{
    Listing, NotDone, Output, Said, Showing, Sight, Ticket, What, Word,
    step::{Asker, Step, Then},
};
use bytes::Bytes;
use domain::{
    Address, Change,
    roster::{Contact, Direction, Request},
};

impl Rosters {
    /// What a user says of contacts.
    pub(crate) fn plan_said(
        &self,
        asker: Asker,
        user: &Address,
        said: Said,
    ) -> Result<Step, NotDone> {
        match said {
            Said::WantsRoster(ticket) => {
                let mut step = Step::of(asker);
                step.say(Output::Roster(ticket, Ok(self.view(user))));
                Ok(step)
            }
            Said::Lists(_, listing) => self.plan_listed(asker, user, listing),
            Said::Unlists(_, peer) => self.plan_unlisted(asker, user, &peer),
            Said::Requests {
                peer,
                request,
                words,
                ..
            } => self.plan_requests(asker, user, &peer, request, words),
            Said::Watches {
                ticket,
                peer,
                client,
            } => self.plan_watched((asker, ticket), user, &peer, client),
            // Nothing of it is kept here.
            Said::Available(_)
            | Said::Unavailable { .. }
            | Said::Suspended(..)
            | Said::ShowsCard(..)
            | Said::IsLookedFor(..)
            | Said::IsSeenBy(..)
            | Said::Blocks(..)
            | Said::Unblocks(..)
            | Said::LooksAnew(_)
            | Said::LooksAway
            | Said::Telephone(_) => Ok(Step::of(asker)),
        }
    }

    /// RFC 6121 §2.3, §2.4.
    fn plan_listed(&self, asker: Asker, user: &Address, listing: Listing) -> Result<Step, NotDone> {
        let Listing {
            peer,
            name,
            mut groups,
        } = listing;
        groups.sort_unstable();
        groups.dedup();
        let is_sound =
            |text: &String| text.len() <= self.limits.name && !text.chars().any(char::is_control);
        let sound = groups.iter().all(|it| is_sound(it) && !it.is_empty()) && is_sound(&name);
        if !sound || groups.len() > self.limits.groups {
            return Err(NotDone::BadName);
        }
        let before = self.known(user, &peer)?;
        let after = Contact {
            name,
            groups,
            is_listed: true,
            ..before.clone()
        };
        self.has_room(&before, &after)?;
        let mut step = Step::of(asker);
        step.keep_contact(&before, after);
        Ok(step)
    }

    /// RFC 6121 §2.5.
    fn plan_unlisted(&self, asker: Asker, user: &Address, peer: &Address) -> Result<Step, NotDone> {
        let listed = self.contact(user, peer).filter(|it| it.is_listed);
        let contact = listed.ok_or(NotDone::Missing)?;
        let mut step = Step::of(asker);
        if contact.from == Direction::Subscribed {
            step.then.push(Then::Hides(user.clone(), peer.clone()));
        }
        for request in contact.removed() {
            step.tell(user, peer, What::Request(request, Bytes::new()));
        }
        step.drop_contact(user, peer);
        Ok(step)
    }

    /// RFC 6121 §3.1.2, §3.1.5, §3.2.2, §3.3.2, §3.4.2.
    fn plan_requests(
        &self,
        asker: Asker,
        user: &Address,
        peer: &Address,
        request: Request,
        words: Bytes,
    ) -> Result<Step, NotDone> {
        let before = self.known(user, peer)?;
        if !self.is_ours(peer) {
            return Err(NotDone::NoSuchDomain);
        }
        let mut after = before.clone();
        let outcome = after.says(request);
        self.has_room(&before, &after)?;
        let mut step = Step::of(asker);
        if outcome.shows == Some(false) {
            step.then.push(Then::Hides(user.clone(), peer.clone()));
        }
        if outcome.passes {
            step.tell(user, peer, What::Request(request, words));
        }
        step.keep_contact(&before, after);
        if outcome.shows == Some(true) {
            step.then.push(Then::Shows(user.clone(), peer.clone()));
        }
        Ok(step)
    }

    /// A client that only watches asks to see somebody (RFC 6121 §3.1.2, §4.3.1), and the first time lets itself be seen (§3.1.5,
    /// §3.4).
    fn plan_watched(
        &self,
        (asker, ticket): (Asker, Ticket),
        user: &Address,
        peer: &Address,
        client: Box<str>,
    ) -> Result<Step, NotDone> {
        let before = self.known(user, peer)?;
        if !self.is_ours(peer) {
            return Err(NotDone::NoSuchDomain);
        }
        let mut after = before.clone();
        let is_first = before.to == Direction::None;
        after.says(Request::Subscribe);
        let lets = is_first.then(|| after.says(Request::Subscribed));
        let lets = lets.unwrap_or_default();
        self.has_room(&before, &after)?;
        let mut step = Step::of(asker);
        step.say(Output::Watched(ticket, Ok(after.to)));
        if lets.passes {
            step.tell(user, peer, What::Request(Request::Subscribed, Bytes::new()));
        }
        let wants = match after.to {
            Direction::Subscribed => What::Probe(client),
            _ => What::Request(Request::Subscribe, Bytes::new()),
        };
        step.tell(user, peer, wants);
        step.keep_contact(&before, after);
        if lets.shows == Some(true) {
            step.then.push(Then::Shows(user.clone(), peer.clone()));
        }
        Ok(step)
    }

    /// RFC 6121 §3.1.3, §3.1.6, §3.2.3, §3.3.3.
    pub(crate) fn plan_heard(
        &self,
        user: &Address,
        from: &Address,
        request: Request,
        words: Bytes,
    ) -> Step {
        let mut step = Step::of(Asker::Nobody);
        let Ok(before) = self.known(user, from) else {
            return step;
        };
        let kept = if words.len() <= self.limits.asked {
            words.clone()
        } else {
            Bytes::new()
        };
        let mut after = before.clone();
        let outcome = after.hears(request, kept);
        if is_stranger(&after)
            && !is_stranger(&before)
            && self.strangers(user) >= self.limits.requests
        {
            tracing::warn!(%user, %from, "a user has as many unanswered requests as may be: one more is dropped");
            return step;
        }
        if outcome.passes {
            // It is shown before the list is (RFC 6121 §3.1.6).
            step.say(Output::Show(Box::new(Showing {
                user: user.clone(),
                client: None,
                sight: Sight::Requested(from.clone(), request, words),
            })));
        }
        if outcome.shows == Some(false) {
            step.then.push(Then::Hides(user.clone(), from.clone()));
        }
        if let Some(answer) = outcome.answer {
            step.tell(user, from, What::Request(answer, Bytes::new()));
        }
        step.keep_contact(&before, after);
        if outcome.shows == Some(true) {
            step.then.push(Then::Shows(user.clone(), from.clone()));
        }
        step
    }

    /// What a user knows of somebody; nobody is their own contact.
    fn known(&self, user: &Address, peer: &Address) -> Result<Contact, NotDone> {
        if user == peer {
            return Err(NotDone::Oneself);
        }
        let known = self.contact(user, peer).cloned();
        Ok(known.unwrap_or_else(|| Contact::new(user.clone(), peer.clone())))
    }

    fn is_ours(&self, peer: &Address) -> bool {
        self.limits.domains.iter().any(|it| it == peer.domain())
    }

    /// Whether there is room on the list for who comes onto it.
    pub(crate) fn has_room(&self, before: &Contact, after: &Contact) -> Result<(), NotDone> {
        if before.is_listed || !after.is_listed {
            return Ok(());
        }
        let listed = self.contacts(&after.user).filter(|it| it.is_listed);
        if listed.count() < self.limits.contacts {
            Ok(())
        } else {
            Err(NotDone::TooManyContacts)
        }
    }

    fn strangers(&self, user: &Address) -> usize {
        self.contacts(user).filter(|it| is_stranger(it)).count()
    }
}

/// Somebody who has asked, is not answered, and is not on the list.
fn is_stranger(contact: &Contact) -> bool {
    !contact.is_listed && contact.from == Direction::Pending
}

impl Step {
    /// Says something, once the step is saved.
    pub(crate) fn say(&mut self, output: Output) {
        self.then.push(Then::Say(Box::new(output)));
    }

    /// Tells another user something, once the step is saved.
    pub(crate) fn tell(&mut self, from: &Address, to: &Address, what: What) {
        let word = Word {
            from: from.clone(),
            what,
        };
        self.say(Output::Tell(to.clone(), word));
    }

    /// Keeps a contact as it will be, if it is another than before and there is anything left to keep.
    pub(crate) fn keep_contact(&mut self, before: &Contact, after: Contact) {
        if *before == after {
            return;
        }
        if after.is_worth_keeping() {
            let contact = Box::new(after);
            self.changes.push(Change::PutContact(contact.clone()));
            self.then.push(Then::Contact(contact));
        } else {
            self.drop_contact(&before.user, &before.peer);
        }
    }

    fn drop_contact(&mut self, user: &Address, peer: &Address) {
        let (user, peer) = (user.clone(), peer.clone());
        self.changes.push(Change::RemoveContact {
            user: user.clone(),
            peer: peer.clone(),
        });
        self.then.push(Then::NoContact(user, peer));
    }
}
