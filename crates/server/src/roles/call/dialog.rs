//! Requests inside a dialog: they follow the way that its first request took, by the token in our Record-Route.

use super::{
    CallRole,
    flow_token::{DialogId, Ends, Mark},
    heard_at::heard_at,
};
use sip::{
    Contacts, Flow, HeaderName, Message, NameAddr, Transport, Uri,
    endpoint::{ServerTxn, Target},
};

/// Who begins a dialog, and how they are reached.
#[derive(Copy, Clone, Debug)]
pub(super) struct Initiator {
    pub(super) flow: Flow,
    mark: Mark,
    dialog: DialogId,
}

impl Initiator {
    /// The sender of the request that came over `from` and begins a dialog.
    pub(super) fn of(request: &Message, from: Flow) -> Self {
        let contact = match request.contacts() {
            Ok(Contacts::List(contacts)) if !request.has(HeaderName::RecordRoute) => contacts,
            _ => Vec::new(),
        };
        let contact = contact.first().map(|contact| contact.uri.as_str());
        Self {
            flow: contact.map_or(from, |contact| heard_at(from, request, contact)),
            mark: mark(request),
            dialog: dialog(request),
        }
    }
}

/// Both sides of a dialog keep their tags, wherever they come from: the From tag tells whose request it is
/// (RFC 3261 §12.2.1.1).
fn mark(request: &Message) -> Mark {
    let from = request.from().ok();
    Mark::of(from.as_ref().and_then(NameAddr::tag).unwrap_or_default())
}

fn dialog(request: &Message) -> DialogId {
    DialogId::of(request.call_id().unwrap_or_default())
}

impl CallRole {
    /// Our Record-Route for a dialog between these flows. Where the two sides use different listeners of ours, each
    /// gets the one it knows (RFC 5658 §3.2 double record-routing): the far side's first.
    pub(super) fn record_route(&self, from: Initiator, to: Flow) -> String {
        let ends = Ends {
            initiator: from.mark,
            caller: from.flow,
            callee: to,
        };
        let token = self.tokens.seal(&ends, from.dialog, self.now.wall);
        let (near, far) = (
            self.settings.uri(&token, from.flow),
            self.settings.uri(&token, to),
        );
        if near == far {
            format!("<{far};lr>")
        } else {
            format!("<{far};lr>, <{near};lr>")
        }
    }

    pub(super) fn in_dialog(
        &mut self,
        txn: ServerTxn,
        flow: Flow,
        request: &Message,
        route: Option<&str>,
    ) {
        let Some(to) = self.across(request, route) else {
            return self.answer(txn, 481, "No Such Dialog");
        };
        let Ok(context) = self.endpoint.open(self.now.instant, txn) else {
            return;
        };
        let target = Target {
            headers: self.headers_off(flow),
            ..Target::new(request.request_uri(), to)
        };
        if let Err(error) = self.endpoint.fork(self.now.instant, context, &target) {
            tracing::warn!(%error, "a request inside a dialog was not forwarded");
            self.endpoint.finish(self.now.instant, context, 503, None);
        }
    }

    pub(super) fn ack(&mut self, ack: &Message, route: Option<&str>) {
        if let Some(to) = self.across(ack, route) {
            self.endpoint.proxy_ack(to, ack);
        }
    }

    /// The flow on the other side of a dialog of ours. If that connection is gone: the one over which its device is
    /// back, else a new one to where it led.
    fn across(&self, request: &Message, route: Option<&str>) -> Option<Flow> {
        let ends = self.tokens.open(route?, dialog(request), self.now.wall)?;
        let to = ends.across(mark(request));
        if self.flows.contains(&to) {
            return Some(to);
        }
        let moved = self.location.moved_to(&to);
        Some(moved.unwrap_or_else(|| match to.transport {
            Transport::Udp => to,
            _ => self.net.connect(to.transport, to.remote),
        }))
    }
}

/// Transport and port that a URI asks for (RFC 3263 §4.1, §4.2, without DNS).
pub(super) fn way_of(uri: &Uri<'_>) -> (Transport, u16) {
    let named = uri.param("transport").unwrap_or_default();
    let transport = if uri.is_secure() || named.eq_ignore_ascii_case("tls") {
        Transport::Tls
    } else if named.eq_ignore_ascii_case("tcp") {
        Transport::Tcp
    } else {
        Transport::Udp
    };
    let usual = if transport == Transport::Tls {
        5061
    } else {
        5060
    };
    (transport, uri.port.unwrap_or(usual))
}
