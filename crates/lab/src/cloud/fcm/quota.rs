//! How much a project may send: so many messages, and as many again a minute after the first of them ("Throttling and
//! quotas").

use super::super::locked;
use domain::Timestamp;
use std::{collections::HashMap, sync::Mutex, time::Duration};

/// After so long all is there again.
const WINDOW: Duration = Duration::from_mins(1);

/// What each project has used. Only projects that the lab knows are counted, so there are no more than these.
pub(super) struct Quota {
    most: u32,
    used: Mutex<HashMap<String, Used>>,
}

struct Used {
    since: Timestamp,
    messages: u32,
}

impl Quota {
    pub(super) fn new(most: u32) -> Self {
        Self {
            most,
            used: Mutex::default(),
        }
    }

    /// Counts a message of a project; if it is one too many, says after how many seconds there is room again.
    pub(super) fn take(&self, project: &str, now: Timestamp) -> Result<(), u64> {
        let mut all = locked(&self.used);
        let used = all.entry(project.to_owned()).or_insert(Used {
            since: now,
            messages: 0,
        });
        let age = now.since(used.since);
        if age >= WINDOW {
            *used = Used {
                since: now,
                messages: 0,
            };
        } else if used.messages >= self.most {
            return Err(whole_seconds(WINDOW.saturating_sub(age)));
        }
        used.messages += 1;
        Ok(())
    }
}

/// At least so many seconds: a `Retry-After` that is obeyed to the second is never too early, and never over the window.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_up_is_there_again_after_a_minute_and_each_project_has_its_own() {
        let quota = Quota::new(2);
        let take = |project, at| quota.take(project, Timestamp(at));
        assert_eq!([take("a", 0), take("a", 10_000)], [Ok(()), Ok(())]);
        assert_eq!(take("a", 15_000), Err(45));
        assert_eq!(take("a", 15_001), Err(45));
        assert_eq!(take("b", 15_000), Ok(()));
        assert_eq!(take("a", 59_999), Err(1));
        assert_eq!(quota.take("c", Timestamp(0)), Ok(()));
        assert_eq!(quota.take("c", Timestamp(0)), Ok(()));
        assert_eq!(quota.take("c", Timestamp(0)), Err(60));
        assert_eq!(take("a", 60_000), Ok(()));
    }
}
