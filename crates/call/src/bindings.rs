//! What is behind each door: the Contact as registered, and the flow over which it is reached. The hub knows that there
//! is a door; only this knows where it leads.

use crate::{
    earlier,
    flows::{self, Flows},
    reach::Way,
    settings::Settings,
};
use bytes::Bytes;
use domain::{
    Address, DeviceId, Door, DoorId, DoorState,
    table::{Index, Place, Rows},
};
use sip::{Flow, Transport, registrar::Binding};
use smallvec::SmallVec;
use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
};

/// Of so many devices it is remembered which flow they have left; the oldest are forgotten.
const LEFT: usize = 100_000;
/// Of each door so many flows that it has left are kept over a restart; the oldest are forgotten.
const KEPT: usize = 4;
/// The form of what the store keeps.
const VERSION: u8 = 2;

/// A binding and the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) binding: Binding,
    /// Whose it is.
    pub(crate) user: Address,
    /// How it was reached last.
    pub(crate) flow: Flow,
    /// Whether that way is there.
    pub(crate) is_up: bool,
    /// How it was reached before, the oldest first: dialogs that began there follow it.
    pub(crate) left: Flows,
}

impl Bound {
    /// How it is reached now.
    pub(crate) fn flow(&self) -> Option<Flow> {
        Some(self.flow).filter(|_| self.is_up)
    }

    /// Where it is dialled while no connection leads to it (`behaviour.md` 5.12, RFC 3261 §16.6 item 7): at its Contact. But
    /// a phone that is woken comes by itself (RFC 8599 §5.6.1), and a flow of Outbound or of a proxy is for those at its
    /// other end to make anew (RFC 5626 §7).
    pub(crate) fn to_dial(&self, settings: &Settings) -> Option<Way> {
        let binding = &self.binding;
        if self.is_up
            || binding.reg_id.is_some()
            || binding.push().is_some()
            || self.is_behind_a_proxy()
        {
            return None;
        }
        Way::to_peer(binding.contact(), self.flow, settings)
    }

    /// The flows that it will have left when it is reached over this one.
    pub(crate) fn left_for(&self, flow: Flow) -> Flows {
        if self.flow == flow {
            return self.left.clone();
        }
        let all = self.left.iter().chain([self.flow]);
        let left: SmallVec<[Flow; KEPT + 1]> = all.filter(|known| *known != flow).collect();
        let forgotten = left.len().saturating_sub(KEPT);
        left.into_iter().skip(forgotten).collect()
    }

    /// What is known of the way to it.
    pub(crate) fn state(&self, settings: &Settings) -> DoorState {
        match (self.flow.transport, self.is_up) {
            (Transport::Udp, true) => DoorState::Connectionless,
            (_, true) => DoorState::Up,
            (_, false) if self.to_dial(settings).is_some() => DoorState::Connectionless,
            (_, false) => DoorState::Down,
        }
    }

    /// Whether others may stand behind the same flow: the device is reached through a proxy (RFC 3327).
    pub(crate) fn is_behind_a_proxy(&self) -> bool {
        self.binding.path().next().is_some()
    }

    /// For the store.
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(512);
        bytes.push(VERSION);
        flows::write(&mut bytes, &self.flow);
        self.left.encode(&mut bytes);
        self.binding.encode(&mut bytes);
        bytes.into()
    }

    /// What the store has, as it is after a restart: a connection is gone, the flow of datagrams is as it was if we still
    /// listen where it led.
    pub(crate) fn decode(door: &Door, user: Address, settings: &Settings) -> Option<Self> {
        let (flow, left, binding) = if door.data.starts_with(earlier::REGISTER) {
            let (flow, binding) = earlier::read(door, settings)?;
            (flow, Flows::default(), binding)
        } else {
            decode(&door.data)?
        };
        let bound = |(transport, local): &(Transport, _)| {
            *transport == flow.transport && *local == flow.local
        };
        Some(Self {
            binding,
            user,
            flow,
            is_up: flow.transport == Transport::Udp && settings.bound.iter().any(bound),
            left,
        })
    }
}

/// What [`Bound::encode`] wrote: how it is reached, how it was before, and the binding.
fn decode(mut bytes: &[u8]) -> Option<(Flow, Flows, Binding)> {
    let [version] = flows::take(&mut bytes)?;
    if version != VERSION {
        return None;
    }
    let flow = flows::read(&mut bytes)?;
    let left = Flows::decode(&mut bytes)?;
    Some((flow, left, Binding::decode(bytes)?))
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    doors: Rows<(DoorId, Bound)>,
    by_id: Index,
    /// Doors by the connection that leads to them; datagrams have none.
    by_connection: BTreeSet<(u64, Place)>,
    left: Left,
}

/// Whose each flow was that is not theirs any more: flow and device as a keyed hash of both, which nobody can arrange to
/// be that of two others.
#[derive(Debug, Default)]
struct Left {
    known: HashSet<u64>,
    /// Oldest first.
    in_order: VecDeque<u64>,
    hasher: RandomState,
}

impl Bindings {
    pub(crate) fn get(&self, door: &DoorId) -> Option<&Bound> {
        let (_, bound) = self.doors.get(self.place(door)?)?;
        Some(bound)
    }

    /// Creates or replaces a binding.
    pub(crate) fn put(&mut self, door: DoorId, bound: Bound) {
        let moved = self
            .get(&door)
            .is_some_and(|before| before.flow != bound.flow || !before.is_up);
        if moved {
            self.unlink(&door);
        }
        let connection = bound.flow.id;
        let has_connection = bound.is_up && bound.flow.transport != Transport::Udp;
        let place = self.set(door, bound);
        if has_connection {
            self.by_connection.insert((connection, place));
        }
    }

