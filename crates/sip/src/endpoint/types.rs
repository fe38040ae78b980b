//! What goes into an [`Endpoint`](super::Endpoint) and what comes out of it.

use std::net::SocketAddr;

use crate::transaction::Key;
use crate::{Flow, Message, Transport};

/// What happened outside.
#[derive(Debug, Clone)]
pub enum Input {
    /// A message arrived.
    Received {
        /// Over which flow.
        flow: Flow,
        /// The message, as it is.
        message: Message,
    },
    /// Sending over the flow failed, or its connection closed. Requests that wait for an answer over it fail with
    /// 503 (RFC 3261 §8.1.3.1, §16.9), but for branches that ring ([`Event::BranchStranded`]). Requests that came
    /// over it are still answered ([`Event::ResponseStranded`]).
    FlowFailed {
        /// Which flow.
        flow: Flow,
    },
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(crate) Key);
    )*};
}

ids! {
    /// Names a server transaction: one request that arrived. It is never used again for another one; once the
    /// transaction is over, what is asked with it has no effect.
    ServerTxn;
    /// Names a client transaction: one request that was sent with [`Endpoint::request`](super::Endpoint::request).
    ClientTxn;
    /// Names a response context: one request that is proxied (RFC 3261 §16.2).
    ContextId;
    /// Names a branch of a response context: the request as it was sent to one target.
    BranchId;
}

/// What the owner of the endpoint must know.
#[derive(Debug, Clone)]
pub enum Event {
    /// A new request: no retransmission, no ACK, no CANCEL. Its syntax is good (what was bad has been answered), its
    /// own Route values are off and its top Via says where it came from. The owner answers it with
    /// [`respond`](super::Endpoint::respond) or [`answer`](super::Endpoint::answer), or proxies it with
    /// [`open`](super::Endpoint::open). It must do one of these with every INVITE, whose transaction lives until then.
    Request {
        /// Its transaction.
        txn: ServerTxn,
        /// Where it came from.
        flow: Flow,
        /// The request.
        request: Message,
        /// The user part of the Route value of ours that brought it here: what the owner wrote into its Record-Route
        /// ([`Target::record_route`](super::Target::record_route)).
        route: Option<String>,
    },
    /// A table is full ([`TableLimits`](super::TableLimits)): a request was answered 503, and nothing is kept of it.
    NoRoom,
    /// An ACK to a 2xx, first or repeated. A proxy forwards it with
    /// [`proxy_ack`](super::Endpoint::proxy_ack).
    Ack {
        /// The INVITE that [`respond`](super::Endpoint::respond) accepted and that this is the ACK for; its 2xx is
        /// not repeated any more. `None` when the ACK is for somebody else.
        txn: Option<ServerTxn>,
        /// Where it came from.
        flow: Flow,
        /// The ACK, its own Route values off.
        request: Message,
        /// As with [`Event::Request`].
        route: Option<String>,
    },
    /// No ACK came for the 2xx that [`respond`](super::Endpoint::respond) sent, for 64*T1. The dialog is to be ended
    /// with a BYE (RFC 3261 §13.3.1.4).
    AckMissing {
        /// The INVITE's transaction.
        txn: ServerTxn,
    },
    /// The caller cancelled this INVITE, once; the CANCEL has been answered. A user agent answers the INVITE with
    /// 487. For a proxied one nothing need be done: its branches are being cancelled, 487 follows by itself.
    Cancelled {
        /// The INVITE's transaction.
        txn: ServerTxn,
        /// Its context, if it is proxied.
        context: Option<ContextId>,
        /// The CANCEL's Reason, as it is written (RFC 3326).
        reason: Option<String>,
    },
    /// A branch answered with 101 to 199, which has been forwarded if the request was an INVITE.
    BranchProvisional {
        /// Its context.
        context: ContextId,
        /// The branch.
        branch: BranchId,
        /// 101 to 199.
        status: u16,
    },
    /// A branch came to its end.
    BranchFinal {
        /// Its context.
        context: ContextId,
        /// The branch.
        branch: BranchId,
        /// 200 to 699; 408 too when no answer came in time, 503 when its flow failed.
        status: u16,
        /// The answer; `None` when none came.
        response: Option<Message>,
    },
    /// The flow of a branch that has answered with 101 to 199 failed: the phone rings on, and will answer over another
    /// connection. Its answers are taken from any flow; CANCEL needs one, which it has as soon as an answer comes, or
    /// the owner says where the phone is now ([`move_branch`](super::Endpoint::move_branch)). Until then the branch
    /// waits, as long as timer C.
    BranchStranded {
        /// Its context.
        context: ContextId,
        /// The branch.
        branch: BranchId,
    },
    /// Nothing comes from a branch any more whose target was [watched](super::Target::watched): not even a late 2xx.
    BranchGone {
        /// The branch.
        branch: BranchId,
    },
    /// A response cannot leave, because the connection that its request came over is gone. A new one to this place is
    /// asked for (RFC 3261 §18.2.2); the response leaves when the owner has it
    /// ([`move_response`](super::Endpoint::move_response)), or when the request comes again. Nothing need be done: the
    /// transaction ends in its own time.
    ResponseStranded {
        /// The request's transaction.
        txn: ServerTxn,
        /// What to connect by.
        transport: Transport,
        /// Where the request came from, with the port that its sender listens on by its Via.
        address: SocketAddr,
        /// What the sender calls itself in its Via: to be resolved if there is nobody at the address, and the name to
        /// be seen in a certificate.
        host: String,
    },
    /// The first 2xx went to the caller. Every other branch of an INVITE is being cancelled.
    ContextAnswered {
        /// The context.
        context: ContextId,
        /// The branch that answered.
        branch: BranchId,
    },
    /// The final response went to the caller: told once for each context. Late 2xx are still forwarded.
    ContextDone {
        /// The context.
        context: ContextId,
        /// What the caller got; 408 with a non-INVITE request that nobody answered, where the caller gets nothing
        /// (RFC 4320 §4.2).
        status: u16,
    },
    /// A response to a request of [`request`](super::Endpoint::request): every provisional, the final one, and every
    /// repeated or further 2xx to an INVITE, each of which wants an ACK. Other ACKs have been sent.
    Response {
        /// The request's transaction.
        txn: ClientTxn,
        /// The response.
        response: Message,
    },
    /// No final response comes any more.
    Failed {
        /// The request's transaction.
        txn: ClientTxn,
        /// 408 when the time was over, 503 when the flow failed.
        status: u16,
    },
}

/// A table is full (see [`TableLimits`](super::TableLimits)): answer 503, or try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many {0} at once")]
pub struct Overload(pub(crate) &'static str);
