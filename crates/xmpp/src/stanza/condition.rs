//! Why a stanza could not be dealt with: the conditions of RFC 6120 §8.3.3 with their usual types, in one table.

/// What the sender can do about an error (RFC 6120 §8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Show who it is, and try again.
    Auth,
    /// Nothing.
    Cancel,
    /// Go on: it was a warning.
    Continue,
    /// Send something else.
    Modify,
    /// Wait, and try again.
    Wait,
}

impl ErrorType {
    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }

    /// By the value of the attribute.
    pub fn of(text: &str) -> Option<Self> {
        let all = [
            Self::Auth,
            Self::Cancel,
            Self::Continue,
            Self::Modify,
            Self::Wait,
        ];
        all.into_iter().find(|row| row.as_str() == text)
    }
}

/// One row a condition.
macro_rules! conditions {
    ($($variant:ident, $name:literal, $usual:ident, $meaning:literal;)*) => {
        /// Why a stanza could not be dealt with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum StanzaCondition {
            $(#[doc = $meaning] $variant,)*
        }

        impl StanzaCondition {
            /// All of them, in the order of the RFC.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name of its element.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The type that the RFC recommends for it; the first, where it names two.
            pub fn usual_type(self) -> ErrorType {
                match self { $(Self::$variant => ErrorType::$usual,)* }
            }
        }
    };
}

conditions! {
    BadRequest, "bad-request", Modify, "It is not as its schema has it (RFC 6120 §8.3.3.1).";
    Conflict, "conflict", Cancel, "Something of that name is there already (RFC 6120 §8.3.3.2).";
    FeatureNotImplemented, "feature-not-implemented", Cancel, "Nobody here can do that (RFC 6120 §8.3.3.3).";
    Forbidden, "forbidden", Auth, "The sender may not do that (RFC 6120 §8.3.3.4).";
    Gone, "gone", Cancel, "The recipient has moved for good (RFC 6120 §8.3.3.5).";
    InternalServerError, "internal-server-error", Cancel, "Our fault (RFC 6120 §8.3.3.6).";
    ItemNotFound, "item-not-found", Cancel, "There is no such thing (RFC 6120 §8.3.3.7).";
    JidMalformed, "jid-malformed", Modify, "An address that is none (RFC 6120 §8.3.3.8).";
    NotAcceptable, "not-acceptable", Modify, "Understood, but against the recipient's criteria (RFC 6120 §8.3.3.9).";
    NotAllowed, "not-allowed", Cancel, "Nobody may do that (RFC 6120 §8.3.3.10).";
    NotAuthorized, "not-authorized", Auth, "The sender must show who it is first (RFC 6120 §8.3.3.11).";
    PolicyViolation, "policy-violation", Modify, "Beyond a limit of ours (RFC 6120 §8.3.3.12).";
    RecipientUnavailable, "recipient-unavailable", Wait, "The recipient is away for a time (RFC 6120 §8.3.3.13).";
    Redirect, "redirect", Modify, "The recipient is elsewhere for a time (RFC 6120 §8.3.3.14).";
    RegistrationRequired, "registration-required", Auth, "The sender must register first (RFC 6120 §8.3.3.15).";
    RemoteServerNotFound, "remote-server-not-found", Cancel, "There is no such server (RFC 6120 §8.3.3.16).";
    RemoteServerTimeout, "remote-server-timeout", Wait, "The other server does not answer (RFC 6120 §8.3.3.17).";
    ResourceConstraint, "resource-constraint", Wait, "No room for it (RFC 6120 §8.3.3.18).";
    ServiceUnavailable, "service-unavailable", Cancel, "Not served here; also what hides whether someone is there (RFC 6120 §8.3.3.19).";
    SubscriptionRequired, "subscription-required", Auth, "The sender must subscribe first (RFC 6120 §8.3.3.20).";
    UndefinedCondition, "undefined-condition", Cancel, "None of the others; any type goes with it (RFC 6120 §8.3.3.21).";
    UnexpectedRequest, "unexpected-request", Wait, "Not now (RFC 6120 §8.3.3.22).";
}

impl StanzaCondition {
    /// By the name of its element; one that there is not counts as undefined (RFC 6120 §8.3.2).
    pub fn of(name: &str) -> Self {
        let mut all = Self::ALL.iter().copied();
        all.find(|row| row.name() == name)
            .unwrap_or(Self::UndefinedCondition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_found_by_their_names() {
        for condition in StanzaCondition::ALL {
            assert_eq!(StanzaCondition::of(condition.name()), *condition);
            let usual = condition.usual_type();
            assert_eq!(ErrorType::of(usual.as_str()), Some(usual));
        }
        assert_eq!(StanzaCondition::ALL.len(), 22);
        assert_eq!(
            StanzaCondition::of("unheard-of"),
            StanzaCondition::UndefinedCondition
        );
    }
}
