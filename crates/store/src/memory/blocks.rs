//! Whom users block.

use super::{backend::MemoryStore, state::State};
use crate::{Answer, Blocks, StoreError, limits};
use domain::Address;

impl Blocks for MemoryStore {
    fn blocked(&self, user: &Address) -> Answer<Vec<Box<str>>> {
        self.read(|state| {
            let blocked = state.blocked_by(user).take(limits::BLOCKS);
            blocked.map(Into::into).collect()
        })
    }
}

impl State {
    fn blocked_by(&self, user: &Address) -> impl Iterator<Item = &str> {
        let first = (user.clone(), Box::from(""));
        let rows = self.blocks.range(first..);
        rows.take_while(move |((owner, _), ())| owner == user)
            .map(|((_, peer), ())| &**peer)
    }

    pub(super) fn block(&mut self, user: Address, peer: Box<str>) -> Result<(), StoreError> {
        self.needs_user(&user)?;
        self.blocks.put((user, peer), ());
        Ok(())
    }

    pub(super) fn remove_blocks(&mut self, user: &Address) {
        let peers: Vec<Box<str>> = self.blocked_by(user).map(Into::into).collect();
        for peer in peers {
            self.blocks.remove(&(user.clone(), peer));
        }
    }
}
