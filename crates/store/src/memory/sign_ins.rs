//! Tokens that clients sign in with.

use super::{backend::MemoryStore, state::State};
use crate::{Answer, SignIns, StoreError, limits};
use domain::{Address, SignInTokens};

impl SignIns for MemoryStore {
    fn sign_in_tokens(&self, user: &Address, client: &str) -> Answer<Option<SignInTokens>> {
        let key = (user.clone(), client.to_owned());
        self.read(move |state| state.sign_in_tokens.get(&key).cloned())
    }
}

impl State {
    fn sign_ins_of(&self, user: &Address) -> impl Iterator<Item = &SignInTokens> {
        let rows = self.sign_in_tokens.range((user.clone(), String::new())..);
        rows.take_while(move |((owner, _), _)| owner == user)
            .map(|(_, tokens)| tokens)
    }

    pub(super) fn put_sign_in_tokens(&mut self, tokens: SignInTokens) -> Result<(), StoreError> {
        let key = (tokens.user.clone(), tokens.client.clone());
        if tokens.data.is_empty() {
            self.sign_in_tokens.remove(&key);
            return Ok(());
        }
        self.needs_user(&tokens.user)?;
        let user = tokens.user.clone();
        self.sign_in_tokens.put(key, tokens);
        let all = self.sign_ins_of(&user);
        let mut all: Vec<_> = all.map(|it| (it.at, it.client.clone())).collect();
        all.sort_unstable();
        let too_many = all.len().saturating_sub(limits::SIGN_IN_TOKENS);
        for (_, client) in all.into_iter().take(too_many) {
            self.sign_in_tokens.remove(&(user.clone(), client));
        }
        Ok(())
    }

    pub(super) fn remove_sign_ins(&mut self, user: &Address) {
        let clients: Vec<String> = self.sign_ins_of(user).map(|it| it.client.clone()).collect();
        for client in clients {
            self.sign_in_tokens.remove(&(user.clone(), client));
        }
    }
}
