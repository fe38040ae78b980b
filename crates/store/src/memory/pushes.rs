//! The push service's tenants, its queue, and what became of what was in it.

use super::{
    backend::{MemoryStore, rows},
    state::{State, needs, under},
};
use crate::{Answer, Pushes, StoreError, limits};
use domain::{Feedback, NotificationId, QueuedPush, SettledPush, Tenant, TenantId};
use std::ops::Bound;

impl Pushes for MemoryStore {
    fn tenants(&self) -> Answer<Vec<Tenant>> {
        self.read(|state| state.tenants.values().cloned().collect())
    }

    fn push_queue(
        &self,
        after: Option<(TenantId, NotificationId)>,
        limit: usize,
    ) -> Answer<Vec<QueuedPush>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.read(|state| {
            let queue = state.push_queue.range((from, Bound::Unbounded));
            queue.take(rows(limit)).map(|(_, it)| it.clone()).collect()
        })
    }

    fn push_end(&self, tenant: &TenantId, id: &NotificationId) -> Answer<Option<Feedback>> {
        let key = (tenant.clone(), id.clone());
        self.read(|state| {
            let number = *state.push_end_numbers.get(&key)?;
            let settled = state.push_ends.get(&(key.0, number))?.clone();
            Some(Feedback { number, settled })
        })
    }

    fn push_ends(&self, tenant: &TenantId, after: u64, limit: usize) -> Answer<Vec<Feedback>> {
        let behind = (
            Bound::Excluded((tenant.clone(), after)),
            Bound::Included((tenant.clone(), u64::MAX)),
        );
        self.read(|state| {
            let ends = state.push_ends.range(behind).take(rows(limit));
            let feedback = |((_, number), settled): (&(TenantId, u64), &SettledPush)| Feedback {
                number: *number,
                settled: settled.clone(),
            };
            ends.map(feedback).collect()
        })
    }
}

impl State {
    fn needs_tenant(&self, tenant: &TenantId) -> Result<(), StoreError> {
        needs(self.tenants.has(tenant), "tenant", tenant.as_str())
    }

    pub(super) fn remove_tenant(&mut self, tenant: &TenantId) {
        self.tenants.remove(tenant);
        let queued = self.push_queue.iter().map(|(key, _)| key);
        let queued: Vec<_> = queued.filter(|key| key.0 == *tenant).cloned().collect();
        for key in queued {
            self.push_queue.remove(&key);
        }
        let ends: Vec<u64> = self
            .push_ends
            .range(under(tenant))
            .map(|(key, _)| key.1)
            .collect();
        for number in ends {
            self.forget_end(tenant, number);
        }
    }

    pub(super) fn queue_push(&mut self, queued: QueuedPush) -> Result<(), StoreError> {
        self.needs_tenant(&queued.tenant)?;
        let key = (queued.tenant.clone(), queued.push.id.clone());
        self.push_queue.put(key, queued);
        Ok(())
    }

    pub(super) fn settle_push(&mut self, settled: SettledPush) -> Result<(), StoreError> {
        self.needs_tenant(&settled.tenant)?;
        let key = (settled.tenant.clone(), settled.id.clone());
        self.push_queue.remove(&key);
        if let Some(number) = self.push_end_numbers.get(&key).copied() {
            self.forget_end(&key.0, number);
        }
        let (tenant, at) = (settled.tenant.clone(), settled.at);
        let number = self.number();
        self.push_end_numbers.put(key, number);
        self.push_ends.put((tenant.clone(), number), settled);
        let before = at.0.saturating_sub(limits::PUSH_ENDS_MILLIS);
        let oldest = self
            .push_ends
            .range(under(&tenant))
            .take(limits::PUSH_ENDS_BITE);
        let old = oldest
            .filter(|(_, it)| it.at.0 < before)
            .map(|(key, _)| key.1);
        for number in old.collect::<Vec<_>>() {
            self.forget_end(&tenant, number);
        }
        Ok(())
    }

    fn forget_end(&mut self, tenant: &TenantId, number: u64) {
        if let Some(gone) = self.push_ends.remove(&(tenant.clone(), number)) {
            self.push_end_numbers.remove(&(gone.tenant, gone.id));
        }
    }
}
