//! Who is where: every user's devices with their bindings and flows, in memory. The store has the same on disk; this
//! is what calls and messages look at.

use domain::{
    Address, AppId, AppProfile, Device, DeviceId, Mode, Timestamp, User,
    behaviour::{self, FlowState},
};
use sip::{Flow, Transport};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

/// How long before its registration expires a sleeping device is asked to register again: RFC 8599 §5.5 wants at least
/// 120 s. Of a shorter registration it is the second half.
pub(super) const REFRESH_LEAD: Duration = Duration::from_mins(3);

/// Most flows remembered that their devices have left; the oldest are forgotten. As many of the run before this one.
const LEFT: usize = 100_000;

/// A device and the way to it.
#[derive(Debug)]
pub(super) struct Place {
    /// The record, as the store has it.
    pub(super) device: Device,
    /// How its requests arrive and ours leave.
    pub(super) flow: Option<Flow>,
    /// Messages that wait for it.
    pub(super) queued: u64,
    /// The expiry for which it was asked to register again.
    asked_for: Option<Timestamp>,
}

impl Place {
    /// What the transport knows.
    pub(super) fn flow_state(&self) -> FlowState {
        match self.flow {
            Some(flow) if self.device.binding.is_some() => match flow.transport {
                Transport::Udp => FlowState::Connectionless,
                _ => FlowState::Up,
            },
            _ => FlowState::Down,
        }
    }

    /// What the device does.
    pub(super) fn mode(&self) -> Mode {
        behaviour::mode(self.device.word, self.flow_state())
    }
}

/// Where a registration came from, as its binding keeps it.
pub(super) fn source_of(flow: Flow) -> String {
    format!("{}/{}", flow.transport.as_str().to_lowercase(), flow.remote)
}

/// All users and devices.
#[derive(Debug, Default)]
pub(super) struct Location {
    users: HashMap<Address, User>,
    places: HashMap<DeviceId, Place>,
    by_user: HashMap<Address, Vec<DeviceId>>,
    by_flow: HashMap<Flow, Vec<DeviceId>>,
    /// Whose each flow was that is not theirs any more.
    left: HashMap<Flow, DeviceId>,
    /// The same, oldest first.
    left_in_order: VecDeque<Flow>,
    /// Whose connection each was, by its source, that ended with the run of the server before this one.
    before: HashMap<String, DeviceId>,
    expiries: BTreeSet<(Timestamp, DeviceId)>,
    /// When each device is asked to register again.
    refreshes: BTreeSet<(Timestamp, DeviceId)>,
    profiles: HashMap<AppId, AppProfile>,
    registered: usize,
    /// Registered devices with a dead token.
    with_dead_token: usize,
}

impl Location {
    /// An empty one that knows these apps.
    pub(super) fn new(profiles: impl IntoIterator<Item = AppProfile>) -> Self {
        Self {
            profiles: profiles
                .into_iter()
                .map(|profile| (profile.app.clone(), profile))
                .collect(),
            ..Self::default()
        }
    }

    /// A user of ours.
    pub(super) fn user(&self, address: &Address) -> Option<&User> {
        self.users.get(address)
    }

    /// Creates or replaces a user.
    pub(super) fn put_user(&mut self, user: User) {
        self.users.insert(user.address.clone(), user);
    }

    /// Takes over who has an account, and drops the devices of those who have none any more. Says which.
    pub(super) fn replace_users(&mut self, users: Vec<User>) -> Vec<DeviceId> {
        let mut dropped = Vec::new();
        let before: Vec<_> = self.users.keys().cloned().collect();
        let now: HashMap<_, _> = users
            .into_iter()
            .map(|user| (user.address.clone(), user))
            .collect();
        for gone in before.iter().filter(|address| !now.contains_key(*address)) {
            dropped.extend(self.by_user.get(gone).cloned().unwrap_or_default());
            self.remove_user(gone);
        }
        self.users = now;
        dropped
    }

    /// Removes a user with all devices.
    pub(super) fn remove_user(&mut self, address: &Address) -> Option<User> {
        for id in self.by_user.get(address).cloned().unwrap_or_default() {
            self.remove_device(&id);
        }
        self.by_user.remove(address);
        self.users.remove(address)
    }

