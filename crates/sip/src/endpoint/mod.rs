//! The endpoint: transaction layer, user agent and proxy in one machine, which the server's call role and the
//! simulated phone both drive. It is told what arrived and what time it is, and says what to send and what its owner
//! must know; sockets, clocks and decisions about users are not its affair.
//!
//! ```text
//! handle(now, Input) ─┐                     ┌─ poll_transmit() -> octets for a flow
//! handle_timeout(now) ├─> transactions,     ├─ poll_event()    -> what the owner must know
//! respond, request,   │   response contexts ├─ next_timeout()  -> when to call handle_timeout
//! open, fork, finish ─┘                     ┘
//! ```
//!
//! After every call the owner drains [`Endpoint::poll_transmit`] and [`Endpoint::poll_event`] to the end: the queues
//! behind them hold no more than what one call brought about.
//!
//! ```
//! # use sip::{Limits, Message, endpoint::{Config, Endpoint, Event, Flow, Input, Transport}};
//! # fn now() -> std::time::Instant { std::time::Instant::now() }
//! let mut endpoint = Endpoint::new(Config::new(*b"unlike any other"));
//! let flow = Flow {
//!     transport: Transport::Udp,
//!     local: "192.0.2.1:5060".parse()?,
//!     remote: "192.0.2.9:5070".parse()?,
//!     id: 0,
//! };
//! let request = "OPTIONS sip:us.example SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1;rport\r\n\
//!     From: <sip:a@them.example>;tag=1\r\n\
//!     To: <sip:us.example>\r\n\
//!     Call-ID: 1@them.example\r\n\
//!     CSeq: 1 OPTIONS\r\n\r\n";
//! let message = Message::parse(request.into(), &Limits::default())?;
//! endpoint.handle(now(), Input::Received { flow, message });
//! while let Some(event) = endpoint.poll_event() {
//!     if let Event::Request { txn, .. } = event {
//!         endpoint.answer(now(), txn, 200, "");
//!     }
//! }
//! let answer = endpoint.poll_transmit().expect("an answer");
//! assert_eq!(answer.flow, flow);
//! assert!(answer.bytes.starts_with(b"SIP/2.0 200 OK\r\nVia: "));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agent;
mod arrival;
mod config;
mod flows;
mod outcome;
mod receive;
mod strangers;
mod tables;
mod types;

use std::time::Instant;

pub use config::{Config, IsOurs, TableLimits};
pub(crate) use flows::GIVEN_UP;
pub use strangers::may_be_answered;
pub use tables::{Endpoint, Load};
pub use types::{BranchId, ClientTxn, ContextId, Event, Input, Overload, ServerTxn};

pub use crate::transport::{Flow, Transmit, Transport};

pub use crate::proxy::{ForkError, HeaderChange, Refused, Target};
pub use crate::transaction::Timers;
pub use crate::transaction::holders::{Crowded, Holder};

use crate::transaction::Due;

impl Endpoint {
    /// Takes in what happened. `now` never goes back from one call to the next.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Received { flow, message } if message.is_request() => {
                self.receive_request(now, flow, &message);
            }
            Input::Received { flow, message } => self.receive_response(now, flow, &message),
            Input::FlowFailed { flow } => self.flow_failed(now, flow),
        }
    }

    /// Does what is due. Call it at [`Endpoint::next_timeout`]; later is harmless, earlier does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.answered.forget(now);
        while let Some(due) = self.wire.timers.pop(now) {
            match due {
                Due::Client(key, timer) => {
                    let Some(client) = self.clients.get_mut(key) else {
                        continue;
                    };
                    if let Some(status) = client.expired(now, &mut self.wire, timer) {
                        self.client_failed(now, key, status);
                    }
                    self.reap_client(key);
                }
                Due::Server(key, timer) => {
                    let Some(server) = self.servers.get_mut(key) else {
                        continue;
                    };
                    if server.expired(now, &mut self.wire, timer) {
                        self.events.push_back(Event::AckMissing {
                            txn: ServerTxn(key),
                        });
                    }
                    self.tell_missed(key);
                    self.reap_server(key);
                }
                Due::Context(key) => self.guard_expired(now, key),
            }
        }
    }

    /// When [`Endpoint::handle_timeout`] is to be called; `None` while there is nothing to wait for.
    pub fn next_timeout(&self) -> Option<Instant> {
        let timer = self.wire.timers.next();
        timer.into_iter().chain(self.answered.next()).min()
    }

    /// The next message to send. Messages to one flow must leave in this order.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.wire.out.pop_front()
    }

    /// The next thing that the owner must know, in the order in which they happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
