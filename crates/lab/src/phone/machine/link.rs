//! The connection to the server: opened, broken, given up, and what of it waits while the app is frozen.

use std::collections::VecDeque;

use sip::endpoint::Transport;

use super::session::{Connection, Session};
use super::{ConnectionId, Link, Output, Phone, PhoneEvent};
use crate::phone::chat;

/// Messages that wait for a frozen app. A further datagram is dropped; a stream whose reader does not read is lost.
const MOST_FROZEN: usize = 256;

/// What came over the connection of a frozen app, in its order.
pub(super) type Frozen = VecDeque<Link>;

impl Phone {
    pub(super) fn on_link(&mut self, link: Link) {
        if self.is_frozen() {
            return self.keep_frozen(link);
        }
        let registering = self.registration.is_under_way();
        // A registration that was under way has failed with the connection, and is tried again for that.
        if self.take_in(link) && !registering {
            self.retry_registration();
        }
    }

    /// Reads what came while the app was frozen.
    pub(super) fn catch_up(&mut self) {
        while let Some(link) = self.frozen.pop_front() {
            self.take_in(link);
        }
    }

    fn keep_frozen(&mut self, link: Link) {
        let Link::Received { flow, .. } = &link else {
            // A handful: each connection has one end.
            return self.frozen.push_back(link);
        };
        let flow = *flow;
        if self.frozen.len() < MOST_FROZEN {
            self.frozen.push_back(link);
        } else if flow.transport != Transport::Udp
            && self.session.as_ref().and_then(Session::flow) == Some(flow)
        {
            self.leave_connection(|connection| Output::Close { connection });
            self.frozen.push_back(Link::Closed { flow });
        }
    }

    /// True if it was the end of the connection.
    fn take_in(&mut self, link: Link) -> bool {
        let Some(session) = &mut self.session else {
            return false;
        };
        match link {
            Link::Opened { connection, flow } => {
                if session.connection == Connection::Opening(connection) {
                    session.opened(connection, flow);
                    self.register_over_new_connection();
                }
            }
            Link::NotOpened { connection, why } => {
                if session.connection == Connection::Opening(connection) {
                    session.connection = Connection::Down;
                    self.registration_failed(503, why);
                }
            }
            Link::Received { flow, message } => {
                if session.owns(flow) {
                    session.received(self.now, flow, message);
                }
            }
            Link::Closed { flow } => {
                let lost = flow.transport != Transport::Udp && session.owns(flow);
                if lost {
                    session.connection = Connection::Down;
                }
                session.flow_failed(self.now, flow);
                self.settle();
                if lost {
                    self.note(PhoneEvent::ConnectionLost);
                }
                return lost;
            }
        }
        self.settle();
        false
    }

    /// Starts the app's session, whose connection opens meanwhile.
    pub(super) fn open_session(&mut self) {
        let seed = self.rng.bytes();
        let connection = self.ask_for_connection();
        self.session = Some(Session::new(seed, connection));
    }

    /// Opens a connection anew, if there is none and none is being opened.
    pub(super) fn reconnect(&mut self) {
        if let Some(session) = &self.session
            && session.connection == Connection::Down
        {
            let connection = self.ask_for_connection();
            if let Some(session) = &mut self.session {
                session.connection = Connection::Opening(connection);
            }
        }
    }

    fn ask_for_connection(&mut self) -> ConnectionId {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        self.outputs.push_back(Output::Connect { connection });
        connection
    }

    /// Gives the connection up; `how` is the word for it.
    pub(super) fn leave_connection(&mut self, how: impl FnOnce(ConnectionId) -> Output) {
        self.transmit();
        let Some(session) = &mut self.session else {
            return;
        };
        if let Connection::Opening(connection) | Connection::Up(connection, _) =
            std::mem::replace(&mut session.connection, Connection::Down)
        {
            self.outputs.push_back(how(connection));
        }
    }

    /// The same, and what waited for an answer over it fails.
    pub(super) fn fail_connection(&mut self, how: impl FnOnce(ConnectionId) -> Output) {
        let flow = self.session.as_ref().and_then(Session::flow);
        self.leave_connection(how);
        if let (Some(session), Some(flow)) = (&mut self.session, flow) {
            session.flow_failed(self.now, flow);
            self.settle();
        }
    }

    /// Another network: the old address is gone at once, and nobody there is told.
    pub(super) fn change_network(&mut self) {
        self.note(PhoneEvent::NetworkChanged);
        if self.is_frozen() {
            self.cut_chat(chat::Output::Abandon);
        } else {
            self.order_chat(chat::Order::Move);
        }
        let Some(session) = &self.session else {
            return;
        };
        if self.is_frozen() {
            let flow = session.flow();
            self.leave_connection(|connection| Output::Abandon { connection });
            self.frozen.extend(flow.map(|flow| Link::Closed { flow }));
        } else {
            self.fail_connection(|connection| Output::Abandon { connection });
            // A registration that waits for its connection goes on waiting, for the new one.
            self.reconnect();
            self.register(None);
        }
    }
}
