//! The first answer to an id, for a day: the same id again is the same push. What the provider has not spoken for good of is
//! not remembered, so that its sender may try again under the same id.

use crate::{Limits, PushId};
use domain::{NotificationId, PushEnd, TenantId, Timestamp};
use std::collections::{HashMap, VecDeque};

/// What is known of an id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Known {
    /// Somebody waits for its outcome.
    UnderWay(PushId),
    /// It is being saved, or in the queue.
    Queued,
    /// It ended so.
    Ended(PushEnd),
}

#[derive(Debug, Default)]
struct OfTenant {
    known: HashMap<NotificationId, Known>,
    /// Those that ended, in the order in which they did.
    ended: VecDeque<(Timestamp, NotificationId)>,
}

impl OfTenant {
    /// Those that ended a day ago go, and the oldest of too many.
    fn expire(&mut self, now: Timestamp, limits: &Limits) {
        let is_old = |(at, _): &(Timestamp, _)| now.since(*at) >= limits.remembered;
        while self.ended.len() > limits.ids_per_tenant || self.ended.front().is_some_and(is_old) {
            if let Some((_, oldest)) = self.ended.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

/// All ids.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    of: HashMap<TenantId, OfTenant>,
}

impl Ids {
    pub(crate) fn get(&self, tenant: &TenantId, id: &NotificationId) -> Option<&Known> {
        self.of.get(tenant)?.known.get(id)
    }

    /// It is on its way, or in the queue.
    pub(crate) fn begin(&mut self, tenant: &TenantId, id: &NotificationId, known: Known) {
        let of = self.of.entry(tenant.clone()).or_default();
        of.known.insert(id.clone(), known);
    }

    /// It ended.
    pub(crate) fn end(
        &mut self,
        now: Timestamp,
        tenant: &TenantId,
        id: &NotificationId,
        end: PushEnd,
        limits: &Limits,
    ) {
        let of = self.of.entry(tenant.clone()).or_default();
        let before = of.known.insert(id.clone(), Known::Ended(end));
        if !matches!(before, Some(Known::Ended(_))) {
            of.ended.push_back((now, id.clone()));
        }
        of.expire(now, limits);
    }

    /// It may be tried again under the same id.
    pub(crate) fn forget(&mut self, tenant: &TenantId, id: &NotificationId) {
        if let Some(of) = self.of.get_mut(tenant) {
            of.known.remove(id);
        }
    }

    /// What is a day old goes, also of tenants that send nothing any more.
    pub(crate) fn expire(&mut self, now: Timestamp, limits: &Limits) {
        for of in self.of.values_mut() {
            of.expire(now, limits);
        }
    }

    pub(crate) fn forget_tenant(&mut self, tenant: &TenantId) {
        self.of.remove(tenant);
    }

    /// How many are known.
    pub(crate) fn len(&self) -> usize {
        self.of.values().map(|of| of.known.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_end_is_remembered_for_a_day_and_of_so_many() {
        let limits = Limits {
            ids_per_tenant: 2,
            ..Limits::default()
        };
        let tenant = TenantId::from("t");
        let mut ids = Ids::default();
        let end = |ids: &mut Ids, at, id: &str| {
            let (at, id) = (Timestamp(at), id.into());
            ids.end(at, &tenant, &id, PushEnd::Replaced, &limits);
        };
        let knows = |ids: &Ids, id: &str| ids.get(&tenant, &id.into()).is_some();
        for (at, id) in [(0, "a"), (1, "b"), (2, "c")] {
            end(&mut ids, at, id);
        }
        assert!(!knows(&ids, "a") && knows(&ids, "b") && knows(&ids, "c"));
        let day = Duration::from_hours(24);
        ids.expire(Timestamp(1).plus(day), &limits);
        assert!(!knows(&ids, "b") && knows(&ids, "c"));
        ids.expire(Timestamp(2).plus(day), &limits);
        assert_eq!(ids.len(), 0);
    }
}
