//! An edge that is about to stop sends its clients away, at a pace that another edge bears, and whoever is in a call when that
//! is over. What decides is the edge, which sees calls begin and end ([`calls`](super::calls)).

use std::time::Duration;
use tokio::time::{Instant, interval};

/// How often some are sent away.
const TICK: Duration = Duration::from_millis(100);

/// So many each time at least: another edge has no trouble with that, and few clients are not made to wait.
const AT_ONCE: usize = 20;

/// Who is there yet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Left {
    /// Sent away just now.
    pub(super) sent: usize,
    /// In no call.
    pub(super) idle: usize,
    pub(super) calling: usize,
}

impl Left {
    /// Those of both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            idle: self.idle + other.idle,
            calling: self.calling + other.calling,
        }
    }
}

/// Sends all away by `send_away`, which sends so many that are in no call: those within half of this time. Returns when nobody is
/// left, or when it is over.
pub(super) async fn drain(mut send_away: impl FnMut(usize) -> Left, within: Duration) {
    let begun = Instant::now();
    let mut ticks = interval(TICK);
    let mut there = send_away(0);
    tracing::info!(
        clients = there.idle + there.calling,
        calling = there.calling,
        "clients are sent away; a second signal ends this at once"
    );
    while there.idle + there.calling > 0 {
        ticks.tick().await;
        if begun.elapsed() >= within {
            tracing::warn!(
                clients = there.idle,
                calling = there.calling,
                "edge.drain is over: who is still there is cut off"
            );
            return;
        }
        let most = share(there.idle, (within / 2).saturating_sub(begun.elapsed()));
        there = send_away(most);
    }
}

/// So many of those must go now if all are to be gone within this time.
fn share(idle: usize, time: Duration) -> usize {
    let ticks = usize::try_from(time.as_millis() / TICK.as_millis()).unwrap_or(usize::MAX);
    idle.div_ceil(ticks.max(1)).max(AT_ONCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An edge with so many clients, of which some are in calls that end when so much time has passed. Gives how many went each time.
    async fn drained(
        mut idle: usize,
        calling: usize,
        ends: Duration,
        within: Duration,
    ) -> Vec<usize> {
        let (begun, mut calling) = (Instant::now(), calling);
        let mut went = Vec::new();
        let send_away = |most: usize| {
            if begun.elapsed() >= ends {
                idle += std::mem::take(&mut calling);
            }
            let sent = most.min(idle);
            idle -= sent;
            went.push(sent);
            Left {
                sent,
                idle,
                calling,
            }
        };
        drain(send_away, within).await;
        went
    }

    #[tokio::test(start_paused = true)]
    async fn clients_go_one_after_the_other_and_those_in_calls_when_these_are_over() {
        let seconds = Duration::from_secs;
        let begun = Instant::now();
        let went = drained(100, 3, seconds(7), seconds(60)).await;
        assert_eq!(went.iter().sum::<usize>(), 103);
        assert_eq!(went.iter().max(), Some(&AT_ONCE));
        assert!((seconds(7)..seconds(8)).contains(&begun.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn very_many_are_gone_in_half_of_the_time_and_a_call_that_does_not_end_holds_nobody_up_for_ever()
     {
        let seconds = Duration::from_secs;
        let begun = Instant::now();
        let went = drained(60_000, 1, seconds(600), seconds(60)).await;
        assert_eq!(went.iter().sum::<usize>(), 60_000);
        let most = went.iter().max();
        assert!(
            most.is_some_and(|most| (200..=220).contains(most)),
            "{most:?}"
        );
        assert!((seconds(60)..seconds(61)).contains(&begun.elapsed()));
    }
}
