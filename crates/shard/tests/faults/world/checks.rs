//! What must be so after every test: memory is what the store says, and nothing is left behind.

use super::World;
use hub::{Answer, Question};
use shard::Load;
use std::time::Duration;

/// All that a test does is over by then: registrations, messages and pushes.
const LONG: Duration = Duration::from_hours(30);

impl World {
    /// Memory is what a server would have that is started now.
    #[track_caller]
    pub(crate) fn assert_memory_is_what_is_kept(&mut self) {
        let live = self.views();
        let (accounts, shards) = self.start(self.shards.len());
        let accounts = std::mem::replace(&mut self.accounts, accounts);
        let shards = std::mem::replace(&mut self.shards, shards);
        let kept = self.views();
        (self.accounts, self.shards) = (accounts, shards);
        assert_eq!(live, kept);
        for (user, account) in &self.store.kept.users {
            assert_eq!(self.accounts.get(user).as_deref(), Some(account));
        }
    }

    /// Of each device what does not depend on a connection.
    fn views(&mut self) -> Vec<(domain::Device, Vec<u32>, u64)> {
        let mut all = Vec::new();
        for shard in 0..self.shards.len() {
            let answer = self.ask_shard(shard, Question::Devices(None));
            let Some(Ok(Answer::Devices(views))) = answer else {
                panic!("no devices");
            };
            all.extend(views.into_iter().map(|view| {
                let doors = view.doors.iter().map(|door| door.number).collect();
                (view.device, doors, view.queued)
            }));
        }
        all.sort_by(|one, other| one.0.id.cmp(&other.0.id));
        all
    }

    /// What is under way in the first shard that has anything.
    pub(crate) fn load_now(&self) -> Load {
        let loads = self.shards.iter().map(shard::Shard::load_now);
        loads
            .into_iter()
            .find(|it| *it != Load::default())
            .unwrap_or_default()
    }

    /// Everything is over and forgotten once all timers have run.
    #[track_caller]
    pub(crate) fn ends_clean(mut self) {
        self.store.refuses = None;
        self.store_answers();
        self.cloud_answers();
        self.pass(LONG);
        let queued: u64 = self
            .shards
            .iter()
            .map(|it| it.load_now().hub.directory.queued)
            .sum();
        assert_eq!(queued, self.store.queued(), "the count of what waits");
        for shard in &self.shards {
            let mut load = shard.load_now();
            load.hub.directory.queued = 0;
            assert_eq!(load, Load::default(), "something is left behind");
        }
    }
}
