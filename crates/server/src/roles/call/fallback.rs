//! What becomes of a call that no device will answer: it goes to the user's fallback, once; else its caller gets the best
//! answer that there was.

use super::{CallRole, Inbox, call_table::Fallback, calls::NOT_ANSWERED, dialog::way_of};
use domain::{Address, trace::Step, wake::Verdict};
use sip::{
    Transport, Uri,
    endpoint::{ContextId, Target},
};
use std::net::SocketAddr;

/// Where a fallback is.
enum Place {
    /// Another user of ours.
    User(Address),
    /// Outside, at this host.
    Outside {
        transport: Transport,
        host: String,
        port: u16,
    },
}

impl CallRole {
    /// Nobody will answer.
    pub(super) fn give_up(&mut self, context: ContextId) {
        let Some(uri) = self.take_fallback(context) else {
            return self.answer_unreached(context);
        };
        match self.find_fallback(context, &uri) {
            Ok(Place::User(address)) => {
                self.trace_call(context, Step::Fallback, None, uri);
                self.wake(context, &address);
            }
            Ok(Place::Outside {
                transport,
                host,
                port,
            }) => {
                self.trace_call(context, Step::Fallback, None, uri.as_str());
                self.look_up(context, uri, transport, host, port);
            }
            Err(why) => {
                let remedy = "mend the user's forward or call.fallback";
                tracing::error!(fallback = uri, why, remedy, "a call has no fallback");
                self.answer_unreached(context);
            }
        }
    }

    /// The fallback of a call that was not at one yet.
    fn take_fallback(&mut self, context: ContextId) -> Option<String> {
        let unused = |fallback: Fallback| fallback == Fallback::Unused;
        let call = self.calls.get_mut(context)?;
        let first = unused(std::mem::replace(&mut call.fallback, Fallback::Taken));
        let user = self.location.user(call.callee()?);
        let forward = user.and_then(|user| user.forward.clone());
        forward
            .or_else(|| self.settings.fallback.clone())
            .filter(|_| first)
    }

    fn find_fallback(&self, context: ContextId, uri: &str) -> Result<Place, &'static str> {
        let uri = Uri::parse(uri).ok_or("it is no SIP URI")?;
        let Some(address) = self.local_address(&uri) else {
            let (transport, port) = way_of(&uri);
            let host = uri.host.trim_matches(['[', ']']).to_owned();
            return Ok(Place::Outside {
                transport,
                host,
                port,
            });
        };
        let call = self.calls.get(context).ok_or("the call is over")?;
        if self.location.user(&address).is_none() {
            Err("there is no such user")
        } else if call.is_for(&address) {
            Err("it is the user who does not answer")
        } else {
            Ok(Place::User(address))
        }
    }

    /// Calls a fallback outside as soon as its address is known.
    fn look_up(
        &mut self,
        context: ContextId,
        uri: String,
        transport: Transport,
        host: String,
        port: u16,
    ) {
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            let found = net::resolve(&host, port).await;
            let address = found.ok().and_then(|found| found.first().copied());
            let word = Inbox::Resolved {
                context,
                uri,
                transport,
                host,
                address,
            };
            // The role may have stopped.
            let _ = inbox.send(word).await;
        });
    }

    pub(super) fn fall_back_to(
        &mut self,
        context: ContextId,
        uri: &str,
        transport: Transport,
        host: &str,
        address: Option<SocketAddr>,
    ) {
        let Some(caller) = self
            .calls
            .get(context)
            .filter(|call| !call.done)
            .map(|call| call.caller)
        else {
            return;
        };
        let Some(address) = address else {
            let remedy = "mend the user's forward or call.fallback";
            tracing::error!(fallback = uri, remedy, "its host cannot be found");
            return self.answer_unreached(context);
        };
        let flow = self.net.connect_named(transport, address, host);
        let target = Target {
            record_route: Some(self.record_route(caller, flow)),
            headers: self.headers_off(caller.flow),
            ..Target::new(uri, flow)
        };
        match self.endpoint.fork(self.now.instant, context, &target) {
            Ok(branch) => {
                if let Some(call) = self.calls.get_mut(context) {
                    call.fallback = Fallback::Called(branch);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the fallback could not be called");
                self.answer_unreached(context);
            }
        }
    }

    /// What a device said itself goes first; else the user is unavailable.
    fn answer_unreached(&mut self, context: ContextId) {
        let verdict = self
            .calls
            .get(context)
            .and_then(super::call_table::Call::verdict);
        if verdict == Some(Verdict::Declined) {
            self.answer_with_best(context);
        } else {
            self.endpoint
                .finish(self.now.instant, context, 480, Some(NOT_ANSWERED));
        }
    }

    pub(super) fn answer_with_best(&mut self, context: ContextId) {
        self.endpoint
            .finish_best(self.now.instant, context, NOT_ANSWERED);
    }
}
