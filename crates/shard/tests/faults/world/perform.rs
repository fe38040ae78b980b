//! What shards want done, done at once: by peers' inboxes, the map, the table, and each other.

use super::World;
use call::{ReachId, Way, is_spiral};
use domain::Note;
use shard::{Input, Output, steer};
use sip::{Flow, Limits, Message, Transport};
use std::net::SocketAddr;

impl World {
    /// The store says what it held back.
    pub(crate) fn store_answers(&mut self) {
        for (shard, id, result) in self.store.answers() {
            self.inputs.push_back((shard, Input::Saved(id, result)));
        }
        self.settle();
    }

    /// What was asked for while it took its time is there.
    pub(crate) fn reached(&mut self) {
        self.reaching = false;
        self.inputs.extend(self.reached.drain(..));
        self.settle();
    }

    /// The relay says what it held back.
    pub(crate) fn relay_answers(&mut self) {
        for (shard, id, answer) in self.relay.answers() {
            self.inputs.push_back((shard, Input::Relayed(id, answer)));
        }
        self.settle();
    }

    /// The cloud says what it held back.
    pub(crate) fn cloud_answers(&mut self) {
        for (shard, pushed) in self.cloud.answers() {
            self.inputs.push_back((shard, Input::Pushed(pushed)));
        }
        self.settle();
    }

    pub(super) fn settle(&mut self) {
        while let Some((shard, input)) = self.inputs.pop_front() {
            self.shards[shard].handle(self.now, input);
            self.perform(shard);
        }
    }

    pub(super) fn perform(&mut self, shard: usize) {
        while let Some(output) = self.shards[shard].poll() {
            let input = match output {
                Output::Transmit(transmit) => {
                    self.transmit(transmit.flow, &transmit.bytes);
                    continue;
                }
                Output::Close(flow) => {
                    self.open.remove(&flow);
                    self.closed(flow);
                    continue;
                }
                Output::Reach(id, way) => {
                    let reached = self.reach(id, way);
                    if self.reaching {
                        self.reached.push((shard, reached));
                        continue;
                    }
                    reached
                }
                Output::Relay(id, description) => match self.relay.asked(shard, id, *description) {
                    Some(answer) => Input::Relayed(id, answer),
                    None => continue,
                },
                Output::RelayEnds(over) => {
                    self.relay.ended.push(over.leg);
                    self.relay.hung_up.extend(over.dialog);
                    continue;
                }
                Output::Save(id, changes) => match self.store.save(shard, id, changes) {
                    Some((_, id, result)) => Input::Saved(id, result),
                    None => continue,
                },
                Output::Fetch(device) => {
                    let head = self.store.head(&device);
                    Input::Fetched(device, Some(head))
                }
                Output::Count(push, device, message) => {
                    let unread = self.store.unread(&device, message.as_ref());
                    Input::Counted(push, Some(unread))
                }
                Output::FetchRoster(user) => {
                    let contacts = self.store.roster(&user);
                    Input::RosterRead(user, Some(contacts))
                }
                Output::Tell(user, word) => {
                    let owner = self.shard_of(&user);
                    self.inputs.push_back((owner, Input::Told(user, word)));
                    continue;
                }
                Output::Push(order) => match self.cloud.push(shard, *order) {
                    Some(pushed) => Input::Pushed(pushed),
                    None => continue,
                },
                Output::Note(Note::Story(event)) => {
                    self.story.push(event);
                    continue;
                }
                Output::Answer(ticket, answer) => {
                    self.answers.insert(ticket, answer);
                    continue;
                }
                Output::Measured(hub::Measure::Refused(why)) | Output::Refused(_, why) => {
                    *self.refused.entry(why).or_default() += 1;
                    continue;
                }
                // Nobody here speaks XMPP.
                Output::Im(_)
                | Output::Note(Note::History(_))
                | Output::Measured(_)
                | Output::Request(..)
                | Output::RegisterToInvite(_) => continue,
            };
            self.inputs.push_back((shard, input));
        }
    }

    fn transmit(&mut self, flow: Flow, bytes: &bytes::Bytes) {
        let message = Message::parse(bytes.clone(), &Limits::default()).unwrap();
        if is_spiral(flow) {
            let shard = steer(&self.settings, &message, self.shards.len());
            self.inputs
                .push_back((shard, Input::Received(flow, message)));
        } else if flow.transport.is_reliable() && !self.open.contains(&flow) {
            self.closed(flow);
        } else {
            self.inboxes.entry(flow).or_default().push_back(message);
        }
    }

    fn reach(&mut self, id: ReachId, way: Way) -> Input {
        let found = match way {
            Way::Address {
                transport: Transport::Udp,
                address,
                ..
            } => Some(self.flow(Transport::Udp, address, 0)),
            Way::Address {
                transport, address, ..
            } => self.dial(transport, address),
            Way::Host {
                transport,
                host,
                port,
                at,
            } => {
                let ip = self.hosts.get(&host).copied();
                let ip = ip.filter(|ip| at.is_none_or(|at| at == *ip));
                ip.and_then(|ip| self.dial(transport, SocketAddr::new(ip, port)))
            }
            Way::Device {
                user,
                device,
                flow,
                since,
            } => self.shards[self.shard_of(&user)].find(&user, device.as_ref(), flow, since),
        };
        Input::Reached(id, found)
    }

    fn dial(&mut self, transport: Transport, address: SocketAddr) -> Option<Flow> {
        let is_it = |it: &Flow| it.transport == transport && it.remote == address;
        let there = self.open.iter().copied().find(is_it);
        let listens = self.listening.contains(&address);
        there.or_else(|| listens.then(|| self.connect(transport, address)))
    }
}
