//! Requests inside a dialog: they follow the way that its first request took, by the token in our Record-Route.

use super::{CallRole, flow_token::Ends, request::credentials_off};
use sip::{
    Flow, Message, Transport, Uri,
    endpoint::{ServerTxn, Target},
};
use std::net::{IpAddr, SocketAddr};

impl CallRole {
    /// Our Record-Route for a dialog between these flows. Where the two sides use different listeners of ours, each
    /// gets the one it knows (RFC 5658 §3.2 double record-routing): the far side's first.
    pub(super) fn record_route(&self, caller: Flow, callee: Flow) -> String {
        let token = self.tokens.seal(&Ends { caller, callee });
        let (near, far) = (
            self.settings.uri(&token, caller),
            self.settings.uri(&token, callee),
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
        let Some(to) = self.across(flow, request, route) else {
            return self.answer(txn, 481, "No Such Dialog");
        };
        let Ok(context) = self.endpoint.open(self.now.instant, txn) else {
            return;
        };
        let target = Target {
            headers: credentials_off(),
            ..Target::new(request.request_uri(), to)
        };
        if let Err(error) = self.endpoint.fork(self.now.instant, context, &target) {
            tracing::warn!(%error, "a request inside a dialog was not forwarded");
            self.endpoint.finish(self.now.instant, context, 503, None);
        }
    }

    pub(super) fn ack(&mut self, flow: Flow, ack: &Message, route: Option<&str>) {
        if let Some(to) = self.across(flow, ack, route) {
            self.endpoint.proxy_ack(to, ack);
        }
    }

    /// The flow on the other side of a dialog of ours.
    fn across(&self, from: Flow, request: &Message, route: Option<&str>) -> Option<Flow> {
        let ends = self.tokens.open(route?)?;
        let is_up = |flow: &Flow| flow.transport == Transport::Udp || self.flows.contains(flow);
        let to = ends.across(from, is_up);
        if is_up(&to) {
            Some(to)
        } else {
            self.new_way(request).or(Some(to))
        }
    }

    /// The way to a remote target whose connection is gone: over the one on which its device is back, else straight to
    /// its address.
    fn new_way(&self, request: &Message) -> Option<Flow> {
        let uri = Uri::parse(request.request_uri())?;
        let is_target = |contact: &str| {
            let contact = super::register::contact_uri(contact);
            Uri::parse(&contact).is_some_and(|contact| {
                contact.user == uri.user && contact.host == uri.host && contact.port == uri.port
            })
        };
        let device = self.location.places().find(|place| {
            place.flow.is_some()
                && place
                    .device
                    .binding
                    .as_ref()
                    .is_some_and(|binding| is_target(&binding.contact))
        });
        if let Some(flow) = device.and_then(|place| place.flow) {
            return Some(flow);
        }
        let (transport, port) = way_of(&uri);
        let ip: IpAddr = uri.host.trim_matches(['[', ']']).parse().ok()?;
        Some(self.net.connect(transport, SocketAddr::new(ip, port)))
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
