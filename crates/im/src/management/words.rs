//! What is said of stream management, as it is written.

use xmpp::{
    management::{TooHigh, WhyFailed},
    ns,
    xml::{Element, StreamCondition, StreamError},
};

/// `<failed/>`, with how much was handled of a session that is gone, if that is known (XEP-0198 §5).
pub(crate) fn failed(handled: Option<u32>, why: WhyFailed) -> Element {
    let condition = Element::new(ns::STANZA_ERRORS, why.condition());
    let mut failed = Element::new(ns::SM, "failed").with_child(condition);
    if let Some(handled) = handled {
        failed.set_attr("h", handled.to_string());
    }
    failed
}

/// XEP-0198 §6.
pub(crate) fn too_high(error: TooHigh) -> Element {
    let told = Element::new(ns::SM, "handled-count-too-high")
        .with_attr("h", error.handled.to_string())
        .with_attr("send-count", error.sent.to_string());
    let error = StreamError::new(StreamCondition::UndefinedCondition, error.to_string());
    error.element().with_child(told)
}
