//! Request methods. The list is open: a proxy passes methods that it has never heard of (RFC 3261 §16.1).

use std::fmt;

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// A method; case-sensitive (RFC 3261 §7.1). One that is not named here is carried as [`Method::Other`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Method<'a> {
            $($(#[$doc])* $variant,)*
            /// Any other method, in its own letters.
            Other(&'a str),
        }

        impl<'a> Method<'a> {
            /// The method that these letters name.
            pub fn new(text: &'a str) -> Self {
                match text {
                    $($text => Self::$variant,)*
                    other => Self::Other(other),
                }
            }

            /// The letters of the request line.
            pub fn as_str(self) -> &'a str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }
    };
}

methods! {
    /// RFC 3261 §13.
    Invite = "INVITE",
    /// RFC 3261 §13 and §17.
    Ack = "ACK",
    /// RFC 3261 §15.
    Bye = "BYE",
    /// RFC 3261 §9.
    Cancel = "CANCEL",
    /// RFC 3261 §10.
    Register = "REGISTER",
    /// RFC 3261 §11.
    Options = "OPTIONS",
    /// RFC 3428.
    Message = "MESSAGE",
    /// RFC 6665.
    Subscribe = "SUBSCRIBE",
    /// RFC 6665.
    Notify = "NOTIFY",
    /// RFC 3903.
    Publish = "PUBLISH",
    /// RFC 3311.
    Update = "UPDATE",
    /// RFC 3262.
    Prack = "PRACK",
    /// RFC 6086.
    Info = "INFO",
    /// RFC 3515.
    Refer = "REFER",
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
