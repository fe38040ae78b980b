//! Last activity (XEP-0012): of us, since when we run; of a user, since when they are gone.

use super::{Asked, Deed};
use domain::Timestamp;
use hub::LastSeen;
use std::time::Duration;
use xmpp::{ns, xml::Element};

pub(super) fn last(asked: &Asked<'_>) -> Deed {
    // Who asks for their own account is there.
    let since = if asked.of_account {
        Duration::ZERO
    } else {
        asked.runs_for
    };
    Deed::Answer(Some(query(since)))
}

/// What whoever may know hears of a user; nothing if nobody knows it.
pub(crate) fn last_seen(now: Timestamp, last: LastSeen) -> Option<Element> {
    match last {
        LastSeen::Now => Some(query(Duration::ZERO)),
        LastSeen::At(at) => Some(query(now.since(at))),
        LastSeen::Unknown => None,
    }
}

fn query(since: Duration) -> Element {
    Element::new(ns::LAST, "query").with_attr("seconds", since.as_secs().to_string())
}