    /// The profile of a device's app.
    pub(super) fn profile(&self, device: &Device) -> Option<&AppProfile> {
        self.profiles.get(device.app.as_ref()?)
    }

    /// A device.
    pub(super) fn place(&self, id: &DeviceId) -> Option<&Place> {
        self.places.get(id)
    }

    /// The devices of a user, in the order in which they were first seen.
    pub(super) fn places_of(&self, user: &Address) -> impl Iterator<Item = &Place> {
        self.by_user
            .get(user)
            .into_iter()
            .flatten()
            .filter_map(|id| self.places.get(id))
    }

    /// All devices.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.values()
    }

    /// How many devices have a binding.
    pub(super) fn registered(&self) -> usize {
        self.registered
    }

    /// How many of them have a dead token.
    pub(super) fn with_dead_token(&self) -> usize {
        self.with_dead_token
    }

    /// Creates or replaces a device; `flow` is where it can be reached now.
    pub(super) fn put_device(&mut self, device: Device, flow: Option<Flow>) {
        let id = device.id.clone();
        let before = self.detach(&id);
        let queued = before.as_ref().map_or(0, |place| place.queued);
        let asked_for = before.as_ref().and_then(|place| place.asked_for);
        if let Some(left) = before
            .and_then(|place| place.flow)
            .filter(|left| Some(*left) != flow)
        {
            self.remember_left(left, id.clone());
        }
        if let Some(binding) = &device.binding {
            self.expiries.insert((binding.expires_at, id.clone()));
            if asked_for != Some(binding.expires_at) {
                self.refreshes.insert((refresh_at(&device), id.clone()));
            }
            self.registered += 1;
            self.with_dead_token += usize::from(has_dead_token(&device));
        }
        if let Some(flow) = flow {
            self.by_flow.entry(flow).or_default().push(id.clone());
        }
        let siblings = self.by_user.entry(device.user.clone()).or_default();
        if !siblings.contains(&id) {
            siblings.push(id.clone());
        }
        self.places.insert(
            id,
            Place {
                device,
                flow,
                queued,
                asked_for,
            },
        );
    }

    /// Changes a device and says what it is then; what was indexed is indexed anew.
    pub(super) fn update(
        &mut self,
        id: &DeviceId,
        change: impl FnOnce(&mut Device),
    ) -> Option<Device> {
        let place = self.places.get(id)?;
        let (mut device, flow) = (place.device.clone(), place.flow);
        change(&mut device);
        self.put_device(device.clone(), flow);
        Some(device)
    }

    /// Forgets a device.
    pub(super) fn remove_device(&mut self, id: &DeviceId) -> Option<Device> {
        let place = self.detach(id)?;
        if let Some(siblings) = self.by_user.get_mut(&place.device.user) {
            siblings.retain(|sibling| sibling != id);
        }
        Some(place.device)
    }

    /// The connection is gone: its devices have no flow any more. Says which.
    pub(super) fn flow_lost(&mut self, flow: &Flow) -> Vec<DeviceId> {
        let lost = self.by_flow.remove(flow).unwrap_or_default();
        for id in &lost {
            if let Some(place) = self.places.get_mut(id) {
                place.flow = None;
            }
            self.remember_left(*flow, id.clone());
        }
        lost
    }

    /// Takes over a device as it was when the server ran last; `flow` is a way to it that has outlived that.
    pub(super) fn load_device(&mut self, device: Device, flow: Option<Flow>) {
        if let Some(binding) = device.binding.as_ref().filter(|_| flow.is_none())
            && self.before.len() < LEFT
        {
            self.before
                .insert(binding.source.clone(), device.id.clone());
        }
        self.put_device(device, flow);
    }

    /// Where the device is now that this flow led to once.
    pub(super) fn moved_to(&self, left: &Flow) -> Option<Flow> {
        if self.by_flow.contains_key(left) {
            // Somebody is there, be it another one behind the same address.
            return None;
        }
        let whose = self.left.get(left);
        let whose = whose.or_else(|| self.before.get(&source_of(*left)))?;
        self.places.get(whose)?.flow
    }

    fn remember_left(&mut self, flow: Flow, device: DeviceId) {
        if self.left.insert(flow, device).is_none() {
            self.left_in_order.push_back(flow);
        }
        if self.left_in_order.len() > LEFT
            && let Some(oldest) = self.left_in_order.pop_front()
        {
            self.left.remove(&oldest);
        }
    }

    /// Whether others are reached over the same flow: other devices of it, or whoever stands behind a proxy.
    pub(super) fn shares_flow(&self, id: &DeviceId) -> bool {
        let Some(place) = self.places.get(id) else {
            return false;
        };
        let behind_a_proxy = |binding: &domain::Binding| !binding.path.is_empty();
        let others = place.flow.and_then(|flow| self.by_flow.get(&flow));
        others.is_some_and(|devices| devices.len() > 1)
            || place.device.binding.as_ref().is_some_and(behind_a_proxy)
    }

    /// The device is not reached over its flow any more, whoever else is.
    pub(super) fn detach_flow(&mut self, id: &DeviceId) {
        if let Some(device) = self.places.get(id).map(|place| place.device.clone()) {
            self.put_device(device, None);
        }
    }

    /// Notes that the queue of a device grew or shrank.
    pub(super) fn count_queued(&mut self, id: &DeviceId, change: i64) {
        if let Some(place) = self.places.get_mut(id) {
            place.queued = place.queued.saturating_add_signed(change);
        }
    }

    /// When the next device is to be asked to register again.
    pub(super) fn next_refresh(&self) -> Option<Timestamp> {
        self.refreshes.first().map(|(at, _)| *at)
    }

    /// A device that is to be asked by now to register again, once for each registration; call until there is none.
    pub(super) fn due_refresh(&mut self, now: Timestamp) -> Option<DeviceId> {
        self.next_refresh().filter(|at| *at <= now)?;
        let (_, id) = self.refreshes.pop_first()?;
        let place = self.places.get_mut(&id)?;
        place.asked_for = place
            .device
            .binding
            .as_ref()
            .map(|binding| binding.expires_at);
        Some(id)
    }

    /// When the next binding expires.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// A device whose binding has expired by now; call until there is none.
    pub(super) fn expired(&self, now: Timestamp) -> Option<DeviceId> {
        self.expiries
            .first()
            .filter(|(at, _)| *at <= now)
            .map(|(_, id)| id.clone())
    }

    /// Takes a device out of everything but its user's list.
    fn detach(&mut self, id: &DeviceId) -> Option<Place> {
        let place = self.places.remove(id)?;
        if let Some(binding) = &place.device.binding {
            self.expiries.remove(&(binding.expires_at, id.clone()));
            self.refreshes
                .remove(&(refresh_at(&place.device), id.clone()));
            self.registered -= 1;
            self.with_dead_token -= usize::from(has_dead_token(&place.device));
        }
        if let Some(flow) = &place.flow
            && let Some(devices) = self.by_flow.get_mut(flow)
        {
            devices.retain(|device| device != id);
            if devices.is_empty() {
                self.by_flow.remove(flow);
            }
        }
        Some(place)
    }
}

