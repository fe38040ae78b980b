//! Calls: an INVITE that comes, the devices through which it goes, and where it goes when nobody came.

use super::{Role, ways::Waiting};
use crate::{
    calls::{Call, Resort},
    dialogs::Initiator,
    gate::Sender,
    quotas::Caller,
    requests::{self, TRACKING},
    settings::{CALLS, is_spiral},
    told::whence,
    vocabulary::Output,
};
use domain::{Address, Now, Refusal, TrackingId, quota::Exceeded};
use hub::NewCall;
use sip::{Flow, Message, endpoint::ServerTxn};

/// Most characters of a caller's name or address that go into a push.
const CALLER: usize = 128;

impl Role {
    pub(super) fn invite(
        &mut self,
        now: Now,
        txn: ServerTxn,
        flow: Flow,
        request: &Message,
        callee: Address,
        sender: &Sender,
    ) {
        let limit = self.settings.held_calls;
        if self.calls.waiting() >= limit {
            tracing::debug!(limit, "limits.held_calls is reached: a call is refused");
            self.out.push_back(Output::Refused(Refusal::Calls));
            return self.answer(now, txn, 503, "Too Many Calls");
        }
        let trusted = self.gate.trusts(flow);
        let caller = Caller::of(sender, flow, trusted);
        let place = match self.calls.take_place(now.instant, caller, &callee) {
            Ok(place) => place,
            Err((why, exceeded)) => return self.too_many(now, txn, sender, &callee, why, exceeded),
        };
        let Ok(context) = self.endpoint.open(now.instant, txn) else {
            return self.calls.give_back(&place);
        };
        let forwarded = is_spiral(flow);
        let told = request.header_text(TRACKING).filter(|_| forwarded);
        let tracking = told.map_or_else(|| self.namer.fresh(now.wall), TrackingId::from);
        let mut caller = Initiator::of(request, flow, sender);
        caller.tracking = Some(tracking.clone());
        let mut call = Call::new(context, callee.clone(), caller, tracking.clone(), place);
        call.trusted = trusted;
        call.forwarded = forwarded;
        let short = |text: &str| text.chars().take(CALLER).collect();
        let caller_name = short(&self.display_name(request, sender));
        let (calls, mut line) = self.line(now);
        let id = calls.insert(&mut line, call);
        let new = NewCall {
            kind: CALLS,
            id,
            tracking,
            call: request.call_id().unwrap_or_default().into(),
            callee,
            caller_name,
            caller: short(sender.name()),
            // A forward of ours has been told where it came in.
            whence: Some(flow)
                .filter(|_| !forwarded)
                .map(whence)
                .unwrap_or_default(),
            wakes_nobody: requests::wakes_nobody(request),
        };
        self.tell([hub::Input::Called(Box::new(new))]);
    }

    /// A caller or a callee has as many calls as one may. Nothing is kept of the call: there may be very many.
    pub(super) fn too_many(
        &mut self,
        now: Now,
        txn: ServerTxn,
        sender: &Sender,
        callee: &Address,
        why: Refusal,
        exceeded: Exceeded,
    ) {
        self.out.push_back(Output::Refused(why));
        let (status, reason) = match why {
            Refusal::Caller => (503, "You Call Too Often"),
            _ => (480, "Called Too Often"),
        };
        if exceeded.first {
            let limit = why.name();
            tracing::warn!(caller = ?sender.name(), %callee, limit, "calls are refused: there are too many");
        }
        self.turn_away_for(now, txn, status, reason, exceeded.wait);
    }

    pub(super) fn give_up(&mut self, now: Now, call: hub::CallId, verdict: domain::wake::Verdict) {
        let accounts = self.accounts.clone();
        let (calls, mut line) = self.line(now);
        match calls.give_up(&mut line, call, verdict, &accounts) {
            Resort::None => {}
            Resort::Ours(uri) => {
                let flow = line.settings.spiral();
                self.fall_back(now, call, uri.clone(), Some(flow));
                self.tell([hub::Input::FallenBack(call, uri)]);
            }
            Resort::Outside(uri, way) => {
                self.tell([hub::Input::FallenBack(call, uri.clone())]);
                self.reach(now, Waiting::Fallback(call, uri), way);
            }
        }
    }
}
