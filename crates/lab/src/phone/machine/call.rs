//! One call as a user agent keeps it (RFC 3261 §12): the dialog, and how far it has come.

use sip::endpoint::{ClientTxn, ServerTxn};
use sip::{Contacts, HeaderName, Message, Method, RequestBuilder};

/// A call.
pub(super) struct Call {
    /// The Call-ID.
    pub(super) id: String,
    pub(super) state: State,
    /// CallKit shows it.
    pub(super) callkit: bool,
    /// Our side of the dialog, as it stands in From of our requests.
    local: String,
    /// Their side, as it stands in To of our requests.
    remote: String,
    /// Request-URI of our requests in the dialog.
    target: String,
    /// Route of our requests in the dialog, the first hop first.
    routes: Vec<String>,
    /// The number of our last request.
    pub(super) cseq: u32,
    /// An INVITE of ours within the dialog has no answer yet.
    pub(super) renewing: bool,
}

/// How far it has come.
pub(super) enum State {
    /// Their INVITE waits for our answer.
    Ringing { txn: ServerTxn, invite: Message },
    /// Our INVITE waits for theirs.
    Calling { txn: ClientTxn },
    /// Answered. `answered` is the transaction in which we did; its ACK is still to come while it is there.
    Up { answered: Option<ServerTxn> },
}

impl Call {
    /// A call to us. `tag` is the one that our responses carry.
    pub(super) fn incoming(id: &str, txn: ServerTxn, invite: &Message, tag: &str) -> Self {
        Self {
            id: id.to_owned(),
            state: State::Ringing {
                txn,
                invite: invite.clone(),
            },
            callkit: false,
            local: format!("{};tag={tag}", text(invite, HeaderName::To)),
            remote: text(invite, HeaderName::From),
            target: contact(invite).unwrap_or_default(),
            routes: record_routes(invite),
            cseq: 0,
            renewing: false,
        }
    }

    /// A call from us, whose INVITE was sent.
    pub(super) fn outgoing(id: &str, txn: ClientTxn, invite: &Message) -> Self {
        Self {
            id: id.to_owned(),
            state: State::Calling { txn },
            callkit: false,
            local: text(invite, HeaderName::From),
            remote: text(invite, HeaderName::To),
            target: invite.request_uri().to_owned(),
            routes: Vec::new(),
            cseq: 1,
            renewing: false,
        }
    }

    /// Their 2xx to our INVITE makes the dialog (RFC 3261 §12.1.2).
    pub(super) fn established(&mut self, response: &Message) {
        self.state = State::Up { answered: None };
        self.remote = text(response, HeaderName::To);
        self.target = contact(response).unwrap_or_else(|| self.target.clone());
        self.routes = record_routes(response);
        self.routes.reverse();
    }

    /// A request or an answer within the dialog says where they are from now on (RFC 3261 §12.2).
    pub(super) fn refresh_target(&mut self, message: &Message) {
        if let Some(target) = contact(message) {
            self.target = target;
        }
    }

    /// A request within the dialog (RFC 3261 §12.2.1.1).
    pub(super) fn request(&mut self, method: Method<'_>) -> RequestBuilder {
        self.cseq += 1;
        self.begin(method, self.cseq)
    }

    /// The ACK to a 2xx, with the number of its INVITE (RFC 3261 §13.2.2.4).
    pub(super) fn ack(&self, invite: u32) -> RequestBuilder {
        self.begin(Method::Ack, invite)
    }

    fn begin(&self, method: Method<'_>, cseq: u32) -> RequestBuilder {
        let request = RequestBuilder::new(method, &self.target)
            .header(HeaderName::From, &self.local)
            .header(HeaderName::To, &self.remote)
            .header(HeaderName::CallId, &self.id)
            .header(HeaderName::CSeq, format!("{cseq} {method}"));
        self.routes.iter().fold(request, |request, route| {
            request.header(HeaderName::Route, route)
        })
    }

    pub(super) fn rings_in(&self, txn: ServerTxn) -> bool {
        matches!(&self.state, State::Ringing { txn: own, .. } if *own == txn)
    }
}

/// Who a request is from, to show: the name, else the address.
pub(super) fn caller(request: &Message) -> String {
    let Ok(from) = request.from() else {
        return String::new();
    };
    let name = from.display_name().filter(|name| !name.trim().is_empty());
    name.map_or_else(|| address(request), std::borrow::Cow::into_owned)
}

/// Who a request is from: `sip:user@host`.
pub(super) fn address(request: &Message) -> String {
    let Ok(from) = request.from() else {
        return String::new();
    };
    match from.uri.user {
        Some(user) => format!("{}:{user}@{}", from.uri.scheme, from.uri.host),
        None => format!("{}:{}", from.uri.scheme, from.uri.host),
    }
}

fn text(message: &Message, name: HeaderName<'_>) -> String {
    message.header_text(name).unwrap_or_default().to_owned()
}

fn contact(message: &Message) -> Option<String> {
    match message.contacts().ok()? {
        Contacts::List(contacts) => Some(contacts.first()?.uri.as_str().to_owned()),
        Contacts::Star => None,
    }
}

/// The values of Record-Route, top to bottom: a callee's route set (RFC 3261 §12.1.1).
pub(super) fn record_routes(message: &Message) -> Vec<String> {
    message
        .values(HeaderName::RecordRoute)
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .collect()
}
