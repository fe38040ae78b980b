//! What clients get tokens by.

use super::{
    backend::{MemoryStore, rows},
    state::State,
};
use crate::{Answer, Grants, StoreError, limits};
use domain::{Address, Grant, Timestamp};

impl Grants for MemoryStore {
    fn grant(&self, user: &Address, id: &str) -> Answer<Option<Grant>> {
        let key = (user.clone(), id.to_owned());
        self.read(move |state| state.grants.get(&key).cloned())
    }

    fn old_grants(&self, before: Timestamp, limit: usize) -> Answer<Vec<Grant>> {
        self.read(move |state| {
            let old = state.grants.values().filter(|grant| grant.at < before);
            old.take(rows(limit)).cloned().collect()
        })
    }
}

impl State {
    fn grants_of(&self, user: &Address) -> impl Iterator<Item = &Grant> {
        let rows = self.grants.range((user.clone(), String::new())..);
        rows.take_while(move |((owner, _), _)| owner == user)
            .map(|(_, grant)| grant)
    }

    pub(super) fn put_grant(&mut self, grant: Grant) -> Result<(), StoreError> {
        self.needs_user(&grant.user)?;
        let user = grant.user.clone();
        // This one stays, whatever clock the others were used by.
        let others = self.grants_of(&user).filter(|it| it.id != grant.id);
        let mut others: Vec<_> = others
            .map(|it| (!it.is_pending(), it.at, it.id.clone()))
            .collect();
        self.grants.put((user.clone(), grant.id.clone()), grant);
        others.sort_unstable();
        let too_many = (others.len() + 1).saturating_sub(limits::GRANTS);
        for (_, _, id) in others.into_iter().take(too_many) {
            self.grants.remove(&(user.clone(), id));
        }
        Ok(())
    }

    pub(super) fn remove_grants(&mut self, user: &Address) {
        let ids: Vec<String> = self.grants_of(user).map(|it| it.id.clone()).collect();
        for id in ids {
            self.grants.remove(&(user.clone(), id));
        }
    }
}
