//! Which refresh token of a client counts: each is good once, and one that was used before is somebody else's copy (RFC 6749 §10.4).

use super::{Api, problem::Problem, tokens::Turn};
use crate::{clock::now, entropy::random};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Address, Change, Grant, Timestamp};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};
use store::StoreError;
use tokio::sync::Mutex;

/// For so long the token before the one that counts is good for that one again: its answer may have been lost, with the phone's
/// connection or its process.
const LOST_ANSWER: Duration = Duration::from_mins(2);

/// The number of a client's first refresh token. Before it stands a code: a grant that is still at that makes room for others first
/// ([`domain::Grant::is_pending`]), so who has one made after the other sends no phone away.
const FIRST: u32 = 1;

/// So many users' grants are used at once.
const AT_ONCE: usize = 64;

/// One use of a user's grants at a time, or one token could be used twice.
#[derive(Clone)]
pub struct Turns(Arc<(RandomState, [Mutex<()>; AT_ONCE])>);

impl Default for Turns {
    fn default() -> Self {
        let locks = std::array::from_fn(|_| Mutex::default());
        Self(Arc::new((RandomState::new(), locks)))
    }
}

impl Turns {
    fn of(&self, user: &Address) -> &Mutex<()> {
        let (hasher, locks) = &*self.0;
        let place = hasher.hash_one(user) % (AT_ONCE as u64);
        &locks[usize::try_from(place).unwrap_or_default()]
    }
}

/// What becomes of a grant of which a token is shown.
#[derive(Debug, Eq, PartialEq)]
enum Next {
    /// This is its next token: to be kept before anybody has it.
    Keep(u32),
    /// It has this one already, and has not heard of it.
    Again(u32),
    /// Somebody has a copy: it ends.
    Stolen,
}

fn next(grant: &Grant, shown: u32, (now, lost_answer): (Timestamp, Duration)) -> Next {
    let may_be_lost = now < grant.at.plus(lost_answer);
    match grant.turn.checked_sub(shown) {
        // More than we know of we have made as well: the store was restored from a backup.
        None | Some(0) => Next::Keep(shown.saturating_add(1)),
        Some(1) if may_be_lost => Next::Again(grant.turn),
        Some(_) => Next::Stolen,
    }
}

impl Api {
    /// A client has signed in: its first refresh token.
    pub(super) async fn grants(&self, user: &Address) -> Result<Turn, Problem> {
        self.begins(user, FIRST).await
    }

    /// The same of a client that gets a code for it before.
    pub(super) async fn grants_by_code(&self, user: &Address) -> Result<Turn, Problem> {
        self.begins(user, FIRST - 1).await
    }

    async fn begins(&self, user: &Address, number: u32) -> Result<Turn, Problem> {
        let id = URL_SAFE_NO_PAD.encode(random::<16>());
        let turn = Turn { id, number };
        self.keeps(user, &turn).await?;
        Ok(turn)
    }

    /// A client shows one of its refresh tokens: the next one; nothing if it is not good any more.
    pub(super) async fn renews(
        &self,
        user: &Address,
        shown: Turn,
    ) -> Result<Option<Turn>, Problem> {
        self.uses(user, shown, LOST_ANSWER).await
    }

    /// The same of a code, which is good once whatever becomes of the answer (RFC 6749 §10.5): its client begins anew.
    pub(super) async fn redeems(
        &self,
        user: &Address,
        shown: Turn,
    ) -> Result<Option<Turn>, Problem> {
        self.uses(user, shown, Duration::ZERO).await
    }

    async fn uses(
        &self,
        user: &Address,
        shown: Turn,
        lost_answer: Duration,
    ) -> Result<Option<Turn>, Problem> {
        let _turn = self.turns.of(user).lock().await;
        let Some(grant) = self.store.grant(user, &shown.id).await? else {
            return Ok(None);
        };
        let id = shown.id;
        match next(&grant, shown.number, (now(), lost_answer)) {
            Next::Again(number) => Ok(Some(Turn { id, number })),
            Next::Keep(number) => {
                let turn = Turn { id, number };
                self.keeps(user, &turn).await?;
                Ok(Some(turn))
            }
            Next::Stolen => {
                tracing::warn!(%user, "a code or a refresh token was used twice: somebody has a copy, and no token follows on it");
                self.changes(Change::RemoveGrant(user.clone(), id)).await?;
                Ok(None)
            }
        }
    }

    /// A client gets no more tokens by this grant (RFC 7009).
    pub(super) async fn ends(&self, user: &Address, turn: Turn) -> Result<(), Problem> {
        let _turn = self.turns.of(user).lock().await;
        self.changes(Change::RemoveGrant(user.clone(), turn.id))
            .await
    }

    async fn keeps(&self, user: &Address, turn: &Turn) -> Result<(), Problem> {
        let grant = Grant {
            user: user.clone(),
            id: turn.id.clone(),
            turn: turn.number,
            at: now(),
        };
        self.changes(Change::PutGrant(Box::new(grant))).await
    }

    async fn changes(&self, change: Change) -> Result<(), Problem> {
        let saved = self.store.commit(vec![vec![change]]).await?;
        let saved: Result<(), StoreError> = saved.into_iter().collect();
        Ok(saved?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_good_once_and_the_one_before_while_its_answer_may_be_lost() {
        let grant = Grant {
            user: "bob@localhost".parse().unwrap(),
            id: "id".to_owned(),
            turn: 5,
            at: Timestamp(1_000),
        };
        let lost = Timestamp(1_000).plus(LOST_ANSWER);
        for (shown, at, expected) in [
            (5, Timestamp(1_000), Next::Keep(6)),
            (5, lost.plus(LOST_ANSWER), Next::Keep(6)),
            (4, Timestamp(lost.0 - 1), Next::Again(5)),
            (4, lost, Next::Stolen),
            (3, Timestamp(1_000), Next::Stolen),
            (0, Timestamp(1_000), Next::Stolen),
            // A store that was restored has forgotten some.
            (7, Timestamp(1_000), Next::Keep(8)),
        ] {
            let found = next(&grant, shown, (at, LOST_ANSWER));
            assert_eq!(found, expected, "{shown} at {at:?}");
        }
        // A code has no such time.
        let of_code = |shown| next(&grant, shown, (grant.at, Duration::ZERO));
        assert_eq!((of_code(5), of_code(4)), (Next::Keep(6), Next::Stolen));
    }
}
