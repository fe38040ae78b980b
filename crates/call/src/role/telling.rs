//! What stories tell that the hub does not hear of: what we refused before it became a call, a message or a registration, and
//! who hung up.

use super::Role;
use crate::{
    dialogs::sender,
    gate::bare,
    requests::TRACKING,
    settings::is_spiral,
    token::{DialogId, Ends},
    told::whence,
    vocabulary::Output,
};
use domain::{
    Address, DeviceId, Note, Now, TraceEvent, TrackingId,
    guard::Source,
    trace::{Step, short},
};
use sip::{Flow, HeaderName, Message, Method, Transport, endpoint::ServerTxn, reason_phrase};

/// Which requests have stories, and how those begin that are refused.
const HAVE_STORIES: [(Method<'static>, Step); 3] = [
    (Method::Invite, Step::CallRefused),
    (Method::Message, Step::MessageRefused),
    (Method::Register, Step::RegistrationRefused),
];
/// Refusals by which a client learns how to ask: the next request tells (RFC 3261 §22, §21.4.17).
const NEGOTIATING: [u16; 3] = [401, 407, 423];

impl Role {
    /// We are about to refuse a request. `why`: what the peer is not told.
    pub(super) fn tells_refusal(
        &mut self,
        now: Now,
        txn: ServerTxn,
        (status, reason): (u16, &str),
        why: &str,
    ) {
        if status < 400 || NEGOTIATING.contains(&status) {
            return;
        }
        let Some((flow, request)) = self.endpoint.asked(txn) else {
            return;
        };
        let method = request.method().filter(|_| request.to_tag().is_none());
        let step = HAVE_STORIES.iter().find(|(told, _)| Some(*told) == method);
        let Some((_, step)) = step else {
            return;
        };
        let (source, guards) = (flow.remote.ip(), self.accounts.guards());
        let is_known = self.gate.trusts(flow) || guards.is_known(now.wall, source);
        let source = Source::of(source).to_string();
        if !self.told.refused.take(now.instant, &source, is_known) {
            return;
        }
        let reason = if reason.is_empty() {
            reason_phrase(status)
        } else {
            reason
        };
        let mut detail = format!("{}: we answered {status} {reason}", parties(request, flow));
        if !why.is_empty() {
            detail.push_str(": ");
            detail.push_str(why);
        }
        // A forward of ours stays one story.
        let told = request.header_text(TRACKING).filter(|_| is_spiral(flow));
        let tracking = told.map(TrackingId::from);
        let alias = request.call_id().unwrap_or_default();
        let tracking = tracking.unwrap_or_else(|| self.namer.fresh(now.wall));
        let event = TraceEvent::first((tracking, now.wall), *step, alias, detail);
        self.out.push_back(Output::Note(Note::Story(event)));
    }

    /// What this story is about came by an edge, or goes to that device by one.
    pub(super) fn tells_edge(
        &mut self,
        now: Now,
        (tracking, device): (TrackingId, Option<DeviceId>),
        flow: Flow,
    ) {
        if flow.transport != Transport::Edge {
            return;
        }
        let way = if device.is_some() { "to" } else { "from" };
        self.out.push_back(Output::Note(Note::Story(TraceEvent {
            tracking,
            at: now.wall,
            step: Step::ByEdge,
            alias: None,
            device,
            detail: format!("{way} {}", whence(flow)),
        })));
    }

    /// One side of a call hangs up, over this flow.
    pub(super) fn tells_end(
        &mut self,
        now: Now,
        from: Flow,
        bye: &Message,
        (dialog, ends): (DialogId, &Ends),
    ) {
        // A forward of ours has been told where it came in.
        let Some(tracking) = ends.tracking.clone().filter(|_| !is_spiral(from)) else {
            return;
        };
        if !self.told.ends(dialog) {
            return;
        }
        let near = sender(ends, bye);
        let who = near.user.as_ref().map(Address::to_string);
        let who = who.unwrap_or_else(|| whence(from));
        let reason = bye.header_text(HeaderName::Reason).map(short);
        let reason = reason.map(|it| format!(" ({it})")).unwrap_or_default();
        self.out.push_back(Output::Note(Note::Story(TraceEvent {
            tracking,
            at: now.wall,
            step: Step::CallEnded,
            alias: None,
            device: near.device,
            detail: format!("{who} hung up{reason}"),
        })));
    }
}

/// Who asks whom, and where it came from.
fn parties(request: &Message, flow: Flow) -> String {
    let name = |it: Option<sip::NameAddr<'_>>| it.map(|it| short(&bare(&it.uri)));
    let unreadable = || "somebody unreadable".to_owned();
    let from = name(request.from().ok()).unwrap_or_else(unreadable);
    let to = name(request.to().ok()).unwrap_or_else(unreadable);
    format!("from {from} ({}) to {to}", whence(flow))
}
