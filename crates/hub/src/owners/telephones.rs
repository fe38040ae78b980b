//! What others see of users' telephones, who say nothing of themselves (`behaviour.md` 16.1).

use super::Owners;
use crate::{
    Entry, Output, What, Word,
    people::Talk,
    presences::Broadcast,
    step::{Deed, Work},
};
use domain::{Address, DeviceId, Mode, Now};
use std::time::Duration;

impl Owners {
    /// Something may have changed about the telephone that a device is.
    pub(super) fn telephone_of(&mut self, now: Now, device: &DeviceId) -> Option<Deed> {
        let user = self.directory.get(device)?.device.user.clone();
        self.telephone_changes(now, &user)
    }

    /// Something may have changed about a user's telephones: who looks at the user sees it.
    pub(super) fn telephone_changes(&mut self, now: Now, user: &Address) -> Option<Deed> {
        let is_seen = self.telephones.is_looked_at(user) || self.presences.is_available(user);
        let broadcast = Some(self)
            .filter(|_| is_seen)?
            .settle_telephone(now, user)?;
        let work = Work::Broadcast(user.clone(), broadcast);
        Some(Deed::Work(user.clone(), work))
    }

    /// Somebody looks at a user. Nobody has before, or there is nothing new: whoever looks sees all there is.
    pub(super) fn is_looked_at(&mut self, now: Now, user: &Address) {
        self.telephones.look_at(user);
        self.settle_telephone(now, user);
    }

    fn settle_telephone(&mut self, now: Now, user: &Address) -> Option<Broadcast> {
        let modes = self.directory.of(user).filter_map(Entry::silent_mode);
        let sleeps = |mode: &Mode| matches!(mode, Mode::Suspended | Mode::Silent);
        let mode = modes.min_by_key(sleeps);
        let seen = self.telephones.seen(user, mode, now.wall);
        self.presences.telephone(now, user, seen)
    }
}

/// That a user talks goes to the user's hub.
pub(super) fn talks(user: Address, talk: Talk, time: Option<Duration>) -> Deed {
    let word = Word {
        from: user.clone(),
        what: What::Talks(talk, time),
    };
    Output::Tell(user, word).into()
}
