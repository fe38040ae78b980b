//! Who hands pushes to our push service, and what it keeps of those that it has promised to deliver
//! (`docs/adr/0012-the-push-service.md`).

use crate::{AppId, Notification, NotificationId, Outcome, Timestamp};

crate::name::names! {
    /// Names a tenant: its `client_id`.
    TenantId;
}

/// Secrets of a tenant that are good at once: the one in use, and the one that is on its way to all its servers.
pub const SECRETS: usize = 2;
/// Apps that a tenant may push to.
pub const APPS: usize = 1_000;
/// Longest name of a tenant, in bytes.
pub const NAME_BYTES: usize = 64;

/// Whose servers may push, and to what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tenant {
    /// Its name.
    pub id: TenantId,
    /// By what it is known, oldest first; at most [`SECRETS`].
    pub secrets: Vec<ClientSecret>,
    /// The apps that it may push to, each once; at most [`APPS`].
    pub apps: Vec<AppId>,
    /// Notifications that it may hand in a minute.
    pub per_minute: u32,
    /// Where it is told what became of what it had queued.
    pub webhook: Option<Webhook>,
}

/// Where feedback is brought.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// Since when it is this one.
    pub since: Timestamp,
    /// The number of the last end that was taken there.
    pub heard: u64,
}

/// What is kept of a secret of a tenant. Secrets are 192 random bits of our own making, so a plain hash says nothing of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientSecret {
    /// SHA-256 in hexadecimal digits.
    pub digest: String,
    /// Since when.
    pub made_at: Timestamp,
}

impl Tenant {
    /// Whether a name can be one: it stands in paths, logs and metrics.
    pub fn is_name(name: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !name.is_empty() && name.len() <= NAME_BYTES && name.bytes().all(plain)
    }

    /// Takes a new secret; the oldest goes if there are too many.
    pub fn rotate(&mut self, secret: ClientSecret) {
        self.secrets.push(secret);
        let surplus = self.secrets.len().saturating_sub(SECRETS);
        self.secrets.drain(..surplus);
    }

    /// Whether it may push to this app.
    pub fn may_push_to(&self, app: &AppId) -> bool {
        self.apps.contains(app)
    }
}

/// A push that the service has promised to deliver: kept until its provider has spoken for good, or its time is over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueuedPush {
    /// Whose.
    pub tenant: TenantId,
    /// What is to be delivered; its `ttl` is what the sender gave it.
    pub push: Notification,
    /// Since when it is here.
    pub at: Timestamp,
    /// Not before this.
    pub due: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

impl QueuedPush {
    /// When it is not worth trying any more.
    pub fn until(&self) -> Timestamp {
        self.at.plus(self.push.ttl)
    }
}

/// What became of a queued push: of the push itself nothing is kept any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SettledPush {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: NotificationId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub end: PushEnd,
}

/// How a queued push ended.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum PushEnd {
    /// Its provider has spoken for good.
    Told(Outcome),
    /// A newer one for the same device went in its stead.
    Replaced,
    /// Its time was over; the last thing that its provider said.
    Expired {
        /// The reason of the last attempt, if there was one.
        reason: String,
    },
}

impl PushEnd {
    /// The name in the REST answer.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Told(outcome) => outcome.name(),
            Self::Replaced => "replaced",
            Self::Expired { .. } => "expired",
        }
    }
}

/// A settled push and its place among those of its tenant: who reads behind a place misses none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Feedback {
    /// Only grows.
    pub number: u64,
    /// What became of which push.
    pub settled: SettledPush,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_secrets_are_good_at_once_and_a_third_ends_the_oldest() {
        let mut tenant = Tenant {
            id: "t".into(),
            secrets: Vec::new(),
            apps: Vec::new(),
            per_minute: 1,
            webhook: None,
        };
        for (n, digest) in ["a", "b", "c"].into_iter().enumerate() {
            tenant.rotate(ClientSecret {
                digest: digest.to_owned(),
                made_at: Timestamp(n as u64),
            });
        }
        let digests: Vec<_> = tenant.secrets.iter().map(|it| &*it.digest).collect();
        assert_eq!(digests, ["b", "c"]);
    }

    #[test]
    fn a_name_is_short_and_plain() {
        for name in ["example", "pbx-1.example.org", "a_b"] {
            assert!(Tenant::is_name(name), "{name}");
        }
        for name in ["", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(!Tenant::is_name(name), "{name}");
        }
    }
}