    /// Takes over a binding as the store had it.
    pub(crate) fn load(&mut self, door: DoorId, bound: Bound) {
        let gone = Some(bound.flow).filter(|_| !bound.is_up);
        for flow in bound.left.iter().chain(gone) {
            self.left.add(flow, &door.device);
        }
        self.set(door, bound);
    }

    fn set(&mut self, door: DoorId, bound: Bound) -> Place {
        if let Some(place) = self.place(&door)
            && let Some((_, before)) = self.doors.get_mut(place)
        {
            *before = bound;
            return place;
        }
        let id = door.clone();
        let place = self.doors.insert((door, bound));
        self.by_id.insert(&id, place);
        place
    }

    /// Forgets a binding.
    pub(crate) fn remove(&mut self, door: &DoorId) {
        self.unlink(door);
        if let Some(place) = self.place(door) {
            self.by_id.remove(door, place);
            self.doors.remove(place);
        }
    }

    /// The connection is gone. Says which doors it led to.
    pub(crate) fn flow_lost(&mut self, flow: Flow) -> Vec<DoorId> {
        if flow.transport == Transport::Udp {
            // It was a datagram that found no way; the next may find one.
            return Vec::new();
        }
        let lost: Vec<_> = self.behind(flow).cloned().collect();
        for door in &lost {
            self.unlink(door);
        }
        lost
    }

    /// The door is not reached over its connection any more, whoever else is.
    pub(crate) fn detach(&mut self, door: &DoorId) {
        self.unlink(door);
    }

    /// Whether others are reached over the same connection.
    pub(crate) fn shares_connection(&self, door: &DoorId) -> bool {
        let Some(bound) = self.get(door) else {
            return false;
        };
        bound.is_behind_a_proxy() || self.behind(bound.flow).any(|other| other != door)
    }

    /// Whether a flow led to a device once, and does not any more.
    pub(crate) fn has_left(&self, flow: Flow, device: &DeviceId) -> bool {
        self.left.has(flow, device)
    }

    fn behind(&self, flow: Flow) -> impl Iterator<Item = &DoorId> {
        self.by_connection
            .range((flow.id, Place::MIN)..=(flow.id, Place::MAX))
            .filter_map(|(_, place)| self.doors.get(*place))
            .map(|(door, _)| door)
    }

    fn place(&self, door: &DoorId) -> Option<Place> {
        let is = |place: &Place| {
            let there = self.doors.get(*place);
            there.is_some_and(|(there, _)| there == door)
        };
        self.by_id.places(door).find(is)
    }

    /// The way to a door is gone, and remembered.
    fn unlink(&mut self, door: &DoorId) {
        let Some(place) = self.place(door) else {
            return;
        };
        if let Some((_, bound)) = self.doors.get_mut(place)
            && std::mem::take(&mut bound.is_up)
        {
            self.by_connection.remove(&(bound.flow.id, place));
            self.left.add(bound.flow, &door.device);
        }
    }
}

impl Left {
    fn add(&mut self, flow: Flow, device: &DeviceId) {
        let left = self.hash(flow, device);
        if !self.known.insert(left) {
            return;
        }
        self.in_order.push_back(left);
        if self.in_order.len() > LEFT
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    fn has(&self, flow: Flow, device: &DeviceId) -> bool {
        self.known.contains(&self.hash(flow, device))
    }

    fn hash(&self, flow: Flow, device: &DeviceId) -> u64 {
        self.hasher.hash_one((flow, device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip::registrar::{Change, Policy, Registration, apply};
    use sip::{Limits, Message};

    fn flow(id: u64) -> Flow {
        Flow {
            transport: Transport::Tcp,
            local: ([192, 0, 2, 1], 5060).into(),
            remote: ([10, 0, 0, 2], 40_000).into(),
            id,
        }
    }

    fn bound(left: &[Flow]) -> Bound {
        let register = "REGISTER sip:r.example SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.2;branch=z9hG4bK1\r\n\
            Max-Forwards: 70\r\nFrom: <sip:bob@r.example>;tag=1\r\nTo: <sip:bob@r.example>\r\nCall-ID: c1\r\n\
            CSeq: 1 REGISTER\r\nContact: <sip:bob@10.0.0.2>\r\nContent-Length: 0\r\n\r\n";
        let register = Message::parse(register.into(), &Limits::default()).unwrap();
        let registration = Registration::parse(&register).unwrap();
        let outcome = apply(&[], &registration, true, 1_000, &Policy::default()).unwrap();
        let Some(Change::Added(binding)) = outcome.changes.into_iter().next() else {
            panic!("nothing was bound")
        };
        Bound {
            binding,
            user: Address::new("bob", "r.example").unwrap(),
            flow: flow(9),
            is_up: true,
            left: left.iter().copied().collect(),
        }
    }

    #[test]
    fn the_last_flows_that_a_door_has_left_are_kept() {
        let mut bound = bound(&[]);
        assert_eq!(bound.left_for(flow(9)), Flows::default());
        for id in 10..16 {
            bound.left = bound.left_for(flow(id));
            bound.flow = flow(id);
        }
        assert!(bound.left.iter().eq([11, 12, 13, 14].map(flow)));
        let (_, left, _) = decode(&bound.encode()).unwrap();
        assert_eq!(left, bound.left);
        // Back where it was.
        let back = bound.left_for(flow(13));
        assert!(back.iter().eq([11, 12, 14, 15].map(flow)));
    }

    #[test]
    fn another_form_than_ours_is_not_read() {
        let mut bytes = bound(&[]).encode().to_vec();
        assert!(decode(&bytes).is_some());
        for version in [VERSION - 1, VERSION + 1] {
            bytes[0] = version;
            assert!(decode(&bytes).is_none(), "{version}");
        }
    }
}
