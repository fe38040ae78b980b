//! What was refused to protect the server or its users, for counters and alarms: one table.

/// Why something was refused.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq)]
pub enum Refusal {
    /// Nobody in particular asked: they were challenged.
    Challenged,
    /// A table is full.
    NoRoom,
    /// As many calls wait as may.
    Calls,
    /// The caller has as many calls as one may, or begins them too fast.
    Caller,
    /// The callee is called as often as anybody may be.
    Callee,
    /// A datagram of a stranger that is too small for any answer.
    Unanswered,
    /// Wrong user or password.
    Password,
    /// The source, or the account as far as strangers ask for it, must wait after wrong passwords.
    Waiting,
    /// The source is banned.
    Banned,
    /// As many connections are open as may be, in all or from that source.
    Connections,
    /// One user, or one source, has as many requests that are not over as one may.
    Requests,
    /// A connection was closed since nothing whole came over it in time, or what we answered was not taken.
    Silent,
    /// A datagram, or a handshake where tunnels are, was dropped unread: more come from strangers than can be looked at.
    Shed,
    /// A datagram, whosesoever, that the kernel dropped: its buffer was full, since more came at once than were read.
    Unread,
    /// The store, or the line before a user, has more to do than it can take.
    Overloaded,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Challenged,
        Self::NoRoom,
        Self::Calls,
        Self::Caller,
        Self::Callee,
        Self::Unanswered,
        Self::Password,
        Self::Waiting,
        Self::Banned,
        Self::Connections,
        Self::Requests,
        Self::Silent,
        Self::Shed,
        Self::Unread,
        Self::Overloaded,
    ];

    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Challenged => "challenged",
            Self::NoRoom => "no_room",
            Self::Calls => "calls",
            Self::Caller => "caller",
            Self::Callee => "callee",
            Self::Unanswered => "unanswered",
            Self::Password => "password",
            Self::Waiting => "waiting",
            Self::Banned => "banned",
            Self::Connections => "connections",
            Self::Requests => "requests",
            Self::Silent => "silent",
            Self::Shed => "shed",
            Self::Unread => "unread",
            Self::Overloaded => "overloaded",
        }
    }
}
