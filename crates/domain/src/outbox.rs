//! The pushes that are owed: when each is due, how often it was tried, and when it is not worth trying any more
//! (`behaviour.md` 12). It sends nothing itself; what it says to keep is saved before it is told so.

use crate::{DeviceId, IdMap, NotificationId, Outcome, Timestamp, push::OwedPush};
use std::{collections::BTreeSet, time::Duration};

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// Pause after our credentials were refused: an operator must act first.
const CREDENTIALS_PAUSE: Duration = Duration::from_mins(1);
/// Shortest pause, whatever a provider says.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// All pushes that are owed.
#[derive(Debug)]
pub struct Outbox {
    owed: IdMap<NotificationId, Owed>,
    /// Those that wait for their time, in its order.
    due: BTreeSet<(Timestamp, NotificationId)>,
    of_device: BTreeSet<(DeviceId, NotificationId)>,
    /// Those that do not wait.
    in_flight: usize,
    /// Most of them on their way at once.
    room: usize,
}

#[derive(Debug)]
struct Owed {
    push: OwedPush,
    is_on_its_way: bool,
}

/// What to do with a push whose time has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Due {
    /// Send it, and say what became of it.
    Send(OwedPush),
    /// It is too late for it.
    TooLate(OwedPush),
}

/// What is to be saved once a provider has spoken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Next {
    /// It is not owed any more.
    Settle(NotificationId),
    /// It is owed as it is now.
    Again(OwedPush),
}

impl Outbox {
    /// An empty one, of which so many may be on their way at once.
    pub fn new(room: usize) -> Self {
        Self {
            owed: IdMap::default(),
            due: BTreeSet::new(),
            of_device: BTreeSet::new(),
            in_flight: 0,
            room,
        }
    }

    /// How many are owed.
    pub fn len(&self) -> usize {
        self.owed.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.owed.is_empty()
    }

    /// This one is owed (again: the same id replaces). One that is on its way is not sent a second time.
    pub fn insert(&mut self, push: OwedPush) {
        let known = self.owed.get(&push.id);
        if known.is_some_and(|it| it.is_on_its_way && it.push.attempts >= push.attempts) {
            return;
        }
        let id = push.id.clone();
        self.remove(&id);
        self.due.insert((push.due, id.clone()));
        self.of_device.insert((push.device.clone(), id.clone()));
        let owed = Owed {
            push,
            is_on_its_way: false,
        };
        self.owed.insert(id, owed);
    }

    /// When [`Outbox::due`] has something; what there is no room for waits for a push to end.
    pub fn next_due(&self) -> Option<Timestamp> {
        let (due, _) = self.due.first()?;
        Some(*due).filter(|_| self.in_flight < self.room)
    }

    /// A push whose time has come; call until there is none.
    pub fn due(&mut self, now: Timestamp) -> Option<Due> {
        self.next_due().filter(|due| *due <= now)?;
        let (_, id) = self.due.pop_first()?;
        let owed = self.owed.get_mut(&id)?;
        if owed.push.until < now {
            return self.remove(&id).map(Due::TooLate);
        }
        owed.is_on_its_way = true;
        self.in_flight += 1;
        Some(Due::Send(owed.push.clone()))
    }

    /// A push that is on its way.
    pub fn on_its_way(&self, id: &NotificationId) -> Option<&OwedPush> {
        let owed = self.owed.get(id).filter(|owed| owed.is_on_its_way)?;
        Some(&owed.push)
    }

    /// What a provider says of a push that was sent; `None` if it is not owed any more.
    pub fn done(&mut self, now: Timestamp, id: &NotificationId, outcome: &Outcome) -> Option<Next> {
        let owed = self.owed.get(id).filter(|owed| owed.is_on_its_way)?;
        Some(match pause(outcome, owed.push.attempts) {
            None => Next::Settle(id.clone()),
            Some(pause) => Next::Again(OwedPush {
                attempts: owed.push.attempts + 1,
                due: now.plus(pause),
                ..owed.push.clone()
            }),
        })
    }

    /// The pushes that wait for their time for a device, and that are like this.
    pub fn waiting(
        &self,
        device: &DeviceId,
        like: impl Fn(&OwedPush) -> bool,
    ) -> Vec<NotificationId> {
        let waits = |id: &&NotificationId| {
            let owed = self.owed.get(*id);
            owed.is_some_and(|owed| !owed.is_on_its_way && like(&owed.push))
        };
        self.of(device).filter(waits).cloned().collect()
    }

    fn of(&self, device: &DeviceId) -> impl Iterator<Item = &NotificationId> {
        let first = (device.clone(), NotificationId::from(""));
        let of_device = self.of_device.range(first..);
        let owed = of_device.take_while(move |(owed, _)| owed == device);
        owed.map(|(_, id)| id)
    }

