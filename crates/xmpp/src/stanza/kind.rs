//! Kinds of stanzas and their types, as the tables of the RFCs have them.

/// What a stanza is (RFC 6120 §8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Something for someone.
    Message,
    /// What someone says of being there, and who may see it.
    Presence,
    /// A question or its answer.
    Iq,
}

impl Kind {
    pub(super) fn of(local: &str) -> Option<Self> {
        match local {
            "message" => Some(Self::Message),
            "presence" => Some(Self::Presence),
            "iq" => Some(Self::Iq),
            _ => None,
        }
    }

    /// The name of its element.
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Presence => "presence",
            Self::Iq => "iq",
        }
    }
}

/// One row a type.
macro_rules! types {
    ($(#[$meaning:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $text:pat, $written:expr;)* }) => {
        $(#[$meaning])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$of])* $variant,)*
        }

        impl $name {
            fn of(text: Option<&str>) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The value of the attribute; `None` if it has none.
            pub fn as_str(self) -> Option<&'static str> {
                match self { $(Self::$variant => $written,)* }
            }
        }
    };
}

types! {
    /// RFC 6121 §5.2.2.
    MessageType {
        /// By itself, and also what states no type or one that there is not.
        Normal = Some("normal") | None, Some("normal");
        /// In a conversation of two.
        Chat = Some("chat"), Some("chat");
        /// In a room.
        Groupchat = Some("groupchat"), Some("groupchat");
        /// To be seen now or never.
        Headline = Some("headline"), Some("headline");
        /// About a message before.
        Error = Some("error"), Some("error");
    }
}

types! {
    /// RFC 6121 §4.7.1.
    PresenceType {
        /// There: stated by no type.
        Available = None, None;
        /// No longer there.
        Unavailable = Some("unavailable"), Some("unavailable");
        /// May I see your presence?
        Subscribe = Some("subscribe"), Some("subscribe");
        /// You may see mine.
        Subscribed = Some("subscribed"), Some("subscribed");
        /// I want to see yours no more.
        Unsubscribe = Some("unsubscribe"), Some("unsubscribe");
        /// You may not see mine.
        Unsubscribed = Some("unsubscribed"), Some("unsubscribed");
        /// A server asks for someone's presence.
        Probe = Some("probe"), Some("probe");
        /// About a presence before.
        Error = Some("error"), Some("error");
    }
}

types! {
    /// RFC 6120 §8.2.3.
    IqType {
        /// Asks for something.
        Get = Some("get"), Some("get");
        /// Asks for something to be done.
        Set = Some("set"), Some("set");
        /// Answers.
        Result = Some("result"), Some("result");
        /// Answers that it could not be done.
        Error = Some("error"), Some("error");
    }
}

/// The type of a stanza, by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// Of a message.
    Message(MessageType),
    /// Of a presence.
    Presence(PresenceType),
    /// Of an IQ.
    Iq(IqType),
}

impl Type {
    pub(super) fn of(kind: Kind, text: Option<&str>) -> Option<Self> {
        match kind {
            Kind::Message => {
                let known = MessageType::of(text);
                Some(Self::Message(known.unwrap_or(MessageType::Normal)))
            }
            Kind::Presence => PresenceType::of(text).map(Self::Presence),
            Kind::Iq => IqType::of(text).map(Self::Iq),
        }
    }
}
