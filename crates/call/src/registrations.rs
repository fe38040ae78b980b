//! REGISTER: who is where from now on, and how they are woken (RFC 3261 §10.3, RFC 8599 §5.3). The request is read once;
//! what it asks for goes to the hub as one step, and it is answered when that is saved. Of one user's requests the next
//! is looked at when the one before is answered, so that each sees what the one before has done.

use crate::{
    bindings::{Bindings, Bound},
    grants::Grants,
    heard_at::heard_at,
    settings::{CALLS, Settings, is_spiral},
    told::peer,
};
use domain::{
    Address, DeviceId, DoorId, DoorState, IdMap, Now, Timestamp, User, device::instance_key,
};
use hub::{Directory, Doors, NotDone, OpenDoor, Opening, Ticket};
use sip::{
    Flow, HeaderName, Message, Transport,
    endpoint::ServerTxn,
    registrar::{self, Binding, Change, Known, Registration, Reject},
};
use smallvec::SmallVec;
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// RFC 8599 §8.1: the status that says that we cannot wake the device.
const PUSH_NOT_SUPPORTED: (u16, &str) = (555, "Push Notification Service Not Supported");
/// Requests of one user that wait behind another; one more is answered 503.
const WAITING: usize = 16;

/// A REGISTER from who may send it.
#[derive(Clone, Debug)]
pub(crate) struct Register {
    pub(crate) txn: ServerTxn,
    pub(crate) flow: Flow,
    pub(crate) request: Message,
    pub(crate) user: Address,
    /// The account that it was let in by.
    pub(crate) account: Option<Arc<User>>,
    pub(crate) received: Instant,
    /// Its connection has not ended while it waited for others.
    pub(crate) is_there: bool,
}

/// What becomes of a REGISTER.
#[derive(Debug)]
pub(crate) enum Next {
    /// It is to be answered so.
    Answer(ServerTxn, Message),
    /// The hub is to open and close these doors; then it is answered.
    Doors(Doors),
    /// It waits for the one before it.
    Waits,
}

/// A REGISTER that waits for the hub.
#[derive(Debug)]
struct Pending {
    txn: ServerTxn,
    response: Message,
    user: Address,
    doors: SmallVec<[DoorId; 1]>,
}

/// A door that is about to be open.
#[derive(Debug)]
struct Arriving {
    bound: Bound,
    received: Instant,
}

/// The REGISTERs under way.
#[derive(Debug)]
pub(crate) struct Registrations {
    settings: Arc<Settings>,
    grants: Grants,
    /// By transport and port of ours.
    register_at: IdMap<(Transport, u16), Arc<str>>,
    pending: IdMap<Ticket, Pending>,
    /// By user: what waits for the one that is pending.
    waiting: IdMap<Address, VecDeque<Register>>,
    arriving: IdMap<DoorId, Arriving>,
}

