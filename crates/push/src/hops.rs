//! The way of one push, hop by hop, for an operator who wants to see it: which connections it took, what was answered there,
//! and how long each took. Nobody else's push pays for it.

use serde::{Deserialize, Serialize};
use std::{cell::RefCell, time::Duration};
use tokio::time::Instant;

/// So many are kept of one push: it has two tries, and may need an access token for each.
const MOST: usize = 16;

/// One step on the way.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hop {
    /// What it is: `device`, `app`, `connection`, `answer`, `fault`.
    pub hop: String,
    /// Where, as `host:port`, if it is somewhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The HTTP status, of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What the other side's clock says, of an answer (RFC 9110 §6.6.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// In words.
    pub detail: String,
    /// Milliseconds since the beginning.
    pub after_ms: u64,
}

struct Seen {
    began: Instant,
    hops: Vec<Hop>,
}

tokio::task_local! {
    static SEEN: RefCell<Seen>;
}

/// Does the work, and says which way it took.
pub async fn seen<T>(work: impl Future<Output = T>) -> (T, Vec<Hop>) {
    let seen = RefCell::new(Seen {
        began: Instant::now(),
        hops: Vec::new(),
    });
    SEEN.scope(seen, async {
        let done = work.await;
        let hops = SEEN.with(|seen| std::mem::take(&mut seen.borrow_mut().hops));
        (done, hops)
    })
    .await
}

/// A step was taken; of interest only within [`seen`].
pub(crate) fn saw(hop: impl FnOnce(Duration) -> Hop) {
    // Nobody looks.
    let _ = SEEN.try_with(|seen| {
        let mut seen = seen.borrow_mut();
        if seen.hops.len() < MOST {
            let hop = hop(seen.began.elapsed());
            seen.hops.push(hop);
        }
    });
}

impl Hop {
    /// A step without an answer.
    pub fn of(hop: &str, endpoint: Option<&str>, detail: String, after: Duration) -> Self {
        Self {
            hop: hop.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            status: None,
            date: None,
            detail,
            after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        }
    }
}
