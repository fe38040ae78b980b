//! Entity time (XEP-0202), in UTC.

use super::{Asked, Deed};
use domain::date;
use xmpp::{ns, xml::Element};

pub(super) fn time(asked: &Asked<'_>) -> Deed {
    let part = |part, text: &str| Element::new(ns::TIME, part).with_text(text);
    let time = Element::new(ns::TIME, "time")
        .with_child(part("tzo", "+00:00"))
        .with_child(part("utc", &date::iso8601(asked.now.wall)));
    Deed::Answer(Some(time))
}
