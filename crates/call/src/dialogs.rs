//! Requests inside a dialog: they follow the way that its first request took, by the token in our Record-Route, to the
//! device that it names, wherever that is now; not to the socket at which it was.

use crate::{
    bindings::Bindings,
    gate::Sender,
    heard_at::heard_at,
    reach::Way,
    settings::{Settings, is_spiral},
    token::{DialogId, End, Ends, Mark, Tokens},
};
use domain::{Address, DeviceId, DoorId, Now, Timestamp, TrackingId};
use hub::Directory;
use sip::{Contacts, Flow, HeaderName, Message, Method, Transport};
use smallvec::SmallVec;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

/// Most sides of dialogs remembered that send from another place than the dialog began at; the oldest are forgotten.
const MOVED: usize = 100_000;

/// Who begins a dialog, and how they are reached.
#[derive(Clone, Debug)]
pub(crate) struct Initiator {
    pub(crate) end: End,
    mark: Mark,
    pub(crate) dialog: DialogId,
    /// The story of the call that it begins, if it is one.
    pub(crate) tracking: Option<TrackingId>,
}

impl Initiator {
    /// The sender of the request that came over `from` and begins a dialog.
    pub(crate) fn of(request: &Message, from: Flow, sender: &Sender) -> Self {
        Self {
            end: End {
                flow: heard(request, from),
                user: sender.user().cloned().filter(|_| !is_spiral(from)),
                device: None,
            },
            mark: mark(request),
            dialog: dialog(request),
            tracking: None,
        }
    }
}

/// Where a request inside a dialog goes.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Across {
    /// Over this flow.
    Flow(Flow),
    /// A flow must be found first; if there is none, it goes there.
    Reach(Way, Box<Across>),
    /// The device is known, and asleep or gone.
    Nowhere,
    /// It is no dialog of ours.
    NoDialog,
}

/// Sides of one dialog, where each is heard, and since when.
type Sides = SmallVec<[(Mark, Flow, Timestamp); 2]>;

/// Sides of dialogs that send from another place than the dialog began at (target refresh, RFC 3261 §12.2).
#[derive(Debug, Default)]
struct Moved {
    by_dialog: HashMap<DialogId, Sides>,
    in_order: VecDeque<DialogId>,
}

impl Moved {
    /// A side is heard somewhere; `moved`: not where the dialog began.
    fn notice(&mut self, dialog: DialogId, side: Mark, heard: Flow, at: Timestamp, moved: bool) {
        if !moved {
            if let Some(sides) = self.by_dialog.get_mut(&dialog) {
                sides.retain(|(known, ..)| *known != side);
            }
            return;
        }
        let in_order = &mut self.in_order;
        let sides = self.by_dialog.entry(dialog).or_insert_with(|| {
            in_order.push_back(dialog);
            SmallVec::new()
        });
        sides.retain(|(known, ..)| *known != side);
        sides.truncate(1);
        sides.push((side, heard, at));
        if self.in_order.len() > MOVED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.by_dialog.remove(&oldest);
        }
    }

    /// Where the other side than this was noticed to be, and when.
    fn other(&self, dialog: DialogId, side: Mark) -> Option<(Flow, Timestamp)> {
        let sides = self.by_dialog.get(&dialog)?;
        let other = sides.iter().find(|(known, ..)| *known != side)?;
        Some((other.1, other.2))
    }
}

/// Finds the way inside dialogs.
#[derive(Debug)]
pub(crate) struct Dialogs {
    settings: Arc<Settings>,
    tokens: Tokens,
    moved: Moved,
    /// Connections that are up.
    flows: HashSet<Flow>,
}