fn has_dead_token(device: &Device) -> bool {
    let tokens = [&device.tokens.voip, &device.tokens.message];
    let mut tokens = tokens.into_iter().flatten();
    tokens.any(|token| token.dead.is_some())
}

/// When a registered device is to be asked to register again.
fn refresh_at(device: &Device) -> Timestamp {
    let expires_at = device
        .binding
        .as_ref()
        .map_or(Timestamp::default(), |binding| binding.expires_at);
    let lead = REFRESH_LEAD.min(expires_at.since(device.seen_at) / 2);
    Timestamp(
        expires_at
            .0
            .saturating_sub(u64::try_from(lead.as_millis()).unwrap_or(u64::MAX)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Binding;

    fn flow(id: u64) -> Flow {
        let address = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
        Flow {
            transport: Transport::Tcp,
            local: address(5060),
            remote: address(40_000),
            id,
        }
    }

    fn bound(id: &str, expires_at: u64) -> Device {
        let mut device = Device::new(
            DeviceId(id.to_owned()),
            Address::new("bob", "localhost").unwrap(),
            Timestamp(0),
        );
        device.binding = Some(Binding {
            expires_at: Timestamp(expires_at),
            ..Binding::default()
        });
        device
    }

    #[test]
    fn a_closed_connection_leaves_the_device_suspended() {
        let mut location = Location::default();
        location.put_device(bound("a", 10), Some(flow(1)));
        let id = DeviceId("a".to_owned());
        assert_eq!(location.place(&id).unwrap().mode(), Mode::Foreground);
        assert_eq!(location.flow_lost(&flow(1)), std::slice::from_ref(&id));
        assert_eq!(location.place(&id).unwrap().mode(), Mode::Suspended);
    }

    #[test]
    fn a_device_that_moved_to_another_connection_survives_the_end_of_the_first() {
        let mut location = Location::default();
        location.put_device(bound("a", 10), Some(flow(1)));
        location.put_device(bound("a", 20), Some(flow(2)));
        assert!(location.flow_lost(&flow(1)).is_empty());
        assert_eq!(
            location.place(&DeviceId("a".to_owned())).unwrap().mode(),
            Mode::Foreground
        );
        assert_eq!(location.registered(), 1);
    }

    #[test]
    fn a_device_is_found_again_by_the_connection_that_it_left() {
        let mut location = Location::default();
        location.put_device(bound("a", 10), Some(flow(1)));
        location.flow_lost(&flow(1));
        assert_eq!(location.moved_to(&flow(1)), None);
        location.put_device(bound("a", 20), Some(flow(2)));
        location.put_device(bound("a", 30), Some(flow(3)));
        assert_eq!(location.moved_to(&flow(1)), Some(flow(3)));
        assert_eq!(location.moved_to(&flow(2)), Some(flow(3)));
        assert_eq!(location.moved_to(&flow(4)), None);
        location.put_device(bound("b", 30), Some(flow(1)));
        assert_eq!(location.moved_to(&flow(1)), None);
    }

    #[test]
    fn a_device_is_found_again_by_the_connection_that_ended_with_the_server() {
        let mut location = Location::default();
        let mut device = bound("a", 10);
        device.binding.as_mut().unwrap().source = source_of(flow(1));
        location.load_device(device, None);
        assert_eq!(location.moved_to(&flow(1)), None);
        location.put_device(bound("a", 20), Some(flow(2)));
        assert_eq!(location.moved_to(&flow(1)), Some(flow(2)));
    }

    #[test]
    fn a_device_is_asked_once_to_register_again_before_it_expires() {
        let minute = 60_000;
        let mut location = Location::default();
        location.put_device(bound("long", 60 * minute), None);
        location.put_device(bound("short", 2 * minute), None);
        assert_eq!(location.next_refresh(), Some(Timestamp(minute)));
        assert_eq!(location.due_refresh(Timestamp(minute - 1)), None);
        assert_eq!(location.due_refresh(Timestamp(minute)).unwrap().0, "short");
        location.update(&DeviceId("short".to_owned()), |device| device.word = None);
        assert_eq!(location.next_refresh(), Some(Timestamp(57 * minute)));
        location.put_device(bound("short", 4 * minute), None);
        assert_eq!(location.next_refresh(), Some(Timestamp(2 * minute)));
    }

    #[test]
    fn bindings_expire_in_order() {
        let mut location = Location::default();
        location.put_device(bound("late", 20), None);
        location.put_device(bound("soon", 10), None);
        assert_eq!(location.expired(Timestamp(9)), None);
        let id = location.expired(Timestamp(10)).unwrap();
        assert_eq!(id.0, "soon");
        location.update(&id, |device| device.binding = None);
        assert_eq!(location.expired(Timestamp(10)), None);
        assert_eq!(location.next_expiry(), Some(Timestamp(20)));
        assert_eq!(location.registered(), 1);
    }
}
