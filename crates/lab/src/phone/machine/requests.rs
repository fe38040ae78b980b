//! Requests of ours and what becomes of them: sent, challenged, sent again, answered or not.

use sip::endpoint::ClientTxn;
use sip::{Edit, HeaderName, Message, Method, RequestBuilder};

use super::auth::answer_once;
use super::call::State;
use super::registration::user_agent;
use super::{OrderId, Phone, PhoneError};

/// Requests of ours without a final answer; a further one is refused.
const MOST_OUTGOING: usize = 256;

/// A request of ours that waits for its final answer.
pub(super) struct Outgoing {
    pub(super) request: Message,
    /// How often it was sent, each time with better credentials.
    pub(super) round_trips: u32,
    pub(super) purpose: Purpose,
}

impl Outgoing {
    /// A request that was not sent before.
    pub(super) fn first(request: Message, purpose: Purpose) -> Self {
        Self {
            request,
            round_trips: 1,
            purpose,
        }
    }
}

/// Why a request was not sent.
pub(super) const NO_CONNECTION: &str = "No Connection";

pub(super) enum Purpose {
    Register,
    /// The INVITE of this call.
    Invite(String),
    /// Another INVITE within this call.
    Renew(String),
    Bye,
    Message(OrderId),
}

impl Phone {
    pub(super) fn on_response(&mut self, txn: ClientTxn, response: &Message) {
        let status = response.status().unwrap_or_default();
        // Kept: a repeated 2xx wants its ACK again.
        match self.outgoing.get(&txn).map(|sent| &sent.purpose) {
            Some(Purpose::Invite(call)) if status < 300 => {
                let call = call.clone();
                return if status < 200 {
                    self.on_progress(&call, status);
                } else {
                    self.on_answered(&call, response);
                };
            }
            Some(Purpose::Renew(call)) if (200..300).contains(&status) => {
                let call = call.clone();
                return self.on_renewed(&call, response);
            }
            _ if status < 200 => return,
            _ => {}
        }
        let Some(sent) = self.outgoing.remove(&txn) else {
            return;
        };
        match sent.purpose {
            Purpose::Register => self.on_register_response(sent, response),
            _ if matches!(status, 401 | 407) && sent.round_trips == 1 => {
                self.send_with_credentials(sent, response);
            }
            Purpose::Message(order) if status < 300 => {
                self.on_message_sent(&sent.request, status, order);
            }
            _ => self.on_failed(sent, status, &String::from_utf8_lossy(response.reason())),
        }
    }

    pub(super) fn on_failed(&mut self, sent: Outgoing, status: u16, reason: &str) {
        let reason = reason.to_owned();
        match sent.purpose {
            Purpose::Register => self.registration_failed(status, reason),
            Purpose::Invite(call) => self.on_call_failed(&call, status, reason),
            Purpose::Message(order) => {
                self.done(order, Err(PhoneError::Refused { status, reason }));
            }
            Purpose::Renew(call) => self.on_not_renewed(&call, status),
            Purpose::Bye => {}
        }
    }

    /// Sends a request of ours; what becomes of it finds its way by `purpose`.
    pub(super) fn send(&mut self, outgoing: Outgoing) -> Option<ClientTxn> {
        let session = self.session.as_mut()?;
        let why = if session.flow().is_none() {
            NO_CONNECTION
        } else {
            "Too Many Requests At Once"
        };
        let sent = if self.outgoing.len() < MOST_OUTGOING {
            session.request(self.now, &outgoing.request)
        } else {
            None
        };
        match sent {
            Some(txn) => {
                self.outgoing.insert(txn, outgoing);
            }
            None => self.on_failed(outgoing, 503, why),
        }
        sent
    }

    /// The call's INVITEs need no more answers.
    pub(super) fn forget_invite(&mut self, call: &str) {
        self.outgoing.retain(|_, sent| match &sent.purpose {
            Purpose::Invite(of) | Purpose::Renew(of) => of != call,
            _ => true,
        });
    }

    /// The session is gone, and with it all answers.
    pub(super) fn forget_outgoing(&mut self) {
        for (_, sent) in std::mem::take(&mut self.outgoing) {
            if let Purpose::Message(order) = sent.purpose {
                self.done(order, Err(PhoneError::NotRunning));
            }
        }
    }

    /// A request of ours outside of any dialog, without its body.
    pub(super) fn begin_request(
        &mut self,
        method: Method<'_>,
        uri: &str,
        call_id: &str,
    ) -> RequestBuilder {
        let from = self.config.name_and_address();
        let tag = self.rng.hex(6);
        RequestBuilder::new(method, uri)
            .header(HeaderName::From, format!("{from};tag={tag}"))
            .header(HeaderName::To, format!("<{uri}>"))
            .header(HeaderName::CallId, call_id)
            .header(HeaderName::CSeq, format!("1 {method}"))
            .header(HeaderName::UserAgent, user_agent(&self.config))
    }

    /// Sends a challenged request again, with the credentials that the server asked for.
    fn send_with_credentials(&mut self, sent: Outgoing, response: &Message) {
        let request = &sent.request;
        let method = request.method().unwrap_or(Method::Options);
        let uri = request.request_uri();
        let credentials = answer_once(response, &self.config, method, uri, &mut self.rng);
        let (Some((header, credentials)), Ok(cseq)) = (credentials, request.cseq()) else {
            let status = response.status().unwrap_or_default();
            return self.on_failed(sent, status, "no challenge that can be answered");
        };
        let cseq = cseq.number + 1;
        let again = Edit::new(request)
            .set(HeaderName::CSeq, format!("{cseq} {method}"))
            .set(header, credentials)
            .finish();
        let call = match &sent.purpose {
            Purpose::Invite(call) => call.clone(),
            _ => String::new(),
        };
        let txn = self.send(Outgoing {
            request: again,
            round_trips: sent.round_trips + 1,
            purpose: sent.purpose,
        });
        if let (Some(call), Some(txn)) = (self.calls.get(&call), txn) {
            call.cseq = cseq;
            call.state = State::Calling { txn };
        }
    }
}