impl Dialogs {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self {
            tokens: Tokens::new(&settings.secret, settings.shard.number),
            moved: Moved::default(),
            flows: HashSet::new(),
            settings,
        }
    }

    /// A connection is up.
    pub(crate) fn flow_seen(&mut self, flow: Flow) {
        if flow.transport != Transport::Udp && !is_spiral(flow) {
            self.flows.insert(flow);
        }
    }

    /// A connection is gone.
    pub(crate) fn flow_lost(&mut self, flow: Flow) {
        self.flows.remove(&flow);
    }

    /// Our Record-Route for a dialog between these ends. Where the two sides use different listeners of ours, each
    /// gets the one it knows (RFC 5658 §5 double record-routing): the far side's first.
    pub(crate) fn record_route(&self, now: Now, from: &Initiator, to: End) -> String {
        let far_flow = to.flow;
        let ends = Ends {
            initiator: from.mark,
            caller: from.end.clone(),
            callee: to,
            tracking: from.tracking.clone(),
        };
        let token = self.tokens.seal(&ends, from.dialog, now.wall);
        let near_flow = from.end.flow;
        let far = self.settings.uri(&token, far_flow);
        if Settings::is_known_alike(near_flow, far_flow) {
            return ["<", &far, ";lr>"].concat();
        }
        let near = self.settings.uri(&token, near_flow);
        format!("<{far};lr>, <{near};lr>")
    }

    /// The dialog of ours that a request is inside of, and its ends.
    pub(crate) fn ends(
        &self,
        now: Now,
        request: &Message,
        route: Option<&str>,
    ) -> Option<(DialogId, Ends)> {
        let dialog = dialog(request);
        let ends = self.tokens.open(route?, dialog, now.wall)?;
        Some((dialog, ends))
    }

    /// Where a request goes that came over `from` inside a dialog of ours.
    pub(crate) fn across(
        &mut self,
        now: Now,
        request: &Message,
        from: Flow,
        route: Option<&str>,
        whereabouts: Whereabouts<'_>,
    ) -> Across {
        let Some((dialog, ends)) = self.ends(now, request, route) else {
            return Across::NoDialog;
        };
        let side = mark(request);
        let (near, far) = ends.seen_from(side);
        // Where a side of a forwarded call is heard, the part of the call that it is on the line with knows.
        if refreshes_target(request) && !is_spiral(from) {
            let heard = heard(request, from);
            let moved = heard != near.flow;
            self.moved.notice(dialog, side, heard, now.wall, moved);
        }
        let moved = self.moved.other(dialog, side);
        self.way_to(request, &far, moved, whereabouts)
    }

    /// The way to a side: the later of where its device registered and where it refreshed the target from, if it did.
    fn way_to(
        &self,
        request: &Message,
        far: &End,
        moved: Option<(Flow, Timestamp)>,
        whereabouts: Whereabouts<'_>,
    ) -> Across {
        if is_spiral(far.flow) {
            return Across::Flow(far.flow);
        }
        let heard = moved.map_or(far.flow, |(flow, _)| flow);
        let (moved, since) = moved.filter(|(flow, _)| self.is_up(flow)).unzip();
        let since = since.unwrap_or_default();
        let otherwise = || {
            let unregistered = || self.unregistered(request, far, heard);
            moved.map_or_else(unregistered, Across::Flow)
        };
        let Some(user) = &far.user else {
            return otherwise();
        };
        let device = far.device.as_ref();
        if self.settings.shard.has(user) {
            let found = whereabouts.find(user, device, &far.flow, since);
            return found.map_or_else(otherwise, Across::Flow);
        }
        // Another shard knows whether a device of theirs is registered.
        let way = Way::Device {
            user: user.clone(),
            device: device.cloned(),
            flow: far.flow,
            since,
        };
        Across::Reach(way, Box::new(otherwise()))
    }

    /// The way to a side of which no device is known: where the dialog began, else where the remote target says, at the
    /// host that it was heard from last.
    fn unregistered(&self, request: &Message, far: &End, heard: Flow) -> Across {
        if self.is_up(&far.flow) {
            return Across::Flow(far.flow);
        }
        let target = Way::to_peer(request.request_uri(), heard, &self.settings);
        target.map_or(Across::Nowhere, |way| {
            Across::Reach(way, Box::new(Across::Nowhere))
        })
    }

    /// A flow of datagrams is always there, a connection while nobody has said that it is gone.
    pub(crate) fn is_up(&self, flow: &Flow) -> bool {
        flow.transport == Transport::Udp || self.flows.contains(flow)
    }
}

/// Where devices are now.
#[derive(Copy, Clone)]
pub(crate) struct Whereabouts<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) bindings: &'a Bindings,
}

impl Whereabouts<'_> {
    /// The present flow of a user's device, if it registered there since then: of the one that is named, else of the one
    /// that is or was at this flow.
    pub(crate) fn find(
        self,
        user: &Address,
        device: Option<&DeviceId>,
        flow: &Flow,
        since: Timestamp,
    ) -> Option<Flow> {
        let (present, at) = self.present(user, device, flow)?;
        Some(present).filter(|_| at >= since)
    }

    fn present(
        self,
        user: &Address,
        device: Option<&DeviceId>,
        flow: &Flow,
    ) -> Option<(Flow, Timestamp)> {
        if let Some(device) = device {
            return self.of_device(user, device);
        }
        let of_user = || self.directory.of(user).map(|entry| &entry.device.id);
        let there = of_user().find(|device| {
            let found = self.of_device(user, device);
            found.is_some_and(|(present, _)| present == *flow)
        });
        if let Some(device) = there {
            return self.of_device(user, device);
        }
        let left = of_user().filter(|device| self.bindings.has_left(*flow, device));
        let present = left.filter_map(|device| self.of_device(user, device));
        present.max_by_key(|(_, since)| *since)
    }

    /// The present flow of this device, and since when. A connection that ended a moment ago is gone, though the directory has yet to hear of it.
    pub(crate) fn of_device(self, user: &Address, device: &DeviceId) -> Option<(Flow, Timestamp)> {
        let entry = self.directory.get(device)?;
        let flow = |number| {
            let id = DoorId {
                device: device.clone(),
                number,
            };
            self.bindings.get(&id)?.flow()
        };
        let door = entry.best_door_of(|door| flow(door.number).is_some());
        let door = door.filter(|_| entry.device.user == *user)?;
        Some((flow(door.number)?, door.opened_at))
    }
}

/// Whether a request says anew where its sender is reached (RFC 3261 §12.2, RFC 3311 §5.1, RFC 6665 §4.4.1).
fn refreshes_target(request: &Message) -> bool {
    let method = matches!(
        request.method(),
        Some(Method::Invite | Method::Update | Method::Subscribe | Method::Notify)
    );
    method && request.has(HeaderName::Contact)
}

/// Where the sender of a request hears us.
pub(crate) fn heard(request: &Message, from: Flow) -> Flow {
    let contact = match request.contacts() {
        Ok(Contacts::List(contacts)) if !request.has(HeaderName::RecordRoute) => contacts,
        _ => return from,
    };
    let contact = contact.first();
    contact.map_or(from, |contact| heard_at(from, request, &contact.uri))
}

/// The side of a dialog that sends a request in it.
pub(crate) fn sender(ends: &Ends, request: &Message) -> End {
    ends.clone().seen_from(mark(request)).0
}

/// Both sides of a dialog keep their tags, wherever they come from: the From tag tells whose request it is
/// (RFC 3261 §12.2.1.1).
fn mark(request: &Message) -> Mark {
    Mark::of(request.from_tag().unwrap_or_default())
}

fn dialog(request: &Message) -> DialogId {
    DialogId::of(request.call_id().unwrap_or_default())
}
