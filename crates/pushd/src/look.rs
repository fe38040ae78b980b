//! How the service is doing, for whoever watches over it: asked now and then.

use crate::{Service, quota};
use domain::{AppId, TenantId, Timestamp};

/// A queue is nearly full from so many eighths of what a tenant may have on.
const NEARLY: usize = 7;

/// See the module.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Look {
    /// Since when the oldest push of the queue waits.
    pub oldest: Option<Timestamp>,
    /// Apps that are left alone, since their provider fails or refuses their credentials.
    pub left_alone: Vec<AppId>,
    /// Tenants whose queue is nearly full, and what each has there.
    pub nearly_full: Vec<(TenantId, usize)>,
    /// Tenants that were refused something in the last minute, since they have more than they may.
    pub refused: Vec<TenantId>,
}

impl Service {
    /// Looks at everything, in the order of names.
    pub fn look(&self, now: Timestamp) -> Look {
        let state = self.state();
        let most = state.limits.queued_per_tenant;
        let of_tenants = state.queue.per_tenant();
        let nearly = of_tenants.filter(|(_, count)| count * 8 >= most * NEARLY);
        let late = |at: &Timestamp| now.since(*at) < quota::PERIOD;
        let refused = state.refused_at.iter().filter(|(_, at)| late(at));
        let mut look = Look {
            oldest: state.queue.oldest(),
            left_alone: state.breakers.open().cloned().collect(),
            nearly_full: nearly
                .map(|(tenant, count)| (tenant.clone(), count))
                .collect(),
            refused: refused.map(|(tenant, _)| tenant.clone()).collect(),
        };
        look.left_alone.sort();
        look.nearly_full.sort();
        look.refused.sort();
        look
    }
}
