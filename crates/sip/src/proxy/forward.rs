//! Making the request of a branch (RFC 3261 §16.6): only what must change does, everything else passes octet for
//! octet.

use std::sync::Arc;

use super::{credentials, privacy, routes};
use crate::endpoint::Flow;
use crate::{Edit, HeaderName, Message, Method, bearer};

/// Max-Forwards of a request that came without (RFC 3261 §16.6 item 3).
const MAX_FORWARDS: u8 = 70;

/// Of RFC 5393 §5.3.
pub(super) const MAX_BREADTH: HeaderName<'static> = HeaderName::Other("Max-Breadth");

/// Where a branch goes, and what it gets on the way.
#[derive(Debug, Clone)]
pub struct Target {
    /// The Request-URI.
    pub uri: String,
    /// The flow to the next hop.
    pub flow: Flow,
    /// Our Record-Route value, `<sip:host;lr>`, if we are to stay in the dialog's path.
    pub record_route: Option<String>,
    /// Route values, `<sip:host;lr>`, to go before those of the request: the Path of the binding (RFC 3327).
    pub route: Vec<String>,
    /// Further changes, made in this order after all others.
    pub headers: Vec<HeaderChange>,
    /// What is taken off the responses that come back from there.
    pub off_responses: &'static [HeaderName<'static>],
    /// Another body in place of the request's, of the same type.
    pub body: Option<Vec<u8>>,
    /// The owner keeps something for the branch, and hears when it is gone
    /// ([`Event::BranchGone`](crate::endpoint::Event::BranchGone)).
    pub watched: bool,
}

impl Target {
    /// A target with nothing added.
    pub fn new(uri: impl Into<String>, flow: Flow) -> Self {
        Self {
            uri: uri.into(),
            flow,
            record_route: None,
            route: Vec::new(),
            headers: Vec::new(),
            off_responses: &[],
            body: None,
            watched: false,
        }
    }
}

/// A change of a header field of a branch.
#[derive(Debug, Clone)]
pub enum HeaderChange {
    /// Takes away all of that name.
    Remove(HeaderName<'static>),
    /// Takes away credentials for one of these realms, ours, and leaves those for others (RFC 3261 §22.3); tokens go anyhow.
    RemoveCredentials {
        /// Authorization or Proxy-Authorization.
        header: HeaderName<'static>,
        /// The realms, as they are in our challenges.
        realms: Arc<[String]>,
    },
    /// Leaves one of that name, with this value.
    Set(HeaderName<'static>, String),
    /// Puts a value before all others of that name.
    Prepend(HeaderName<'static>, String),
}

/// The request for a target. `via` is our Via value, `breadth` its share of Max-Breadth.
pub(super) fn request(request: &Message, target: &Target, via: &str, breadth: u32) -> Message {
    let mut edit = Edit::new(request);
    // A Contact may have header fields, a Request-URI may not (RFC 3261 §19.1.1, table 1).
    let uri = target.uri.split('?').next().unwrap_or_default();
    if uri != request.request_uri() {
        edit = edit.request_uri(uri);
    }
    edit = hop(edit, request).set(MAX_BREADTH, breadth.to_string());
    if let Some(value) = &target.record_route {
        edit = edit.prepend(HeaderName::RecordRoute, value);
    }
    for value in target.route.iter().rev() {
        edit = edit.prepend(HeaderName::Route, value);
    }
    if privacy::has_push_params(request) && request.method() != Some(Method::Register) {
        edit = privacy::without_push_params(edit);
    }
    for change in &target.headers {
        edit = match change {
            HeaderChange::Remove(name) => edit.remove_all(*name),
            HeaderChange::RemoveCredentials { header, realms } => {
                credentials::without(edit, *header, realms)
            }
            HeaderChange::Set(name, value) => edit.set(*name, value),
            HeaderChange::Prepend(name, value) => edit.prepend(*name, value),
        };
    }
    if let Some(body) = &target.body {
        let content_type = request.header_text(HeaderName::ContentType);
        edit = edit.body(content_type.unwrap_or_default(), body);
    }
    let reliable = target.flow.transport.is_reliable();
    if target.body.is_none() && reliable && !request.has(HeaderName::ContentLength) {
        edit = edit.set(HeaderName::ContentLength, request.body().len().to_string());
    }
    // A strict router is told apart before our Via is on, so that the common case is one edit.
    if target.route.is_empty() && !request.has(HeaderName::Route) {
        return edit.prepend(HeaderName::Via, via).finish();
    }
    let routed = routes::postprocessed(edit.finish());
    Edit::new(&routed).prepend(HeaderName::Via, via).finish()
}

/// The ACK to a 2xx on its way.
pub(super) fn ack(ack: &Message, via: &str, reliable: bool) -> Message {
    let mut edit = hop(Edit::new(ack), ack);
    if reliable && !ack.has(HeaderName::ContentLength) {
        edit = edit.set(HeaderName::ContentLength, ack.body().len().to_string());
    }
    if !ack.has(HeaderName::Route) {
        return edit.prepend(HeaderName::Via, via).finish();
    }
    let routed = routes::postprocessed(edit.finish());
    Edit::new(&routed).prepend(HeaderName::Via, via).finish()
}

/// What every request loses and gets on its way. A token goes to nobody further on, who could use it in its user's name:
/// also in an ACK, which has the credentials of its INVITE (RFC 3261 §22.1).
fn hop<'m>(edit: Edit<'m>, request: &'m Message) -> Edit<'m> {
    let hops = match request.max_forwards() {
        Ok(Some(hops)) => hops.saturating_sub(1),
        _ => MAX_FORWARDS,
    };
    let shown = bearer::FIELDS.into_iter().filter(|it| request.has(*it));
    let edit = shown.fold(edit, |edit, field| {
        edit.remove_where(field, bearer::is_bearer)
    });
    edit.set(HeaderName::MaxForwards, hops.to_string())
}
