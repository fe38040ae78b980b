//! What users say of themselves.

use super::{backend::MemoryStore, state::State};
use crate::{Answer, Cards, StoreError};
use domain::{Address, Card};

impl Cards for MemoryStore {
    fn card(&self, user: &Address) -> Answer<Option<Card>> {
        self.read(|state| state.cards.get(user).cloned())
    }
}

impl State {
    pub(super) fn put_card(&mut self, user: Address, card: Card) -> Result<(), StoreError> {
        self.needs_user(&user)?;
        self.cards.put(user, card);
        Ok(())
    }
}
