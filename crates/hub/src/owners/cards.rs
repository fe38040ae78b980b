//! What users say of themselves for everybody, and when they were there last for those who may see them.

use super::{Owners, people::show};
use crate::{
    LastSeen, NotDone, Output, Sight, Ticket, What,
    step::{Asker, Step, Then},
};
use domain::{Address, Card, Change};

impl Owners {
    /// Who sees the user hears of another image (XEP-0153 §3.1), as if the user's clients had said again what they are.
    pub(super) fn plan_card(&self, asker: Asker, user: &Address, card: Box<Card>) -> Step {
        let mut step = Step::of(asker);
        let (before, after) = (self.accounts.avatar(user), card.avatar);
        let (of, card) = (user.clone(), card);
        step.changes.push(Change::PutCard { user: of, card });
        if before == after {
            return step;
        }
        step.then.push(Then::Avatar(user.clone(), after));
        let seen = self.presences.seen(user);
        for contact in self.watchers(user) {
            for news in &seen {
                let what = What::Presence(news.clone(), None);
                step.tell(user, &contact.peer, what);
            }
        }
        for news in seen {
            step.say(show(user, None, Sight::Presence(user.clone(), news)));
        }
        step
    }

    /// Only who may see the user's presence is told (XEP-0012). What is known is the last of so many who went; of others, when a
    /// device of theirs was there.
    pub(super) fn plan_looked_for(
        &self,
        ticket: Ticket,
        user: &Address,
        peer: &Address,
    ) -> Result<Step, NotDone> {
        if !self.is_seen_by(user, peer) {
            return Err(NotDone::NotLet);
        }
        let devices = self.directory.of(user).map(|it| it.device.seen_at);
        let last = if self.presences.is_available(user) {
            LastSeen::Now
        } else {
            let known = self.presences.last_seen(user).or_else(|| devices.max());
            known.map_or(LastSeen::Unknown, LastSeen::At)
        };
        let mut step = Step::of(Asker::Looks(ticket));
        step.say(Output::LastSeen(ticket, Ok(last)));
        Ok(step)
    }
}
