//! What becomes of a call that no device will answer: it goes to the user's fallback, once; else its caller gets the best
//! answer that there was.

use super::{Calls, FallingBack, NOT_ANSWERED};
use crate::{
    line::Line,
    reach::Way,
    requests::TRACKING,
    requests::{headers_off, off_responses},
    token::End,
};
use domain::wake::Verdict;
use hub::{Accounts, CallId};
use sip::{
    Flow, Uri,
    endpoint::{ContextId, HeaderChange, Target},
};

/// The last resort of a call.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Resort {
    /// There is none: the caller was answered.
    None,
    /// It goes to this address of ours, by a request to ourselves.
    Ours(String),
    /// It goes to this URI, as soon as there is a flow.
    Outside(String, Way),
}

impl Calls {
    /// Nobody will answer. Says where the call goes now.
    pub(crate) fn give_up(
        &mut self,
        line: &mut Line<'_>,
        id: CallId,
        verdict: Verdict,
        accounts: &Accounts,
    ) -> Resort {
        let Some(call) = self.by_id.get_mut(&id) else {
            return Resort::None;
        };
        let unused = !call.forwarded && call.falling_back == FallingBack::Unused;
        call.falling_back = FallingBack::Sought(verdict);
        let user = accounts.get(&call.callee);
        let forward = user.and_then(|user| user.forward.clone());
        let uri = forward.or_else(|| line.settings.fallback.clone());
        let Some(uri) = uri.filter(|_| unused) else {
            answer_unreached(line, call.context, verdict);
            return Resort::None;
        };
        let why = match Uri::parse(&uri) {
            None => "it is no SIP URI",
            Some(parsed) => match line.settings.local_address(&parsed) {
                None => {
                    let way = Way::of(&parsed);
                    return Resort::Outside(uri, way);
                }
                Some(address) if address == call.callee => "it is the user who does not answer",
                Some(address) if !accounts.has(&address) => "there is no such user",
                Some(_) => return Resort::Ours(uri),
            },
        };
        let remedy = "mend the user's forward or call.fallback";
        tracing::error!(fallback = uri, why, remedy, "a call has no fallback");
        answer_unreached(line, call.context, verdict);
        Resort::None
    }

    /// The fallback is reached over this flow, or cannot be.
    pub(crate) fn fall_back(
        &mut self,
        line: &mut Line<'_>,
        id: CallId,
        uri: &str,
        flow: Option<Flow>,
    ) {
        let Some(call) = self.by_id.get_mut(&id).filter(|call| !call.done) else {
            return;
        };
        let FallingBack::Sought(verdict) = call.falling_back else {
            return;
        };
        let Some(flow) = flow else {
            let remedy = "mend the user's forward or call.fallback";
            tracing::error!(fallback = uri, remedy, "its host cannot be found");
            return answer_unreached(line, call.context, verdict);
        };
        let end = End {
            flow,
            user: None,
            device: None,
        };
        let mut headers = headers_off(&line.settings.domains, call.trusted);
        if flow == line.settings.spiral() {
            let tracking = call.tracking.as_str().to_owned();
            headers.push(HeaderChange::Set(TRACKING, tracking));
        }
        let target = Target {
            record_route: Some(line.dialogs.record_route(line.now, &call.caller, end)),
            headers,
            off_responses: off_responses(
                flow == line.settings.spiral() || line.settings.trusts(flow),
            ),
            ..Target::new(uri, flow)
        };
        match line.endpoint.fork(line.now.instant, call.context, &target) {
            Ok(branch) => call.falling_back = FallingBack::Called(branch),
            Err(error) => {
                tracing::warn!(%error, "the fallback could not be called");
                answer_unreached(line, call.context, verdict);
            }
        }
    }
}

/// What a device said itself goes first; else the user is unavailable.
fn answer_unreached(line: &mut Line<'_>, context: ContextId, verdict: Verdict) {
    let now = line.now.instant;
    if verdict == Verdict::Declined {
        line.endpoint.finish_best(now, context, NOT_ANSWERED);
    } else {
        line.endpoint.finish(now, context, 480, Some(NOT_ANSWERED));
    }
}
