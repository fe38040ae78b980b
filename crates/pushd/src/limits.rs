//! Every limit of the service, in one place, with what happens at it.

use std::time::Duration;

/// What a [`Service`](crate::Service) allows itself.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Pushes on their way to all providers; one more waits in line.
    pub in_flight: usize,
    /// Pushes of one app on their way; one more waits in line, and no other app's with it. So many that a slow provider
    /// still answers each within the deadline of the push client: an answer that comes later is lost, and the push goes again.
    pub in_flight_per_app: usize,
    /// Pushes of one tenant that wait in line; one more is [`Busy`](crate::Reply::Busy).
    pub waiting_per_tenant: usize,
    /// How long a push waits in line while its sender waits for the answer. Then it is
    /// [`Unavailable`](domain::Outcome::Unavailable).
    pub patience: Duration,
    /// Pushes of one tenant in the queue; one more is [`Busy`](crate::Reply::Busy).
    pub queued_per_tenant: usize,
    /// The longest that a push stays in the queue, whatever its `ttl` says.
    pub queued_for: Duration,
    /// How long an id is remembered with what became of its push.
    pub remembered: Duration,
    /// Ids of one tenant that are remembered after their end; for one more the oldest is forgotten.
    pub ids_per_tenant: usize,
    /// One message a device and collapse key in this window; later ones wait for its end, and the newest stands for all.
    pub window: Duration,
    /// Devices whose windows are remembered; beyond it nothing waits for the end of one.
    pub windows: usize,
    /// Failures of an app in a row after which its provider is left alone.
    pub failures: u32,
    /// How long it is left alone at first; twice as long each time that it fails again.
    pub pause: Duration,
    /// The longest that it is left alone.
    pub longest_pause: Duration,
    /// Who may ask for the same id while it is under way; one more is [`Busy`](crate::Reply::Busy).
    pub askers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 20_000,
            in_flight_per_app: 1_000,
            waiting_per_tenant: 10_000,
            patience: Duration::from_secs(5),
            queued_per_tenant: 20_000,
            queued_for: Duration::from_hours(28 * 24),
            remembered: Duration::from_hours(24),
            ids_per_tenant: 100_000,
            window: Duration::from_secs(5),
            windows: 100_000,
            failures: 20,
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            askers: 16,
        }
    }
}