    /// It is not owed any more. Says what it was.
    pub fn remove(&mut self, id: &NotificationId) -> Option<OwedPush> {
        let Owed {
            push,
            is_on_its_way,
        } = self.owed.remove(id)?;
        self.of_device.remove(&(push.device.clone(), id.clone()));
        if is_on_its_way {
            self.in_flight -= 1;
        } else {
            self.due.remove(&(push.due, id.clone()));
        }
        Some(push)
    }

    /// Nothing is owed to a device that is no more.
    pub fn forget(&mut self, device: &DeviceId) {
        let ids: Vec<_> = self.of(device).cloned().collect();
        for id in ids {
            self.remove(&id);
        }
    }
}

/// How long to wait before the next try; `None` if the provider has spoken for good. The pause that the provider asks
/// for doubles with every try.
pub fn pause(outcome: &Outcome, attempts: u32) -> Option<Duration> {
    let asked = match outcome {
        Outcome::Throttled { retry_after, .. } | Outcome::Unavailable { retry_after, .. } => {
            *retry_after
        }
        Outcome::Unauthorized { .. } => CREDENTIALS_PAUSE,
        Outcome::Accepted { .. }
        | Outcome::TokenDead { .. }
        | Outcome::Refused { .. }
        | Outcome::TooLarge => return None,
    };
    let pause = asked
        .max(SHORTEST_PAUSE)
        .saturating_mul(1 << attempts.min(10));
    Some(pause.min(LONGEST_PAUSE.max(asked)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn push(id: &str, due: u64) -> OwedPush {
        OwedPush {
            id: id.into(),
            device: "a".into(),
            purpose: Purpose::Refresh,
            tracking: "t".into(),
            message: None,
            due: Timestamp(due),
            until: Timestamp(1_000_000),
            attempts: 0,
        }
    }

    fn busy() -> Outcome {
        Outcome::Throttled {
            retry_after: Duration::from_secs(10),
            reason: String::new(),
        }
    }

    #[test]
    fn a_busy_provider_is_asked_again_ever_more_rarely() {
        assert_eq!(pause(&busy(), 0), Some(Duration::from_secs(10)));
        assert_eq!(pause(&busy(), 1), Some(Duration::from_secs(20)));
        assert_eq!(pause(&busy(), 30), Some(LONGEST_PAUSE));
    }

    #[test]
    fn what_was_refused_is_not_tried_again() {
        let mut outbox = Outbox::new(1);
        outbox.insert(push("p", 0));
        assert!(matches!(outbox.due(Timestamp(0)), Some(Due::Send(_))));
        let refused = Outcome::TooLarge;
        let next = outbox.done(Timestamp(1), &"p".into(), &refused);
        assert_eq!(next, Some(Next::Settle("p".into())));
    }

    #[test]
    fn pushes_go_in_order_of_time_as_far_as_there_is_room() {
        let mut outbox = Outbox::new(1);
        outbox.insert(push("late", 20));
        outbox.insert(push("soon", 10));
        assert_eq!(outbox.due(Timestamp(9)), None);
        assert_eq!(outbox.due(Timestamp(20)), Some(Due::Send(push("soon", 10))));
        assert_eq!(outbox.due(Timestamp(20)), None, "no room");
        assert_eq!(outbox.next_due(), None);
        let again = outbox.done(Timestamp(20), &"soon".into(), &busy());
        let Some(Next::Again(again)) = again else {
            panic!("{again:?}")
        };
        assert_eq!((again.due, again.attempts), (Timestamp(10_020), 1));
        outbox.insert(again);
        assert_eq!(outbox.due(Timestamp(20)), Some(Due::Send(push("late", 20))));
        assert_eq!(outbox.len(), 2);
    }

    #[test]
    fn what_is_on_its_way_is_not_sent_twice() {
        let mut outbox = Outbox::new(2);
        outbox.insert(push("p", 0));
        assert!(matches!(outbox.due(Timestamp(0)), Some(Due::Send(_))));
        outbox.insert(push("p", 0));
        assert_eq!(outbox.due(Timestamp(9)), None);
        assert_eq!(outbox.len(), 1);
    }

    #[test]
    fn what_comes_too_late_is_said_so() {
        let mut outbox = Outbox::new(1);
        let late = OwedPush {
            until: Timestamp(5),
            ..push("p", 0)
        };
        outbox.insert(late.clone());
        assert_eq!(outbox.due(Timestamp(6)), Some(Due::TooLate(late)));
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_device_that_is_gone_is_owed_nothing() {
        let mut outbox = Outbox::new(2);
        outbox.insert(push("p", 0));
        outbox.insert(push("q", 5));
        let other = OwedPush {
            device: "ab".into(),
            ..push("r", 5)
        };
        outbox.insert(other.clone());
        outbox.due(Timestamp(0));
        outbox.forget(&"a".into());
        assert_eq!(outbox.len(), 1);
        assert_eq!(outbox.done(Timestamp(1), &"p".into(), &busy()), None);
        assert_eq!(outbox.due(Timestamp(5)), Some(Due::Send(other)));
        assert_eq!(outbox.due(Timestamp(9)), None);
    }
}
