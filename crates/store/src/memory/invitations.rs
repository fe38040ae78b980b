//! Invitations.

use super::{
    backend::MemoryStore,
    state::{State, needs},
};
use crate::{Answer, Invitations, StoreError};
use domain::{Address, Invitation, Timestamp};

impl Invitations for MemoryStore {
    fn invitation(&self, token: &str) -> Answer<Option<Invitation>> {
        self.read(|state| state.invitations.get(&token.into()).cloned())
    }
}

impl State {
    pub(super) fn invite(&mut self, invitation: Invitation) -> Result<(), StoreError> {
        if let Some(inviter) = &invitation.inviter {
            self.needs_user(inviter)?;
        }
        self.invitations.put(invitation.token.clone(), invitation);
        Ok(())
    }

    pub(super) fn redeem(&mut self, token: &str) -> Result<(), StoreError> {
        let known = self.invitations.remove(&token.into());
        needs(known.is_some(), "invitation", token)
    }

    pub(super) fn remove_invitations(&mut self, inviter: &Address) {
        self.remove_where(|it| it.inviter.as_ref() == Some(inviter));
    }

    pub(super) fn prune_invitations(&mut self, before: Timestamp) {
        self.remove_where(|it| it.expires_at < before);
    }

    fn remove_where(&mut self, goes: impl Fn(&Invitation) -> bool) {
        let all = self.invitations.iter().filter(|(_, it)| goes(it));
        let gone: Vec<Box<str>> = all.map(|(token, _)| token.clone()).collect();
        for token in gone {
            self.invitations.remove(&token);
        }
    }
}
