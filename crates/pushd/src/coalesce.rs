//! One message a device and collapse key in a window: the first goes at once, and the newest of those that follow goes when
//! the window ends, with the newest badge. Only of what is in the queue: who waits for an answer gets it.

use crate::Limits;
use domain::{AppId, Notification, NotificationId, Purpose, TenantId, Timestamp};
use std::collections::{HashMap, VecDeque};

/// To whom.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Target {
    tenant: TenantId,
    app: AppId,
    token: String,
    collapse: Option<String>,
}

impl Target {
    /// That of a message; nothing else is coalesced.
    pub(crate) fn of(tenant: &TenantId, push: &Notification) -> Option<Self> {
        let is_message = matches!(push.purpose, Purpose::Message { .. });
        is_message.then(|| Self {
            tenant: tenant.clone(),
            app: push.app.clone(),
            token: push.token.clone(),
            collapse: push.collapse.clone(),
        })
    }
}

#[derive(Debug)]
struct Window {
    until: Timestamp,
    /// Waits in the queue for its time.
    waiting: Option<NotificationId>,
}

/// All windows.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    of: HashMap<Target, Window>,
    /// In the order in which they end.
    ends: VecDeque<(Timestamp, Target)>,
}

/// What to do with a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    /// Not before this.
    pub(crate) due: Timestamp,
    /// It goes in the stead of this one.
    pub(crate) replaces: Option<NotificationId>,
}

impl Windows {
    /// A message that is new in the queue.
    pub(crate) fn enter(
        &mut self,
        now: Timestamp,
        target: Target,
        id: &NotificationId,
        limits: &Limits,
    ) -> Place {
        self.expire(now, limits);
        if let Some(window) = self.of.get_mut(&target) {
            return Place {
                due: window.until,
                replaces: window.waiting.replace(id.clone()),
            };
        }
        if self.of.len() < limits.windows {
            let until = now.plus(limits.window);
            self.ends.push_back((until, target.clone()));
            let window = Window {
                until,
                waiting: None,
            };
            self.of.insert(target, window);
        }
        Place {
            due: now,
            replaces: None,
        }
    }

    /// A window at whose end something goes is followed by another one.
    fn expire(&mut self, now: Timestamp, limits: &Limits) {
        while self.ends.front().is_some_and(|(until, _)| *until <= now) {
            let Some((until, target)) = self.ends.pop_front() else {
                return;
            };
            let ended = self.of.remove(&target);
            if ended.is_none_or(|window| window.waiting.is_none()) {
                continue;
            }
            let until = until.plus(limits.window);
            if until > now {
                // Windows are of one length, so it ends after nearly all that are there: it may end late, never early.
                self.ends.push_back((until, target.clone()));
                let window = Window {
                    until,
                    waiting: None,
                };
                self.of.insert(target, window);
            }
        }
    }

    /// Nothing waits any more of a tenant that is gone.
    pub(crate) fn forget_tenant(&mut self, tenant: &TenantId) {
        self.of.retain(|target, _| target.tenant != *tenant);
        self.ends.retain(|(_, target)| target.tenant != *tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn target(token: &str) -> Target {
        Target {
            tenant: "t".into(),
            app: "app".into(),
            token: token.to_owned(),
            collapse: None,
        }
    }

    #[test]
    fn the_first_goes_at_once_and_the_newest_when_the_window_ends() {
        let limits = Limits {
            window: Duration::from_millis(100),
            ..Limits::default()
        };
        let mut windows = Windows::default();
        let mut enter = |at, id: &str| {
            let place = windows.enter(Timestamp(at), target("a"), &id.into(), &limits);
            (place.due.0, place.replaces.map(|it| it.to_string()))
        };
        assert_eq!(enter(0, "1"), (0, None));
        assert_eq!(enter(10, "2"), (100, None));
        assert_eq!(enter(20, "3"), (100, Some("2".to_owned())));
        assert_eq!(enter(110, "4"), (200, None), "3 went at 100");
        assert_eq!(enter(500, "5"), (500, None), "it is long quiet");
        assert_eq!(windows.of.len(), windows.ends.len());
        let other = windows.enter(Timestamp(500), target("b"), &"6".into(), &limits);
        assert_eq!(other.due, Timestamp(500));
    }

    #[test]
    fn so_many_windows_and_then_nothing_waits() {
        let limits = Limits {
            windows: 1,
            ..Limits::default()
        };
        let mut windows = Windows::default();
        for token in ["a", "b", "b"] {
            let place = windows.enter(Timestamp(0), target(token), &token.into(), &limits);
            assert_eq!(place.due, Timestamp(0));
        }
        assert_eq!(windows.of.len(), 1);
        windows.forget_tenant(&"t".into());
        assert!(windows.of.is_empty() && windows.ends.is_empty());
    }
}
