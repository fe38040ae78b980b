//! What becomes of a call that no device will answer: it goes to the user's fallback, once; else its caller gets the best
//! answer that there was.

use super::{Call, Calls, FallingBack, NOT_ANSWERED};
use crate::{
    line::Line,
    media::Through,
    reach::Way,
    requests::TRACKING,
    requests::{headers_off, off_responses},
    token::End,
};
use domain::wake::Verdict;
use hub::{Accounts, CallId};
use sip::{
    Flow, HeaderName, Uri,
    endpoint::{HeaderChange, Target},
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
            answer_unreached(line, call, verdict);
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
        answer_unreached(line, call, verdict);
        Resort::None
    }

    /// The fallback is reached over this flow, or cannot be.
    pub(crate) fn fall_back(
        &mut self,
        line: &mut Line<'_>,
        id: CallId,
        uri: &str,
        way: Option<(Flow, Option<Through>)>,
    ) {
        let (flow, through) = way.unzip();
        let through = through.flatten();
        let sought = self.by_id.get_mut(&id).filter(|call| !call.done);
        let sought = sought.and_then(|call| match call.falling_back {
            FallingBack::Sought(verdict) => Some((call, verdict)),
            _ => None,
        });
        let Some((call, verdict)) = sought else {
            if let Some(through) = through {
                line.legs.end(&through.leg);
            }
            return;
        };
        let Some(flow) = flow else {
            if call.unsent.is_none() {
                let remedy = "mend the user's forward or call.fallback";
                tracing::error!(fallback = uri, remedy, "its host cannot be found");
            }
            return answer_unreached(line, call, verdict);
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
        match line.fork(call.context, Ok(target), through) {
            Ok((branch, _)) => call.falling_back = FallingBack::Called(branch),
            Err(error) => {
                tracing::warn!(error, "the fallback could not be called");
                answer_unreached(line, call, verdict);
            }
        }
    }
}

/// What a device said itself goes first; else the user is unavailable, or somebody could not be called for want of a relay.
fn answer_unreached(line: &mut Line<'_>, call: &Call, verdict: Verdict) {
    let (now, context) = (line.now.instant, call.context);
    if verdict == Verdict::Declined {
        return line.endpoint.finish_best(now, context, NOT_ANSWERED);
    }
    let unsent = call.unsent.and_then(|why| {
        let response = line.endpoint.response_in(context, 503, "No Media Relay")?;
        Some(response.header(HeaderName::Reason, why).build())
    });
    match unsent {
        Some(response) => {
            let endpoint = &mut *line.endpoint;
            endpoint.finish_with(now, context, &response, Some(NOT_ANSWERED));
        }
        None => line.endpoint.finish(now, context, 480, Some(NOT_ANSWERED)),
    }
}
