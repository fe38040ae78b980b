//! A stream error: what the peer is told before the stream is closed.

use std::borrow::Cow;

use super::{Context, Element, StreamCondition};
use crate::ns;

/// The stream cannot go on. The peer is told, and the stream is closed (RFC 6120 §4.9.1.1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{text}", .condition.name(), if .text.is_empty() { "" } else { ": " })]
pub struct StreamError {
    /// Why, in the protocol's words.
    pub condition: StreamCondition,
    /// Why, in ours: what was wrong with what was received. English.
    pub text: Cow<'static, str>,
}

impl StreamError {
    /// With a text that says what was wrong; an empty one is not sent.
    pub fn new(condition: StreamCondition, text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        Self { condition, text }
    }

    /// The `<stream:error/>` (RFC 6120 §4.9.2).
    pub fn element(&self) -> Element {
        let condition = Element::new(ns::STREAM_ERRORS, self.condition.name());
        let mut error = Element::prefixed("stream", ns::STREAM, "error").with_child(condition);
        if !self.text.is_empty() {
            let text = Element::new(ns::STREAM_ERRORS, "text").with_lang("en");
            error.push(text.with_text(&self.text));
        }
        error
    }

    /// Writes the `<stream:error/>`; neither header nor end of the stream.
    pub fn write(&self, out: &mut Vec<u8>, context: Context<'_>) {
        self.element().write(out, context);
    }
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> Self {
        Self::new(condition, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(error: &StreamError, context: Context<'_>) -> String {
        let mut out = Vec::new();
        error.write(&mut out, context);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_error_is_written_as_the_rfc_shows_it() {
        let error = StreamError::from(StreamCondition::HostUnknown);
        assert_eq!(
            written(&error, Context::CLIENT),
            "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        );
        let error = StreamError::new(StreamCondition::PolicyViolation, "a < b");
        assert_eq!(
            written(&error, Context::DOCUMENT),
            "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>\
             <policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>a &lt; b</text></stream:error>"
        );
    }

    #[test]
    fn an_error_says_what_it_is() {
        let error = StreamError::from(StreamCondition::Reset);
        assert_eq!(error.to_string(), "reset");
        let error = StreamError::new(StreamCondition::Reset, "new keys");
        assert_eq!(error.to_string(), "reset: new keys");
    }

    #[test]
    fn every_condition_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> =
            StreamCondition::ALL.iter().map(|row| row.name()).collect();
        assert_eq!(names.len(), 25);
    }
}
