//! Users among themselves: what goes to rosters, what to presence, and what one needs of the other.

use super::Owners;
use crate::{
    Output, Said, Showing, Sight, What, Word,
    presences::Broadcast,
    step::{Asker, Deed, Step, Work},
};
use bytes::Bytes;
use domain::{
    Address, Now,
    presence::{News, Seen},
    roster::{Contact, Direction, Request},
};

impl Owners {
    /// A user's client says something.
    pub(super) fn said(&mut self, now: Now, user: Address, said: Said) -> Option<Deed> {
        match &said {
            Said::Watches { .. } => self.presences.begins_to_look(&user),
            Said::LooksAway => {
                self.presences.looks_away(&user);
                return None;
            }
            _ => {}
        }
        if let Said::Telephone(stated) = said {
            self.telephones.state(&user, stated);
            return self.telephone_changes(now, &user);
        }
        let work = match said {
            Said::Available(_) | Said::Unavailable { .. } | Said::Suspended(..) => {
                if !self.accounts.has(&user) {
                    return None;
                }
                if matches!(said, Said::Available(_)) {
                    // Its own clients look at it, too.
                    self.is_looked_at(now, &user);
                }
                Work::Broadcast(user.clone(), self.presences.said(now, &user, said)?)
            }
            said => Work::Said(user.clone(), said),
        };
        Some(Deed::Work(user, work))
    }

    /// Another user says something to one of ours. Who is not available is not shown presence, and so nothing is read for
    /// it; who has no account hears nothing, and who looks for them is told that there is nothing to see (RFC 6121 §8.5.1).
    pub(super) fn told(&mut self, now: Now, user: Address, word: Word) -> Option<Deed> {
        if let What::Talks(talk, time) = word.what {
            self.telephones.talk(now.instant, &user, talk, time);
            return self.telephone_changes(now, &user);
        }
        if !self.accounts.has(&user) {
            return matches!(word.what, What::Probe(_))
                .then(|| tell(&user, &word.from, refusal()).into());
        }
        if matches!(word.what, What::Probe(_)) {
            self.is_looked_at(now, &user);
        }
        let is_shown = |what: &What| !matches!(what, What::Presence(..));
        (is_shown(&word.what) || self.presences.looks(&user))
            .then(|| Deed::Work(user.clone(), Work::Told(user, word)))
    }

    /// Whose roster is to be read before this can be planned.
    pub(crate) fn lacks_roster(&mut self, work: &Work) -> bool {
        // Who is removed takes leave of those who know them.
        let (Work::Said(user, _)
        | Work::Told(user, _)
        | Work::Broadcast(user, _)
        | Work::RemoveUser(_, user)) = work
        else {
            return false;
        };
        // Without an account there is none.
        self.accounts.has(user) && !self.rosters.uses(user)
    }

    pub(super) fn plan_told(&self, user: &Address, word: Word) -> Step {
        let Word { from, what } = word;
        match what {
            What::Request(request, words) => self.rosters.plan_heard(user, &from, request, words),
            What::HasCome => self.plan_has_come(user, &from),
            What::Presence(news, client) => self.plan_seen(user, from, news, client),
            What::Probe(client) => self.plan_probed(user, &from, &client),
            What::Talks(..) => Step::of(Asker::Nobody),
        }
    }

    /// Somebody's presence is shown to who is subscribed to it (RFC 6121 §4.2.3, §4.4.3, §4.5.3), and that they are gone also
    /// to who was (§3.3.3). Who shows more to somebody else has another view of the subscription, and is told ours.
    fn plan_seen(
        &self,
        user: &Address,
        from: Address,
        news: News,
        client: Option<Box<str>>,
    ) -> Step {
        let mut step = Step::of(Asker::Nobody);
        let known = self.rosters.contact(user, &from);
        let is_gone = matches!(news.seen, Seen::Gone { .. });
        match known.map_or(Direction::None, |it| it.to) {
            direction if direction == Direction::Subscribed || is_gone => {
                step.say(show(user, client, Sight::Presence(from, news)));
            }
            Direction::None => {
                let ends = What::Request(Request::Unsubscribe, Bytes::new());
                step.tell(user, &from, ends);
            }
            _ => {}
        }
        step
    }

    /// RFC 6121 §4.3.2.
    fn plan_probed(&self, user: &Address, from: &Address, client: &str) -> Step {
        let mut step = Step::of(Asker::Nobody);
        let known = self.rosters.contact(user, from);
        if known.is_none_or(|it| it.from != Direction::Subscribed) {
            step.tell(user, from, refusal());
            return step;
        }
        let mut seen = self.presences.seen(user);
        if seen.is_empty() {
            seen.push(self.presences.absence(user));
        }
        for news in seen {
            let what = What::Presence(news, Some(client.into()));
            step.tell(user, from, what);
        }
        step
    }

