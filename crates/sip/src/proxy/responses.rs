//! What a branch answered, and what the caller gets (RFC 3261 §16.7, §16.10).

use std::time::Instant;

use super::best::{self, Best};
use super::context::{BranchState, Ending, reason_value};
use super::privacy;
use crate::endpoint::{BranchId, ContextId, Endpoint, Event, ServerTxn};
use crate::transaction::Key;
use crate::transaction::client::Heard;
use crate::{Edit, HeaderName, Message, Method, ResponseBuilder};

/// Why the others stop ringing when one has answered (RFC 3326 §3.1).
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

impl Endpoint {
    /// A response on a branch.
    pub(crate) fn branch_heard(
        &mut self,
        now: Instant,
        context: Key,
        branch: Key,
        heard: Heard,
        response: &Message,
    ) {
        let known = self.contexts.get_mut(context);
        let off = known
            .and_then(|known| known.branch_mut(branch))
            .map_or(&[][..], |branch| branch.off_responses);
        let cleaned = without(response, off);
        let response = cleaned.as_ref().unwrap_or(response);
        let status = response.status().unwrap_or_default();
        match heard {
            Heard::Nothing => {}
            Heard::Provisional => self.branch_proceeds(now, context, branch, status, response),
            Heard::Final => self.branch_ended(now, context, branch, status, Some(response)),
            Heard::AnotherAccepted => self.accepted(now, context, branch, response),
        }
    }

    fn branch_proceeds(
        &mut self,
        now: Instant,
        context: Key,
        branch: Key,
        status: u16,
        response: &Message,
    ) {
        let Some(known) = self.contexts.get_mut(context) else {
            return;
        };
        let wanted = known.invite && known.ending.is_none() && known.done.is_none();
        let Some(entry) = known.branch_mut(branch) else {
            return;
        };
        if !entry.is_pending() {
            // It was given up while it was out of reach.
            return;
        }
        entry.state = BranchState::Proceeding;
        if status == 100 {
            return;
        }
        self.events.push_back(Event::BranchProvisional {
            context: ContextId(context),
            branch: BranchId(branch),
            status,
        });
        if wanted {
            self.forward_upstream(now, context, response);
        }
    }

    /// The final response of a branch; without a message if none came.
    pub(crate) fn branch_ended(
        &mut self,
        now: Instant,
        context: Key,
        branch: Key,
        status: u16,
        response: Option<&Message>,
    ) {
        let Some(known) = self.contexts.get_mut(context) else {
            return;
        };
        let Some(entry) = known.branch_mut(branch) else {
            return;
        };
        if !entry.is_pending() {
            // It was given up while it was out of reach; but if its user picked up, that counts.
            if let (200..=299, Some(response)) = (status, response) {
                self.accepted(now, context, branch, response);
            }
            return;
        }
        entry.state = BranchState::Final(status, response.cloned());
        known.breadth += std::mem::take(&mut entry.breadth);
        self.events.push_back(Event::BranchFinal {
            context: ContextId(context),
            branch: BranchId(branch),
            status,
            response: response.cloned(),
        });
        match (status, response) {
            (200..=299, Some(response)) => self.accepted(now, context, branch, response),
            (600..=699, _) => self.declined_everywhere(now, context, status),
            _ => {}
        }
        self.settle(now, context);
    }

    /// A 2xx: it goes upstream at once, whatever else is pending, and so does every further one to an INVITE.
    /// (To a non-INVITE too the first one goes at once, and not only when all branches have ended: the caller's own
    /// transaction would be over before a silent branch is.)
    fn accepted(&mut self, now: Instant, context: Key, branch: Key, response: &Message) {
        let Some(known) = self.contexts.get_mut(context) else {
            return;
        };
        if known.branch_mut(branch).is_some_and(|entry| entry.too_late) {
            return self.end_orphan(now, context, branch, response);
        }
        if known.done.is_some() {
            if known.invite && !self.forward_upstream(now, context, response) {
                self.end_orphan(now, context, branch, response);
            }
            return;
        }
        if known.invite {
            known.ending = Some(Ending {
                by_caller: false,
                reason: Some(ELSEWHERE.to_owned()),
            });
        }
        self.events.push_back(Event::ContextAnswered {
            context: ContextId(context),
            branch: BranchId(branch),
        });
        let status = response.status().unwrap_or(200);
        let upstream = upstream(response);
        self.complete(now, context, &upstream, status);
        self.cancel_pending(now, context, Some(branch), Some(ELSEWHERE));
    }

    /// A 6xx: nobody else shall ring on; it goes upstream when the others have ended (§16.7 step 5).
    fn declined_everywhere(&mut self, now: Instant, context: Key, status: u16) {
        let Some(known) = self.contexts.get_mut(context) else {
            return;
        };
        if !known.invite {
            return;
        }
        let reason = reason_value(status);
        known.ending.get_or_insert(Ending {
            by_caller: false,
            reason: Some(reason.clone()),
        });
        self.cancel_pending(now, context, None, Some(&reason));
    }

