//! The journal: every push that a cloud took or refused, in the order in which they came, for whoever asks or waits.

use super::{Limits, fault::FaultKind};
use domain::{Provider, Timestamp};
use http::HeaderMap;
use serde::Serialize;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// Most bytes kept of a body that is not JSON.
const MOST_TEXT: usize = 8 * 1024;

/// One push as a cloud saw it.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Its place in the journal, from 1; never used again, also not after the journal was emptied.
    pub seq: u64,
    /// When it came.
    pub time: Timestamp,
    /// Which cloud.
    pub provider: Provider,
    /// For which device, as written by the client; for Web Push the subscription's address.
    pub token: String,
    /// APNs: the topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// FCM: the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// APNs: the push type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub push_type: Option<String>,
    /// APNs: 10, 5 or 1; FCM: `high` or `normal`; Web Push: the urgency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// APNs: Unix seconds, 0 for now or never; FCM: the time to live, `0s`; Web Push: the same in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration: Option<String>,
    /// Later ones with the same replace earlier ones that were not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collapse_id: Option<String>,
    /// The request's headers without its credentials.
    pub headers: BTreeMap<String, String>,
    /// The body; a string if it is not JSON, base64url for Web Push.
    pub payload: serde_json::Value,
    /// What the cloud answered; nothing if a fault swallowed it.
    pub answer: Option<Answer>,
    /// The fault that it fell victim to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultKind>,
    /// What the device or the platform would take amiss although the cloud accepted the push.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<String>,
    /// FCM: only to be judged, not to be delivered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The connection that it came over; counts from 1.
    pub connection: u64,
}

impl Record {
    /// Whether the cloud took it and the device gets it.
    pub fn accepted(&self) -> bool {
        self.answer.as_ref().is_some_and(Answer::is_taken) && !self.dry_run
    }

    /// Roughly what it takes in memory.
    fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(k, v)| k.len() + v.len()).sum();
        size_of::<Self>() + self.token.len() + headers + 2 * json_bytes(&self.payload)
    }
}

fn json_bytes(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(json_bytes).sum(),
            Value::Object(map) => map.iter().map(|(k, v)| k.len() + json_bytes(v)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

/// What a cloud answered.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The platform's reason or error code; nothing on success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The platform's name for the push: `apns-id`, or FCM's message name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl Answer {
    /// Whether the cloud took the push: 200, for Web Push 201.
    pub fn is_taken(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Which records are wanted. Default: all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this cloud.
    pub provider: Option<Provider>,
    /// Only for this device token.
    pub token: Option<String>,
    /// Only accepted ones, or only others.
    pub accepted: Option<bool>,
    /// Only those with a higher `seq`.
    pub after: u64,
}

impl Filter {
    /// Those for one device token.
    pub fn token(token: impl Into<String>) -> Self {
        Self {
            token: Some(token.into()),
            ..Self::default()
        }
    }

    /// Only those that the cloud accepted.
    #[must_use]
    pub fn only_accepted(mut self) -> Self {
        self.accepted = Some(true);
        self
    }

    /// Only those after `seq`.
    #[must_use]
    pub fn after(mut self, seq: u64) -> Self {
        self.after = seq;
        self
    }

    fn wants(&self, record: &Record) -> bool {
        self.provider.is_none_or(|wanted| wanted == record.provider)
            && self
                .token
                .as_ref()
                .is_none_or(|wanted| *wanted == record.token)
            && self
                .accepted
                .is_none_or(|wanted| wanted == record.accepted())
    }
}

/// The bounded journal.
pub(super) struct Journal {
    kept: Mutex<Kept>,
    newest: watch::Sender<u64>,
    most: usize,
    most_bytes: usize,
    most_an_answer: usize,
}

#[derive(Default)]
struct Kept {
    records: VecDeque<Record>,
    bytes: usize,
    last_seq: u64,
}

impl Journal {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            kept: Mutex::default(),
            newest: watch::Sender::new(0),
            most: limits.records.max(1),
            most_bytes: limits.record_bytes,
            most_an_answer: limits.records_an_answer.max(1),
        }
    }

    /// Writes `record` down, gives it its `seq`, and lets the oldest go if there are too many.
    pub(super) fn push(&self, mut record: Record) {
        let mut kept = self.kept();
        kept.last_seq += 1;
        record.seq = kept.last_seq;
        kept.bytes += record.bytes();
        kept.records.push_back(record);
        while kept.records.len() > self.most
            || kept.bytes > self.most_bytes && kept.records.len() > 1
        {
            let oldest = kept.records.pop_front();
            kept.bytes -= oldest.map_or(0, |record| record.bytes());
        }
        let seq = kept.last_seq;
        drop(kept);
        // Two at once may come here in either order; the newest must not go back.
        self.newest.send_modify(|newest| *newest = seq.max(*newest));
    }

    /// What is there for `filter`, the oldest first.
    pub(super) fn read(&self, filter: &Filter) -> Vec<Record> {
        let kept = self.kept();
        let first = kept.records.front().map_or(0, |record| record.seq);
        // The numbers in the ring have no gaps, so the place of the first newer one can be computed.
        let skip = filter.after.saturating_add(1).saturating_sub(first);
        kept.records
            .iter()
            .skip(usize::try_from(skip).unwrap_or(usize::MAX))
            .filter(|record| filter.wants(record))
            .take(self.most_an_answer)
            .cloned()
            .collect()
    }

    /// The same, but waits for the first one if there is none yet. Empty after `patience`.
    pub(super) async fn wait(&self, filter: &Filter, patience: Duration) -> Vec<Record> {
        let mut newest = self.newest.subscribe();
        let mut filter = filter.clone();
        let search = async {
            loop {
                let seen = *newest.borrow_and_update();
                let found = self.read(&filter);
                if !found.is_empty() {
                    return found;
                }
                // What was looked through need not be looked through again.
                filter.after = filter.after.max(seen);
                if newest.changed().await.is_err() {
                    return Vec::new();
                }
            }
        };
        tokio::time::timeout(patience, search)
            .await
            .unwrap_or_default()
    }

    /// Forgets all; the numbers go on.
    pub(super) fn clear(&self) {
        let mut kept = self.kept();
        kept.records.clear();
        kept.bytes = 0;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The headers as they are written down: credentials stay out.
pub(super) fn headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .filter(|(name, _)| *name != http::header::AUTHORIZATION)
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect()
}

/// The body as it is written down: JSON, or else text, and not more of that than an honest push has.
pub(super) fn payload(body: &[u8]) -> serde_json::Value {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let shown = &body[..body.len().min(MOST_TEXT)];
        String::from_utf8_lossy(shown).into_owned().into()
    })
}
