//! What the hub says to its role.

use super::{Role, ways::Waiting};
use crate::{bindings::Bound, messages::Messages, vocabulary::Output};
use domain::{Address, DoorId, Now};
use hub::{Directory, NotDone, Ticket};
use sip::Flow;

impl Role {
    pub(super) fn hub_says(&mut self, now: Now, directory: &Directory, output: hub::Output) {
        let (calls, mut line) = self.line(now);
        match output {
            hub::Output::Done(ticket, result) => self.done(now, directory, ticket, result),
            hub::Output::Closed(doors) => {
                for door in doors {
                    let user = self.bindings.get(&door).map(|bound| &bound.user);
                    if user.is_some_and(|user| !self.accounts.has(user)) {
                        self.hangs_up(now, &door);
                    }
                    self.messages.give_up(&door);
                    self.bindings.remove(&door);
                }
            }
            hub::Output::SignedOut(user) => self.signed_out(now, directory, &user),
            hub::Output::Ring(call, door) => match self.way_to(now, &door) {
                Some(way) => self.reach(now, Waiting::Ring(call, door), way),
                None => self.ring(now, call, door, None),
            },
            hub::Output::RingAgain(call, device) => calls.ring_again(&mut line, call, &device),
            hub::Output::ShowEnded(call, door, reason) => {
                calls.show_ended(&mut line, call, &door, reason);
            }
            hub::Output::EndFollows(call, door) => calls.end_follows(&mut line, call, &door),
            hub::Output::RingBack(call) => calls.ring_back(&mut line, call),
            hub::Output::CallOff(call) => calls.call_off(&mut line, call),
            hub::Output::CallOver(call) => calls.over(&mut line, call),
            hub::Output::GiveUp(call, verdict) => self.give_up(now, call, verdict),
            hub::Output::Send(door, message) => match self.way_to(now, &door) {
                Some(way) => self.reach(now, Waiting::Send(door, message), way),
                None => self.send(now, &door, &message, None),
            },
            hub::Output::Relay(door, message) => {
                let (bindings, settings) = (&self.bindings, &self.settings);
                let endpoint = &mut self.endpoint;
                Messages::relay(now, &door, &message, bindings, settings, endpoint);
            }
            hub::Output::Hibernate(door) => self.hibernate(now, &door),
            hub::Output::Watched(ticket, result) => self.watched(now, ticket, result),
            hub::Output::Show(showing) => self.presence.show(now, &showing),
            // For others than the role.
            hub::Output::Save(..)
            | hub::Output::Note(_)
            | hub::Output::Fetch(_)
            | hub::Output::FetchRoster(_)
            | hub::Output::LastSeen(..)
            | hub::Output::Tell(..)
            | hub::Output::Roster(..)
            | hub::Output::Count(..)
            | hub::Output::Push(_)
            | hub::Output::Answer(..)
            | hub::Output::Measured(_) => {}
        }
    }

    /// What was asked of the hub is kept, or not.
    pub(super) fn done(
        &mut self,
        now: Now,
        directory: &Directory,
        ticket: Ticket,
        result: Result<(), NotDone>,
    ) {
        if let Some(taken) = self.messages.done(ticket) {
            let flow = self.endpoint.asked(taken.txn).map(|(flow, _)| flow);
            if let Some(flow) = flow.filter(|_| result.is_ok()) {
                self.tells_edge(now, (taken.tracking, None), flow);
            }
            return self.answer_kept(now, taken.txn, result.map(|()| taken.answer));
        }
        let (bindings, dialogs) = (&mut self.bindings, &self.dialogs);
        let is_up = |flow: &Flow| dialogs.is_up(flow);
        let done = self.registrations.done(ticket, result, bindings, is_up);
        let Some(done) = done else {
            return;
        };
        self.answer_kept(now, done.txn, done.response);
        self.presence.way_is_open(now, &done.user);
        for door in done.lost {
            self.bindings.detach(&door);
            self.lost(door);
        }
        for register in done.waiting {
            self.registers(now, directory, register);
        }
    }

    /// Whoever was this user is nobody any more: what its phones see and say ends, its doors are closed, and its connections end,
    /// until a phone shows again who it is.
    fn signed_out(&mut self, now: Now, directory: &Directory, user: &Address) {
        let told = self.presence.signed_out(now, &mut self.endpoint, user);
        self.tell(told);
        // They hear of it before their connections end.
        self.notifies(now, directory);
        self.transmits();
        self.close_doors(now, directory, user);
        for flow in self.gate.sign_ins.left_by(user, &self.accounts) {
            // A server speaks for others as well, who have not signed in over it.
            if self.gate.trusts(flow) {
                continue;
            }
            tracing::info!(%user, from = %flow.remote, "whoever signed in over this connection is signed out");
            self.out.push_back(Output::Close(flow));
            self.flow_closed(now, flow);
        }
    }

    /// All doors of a user are closed that phones have opened.
    fn close_doors(&mut self, now: Now, directory: &Directory, user: &Address) {
        let of_user = directory.of(user).flat_map(|entry| {
            let doors = entry.doors.iter().map(|open| open.number);
            doors.map(|number| DoorId {
                device: entry.device.id.clone(),
                number,
            })
        });
        let closed: Vec<_> = of_user
            .filter(|door| self.bindings.get(door).is_some())
            .collect();
        for door in &closed {
            tracing::info!(%door, "whoever registered so is signed out");
            self.messages.give_up(door);
            self.hangs_up(now, door);
        }
        if !closed.is_empty() {
            let (ticket, opened) = (self.ticket(), Vec::new());
            self.tell([hub::Input::Doors(hub::Doors {
                ticket,
                user: user.clone(),
                opened,
                closed,
            })]);
        }
    }

    /// The connection behind a door ends, or only that door's way over it if it is others' as well.
    fn hangs_up(&mut self, now: Now, door: &DoorId) {
        let bound = self.bindings.get(door);
        let Some((flow, user)) = bound.and_then(|it| Some((it.flow()?, &it.user))) else {
            return;
        };
        let sign_ins = &self.gate.sign_ins;
        let is_others =
            self.bindings.shares_connection(door) || sign_ins.is_shared(flow, user, &self.accounts);
        if is_others {
            self.bindings.detach(door);
            self.lost(door.clone());
        } else if flow.transport.is_reliable() {
            self.out.push_back(Output::Close(flow));
            self.flow_closed(now, flow);
        }
    }

    /// Whoever is behind the door does not answer: what is left of its connection goes.
    pub(super) fn hibernate(&mut self, now: Now, door: &DoorId) {
        let Some(flow) = self.messages.connection(door) else {
            return;
        };
        if self.bindings.get(door).and_then(Bound::flow) != Some(flow) {
            return;
        }
        tracing::info!(%door, from = %flow.remote, "the device does not answer: it is suspended");
        self.hangs_up(now, door);
    }
}
