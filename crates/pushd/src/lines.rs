//! Who goes next: calls before all else, whoever's sender waits before what waits in the queue, and within each of these
//! one tenant after another, however many each has.

use domain::{AppId, NotificationId, Purpose, TenantId};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// What waits in a line: whose, for which app, which.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) tenant: TenantId,
    pub(crate) app: AppId,
    pub(crate) id: NotificationId,
}

/// Which line.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Urgency {
    /// A phone rings, or stops to.
    Call,
    /// Somebody waits for the answer.
    Waiting,
    /// Nobody does.
    Queued,
}

impl Urgency {
    const ALL: [Self; 3] = [Self::Call, Self::Waiting, Self::Queued];

    /// That of a push for whose answer somebody waits.
    pub(crate) fn of(purpose: &Purpose) -> Self {
        match purpose {
            Purpose::Call { .. } | Purpose::CallCancelled { .. } => Self::Call,
            Purpose::MissedCall { .. }
            | Purpose::Refresh
            | Purpose::Message { .. }
            | Purpose::Read { .. }
            | Purpose::Event(_) => Self::Waiting,
        }
    }
}

#[derive(Debug, Default)]
struct Line {
    /// Tenants that have something here, in the order of their turns.
    turns: VecDeque<TenantId>,
    /// What each has, by app, in the order in which it came.
    of: HashMap<TenantId, BTreeMap<AppId, VecDeque<NotificationId>>>,
}

impl Line {
    fn push(&mut self, key: Key) {
        let Key { tenant, app, id } = key;
        let of = self.of.entry(tenant.clone()).or_default();
        if of.is_empty() {
            self.turns.push_back(tenant);
        }
        of.entry(app).or_default().push_back(id);
    }

    /// The next one, if its app has room. A tenant that has nothing for an app with room keeps its turn.
    fn pop(&mut self, may_go: &impl Fn(&AppId) -> bool) -> Option<Key> {
        let (at, app) = self.turns.iter().enumerate().find_map(|(at, tenant)| {
            let app = self.of.get(tenant)?.keys().find(|app| may_go(app))?;
            Some((at, app.clone()))
        })?;
        let tenant = self.turns.remove(at)?;
        let of = self.of.get_mut(&tenant)?;
        let ids = of.get_mut(&app)?;
        let id = ids.pop_front()?;
        // The next turn is another app's as well, if there is one.
        if ids.is_empty() {
            of.remove(&app);
        }
        if of.is_empty() {
            self.of.remove(&tenant);
        } else {
            self.turns.push_back(tenant.clone());
        }
        Some(Key { tenant, app, id })
    }

    /// Takes out one that gave up: those of a line give up in the order in which they came, so it is the first.
    fn give_up(&mut self, key: &Key) {
        let Some(of) = self.of.get_mut(&key.tenant) else {
            return;
        };
        if let Some(ids) = of.get_mut(&key.app) {
            if let Some(at) = ids.iter().position(|id| *id == key.id) {
                ids.remove(at);
            }
            if ids.is_empty() {
                of.remove(&key.app);
            }
        }
        if of.is_empty() {
            self.of.remove(&key.tenant);
            self.turns.retain(|tenant| *tenant != key.tenant);
        }
    }
}

/// All lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: [Line; 3],
}

impl Lines {
    pub(crate) fn push(&mut self, urgency: Urgency, key: Key) {
        self.lines[urgency as usize].push(key);
    }

    /// The next one of those whose app has room.
    pub(crate) fn pop(&mut self, may_go: impl Fn(&AppId) -> bool) -> Option<(Urgency, Key)> {
        Urgency::ALL.into_iter().find_map(|urgency| {
            let key = self.lines[urgency as usize].pop(&may_go)?;
            Some((urgency, key))
        })
    }

    pub(crate) fn give_up(&mut self, urgency: Urgency, key: &Key) {
        self.lines[urgency as usize].give_up(key);
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.turns.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(tenant: &str, app: &str, id: &str) -> Key {
        Key {
            tenant: tenant.into(),
            app: app.into(),
            id: id.into(),
        }
    }

    fn order(lines: &mut Lines, may_go: impl Fn(&AppId) -> bool) -> Vec<String> {
        let next = || lines.pop(&may_go).map(|(_, key)| key.id.to_string());
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn one_tenant_after_another_however_many_each_has() {
        let mut lines = Lines::default();
        for n in 0..3 {
            // Ten apps are not ten turns.
            let app = format!("app{n}");
            lines.push(Urgency::Waiting, key("big", &app, &format!("big{n}")));
        }
        lines.push(Urgency::Waiting, key("small", "app0", "small"));
        lines.push(Urgency::Queued, key("small", "app0", "queued"));
        lines.push(Urgency::Call, key("big", "app0", "call"));
        let order = order(&mut lines, |_| true);
        assert_eq!(order, ["call", "big0", "small", "big1", "big2", "queued"]);
        assert!(lines.is_empty());
    }

    #[test]
    fn an_app_without_room_holds_up_no_other() {
        let mut lines = Lines::default();
        lines.push(Urgency::Waiting, key("a", "slow", "a1"));
        lines.push(Urgency::Waiting, key("a", "well", "a2"));
        lines.push(Urgency::Waiting, key("b", "slow", "b1"));
        assert_eq!(order(&mut lines, |app| app.as_str() == "well"), ["a2"]);
        assert_eq!(order(&mut lines, |_| true), ["b1", "a1"]);
    }

    #[test]
    fn who_gave_up_has_no_turn() {
        let mut lines = Lines::default();
        lines.push(Urgency::Call, key("a", "app", "a1"));
        lines.push(Urgency::Call, key("b", "app", "b1"));
        lines.give_up(Urgency::Call, &key("a", "app", "a1"));
        assert_eq!(order(&mut lines, |_| true), ["b1"]);
    }
}