impl Registrations {
    /// What is under way goes on as it began.
    pub(crate) fn reconfigure(&mut self, settings: Arc<Settings>) {
        self.grants = Grants::new(settings.apps.clone());
        self.settings = settings;
    }

    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        let edge = (Transport::Edge, Transport::Edge.default_port());
        let bound = settings.bound.iter();
        let bound = bound.map(|(transport, local)| (*transport, local.port()));
        let address = |at: (Transport, u16)| (at, settings.register_at(at.0, at.1).into());
        let register_at = bound.chain([edge]).map(address).collect();
        Self {
            grants: Grants::new(settings.apps.clone()),
            register_at,
            settings,
            pending: IdMap::default(),
            waiting: IdMap::default(),
            arriving: IdMap::default(),
        }
    }

    /// Where a device registers that came over this flow last.
    pub(crate) fn register_at(&self, flow: Flow) -> Arc<str> {
        let at = (flow.transport, flow.local.port());
        let known = self.register_at.get(&at).cloned();
        known.unwrap_or_else(|| self.settings.register_at(at.0, at.1).into())
    }

    /// A door that is about to be open, and since when it is known: a call may go through it at once.
    pub(crate) fn arriving(&self, door: &DoorId) -> Option<(&Bound, Instant)> {
        let arriving = self.arriving.get(door)?;
        Some((&arriving.bound, arriving.received))
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Takes a REGISTER. `tag` is the To tag of its answer.
    pub(crate) fn register(
        &mut self,
        now: Now,
        ticket: Ticket,
        register: Register,
        tag: &str,
        directory: &Directory,
        bindings: &Bindings,
    ) -> Next {
        if let Some(waiting) = self.waiting.get_mut(&register.user) {
            if waiting.len() >= WAITING {
                let refusal = refusal(&register.request, 503, "Service Unavailable", tag);
                return Next::Answer(register.txn, refusal);
            }
            waiting.push_back(register);
            return Next::Waits;
        }
        self.apply(now, ticket, &register, tag, directory, bindings)
    }

    fn apply(
        &mut self,
        now: Now,
        ticket: Ticket,
        register: &Register,
        tag: &str,
        directory: &Directory,
        bindings: &Bindings,
    ) -> Next {
        let (txn, request) = (register.txn, &register.request);
        let reject = |reject: &Reject| {
            let response = reject.response(request).to_tag(tag).build();
            Next::Answer(txn, response)
        };
        let registration = match Registration::parse(request) {
            Ok(registration) => registration,
            Err(rejected) => return reject(&rejected),
        };
        if let Err(refused) = self.grants.check(&registration) {
            tracing::warn!(user = %register.user, from = %register.flow.remote, refused, "push parameters of no configured app");
            let (status, reason) = PUSH_NOT_SUPPORTED;
            return Next::Answer(txn, refusal(request, status, reason, tag));
        }
        let doors = doors_of(&register.user, directory, bindings);
        let known: SmallVec<[Known<'_>; 4]> = doors.iter().map(|(_, known)| *known).collect();
        // Straight from the client, over a connection (RFC 5626 §6).
        let direct = register.flow.transport != Transport::Udp && registration.path.is_empty();
        let policy = &self.settings.registrar;
        let applied = registrar::apply(&known, &registration, direct, now.wall.0, policy);
        let outcome = match applied {
            Ok(outcome) => outcome,
            Err(rejected) => return reject(&rejected),
        };
        let is_dead = |token: &str| is_hopeless(&register.user, token, now.wall, directory);
        let mut response = outcome
            .response(request, &registration, now.wall.0)
            .to_tag(tag);
        for caps in self.grants.promises(&registration, is_dead) {
            response = response.header(HeaderName::FeatureCaps, caps);
        }
        let response = response.build();
        if outcome.changes.is_empty() {
            return Next::Answer(txn, response);
        }
        let step = self.step(
            ticket,
            register,
            &registration,
            outcome.changes,
            &doors,
            bindings,
        );
        let opened = step.opened.iter().map(|opening| opening.door.clone());
        self.waiting.insert(register.user.clone(), VecDeque::new());
        self.pending.insert(
            ticket,
            Pending {
                txn,
                response,
                user: register.user.clone(),
                doors: opened.collect(),
            },
        );
        Next::Doors(step)
    }

    /// What the hub is asked for.
    fn step(
        &mut self,
        ticket: Ticket,
        register: &Register,
        registration: &Registration<'_>,
        changes: Vec<Change>,
        doors: &[(DoorId, Known<'_>)],
        bindings: &Bindings,
    ) -> Doors {
        let mut step = Doors {
            ticket,
            user: register.user.clone(),
            opened: Vec::new(),
            closed: Vec::new(),
        };
        for change in changes {
            let old = change.old().and_then(|old| doors.get(old));
            let old = old.map(|(door, _)| door);
            let new = match change {
                Change::Removed { .. } => {
                    step.closed.extend(old.cloned());
                    continue;
                }
                Change::Added(new)
                | Change::Refreshed { new, .. }
                | Change::Replaced { new, .. } => new,
            };
            let door = DoorId {
                device: old.map_or_else(
                    || DeviceId::of(&register.user, &key_of(&new)),
                    |old| old.device.clone(),
                ),
                number: new.reg_id.map_or(0, u32::from),
            };
            step.closed.extend(old.filter(|old| **old != door).cloned());
            let opening = self.opening(register, registration, door, new, bindings);
            step.opened.push(opening);
        }
        // What is opened anew is not closed, whatever it was before.
        let opened = &step.opened;
        step.closed
            .retain(|door| opened.iter().all(|opening| opening.door != *door));
        step
    }

    fn opening(
        &mut self,
        register: &Register,
        registration: &Registration<'_>,
        door: DoorId,
        binding: Binding,
        bindings: &Bindings,
    ) -> Opening {
        let from = register.flow;
        let contact = registration.contact_at(binding.contact());
        let flow = match contact.filter(|_| registration.path.is_empty()) {
            Some(contact) => heard_at(from, &register.request, &contact.uri),
            None => from,
        };
        let before = bindings.get(&door);
        let moved = |before: &Bound| {
            // Over the same flow it is the same place, whatever the contact says; behind a proxy the contact tells.
            before.flow() != Some(flow)
                || before.is_behind_a_proxy() && before.binding.contact() != binding.contact()
        };
        let fresh = before.is_none_or(moved);
        let unchanged = !fresh && before.is_some_and(|before| is_same(&before.binding, &binding));
        let history = before.is_none().then(|| {
            let transport = from.transport.as_str();
            format!("registered over {transport} from {}", peer(from))
        });
        let push = binding.push();
        let offer = self
            .grants
            .offer(push.as_ref(), registration.woken_upstream);
        let (expires_at, q) = (Timestamp(binding.expires_at_ms), binding.q);
        let bound = Bound {
            binding,
            user: register.user.clone(),
            flow,
            is_up: true,
            left: before
                .map(|before| before.left_for(flow))
                .unwrap_or_default(),
        };
        // Who has gone again while the request waited has not come.
        let state = if register.is_there {
            bound.state(&self.settings)
        } else {
            DoorState::Down
        };
        let opening = Opening {
            door: door.clone(),
            fresh,
            unchanged,
            state,
            expires_at,
            rings: Some(CALLS),
            speaks: false,
            q,
            window: 1,
            register_at: self.register_at(flow),
            push: offer,
            data: bound.encode(),
            history,
        };
        let received = register.received;
        self.arriving.insert(door, Arriving { bound, received });
        opening
    }

    /// The hub has spoken: the answer, the doors whose connection ended meanwhile, and the next of the user's requests.
    pub(crate) fn done(
        &mut self,
        ticket: Ticket,
        result: Result<(), NotDone>,
        bindings: &mut Bindings,
        is_up: impl Fn(&Flow) -> bool,
    ) -> Option<Done> {
        let pending = self.pending.remove(&ticket)?;
        let mut lost = Vec::new();
        for door in pending.doors {
            if let Some(arriving) = self.arriving.remove(&door)
                && result.is_ok()
            {
                if !is_up(&arriving.bound.flow) {
                    lost.push(door.clone());
                }
                bindings.put(door, arriving.bound);
            }
        }
        let waiting = self.waiting.remove(&pending.user).unwrap_or_default();
        Some(Done {
            user: pending.user,
            txn: pending.txn,
            response: result.map(|()| pending.response),
            lost,
            waiting,
        })
    }
}

/// A REGISTER that the hub has spoken on.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) user: Address,
    pub(crate) txn: ServerTxn,
    pub(crate) response: Result<Message, NotDone>,
    /// Doors that lead to connections that are gone.
    pub(crate) lost: Vec<DoorId>,
    /// What waited behind it.
    pub(crate) waiting: VecDeque<Register>,
}

fn refusal(request: &Message, status: u16, reason: &str, tag: &str) -> Message {
    sip::ResponseBuilder::to(request, status, reason)
        .to_tag(tag)
        .build()
}

/// The doors of a user with their bindings, oldest first.
fn doors_of<'b>(
    user: &Address,
    directory: &Directory,
    bindings: &'b Bindings,
) -> SmallVec<[(DoorId, Known<'b>); 4]> {
    let mut doors = SmallVec::new();
    for entry in directory.of(user) {
        for open in &entry.doors {
            let door = DoorId {
                device: entry.device.id.clone(),
                number: open.number,
            };
            if let Some(bound) = bindings.get(&door) {
                let known = Known {
                    binding: &bound.binding,
                    out_of_reach_since: out_of_reach_since(open),
                };
                doors.push((door, known));
            }
        }
    }
    doors
}

/// Since when a door is out of reach. Without a connection nobody can tell: such a one makes room too, by when it was
/// opened last, but after all whose connection is gone.
fn out_of_reach_since(open: &OpenDoor) -> Option<u64> {
    match open.state {
        DoorState::Up => None,
        DoorState::Down => Some(open.opened_at.0),
        DoorState::Connectionless => Some(open.opened_at.0.saturating_add(u64::MAX / 2)),
    }
}

/// Whether a token is dead for good, so that nobody is promised pushes that will not come.
fn is_hopeless(user: &Address, token: &str, now: Timestamp, directory: &Directory) -> bool {
    let mut tokens = directory
        .of(user)
        .flat_map(|entry| entry.device.tokens.iter());
    tokens.any(|known| {
        let dead = known.dead.as_ref();
        *known.value == *token && dead.is_some_and(|dead| known.on_probation || dead.since >= now)
    })
}

/// Whether two bindings differ in nothing but time and order.
fn is_same(one: &Binding, other: &Binding) -> bool {
    one.contact() == other.contact()
        && one.params() == other.params()
        && one.instance() == other.instance()
        && one.user_agent() == other.user_agent()
        && one.q == other.q
        && one.path().eq(other.path())
}

/// By what a client names its device: its instance (RFC 5626 §4.1), its push token, else its contact.
fn key_of(binding: &Binding) -> String {
    match (binding.instance(), binding.push()) {
        (Some(instance), _) => instance_key(instance),
        (None, Some(push)) => format!("{}:{}", push.provider, push.prid),
        (None, None) => binding.contact().to_owned(),
    }
}

/// Whether a REGISTER can come over this flow at all.
pub(crate) fn may_come_over(flow: Flow) -> bool {
    !is_spiral(flow)
}
