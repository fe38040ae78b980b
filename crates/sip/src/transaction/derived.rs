//! The two requests that are made out of an INVITE that was sent: CANCEL, and the ACK to a non-2xx.

use crate::{HeaderName, Message, Method, RequestBuilder};

/// CANCEL for a request as it was sent (RFC 3261 §9.1), with a Reason if one is known (RFC 3326).
pub(crate) fn cancel(request: &Message, reason: Option<&str>) -> Message {
    let to = request.header(HeaderName::To).unwrap_or_default();
    let cancel = derive(request, Method::Cancel, to);
    match reason {
        Some(reason) => cancel.header(HeaderName::Reason, reason).build(),
        None => cancel.build(),
    }
}

/// ACK for a non-2xx response to an INVITE as it was sent (RFC 3261 §17.1.1.3).
pub(crate) fn ack(request: &Message, response: &Message) -> Message {
    let to = response.header(HeaderName::To).unwrap_or_default();
    derive(request, Method::Ack, to).build()
}

/// Request-URI, top Via, Route, From, Call-ID and the number of CSeq of the request; nothing else of it.
fn derive(request: &Message, method: Method<'_>, to: &[u8]) -> RequestBuilder {
    let mut derived = RequestBuilder::new(method, request.request_uri());
    for name in [HeaderName::Via, HeaderName::From, HeaderName::CallId] {
        // Our own Via stands alone in its line.
        derived = derived.header(name, request.header(name).unwrap_or_default());
    }
    for route in request.headers(HeaderName::Route) {
        derived = derived.header(HeaderName::Route, route);
    }
    let number = request.cseq().map(|cseq| cseq.number).unwrap_or_default();
    derived
        .header(HeaderName::To, to)
        .header(HeaderName::CSeq, format!("{number} {method}"))
}
