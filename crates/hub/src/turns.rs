//! One step a user at a time: what comes while a user's step waits for the store waits for its turn. So a step is always
//! planned against what the store has.

use crate::{
    Said,
    step::{Asker, Work},
};
use domain::{Address, DeviceId, DoorId, IdMap};
use std::collections::VecDeque;

/// Questions of one kind that wait for one user's turn; one more is turned away. What nobody asked for is bounded by its own
/// causes.
const WAITING: usize = 64;
/// What other users say, and what they are to see, waits so much for one user's turn; one more word is dropped. What both
/// sides then see otherwise they put right when the next of their clients comes.
const WORDS: usize = 1024;

/// Where work comes from. Each has room of its own: what others write and say must not keep a user's own clients out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Origin {
    /// What others write.
    Letters,
    /// What others say, and are to see.
    Words,
    /// The user's own clients, and who looks after the account.
    Own,
    /// Nobody waits for it.
    Ourselves,
}

impl Origin {
    fn of(work: &Work) -> Self {
        match work {
            Work::Told(..)
            | Work::Broadcast(..)
            | Work::Said(_, Said::IsLookedFor(..) | Said::IsSeenBy(..)) => Self::Words,
            work if work.asker() == Asker::Nobody => Self::Ourselves,
            Work::Message(..) => Self::Letters,
            _ => Self::Own,
        }
    }

    fn most(self) -> usize {
        match self {
            Self::Letters | Self::Own => WAITING,
            Self::Words => WORDS,
            Self::Ourselves => usize::MAX,
        }
    }

    fn is_full(self, waiting: &VecDeque<Work>) -> bool {
        let most = self.most();
        let of_it = waiting.iter().filter(|work| Self::of(work) == self);
        waiting.len() >= most && of_it.take(most).count() >= most
    }
}

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Turns(IdMap<Address, VecDeque<Work>>);

/// What becomes of work that comes in.
#[derive(Debug)]
pub(crate) enum Entered {
    /// It is its turn.
    Now(Work),
    /// It waits.
    Waits,
    /// Too much waits already.
    Full(Work),
}

impl Turns {
    /// Work about a user comes in.
    pub(crate) fn enter(&mut self, user: &Address, work: Work) -> Entered {
        let Some(waiting) = self.0.get_mut(user) else {
            self.0.insert(user.clone(), VecDeque::new());
            return Entered::Now(work);
        };
        if Origin::of(&work).is_full(waiting) {
            return Entered::Full(work);
        }
        if let Work::Doors(doors) = &work {
            // Whose client is back before it was forgotten is not forgotten.
            let is_back = |door: &DoorId| doors.opened.iter().any(|it| it.door == *door);
            waiting.retain(|work| !matches!(work, Work::Left(door) if is_back(door)));
        }
        match (waiting.back_mut(), work) {
            // What leaves one queue leaves it together.
            (Some(Work::Landed(device, landed)), Work::Landed(other, more)) if *device == other => {
                landed.extend(more);
            }
            (_, work) => waiting.push_back(work),
        }
        Entered::Waits
    }

    /// A user's step is over: says what comes next.
    pub(crate) fn leave(&mut self, user: &Address) -> Option<Work> {
        let next = self.0.get_mut(user)?.pop_front();
        if next.is_none() {
            self.0.remove(user);
        }
        next
    }

    /// A device is no more, and its queue with it: nothing leaves that any more, whoever has its name next.
    pub(crate) fn forget_landed(&mut self, user: &Address, device: &DeviceId) {
        if let Some(waiting) = self.0.get_mut(user) {
            waiting.retain(|work| !matches!(work, Work::Landed(of, _) if of == device));
        }
    }

    /// Whether a user has a step under way.
    pub(crate) fn has(&self, user: &Address) -> bool {
        self.0.contains_key(user)
    }

    /// Users with a step under way.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
