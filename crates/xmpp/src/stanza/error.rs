//! The `<error/>` of a stanza.

use std::borrow::Cow;

use super::{ErrorType, StanzaCondition};
use crate::ns;
use crate::xml::Element;

/// Why a stanza could not be dealt with, and what its sender can do about it (RFC 6120 §8.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender can do.
    pub error_type: ErrorType,
    /// Why, in the protocol's words.
    pub condition: StanzaCondition,
    /// Who says so, if that helps to find out what is wrong: an address.
    pub by: Option<String>,
    /// Why, in ours. English.
    pub text: Option<Cow<'static, str>>,
    /// What an extension has to say of it (RFC 6120 §8.3.4).
    pub application: Option<Element>,
}

impl StanzaError {
    /// Of the type that is usual for it.
    pub fn new(condition: StanzaCondition) -> Self {
        Self {
            error_type: condition.usual_type(),
            condition,
            by: None,
            text: None,
            application: None,
        }
    }

    /// Of another type.
    #[must_use]
    pub fn with_type(self, error_type: ErrorType) -> Self {
        Self { error_type, ..self }
    }

    /// With a text that says what was wrong.
    #[must_use]
    pub fn with_text(self, text: impl Into<Cow<'static, str>>) -> Self {
        let text = Some(text.into());
        Self { text, ..self }
    }

    /// With the condition of an extension.
    #[must_use]
    pub fn with_application(self, condition: Element) -> Self {
        let application = Some(condition);
        Self {
            application,
            ..self
        }
    }

    /// Reads the error out of a stanza of type `error`; `None` if there is none in it. A type that there is not
    /// counts as one that cannot be remedied.
    pub fn read(stanza: &Element) -> Option<Self> {
        let error = stanza.child(stanza.namespace(), "error")?;
        let error_type = error.attr("type").and_then(ErrorType::of);
        let mut read = Self::new(StanzaCondition::UndefinedCondition)
            .with_type(error_type.unwrap_or(ErrorType::Cancel));
        read.by = error.attr("by").map(str::to_owned);
        for child in error.children() {
            if child.namespace() != ns::STANZA_ERRORS {
                read.application = Some(child.clone());
            } else if child.local() == "text" {
                read.text = Some(child.text().into_owned().into());
            } else {
                read.condition = StanzaCondition::of(child.local());
            }
        }
        Some(read)
    }

    /// The `<error/>`.
    pub fn element(&self) -> Element {
        let mut error = Element::new(ns::CLIENT, "error");
        if let Some(by) = &self.by {
            error.set_attr("by", by);
        }
        error.set_attr("type", self.error_type.as_str());
        error.push(Element::new(ns::STANZA_ERRORS, self.condition.name()));
        if let Some(text) = &self.text {
            let element = Element::new(ns::STANZA_ERRORS, "text").with_lang("en");
            error.push(element.with_text(text));
        }
        if let Some(application) = &self.application {
            error.push(application.clone());
        }
        error
    }
}

impl From<StanzaCondition> for StanzaError {
    fn from(condition: StanzaCondition) -> Self {
        Self::new(condition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_as_it_was_written() {
        let mut error = StanzaError::new(StanzaCondition::NotAcceptable)
            .with_type(ErrorType::Cancel)
            .with_text("blocked")
            .with_application(Element::new(ns::BLOCKING_ERRORS, "blocked"));
        error.by = Some("reveille.example".into());
        let stanza = Element::new(ns::CLIENT, "message").with_child(error.element());
        assert_eq!(StanzaError::read(&stanza), Some(error));
        assert_eq!(
            StanzaError::read(&Element::new(ns::CLIENT, "message")),
            None
        );
    }
}
