//! What XMPP clients want done about accounts: passwords are made into what is kept of them, which takes milliseconds that no shard is to
//! wait for.

use super::bus::Shards;
use crate::{
    accounts::{self, UserChange, Ways},
    clock,
};
use domain::{Address, Invitation, User, invitation::digest};
use hub::{NotDone, Question};
use im::AccountOrder;
use std::sync::Arc;
use store::{Store, StoreError};
use tokio::sync::Semaphore;

/// Passwords of one shard's clients that are made into keys at once; more wait.
const AT_ONCE: usize = 2;

/// See above.
#[derive(Clone)]
pub(super) struct AccountOrders {
    store: Arc<dyn Store>,
    shards: Shards,
    at_once: Arc<Semaphore>,
}

impl AccountOrders {
    pub(super) fn new(store: Arc<dyn Store>, shards: Shards) -> Self {
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        Self {
            store,
            shards,
            at_once,
        }
    }

    /// Does it.
    pub(super) async fn carry_out(self, order: AccountOrder) -> Result<(), NotDone> {
        match order {
            AccountOrder::IsInvited(word) => self.invitation(&word).await.map(drop),
            AccountOrder::Password(address, password) => {
                let known = self.store.user(&address).await.map_err(failed)?;
                let known = known.ok_or(NotDone::Missing)?;
                let read = known.secrets.mark;
                let user = self.with_password(address, Some(known), password).await?;
                self.ask(Question::PutUser(user, read)).await
            }
            AccountOrder::Register(address, password, word) => {
                let Invitation {
                    token,
                    inviter,
                    address: reserved,
                    ..
                } = self.invitation(&word).await?;
                if reserved.is_some_and(|it| it != address) {
                    return Err(NotDone::NotLet);
                }
                let user = self.with_password(address, None, password).await?;
                tracing::info!(user = %user.address, "an account is made by invitation");
                self.ask(Question::Redeem(user, token, inviter)).await
            }
        }
    }

    /// One that is good still.
    async fn invitation(&self, word: &str) -> Result<Invitation, NotDone> {
        let found = self.store.invitation(&digest(word)).await.map_err(failed)?;
        let good = found.filter(|it| it.expires_at > clock::now());
        good.ok_or(NotDone::Missing)
    }

    async fn with_password(
        &self,
        address: Address,
        known: Option<User>,
        password: String,
    ) -> Result<Box<User>, NotDone> {
        let _permit = self.at_once.acquire().await;
        let made = tokio::task::spawn_blocking(move || {
            let change = UserChange {
                password: Some(password),
                ..UserChange::default()
            };
            let domains = [address.domain().to_owned()];
            accounts::change(&address, known, &change, (&domains, Ways::All))
        });
        let user = made
            .await
            .map_err(|error| NotDone::Failed(error.to_string()))?;
        user.map(Box::new)
            .map_err(|error| NotDone::Failed(error.to_string()))
    }

    async fn ask(&self, question: Question) -> Result<(), NotDone> {
        let answer = self.shards.ask(question).await;
        answer.unwrap_or(Err(NotDone::Overloaded)).map(drop)
    }
}

fn failed(error: StoreError) -> NotDone {
    match error {
        StoreError::Overloaded => NotDone::Overloaded,
        error => NotDone::Failed(error.to_string()),
    }
}
