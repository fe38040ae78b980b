//! Why a stream ends: the conditions of RFC 6120 §4.9.3, in one table.

/// One row a condition.
macro_rules! conditions {
    ($($variant:ident, $name:literal, $meaning:literal;)*) => {
        /// Why a stream ends.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum StreamCondition {
            $(#[doc = $meaning] $variant,)*
        }

        impl StreamCondition {
            /// All of them, in the order of the RFC.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name of its element.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

conditions! {
    BadFormat, "bad-format", "XML that cannot be processed (RFC 6120 §4.9.3.1).";
    BadNamespacePrefix, "bad-namespace-prefix", "A prefix that we do not accept (RFC 6120 §4.9.3.2).";
    Conflict, "conflict", "A newer stream takes the place of this one (RFC 6120 §4.9.3.3).";
    ConnectionTimeout, "connection-timeout", "The peer does not answer (RFC 6120 §4.9.3.4).";
    HostGone, "host-gone", "A domain that is served no more (RFC 6120 §4.9.3.5).";
    HostUnknown, "host-unknown", "A domain that is not served (RFC 6120 §4.9.3.6).";
    ImproperAddressing, "improper-addressing", "A stanza of a server without addresses (RFC 6120 §4.9.3.7).";
    InternalServerError, "internal-server-error", "Our fault (RFC 6120 §4.9.3.8).";
    InvalidFrom, "invalid-from", "A sender who is not the peer (RFC 6120 §4.9.3.9).";
    InvalidNamespace, "invalid-namespace", "A stream or content of another namespace (RFC 6120 §4.9.3.10).";
    InvalidXml, "invalid-xml", "XML against its schema (RFC 6120 §4.9.3.11).";
    NotAuthorized, "not-authorized", "Data before authentication (RFC 6120 §4.9.3.12).";
    NotWellFormed, "not-well-formed", "No XML, or no XML with namespaces (RFC 6120 §4.9.3.13).";
    PolicyViolation, "policy-violation", "Beyond a limit of ours (RFC 6120 §4.9.3.14).";
    RemoteConnectionFailed, "remote-connection-failed", "Another server cannot be reached (RFC 6120 §4.9.3.15).";
    Reset, "reset", "The stream must be negotiated anew (RFC 6120 §4.9.3.16).";
    ResourceConstraint, "resource-constraint", "No room for this stream (RFC 6120 §4.9.3.17).";
    RestrictedXml, "restricted-xml", "A part of XML that is forbidden in streams (RFC 6120 §4.9.3.18).";
    SeeOtherHost, "see-other-host", "Another host serves this user (RFC 6120 §4.9.3.19).";
    SystemShutdown, "system-shutdown", "The server goes down (RFC 6120 §4.9.3.20).";
    UndefinedCondition, "undefined-condition", "None of the others (RFC 6120 §4.9.3.21).";
    UnsupportedEncoding, "unsupported-encoding", "Not UTF-8 (RFC 6120 §4.9.3.22).";
    UnsupportedFeature, "unsupported-feature", "A feature that the peer cannot do without (RFC 6120 §4.9.3.23).";
    UnsupportedStanzaType, "unsupported-stanza-type", "A first-level element that means nothing here (RFC 6120 §4.9.3.24).";
    UnsupportedVersion, "unsupported-version", "Another version of XMPP (RFC 6120 §4.9.3.25).";
}
