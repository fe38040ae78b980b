//! The store in memory: for tests, for the simulator and for trying things out. Gone when the process ends; otherwise it
//! keeps every promise of [`Store`], all-or-nothing included.

mod accounts;
mod apply;
mod backend;
mod blocks;
mod cards;
mod devices;
mod grants;
mod invitations;
mod messages;
mod outbox;
mod push_apps;
mod pushes;
mod rosters;
mod sessions;
mod sign_ins;
mod state;
mod stories;
mod table;

use crate::{Answer, Damage, Forgotten, Pruned, Sink, Stats, Store, StoreError};
use domain::{Change, Note, Record, Timestamp, trace::Named};

pub(crate) use backend::MemoryStore;

impl Store for MemoryStore {
    fn commit(&self, steps: Vec<Vec<Change>>) -> Answer<Vec<Result<(), StoreError>>> {
        self.answer(|inner| {
            let words: Vec<_> = steps
                .into_iter()
                .map(|step| inner.state.step(step))
                .collect();
            let failed = words.iter().filter(|word| word.is_err()).count() as u64;
            inner.stats.failed += failed;
            inner.stats.steps += words.len() as u64 - failed;
            inner.stats.groups += 1;
            words
        })
    }

    fn note(&self, notes: Vec<Note>) {
        let inner = &mut *self.lock();
        inner.stats.notes_dropped += if inner.closed {
            notes.len() as u64
        } else {
            inner.state.note(notes)
        };
    }

    fn flush(&self) -> Answer<()> {
        self.answer(|_| ())
    }

    fn load(&self, mut sink: Sink) -> Answer<()> {
        self.read(|state| {
            for user in state.users.values() {
                sink(Record::User(user.clone()));
            }
            for ((user, peer), ()) in state.blocks.iter() {
                sink(Record::Blocked(user.clone(), peer.clone()));
            }
            for (user, card) in state.cards.iter() {
                if let Some(avatar) = card.avatar {
                    sink(Record::Avatar(user.clone(), avatar));
                }
            }
            for session in state.sessions.values() {
                sink(Record::Session(session.clone()));
            }
            state.devices_with_what_is_theirs(&mut sink);
            for (user, length) in state.unclaimed_lengths() {
                sink(Record::Unclaimed(user, length));
            }
        })
    }

    fn prune(&self, before: Timestamp) -> Answer<Pruned> {
        self.answer(|inner| inner.state.prune(before))
    }

    fn forget(&self, who: &Named) -> Answer<Forgotten> {
        self.answer(|inner| inner.state.forget(who))
    }

    fn set_aside(&self) -> Answer<Vec<Damage>> {
        self.read(|_| Vec::new())
    }

    fn probe(&self) -> Answer<()> {
        self.answer(|_| ())
    }

    fn changed_elsewhere(&self) -> Answer<bool> {
        self.read(|_| false)
    }

    fn stats(&self) -> Stats {
        self.lock().stats.clone()
    }

    fn close(&self) -> Answer<()> {
        self.lock().closed = true;
        Box::pin(std::future::ready(Ok(())))
    }
}