    /// Others see something of a user, and who is new sees others.
    pub(super) fn plan_broadcast(&self, user: &Address, broadcast: Broadcast) -> Step {
        let mut step = Step::of(Asker::Nobody);
        let Broadcast {
            news,
            spoke,
            is_new,
        } = broadcast;
        for contact in self.watchers(user) {
            for news in &news {
                let what = What::Presence(news.clone(), None);
                step.tell(user, &contact.peer, what);
            }
        }
        // A user's clients see each other; that all of them sleep none of them needs to hear.
        let own = news
            .iter()
            .filter(|it| spoke.as_ref() == Some(&it.resource));
        for news in own {
            let sight = Sight::Presence(user.clone(), news.clone());
            step.say(show(user, None, sight));
        }
        if let Some(client) = spoke.filter(|_| is_new) {
            self.welcome(user, &client, &mut step);
        }
        step
    }

    /// Who sees a user: whoever may and is not blocked.
    pub(super) fn watchers(&self, user: &Address) -> impl Iterator<Item = &Contact> {
        let contacts = self.rosters.contacts(user);
        contacts.filter(|it| self.lets_see(it))
    }

    /// Whether this other user is one of them.
    pub(super) fn is_seen_by(&self, user: &Address, peer: &Address) -> bool {
        let known = self.rosters.contact(user, peer);
        known.is_some_and(|it| self.lets_see(it))
    }

    fn lets_see(&self, contact: &Contact) -> bool {
        contact.from == Direction::Subscribed
            && !self.accounts.bars(&contact.user, contact.peer.as_str())
    }

    /// A client has come: it sees the user's other clients, what still waits for an answer (RFC 6121 §3.1.3), and whoever
    /// lets themselves be seen (§4.3.1). What has not been answered is asked again (§3.1.2).
    pub(super) fn welcome(&self, user: &Address, client: &str, step: &mut Step) {
        let to_it = |sight| show(user, Some(client.into()), sight);
        for news in self.presences.seen(user) {
            if &*news.resource != client {
                step.say(to_it(Sight::Presence(user.clone(), news)));
            }
        }
        let is_heard = |it: &&Contact| !self.accounts.bars(user, it.peer.as_str());
        for contact in self.rosters.contacts(user).filter(is_heard) {
            let peer = &contact.peer;
            if contact.from == Direction::Pending {
                let words = contact.asked.clone();
                step.say(to_it(Sight::Requested(
                    peer.clone(),
                    Request::Subscribe,
                    words,
                )));
            }
            match contact.to {
                Direction::Subscribed => step.tell(user, peer, What::Probe(client.into())),
                Direction::Pending => {
                    let again = What::Request(Request::Subscribe, Bytes::new());
                    step.tell(user, peer, again);
                }
                Direction::None => {}
            }
        }
    }

    /// Somebody may see a user from now on.
    pub(super) fn shows(&self, user: &Address, peer: &Address) -> Vec<Deed> {
        let seen = self.presences.seen(user).into_iter();
        seen.map(|news| tell(user, peer, What::Presence(news, None)).into())
            .collect()
    }

    /// Somebody may not see a user any more, and so sees them go.
    pub(super) fn hides(&self, user: &Address, peer: &Address) -> Vec<Deed> {
        let seen = self.presences.seen(user).into_iter();
        seen.map(|news| tell(user, peer, goes(news)).into())
            .collect()
    }

    /// A user is no more: whoever saw them sees them go, and all subscriptions end, so that whoever has the address next is
    /// seen by nobody and sees nobody. If the roster is not at hand (another process removed the user, and it with them),
    /// others hear of it when they look.
    pub(super) fn user_leaves(&mut self, user: &Address) -> Vec<Deed> {
        let mut deeds = Vec::new();
        let seen = self.presences.remove(user);
        let watch = |it: &&Contact| it.from == Direction::Subscribed;
        for contact in self.rosters.contacts(user).filter(watch) {
            let gone = seen.iter().cloned().map(goes);
            deeds.extend(gone.map(|what| tell(user, &contact.peer, what).into()));
        }
        for contact in self.rosters.contacts(user) {
            let words = contact.removed();
            let words = words.map(|request| What::Request(request, Bytes::new()));
            deeds.extend(words.map(|what| tell(user, &contact.peer, what).into()));
        }
        self.rosters.remove(user);
        deeds
    }
}

fn goes(news: News) -> What {
    What::Presence(News::gone(news.resource, Bytes::new(), None), None)
}

fn refusal() -> What {
    What::Request(Request::Unsubscribed, Bytes::new())
}

fn tell(from: &Address, to: &Address, what: What) -> Output {
    let word = Word {
        from: from.clone(),
        what,
    };
    Output::Tell(to.clone(), word)
}

pub(super) fn show(user: &Address, client: Option<Box<str>>, sight: Sight) -> Output {
    Output::Show(Box::new(Showing {
        user: user.clone(),
        client,
        sight,
    }))
}
