//! What a request is for, and who in here takes care of it.

use super::{CallRole, auth::Realm, dialog::Initiator, messages};
use domain::Class;
use sip::{
    Flow, HeaderName, Message, Method, Uri,
    endpoint::{Event, HeaderChange, ServerTxn, Target},
};

/// What we take part in ourselves; other methods pass.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, MESSAGE, SUBSCRIBE, NOTIFY, PUBLISH, REFER, INFO, UPDATE, PRACK";

impl CallRole {
    pub(super) fn endpoint_event(&mut self, event: Event) {
        match event {
            Event::Request {
                txn,
                flow,
                request,
                route,
            } => self.request(txn, flow, &request, route.as_deref()),
            Event::Ack {
                request,
                route,
                txn: None,
                ..
            } => self.ack(&request, route.as_deref()),
            // We answer no INVITE ourselves, so there is no 2xx of ours; and a caller who is gone is not called back.
            Event::Ack { .. } | Event::AckMissing { .. } | Event::ResponseStranded { .. } => {}
            Event::Cancelled { context, .. } => {
                if let Some(context) = context {
                    self.caller_cancelled(context);
                }
            }
            Event::BranchProvisional {
                context,
                branch,
                status,
            } => self.branch_provisional(context, branch, status),
            Event::BranchFinal {
                context,
                branch,
                status,
                response,
            } => {
                self.branch_final(context, branch, status, response.as_ref());
            }
            Event::BranchStranded { branch, .. } => {
                self.endpoint.cancel_branch(self.now.instant, branch, None);
            }
            Event::ContextAnswered { context, branch } => self.context_answered(context, branch),
            Event::ContextDone { context, status } => self.context_done(context, status),
            Event::Response { txn, response } => {
                self.message_answered(txn, response.status().unwrap_or_default());
            }
            Event::Failed { txn, status } => self.message_answered(txn, status),
        }
    }

    fn request(&mut self, txn: ServerTxn, flow: Flow, request: &Message, route: Option<&str>) {
        let Some(method) = request.method() else {
            return;
        };
        self.metrics.request(method.as_str(), flow.transport);
        if request.to().is_ok_and(|to| to.tag().is_some()) {
            return self.in_dialog(txn, flow, request, route);
        }
        let Some(uri) = Uri::parse(request.request_uri()) else {
            return self.answer(txn, 400, "Bad Request-URI");
        };
        if method == Method::Register {
            return self.register(txn, flow, request);
        }
        if method == Method::Options
            && uri.user.is_none()
            && self.settings.is_ours(uri.host, uri.port)
        {
            return self.options(txn);
        }
        if self.endpoint.screen(self.now.instant, txn).is_err() {
            return;
        }
        let Some(callee) = self.local_address(&uri) else {
            // Only who may use us is told more.
            if self.admit(txn, flow, request, Realm::Proxy).is_some() {
                self.answer(txn, 404, "Not A Domain Of This Server");
            }
            return;
        };
        let Some(sender) = self.admit(txn, flow, request, Realm::Proxy) else {
            return;
        };
        if self.location.user(&callee).is_none() {
            return self.answer(txn, 404, "No Such User");
        }
        match method {
            Method::Invite => self.invite(txn, flow, request, &callee, &sender),
            Method::Message => self.message(txn, request, &callee, &sender),
            _ => self.pass(txn, flow, request, &callee),
        }
    }

    /// RFC 3261 §11.2: what we can do, and that we are here.
    fn options(&mut self, txn: ServerTxn) {
        let Some(response) = self.endpoint.response_to(txn, 200, "") else {
            return;
        };
        let response = response
            .header(HeaderName::Allow, ALLOW)
            .header(HeaderName::Accept, "*/*")
            .header(HeaderName::Supported, "path");
        self.endpoint
            .respond(self.now.instant, txn, &response.build());
    }

    /// Any other request for a user goes to the devices that are there: nobody is woken for it.
    fn pass(&mut self, txn: ServerTxn, flow: Flow, request: &Message, callee: &domain::Address) {
        let from = Initiator::of(request, flow);
        let there: Vec<_> = self
            .location
            .places_of(callee)
            .filter_map(|place| self.target(place, from))
            .collect();
        if there.is_empty() {
            return self.answer(txn, 480, "");
        }
        let dialog = matches!(request.method(), Some(Method::Subscribe | Method::Refer));
        let Ok(context) = self.endpoint.open(self.now.instant, txn) else {
            return;
        };
        for mut target in there {
            if !dialog {
                target.record_route = None;
            }
            if let Err(error) = self.endpoint.fork(self.now.instant, context, &target) {
                tracing::warn!(%error, "not forwarded");
            }
        }
    }

    /// What is taken off a request that came over `from`: credentials for us are nobody else's affair, and an identity
    /// counts only if a server that we trust asserts it (RFC 3325 §5).
    pub(super) fn headers_off(&self, from: Flow) -> Vec<HeaderChange> {
        let identity = HeaderName::Other("P-Asserted-Identity");
        let credentials = [HeaderName::ProxyAuthorization, HeaderName::Authorization];
        let asserted = Some(identity).filter(|_| !self.gate.trusts(from.remote.ip()));
        let names = credentials.into_iter().chain(asserted);
        names.map(HeaderChange::Remove).collect()
    }

    /// Where a request from `from` reaches a device, if there is a way.
    pub(super) fn target(&self, place: &super::location::Place, from: Initiator) -> Option<Target> {
        let (flow, binding) = (place.flow?, place.device.binding.as_ref()?);
        Some(Target {
            record_route: Some(self.record_route(from, flow)),
            route: binding.path.clone(),
            headers: self.headers_off(from.flow),
            ..Target::new(super::register::contact_uri(&binding.contact), flow)
        })
    }
}

/// What kind of message a MESSAGE carries, by its media type and priority: one table.
pub(super) fn class(request: &Message) -> Class {
    let media = request
        .header_text(HeaderName::ContentType)
        .unwrap_or(messages::TEXT);
    let media = media.split(';').next().unwrap_or_default().trim();
    let by_media = [
        ("application/im-iscomposing+xml", Class::Transient), // RFC 3994
        ("message/imdn+xml", Class::Notice),                  // RFC 5438
    ];
    let known = by_media
        .iter()
        .find(|(name, _)| media.eq_ignore_ascii_case(name))
        .map(|(_, class)| *class);
    known.unwrap_or(if not_urgent(request) {
        Class::Notice
    } else {
        Class::Chat
    })
}

/// `Priority: non-urgent` wakes nobody (RFC 3261 §20.26).
pub(super) fn not_urgent(request: &Message) -> bool {
    request
        .header_text(HeaderName::Priority)
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("non-urgent"))
}
