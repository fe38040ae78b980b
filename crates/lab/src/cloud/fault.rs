//! Misbehaviour to order: what goes wrong at a cloud, and for how many requests.

use super::registry::RegistryError;
use domain::Provider;
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, time::Duration};
use tokio::sync::watch;

/// What goes wrong.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The connection of the next request gets a GOAWAY whose JSON has `value` as reason (default `Shutdown`). The
    /// request itself and everything after it are not processed; those before it are answered.
    Goaway,
    /// SETTINGS allow `value` streams at once, on all connections of this cloud, until told otherwise; `null` takes it
    /// back.
    MaxStreams,
    /// Answers are held back for `value` milliseconds: those of `count` requests, or all until told otherwise; 0 takes
    /// it back.
    LatencyMs,
    /// The next request is answered 503 (`ServiceUnavailable`, `UNAVAILABLE`), with `value` as Retry-After if given.
    #[serde(rename = "http_503")]
    Http503,
    /// The next request is answered 429 (`TooManyRequests`, `QUOTA_EXCEEDED`), with `value` as Retry-After if given.
    #[serde(rename = "http_429")]
    Http429,
    /// The TCP connection of the next request is reset and the request not processed; with the value `"stream"` only
    /// its stream.
    Reset,
    /// The next request is never answered, and nothing is read from or written to its connection any more, pings
    /// included; with the value `"stream"` only this request.
    Silent,
    /// The provider token or access token of the next request counts as expired from now on.
    ExpiredCredentials,
}

impl FaultKind {
    /// The name in the control API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Goaway => "goaway",
            Self::MaxStreams => "max_streams",
            Self::LatencyMs => "latency_ms",
            Self::Http503 => "http_503",
            Self::Http429 => "http_429",
            Self::Reset => "reset",
            Self::Silent => "silent",
            Self::ExpiredCredentials => "expired_credentials",
        }
    }
}

/// A fault to order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// At which cloud.
    pub provider: Provider,
    /// What.
    pub kind: FaultKind,
    /// For how many requests; default one, for `latency_ms` all. `max_streams` has none.
    #[serde(default)]
    pub count: Option<u32>,
    /// What the kind says.
    #[serde(default)]
    pub value: Option<FaultValue>,
}

impl Fault {
    /// A fault of one request, with no value.
    pub fn new(provider: Provider, kind: FaultKind) -> Self {
        Self {
            provider,
            kind,
            count: None,
            value: None,
        }
    }

    /// For so many requests.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// With a number.
    #[must_use]
    pub fn number(mut self, value: u64) -> Self {
        self.value = Some(FaultValue::Number(value));
        self
    }

    /// With a word.
    #[must_use]
    pub fn text(mut self, value: &str) -> Self {
        self.value = Some(FaultValue::Text(value.to_owned()));
        self
    }
}

/// The value of a fault.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FaultValue {
    /// Streams, milliseconds, seconds.
    Number(u64),
    /// A GOAWAY reason, or `stream`.
    Text(String),
}

/// Why a fault was not taken.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The value does not fit the kind.
    #[error("fault {} wants {wanted} as value", .kind.name())]
    Value {
        /// Which.
        kind: FaultKind,
        /// What it takes.
        wanted: &'static str,
    },
    /// A count of nothing, or where none belongs.
    #[error("count is a number of requests, from 1; max_streams has none")]
    Count,
    /// Too many waiting.
    #[error(transparent)]
    Full(#[from] RegistryError),
}

/// A fault as it strikes one request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Strike {
    GoAway { reason: String },
    Status { code: u16, retry_after: Option<u64> },
    Reset { stream_only: bool },
    Silent { stream_only: bool },
    ExpiredCredentials,
}

impl Strike {
    pub(super) fn kind(&self) -> FaultKind {
        match self {
            Self::GoAway { .. } => FaultKind::Goaway,
            Self::Status { code: 503, .. } => FaultKind::Http503,
            Self::Status { .. } => FaultKind::Http429,
            Self::Reset { .. } => FaultKind::Reset,
            Self::Silent { .. } => FaultKind::Silent,
            Self::ExpiredCredentials => FaultKind::ExpiredCredentials,
        }
    }
}

