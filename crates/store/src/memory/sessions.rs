//! Sessions whose clients have no connection.

use super::{backend::MemoryStore, state::State};
use crate::{Answer, Sessions, StoreError, limits};
use domain::{Address, KeptSession};

impl Sessions for MemoryStore {
    fn sessions(&self, user: &Address) -> Answer<Vec<KeptSession>> {
        let user = user.clone();
        self.read(move |state| {
            let all = state.sessions_of(&user).cloned();
            all.take(limits::SESSIONS).collect()
        })
    }
}

impl State {
    fn sessions_of(&self, user: &Address) -> impl Iterator<Item = &KeptSession> {
        let rows = self.sessions.range((user.clone(), String::new())..);
        rows.take_while(move |((owner, _), _)| owner == user)
            .map(|(_, session)| session)
    }

    pub(super) fn put_session(&mut self, session: KeptSession) -> Result<(), StoreError> {
        let key = (session.user.clone(), session.name.clone());
        if session.data.is_empty() {
            self.sessions.remove(&key);
            return Ok(());
        }
        self.needs_user(&session.user)?;
        self.sessions.put(key, session);
        Ok(())
    }

    pub(super) fn remove_sessions(&mut self, user: &Address) {
        let names: Vec<String> = self.sessions_of(user).map(|it| it.name.clone()).collect();
        for name in names {
            self.sessions.remove(&(user.clone(), name));
        }
    }
}
