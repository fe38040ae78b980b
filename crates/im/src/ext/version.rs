//! Software version (XEP-0092). On which system it runs is nobody's business.

use super::{Asked, Deed};
use xmpp::{ns, xml::Element};

pub(super) fn version(asked: &Asked<'_>) -> Deed {
    let (name, version) = &asked.settings.software;
    let part = |part, text: &str| Element::new(ns::VERSION, part).with_text(text);
    let query = Element::new(ns::VERSION, "query")
        .with_child(part("name", name))
        .with_child(part("version", version));
    Deed::Answer(Some(query))
}