/// The faults ordered at one cloud.
pub(super) struct Faults {
    waiting: VecDeque<(Strike, u32)>,
    latency: Option<(Duration, Option<u32>)>,
    max_streams: watch::Sender<Option<u32>>,
}

impl Faults {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            latency: None,
            max_streams: watch::Sender::new(None),
        }
    }

    /// How many streams SETTINGS are to allow, if that was ordered, now and when it changes.
    pub(super) fn max_streams(&self) -> watch::Receiver<Option<u32>> {
        self.max_streams.subscribe()
    }

    /// Takes an order.
    pub(super) fn order(&mut self, fault: Fault, most: usize) -> Result<(), FaultError> {
        let kind = fault.kind;
        if fault.count == Some(0) || fault.count.is_some() && kind == FaultKind::MaxStreams {
            return Err(FaultError::Count);
        }
        let wrong_value = |wanted| Err(FaultError::Value { kind, wanted });
        let strike = match (kind, fault.value) {
            (FaultKind::MaxStreams, value) => {
                let limit = match value {
                    None => None,
                    Some(FaultValue::Number(n)) if u32::try_from(n).is_ok() => {
                        u32::try_from(n).ok()
                    }
                    Some(_) => return wrong_value("a number of streams, or null"),
                };
                self.max_streams.send_replace(limit);
                return Ok(());
            }
            (FaultKind::LatencyMs, Some(FaultValue::Number(ms))) => {
                self.latency = (ms > 0).then(|| (Duration::from_millis(ms), fault.count));
                return Ok(());
            }
            (FaultKind::LatencyMs, _) => return wrong_value("a number of milliseconds"),
            (FaultKind::Goaway, None) => Strike::GoAway {
                reason: "Shutdown".to_owned(),
            },
            (FaultKind::Goaway, Some(FaultValue::Text(reason))) => Strike::GoAway { reason },
            (FaultKind::Goaway, _) => return wrong_value("a reason, or nothing"),
            (FaultKind::Http503 | FaultKind::Http429, value) => Strike::Status {
                code: if kind == FaultKind::Http503 { 503 } else { 429 },
                retry_after: match value {
                    None => None,
                    Some(FaultValue::Number(seconds)) => Some(seconds),
                    Some(_) => return wrong_value("seconds to retry after, or nothing"),
                },
            },
            (FaultKind::Reset | FaultKind::Silent, value) => {
                let stream_only = match value {
                    None => false,
                    Some(FaultValue::Text(text)) if text == "stream" => true,
                    Some(FaultValue::Text(text)) if text == "connection" => false,
                    Some(_) => return wrong_value("\"connection\" (the default) or \"stream\""),
                };
                if kind == FaultKind::Reset {
                    Strike::Reset { stream_only }
                } else {
                    Strike::Silent { stream_only }
                }
            }
            (FaultKind::ExpiredCredentials, None) => Strike::ExpiredCredentials,
            (FaultKind::ExpiredCredentials, _) => return wrong_value("nothing"),
        };
        if self.waiting.len() >= most {
            return Err(RegistryError::Full(most).into());
        }
        self.waiting.push_back((strike, fault.count.unwrap_or(1)));
        Ok(())
    }

    /// The fault that strikes the next request, the one ordered first.
    pub(super) fn strike(&mut self) -> Option<Strike> {
        let (strike, left) = self.waiting.front_mut()?;
        *left -= 1;
        if *left == 0 {
            self.waiting.pop_front().map(|(strike, _)| strike)
        } else {
            Some(strike.clone())
        }
    }

    /// How long the next answer is held back.
    pub(super) fn latency(&mut self) -> Option<Duration> {
        let (latency, count) = self.latency.as_mut()?;
        let latency = *latency;
        if let Some(count) = count {
            *count -= 1;
            if *count == 0 {
                self.latency = None;
            }
        }
        Some(latency)
    }

    /// Takes all orders back.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.latency = None;
        self.max_streams.send_replace(None);
    }
}
