//! What SASL refuses, and what the client hears of it: the conditions of RFC 6120 §6.5 in one table.

/// One row a condition.
macro_rules! failures {
    ($($variant:ident, $name:literal, $meaning:literal;)*) => {
        /// Why a sign-in failed, as the client hears it (RFC 6120 §6.5).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Failure {
            $(#[doc = $meaning] $variant,)*
        }

        impl Failure {
            /// All of them, in the order of the RFC.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name of its element.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

failures! {
    Aborted, "aborted", "The client gave up (RFC 6120 §6.5.1).";
    AccountDisabled, "account-disabled", "The account is closed for a time (RFC 6120 §6.5.2).";
    CredentialsExpired, "credentials-expired", "What was shown was good once (RFC 6120 §6.5.3).";
    EncryptionRequired, "encryption-required", "Not without TLS (RFC 6120 §6.5.4).";
    IncorrectEncoding, "incorrect-encoding", "It was not base64 (RFC 6120 §6.5.5).";
    InvalidAuthzid, "invalid-authzid", "One may not act as somebody else (RFC 6120 §6.5.6).";
    InvalidMechanism, "invalid-mechanism", "Not a mechanism that was offered (RFC 6120 §6.5.7).";
    MalformedRequest, "malformed-request", "Nobody can read this (RFC 6120 §6.5.8).";
    MechanismTooWeak, "mechanism-too-weak", "The account asks for a stronger one (RFC 6120 §6.5.9).";
    NotAuthorized, "not-authorized", "Wrong, and it is not said what (RFC 6120 §6.5.10).";
    TemporaryAuthFailure, "temporary-auth-failure", "Our fault: try again later (RFC 6120 §6.5.11).";
}

impl Failure {
    /// By the name of the element; what is unknown is *not authorized* (RFC 6120 §6.5).
    pub fn named(name: &str) -> Self {
        let known = Self::ALL.iter().find(|row| row.name() == name);
        known.copied().unwrap_or(Self::NotAuthorized)
    }
}

/// One row a refusal: what the client hears, and what the operator reads.
macro_rules! refusals {
    ($($variant:ident, $failure:ident, $text:literal;)*) => {
        /// Why a machine refused what it was given. Each has its [`Failure`] on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum Refusal {
            $(#[doc = $text] #[error($text)] $variant,)*
        }

        impl Refusal {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// What the client hears.
            pub fn failure(self) -> Failure {
                match self { $(Self::$variant => Failure::$failure,)* }
            }
        }
    };
}

refusals! {
    Malformed, MalformedRequest, "not a message of this mechanism";
    TooLong, MalformedRequest, "message too long";
    BadName, MalformedRequest, "a user name that nobody can have";
    Extension, MalformedRequest, "a mandatory extension that we do not know";
    ForeignAuthzid, InvalidAuthzid, "asks to act as somebody else";
    Downgrade, NotAuthorized, "the client saw no channel binding though it was offered: somebody is in between";
    BindingMissing, MalformedRequest, "a mechanism with channel binding, used without";
    BindingUnexpected, MalformedRequest, "a mechanism without channel binding, used with it";
    BindingUnknown, MalformedRequest, "a kind of channel binding that this connection does not have";
    BindingMismatch, NotAuthorized, "another channel than ours: somebody is in between";
    WrongNonce, NotAuthorized, "not the nonce of this exchange";
    BadCredentials, NotAuthorized, "unknown user, wrong password or wrong token";
    WrongMechanism, NotAuthorized, "a token that was made for another mechanism";
    Replayed, NotAuthorized, "a count that was used before";
    CountMissing, NotAuthorized, "early data without a count";
    Expired, CredentialsExpired, "a token that has expired";
    NoTls, EncryptionRequired, "not without TLS";
    NotOffered, InvalidMechanism, "not a mechanism that was offered";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_found_by_its_name_and_an_unknown_one_is_not_authorized() {
        for failure in Failure::ALL {
            assert_eq!(Failure::named(failure.name()), *failure);
        }
        assert_eq!(Failure::ALL.len(), 11);
        assert_eq!(Failure::named("out-of-luck"), Failure::NotAuthorized);
    }

    #[test]
    fn who_is_unknown_and_who_is_wrong_hear_the_same() {
        for secret in [
            Refusal::BadCredentials,
            Refusal::WrongMechanism,
            Refusal::Replayed,
        ] {
            assert_eq!(secret.failure(), Failure::NotAuthorized);
        }
    }
}
