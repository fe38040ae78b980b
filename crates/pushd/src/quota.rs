//! How many notifications each tenant may hand in: a minute's worth in a rush, then one after another.

use domain::{TenantId, Timestamp};
use std::{collections::HashMap, time::Duration};

/// What a tenant may hand in is for so long.
pub(crate) const PERIOD: Duration = Duration::from_mins(1);
/// The same in microseconds.
const MINUTE: u64 = 60_000_000;

/// When each tenant has all of its minute's worth again, in microseconds. As many rows as tenants.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    full_at: HashMap<TenantId, u64>,
}

impl Quotas {
    /// Takes one; or says how long to wait.
    pub(crate) fn take(
        &mut self,
        now: Timestamp,
        tenant: &TenantId,
        per_minute: u32,
    ) -> Result<(), Duration> {
        let now = now.0.saturating_mul(1000);
        let each = MINUTE / u64::from(per_minute.max(1));
        let full_at = self.full_at.get(tenant).copied().unwrap_or(0).max(now);
        let then = full_at.saturating_add(each);
        let over = then.saturating_sub(now.saturating_add(MINUTE));
        if over > 0 {
            return Err(Duration::from_micros(over));
        }
        self.full_at.insert(tenant.clone(), then);
        Ok(())
    }

    pub(crate) fn forget(&mut self, tenant: &TenantId) {
        self.full_at.remove(tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_worth_at_once_then_one_after_another() {
        let mut quotas = Quotas::default();
        let (a, b) = (TenantId::from("a"), TenantId::from("b"));
        let start = Timestamp(1_000_000);
        for _ in 0..60 {
            assert_eq!(quotas.take(start, &a, 60), Ok(()));
        }
        assert_eq!(quotas.take(start, &a, 60), Err(Duration::from_secs(1)));
        assert_eq!(quotas.take(start, &b, 60), Ok(()), "another's is its own");
        let later = start.plus(Duration::from_secs(1));
        assert_eq!(quotas.take(later, &a, 60), Ok(()));
        assert!(quotas.take(later, &a, 60).is_err());
    }
}