    /// The caller's CANCEL (§16.10).
    pub(crate) fn caller_cancelled(&mut self, now: Instant, context: Key, reason: Option<&str>) {
        let Some(known) = self.contexts.get_mut(context) else {
            return;
        };
        if known.done.is_some() {
            return;
        }
        known.ending = Some(Ending {
            by_caller: true,
            reason: reason.map(str::to_owned),
        });
        self.cancel_pending(now, context, None, reason);
        self.settle(now, context);
    }

    /// Sends the final response if it is time for it, and lets go of the context if all is over.
    pub(crate) fn settle(&mut self, now: Instant, context: Key) {
        let Some(known) = self.contexts.get(context) else {
            return;
        };
        let held = known.held && known.ending.is_none();
        if known.done.is_none() && !held && !known.must_wait() {
            self.conclude(now, context);
        }
        self.close_if_over(context);
    }

    fn conclude(&mut self, now: Instant, context: Key) {
        let Some(known) = self.contexts.get(context) else {
            return;
        };
        let txn = ServerTxn(known.server);
        let best = if known.ending.as_ref().is_some_and(|ending| ending.by_caller) {
            Some(Best::Status(487))
        } else if known.branches.is_empty() {
            Some(Best::Status(480))
        } else {
            // 408 never goes to a non-INVITE (RFC 4320 §4.2).
            best::best(
                known
                    .finals()
                    .filter(|(status, _)| known.invite || *status != 408),
            )
            // Nobody said anything.
            .or(known.invite.then_some(Best::Status(480)))
        };
        let response = match &best {
            Some(Best::Response(response)) => Some(upstream(response)),
            Some(Best::Status(status)) => self
                .response_to(txn, *status, "")
                .map(ResponseBuilder::build),
            None => None,
        };
        match response {
            Some(response) => self.complete(
                now,
                context,
                &response,
                response.status().unwrap_or_default(),
            ),
            None => self.done(context, 408),
        }
    }

    /// Sends the final response, which ends the context.
    pub(super) fn complete(&mut self, now: Instant, context: Key, response: &Message, status: u16) {
        let Some(known) = self.contexts.get(context) else {
            return;
        };
        let server = known.server;
        self.send_response(now, server, response, false);
        self.done(context, status);
    }

    fn done(&mut self, context: Key, status: u16) {
        let Some(known) = self.contexts.get_mut(context) else {
            return;
        };
        known.done = Some(status);
        if known.invite {
            known.ending.get_or_insert_with(|| Ending {
                by_caller: false,
                reason: Some(reason_value(status)),
            });
        }
        self.events.push_back(Event::ContextDone {
            context: ContextId(context),
            status,
        });
    }

    /// Passes a response on to the caller as it is, but for our Via. `false` if it can have no effect any more.
    fn forward_upstream(&mut self, now: Instant, context: Key, response: &Message) -> bool {
        let upstream = upstream(response);
        let server = self.contexts.get(context).map(|known| known.server);
        server.is_some_and(|server| self.send_response(now, server, &upstream, false))
    }

    /// The client transaction of one of its branches is over.
    pub(crate) fn branch_gone(&mut self, context: Key, branch: Key) {
        if let Some(known) = self.contexts.get_mut(context) {
            known.alive -= 1;
            if known.branch_mut(branch).is_some_and(|it| it.watched) {
                self.events.push_back(Event::BranchGone {
                    branch: BranchId(branch),
                });
            }
            self.close_if_over(context);
        }
    }

    fn close_if_over(&mut self, context: Key) {
        if let Some(known) = self.contexts.get_mut(context) {
            known.forget_messages();
        }
        let over = |known: &super::context::Context| {
            known.done.is_some() && !known.held && known.alive == 0
        };
        if self.contexts.get(context).is_some_and(over)
            && let Some(mut known) = self.contexts.remove(context)
        {
            self.wire.timers.stop(&mut known.guard);
        }
    }
}

/// The response without these; `None` if it has none of them.
fn without(response: &Message, off: &[HeaderName<'static>]) -> Option<Message> {
    if !off.iter().any(|name| response.has(*name)) {
        return None;
    }
    let edit = Edit::new(response);
    let edit = off.iter().fold(edit, |edit, name| edit.remove_all(*name));
    Some(edit.finish())
}

/// The response without our Via, and without what is nobody's business.
fn upstream(response: &Message) -> Message {
    let upstream = response.without_first_value(HeaderName::Via);
    let for_register = |cseq: crate::CSeq<'_>| cseq.method == Method::Register;
    if privacy::has_push_params(response) && !response.cseq().is_ok_and(for_register) {
        return privacy::without_push_params(Edit::new(&upstream)).finish();
    }
    upstream
}
