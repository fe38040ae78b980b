//! What can be done within a sign-in, as it is shown.

use crate::ns;
use crate::sasl::mechanism::Mechanism;
use crate::xml::Element;

/// What a client can have switched on with its address (XEP-0386 §3.1), by its namespace.
const WITH_ADDRESS: [&str; 3] = [ns::CARBONS, ns::CSI, ns::SM];

/// The children of `<inline/>` (XEP-0388 §2.1): an address, a session that goes on, and these mechanisms of FAST, if there
/// are any (XEP-0484 §3.1).
pub fn inline(fast: &[Mechanism]) -> Vec<Element> {
    let mut with_address = Element::new(ns::BIND2, "inline");
    for name in WITH_ADDRESS {
        with_address.push(Element::new(ns::BIND2, "feature").with_attr("var", name));
    }
    let bind = Element::new(ns::BIND2, "bind").with_child(with_address);
    let mut inline = vec![bind, Element::new(ns::SM, "sm")];
    if !fast.is_empty() {
        let named = |it: &Mechanism| Element::new(ns::FAST, "mechanism").with_text(it.name());
        let list = Element::new(ns::FAST, "fast");
        inline.push(fast.iter().map(named).fold(list, Element::with_child));
    }
    inline
}
