//! The hub: routes what comes in to its owners, and what they say to whom it is for.

use crate::{
    Accounts, Input, NotDone, Output, People, SaveId,
    calls::Calls,
    directory::{Counts, Directory},
    door::OpenDoor,
    messages,
    owners::Owners,
    presences::Presences,
    pushes,
    rosters::Rosters,
    step::{Asker, Deed, Step, Then, Work},
    telephones::Telephones,
    turns::{Entered, Turns},
};
use domain::{
    Address, AppProfile, Behaviour, CallKind, Device, DeviceId, Door, DoorState, IdMap, Namer, Now,
    Timestamp,
    delivery::{self, Delivery, NameConversation},
    outbox::Outbox,
    presence::{Resource, Show},
    push::OwedPush,
    roster::Contact,
    shown::Shown,
    wake,
};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// How soon a step is tried again that only the outbox waits for.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// What the operator decided, as far as the hub is concerned.
#[derive(Clone, Debug)]
pub struct Config {
    /// The behaviour table.
    pub behaviour: Arc<Behaviour>,
    /// Clocks of calls.
    pub wake: wake::Timers,
    /// Clocks of messages.
    pub delivery: delivery::Timers,
    /// The apps that can be pushed to.
    pub apps: Vec<AppProfile>,
    /// Devices of one user.
    pub devices_per_user: usize,
    /// Messages that may wait for one device, or for one user without a device.
    pub messages_per_device: u64,
    /// Pushes on their way at once: so many for calls, and so many for everything else.
    pub pushes_in_flight: usize,
    /// Where a device registers that has no door to tell.
    pub register_at: Arc<str>,
    /// Rosters and presence.
    pub people: People,
    /// So long after it was used last a device that is in front counts as in use: others are not pushed to for messages.
    pub idle_after: Duration,
    /// Names conversations.
    pub conversations: NameConversation,
    /// All entropy; unlike any other hub's, and unlike the last start's.
    pub seed: [u8; 32],
}

/// How much is under way: for metrics, and to see that nothing is left behind.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Load {
    /// What the directory counts.
    pub directory: Counts,
    /// Calls.
    pub calls: usize,
    /// Pushes that are owed.
    pub owed: usize,
    /// Messages on their way to devices.
    pub messages: usize,
    /// Users with a step under way.
    pub steps: usize,
    /// Rosters in memory.
    pub rosters: usize,
    /// Users who are available.
    pub available: usize,
}

/// See the crate's documentation.
#[derive(Debug)]
pub struct Hub {
    owners: Owners,
    turns: Turns,
    /// Steps at a user's turn that wait for the store; with the changes, if they are to be tried again.
    pending: IdMap<SaveId, (Address, Step, Vec<domain::Change>)>,
    /// The same at nobody's: only the outbox waits for them, and tries again.
    pending_of_outbox: IdMap<SaveId, (Step, Vec<domain::Change>)>,
    saves: u64,
    /// What a user's roster is read for: it has the user's turn.
    reading: IdMap<Address, Work>,
    /// Steps that the store refused and that nobody else will ask for again, with when to try them.
    refused: VecDeque<(Instant, Step)>,
    /// What owners want done, in order.
    deeds: VecDeque<Deed>,
    out: VecDeque<Output>,
}

impl Hub {
    /// A hub for the users of one shard, with nothing in it; `accounts` are shared by all.
    pub fn new(config: Config, accounts: Accounts) -> Self {
        let (room, behaviour) = (config.pushes_in_flight, config.behaviour);
        let owners = Owners {
            accounts,
            directory: Directory::new(config.apps, config.devices_per_user),
            calls: Calls::new(behaviour.clone(), config.wake, room, config.register_at),
            delivery: Delivery::new(behaviour, config.delivery, config.conversations),
            outbox: Outbox::new(room),
            shown: Shown::default(),
            owed_quota: pushes::allowance(),
            presences: Presences::new(&config.people),
            telephones: Telephones::new(&config.people),
            rosters: Rosters::new(config.people),
            namer: Namer::new(config.seed),
            messages_per_device: config.messages_per_device,
            idle_after: config.idle_after,
        };
        Self {
            owners,
            turns: Turns::default(),
            pending: IdMap::default(),
            pending_of_outbox: IdMap::default(),
            saves: 0,
            reading: IdMap::default(),
            refused: VecDeque::new(),
            deeds: VecDeque::new(),
            out: VecDeque::new(),
        }
    }

    /// The operator has decided otherwise, as far as that can change while we run: apps, devices a user, messages a device,
    /// how long a device counts as in use, and the clocks of calls that come. What is under way stays.
    pub fn reconfigure(&mut self, config: Config) {
        let owners = &mut self.owners;
        owners.messages_per_device = config.messages_per_device;
        owners.idle_after = config.idle_after;
        owners.calls.reconfigure(config.wake);
        let directory = &mut owners.directory;
        directory.reconfigure(config.apps, config.devices_per_user);
    }

    /// Who is where.
    pub fn directory(&self) -> &Directory {
        &self.owners.directory
    }

    /// Who has an account.
    pub fn accounts(&self) -> &Accounts {
        &self.owners.accounts
    }

    /// What a user does as others see it, if they are available: [`Show`], or when they were seen last, if that is known.
    pub fn presence(&self, user: &Address) -> Result<Show, Option<Timestamp>> {
        let presences = &self.owners.presences;
        presences.of(user).ok_or_else(|| presences.last_seen(user))
    }

    /// How much is under way. Takes time in proportion to the devices that are being written to.
    pub fn load(&self) -> Load {
        Load {
            directory: self.owners.directory.counts(),
            calls: self.owners.calls.len(),
            owed: self.owners.outbox.len(),
            messages: self.owners.delivery.in_flight(),
            steps: self.turns.len()
                + self.pending.len()
                + self.pending_of_outbox.len()
                + self.refused.len(),
            rosters: self.owners.rosters.len(),
            available: self.owners.presences.len(),
        }
    }

    /// Calls, and pushes that are owed: what is cheap to count.
    pub fn under_way(&self) -> (usize, usize) {
        (self.owners.calls.len(), self.owners.outbox.len())
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Hub::handle_timeout`] wants to be called next.
    pub fn next_timeout(&self, now: Now) -> Option<Instant> {
        let owners = &self.owners;
        let walls = [owners.directory.next_due(), owners.outbox.next_due()];
        let walls = walls.into_iter().flatten().map(|at| now.instant_of(at));
        let instants = [
            owners.calls.next_timeout(),
            owners.delivery.next_timeout(),
            owners.presences.next_timeout(),
            owners.telephones.next_timeout(),
            self.refused.front().map(|(at, _)| *at),
        ];
        instants.into_iter().flatten().chain(walls).min()
    }

    /// Takes over a device as the store has it.
    pub fn load_device(&mut self, mut device: Device) {
        device.user = self.owners.accounts.own(device.user);
        device.app = self.owners.directory.own_app(device.app);
        self.owners.directory.put(device);
    }

    /// Takes over a door as the store has it, with what its role makes of it: what it knows of the way, and which calls go
    /// through it.
    pub fn load_door(
        &mut self,
        door: &Door,
        way: (DoorState, Option<CallKind>),
        window: u16,
        register_at: Arc<str>,
    ) {
        let open = OpenDoor::kept(door, way, window, register_at);
        self.owners.directory.open(&door.id.device, open);
    }

    /// Takes over a door as the store has it, of a client that speaks for itself and may come back to it.
    pub fn load_hibernating(
        &mut self,
        door: &Door,
        rings: CallKind,
        window: u16,
        register_at: Arc<str>,
    ) {
        let way = (DoorState::Down, Some(rings));
        let mut open = OpenDoor::kept(door, way, window, register_at);
        open.speaks = true;
        let device = &door.id.device;
        self.owners.directory.open(device, open);
        // Whether other devices were given what waits there is not kept.
        self.owners.directory.waits_alone(device);
    }

    /// Takes over that a client is available and sleeps; `is_seen`: others have seen that all of its user's clients do.
    pub fn load_presence(&mut self, now: Now, user: &Address, resource: Resource, is_seen: bool) {
        self.owners.presences.restore(now, user, resource, is_seen);
    }

    /// Takes over when its user did something on a device last.
    pub fn load_used(&mut self, device: &DeviceId, at: Timestamp) {
        self.owners.directory.used(device, at);
    }

    /// Takes over how many messages wait for a device.
    pub fn load_queued(&mut self, device: &DeviceId, messages: u64) {
        let messages = i64::try_from(messages).unwrap_or(i64::MAX);
        self.owners.directory.count_queued(device, messages);
    }

    /// Takes over how many messages of a device went over into the archive.
    pub fn load_over(&mut self, device: &DeviceId, messages: u64) {
        let messages = i64::try_from(messages).unwrap_or(i64::MAX);
        self.owners.directory.count_over(device, messages);
    }

    /// Takes over how many messages wait for a user of whom no device is known.
    pub fn load_unclaimed(&mut self, user: &Address, messages: u64) {
        self.owners.directory.count_unclaimed(user, messages);
    }

    /// Takes over a push that is owed.
    pub fn load_owed(&mut self, push: OwedPush) {
        self.owners.outbox.insert(push);
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Saved(save, result) => self.saved(now, save, result),
            Input::RosterRead(user, contacts) => self.roster_read(now, user, contacts),
            input => {
                let deeds = self.owners.handle(now, input);
                self.deeds.extend(deeds);
            }
        }
        self.settle(now);
        let turns = &self.turns;
        self.owners.rosters.make_room(|user| turns.has(user));
    }

    /// We stop: what the store has refused and is tried again later is tried now, since there is no later.
    pub fn stop(&mut self, now: Now) {
        let refused = std::mem::take(&mut self.refused).into_iter();
        self.deeds.extend(refused.map(|(_, step)| Deed::Save(step)));
        self.settle(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((_, step)) = self.refused.pop_front_if(|(at, _)| *at <= now.instant) {
            self.deeds.push_back(Deed::Save(step));
        }
        let deeds = self.owners.timeout(now);
        self.deeds.extend(deeds);
        self.settle(now);
    }

    /// Does what the owners want done, until there is nothing left but to wait.
    fn settle(&mut self, now: Now) {
        while let Some(deed) = self.deeds.pop_front() {
            match deed {
                Deed::Say(output) => self.out.push_back(output),
                Deed::Save(step) => self.save_for_outbox(now, step),
                Deed::Work(user, work) => match self.turns.enter(&user, work) {
                    Entered::Now(work) => self.take_turns(now, user, work),
                    Entered::Waits => {}
                    Entered::Full(work) => self.refuse(work.asker(), NotDone::Overloaded),
                },
            }
        }
    }

    /// Does this, and what waits behind it, until something waits for the store.
    fn take_turns(&mut self, now: Now, user: Address, work: Work) {
        let mut next = Some(work);
        while let Some(work) = next {
            if self.owners.lacks_roster(&work) {
                self.reading.insert(user.clone(), work);
                return self.out.push_back(Output::FetchRoster(user));
            }
            let asker = work.asker();
            let is_session = matches!(work, Work::Session(..));
            match self.owners.plan(now, work) {
                Ok(mut step) if !step.changes.is_empty() => {
                    let mut changes = std::mem::take(&mut step.changes);
                    if is_session {
                        changes.extend(self.still_to_leave(&user));
                    }
                    let again = if is_tried_again(&step, &changes) {
                        changes.clone()
                    } else {
                        Vec::new()
                    };
                    let id = self.save(changes);
                    self.pending.insert(id, (user, step, again));
                    return;
                }
                Ok(step) => {
                    let deeds = self.owners.carry_out(now, step);
                    self.deeds.extend(deeds);
                }
                Err(error) => self.refuse(asker, error),
            }
            next = self.turns.leave(&user);
        }
    }

    /// What is to leave a user's queues and the store has refused so far, or is being asked once more. A session is not kept without
    /// that: its record says what its client has.
    fn still_to_leave(&self, user: &Address) -> Vec<domain::Change> {
        let directory = &self.owners.directory;
        let refused = self.refused.iter().flat_map(|(_, step)| &step.changes);
        // What is at turns is of others: it is this user's.
        let again = self.pending_of_outbox.values();
        let again = again.flat_map(|(_, changes)| changes);
        let is_theirs = |change: &&domain::Change| {
            let domain::Change::Delivered { device, .. } = change else {
                return false;
            };
            let entry = directory.get(device);
            entry.is_some_and(|it| it.device.user == *user)
        };
        refused.chain(again).filter(is_theirs).cloned().collect()
    }

    /// A roster is there, and with it what waited for it, or it is not.
    fn roster_read(&mut self, now: Now, user: Address, contacts: Option<Vec<Contact>>) {
        let Some(work) = self.reading.remove(&user) else {
            return;
        };
        let next = if let Some(contacts) = contacts {
            self.owners.rosters.insert(user.clone(), contacts);
            Some(work)
        } else {
            let error = "the roster could not be read".to_owned();
            self.refuse(work.asker(), NotDone::Failed(error));
            self.turns.leave(&user)
        };
        if let Some(work) = next {
            self.take_turns(now, user, work);
        }
    }

    fn save_for_outbox(&mut self, now: Now, mut step: Step) {
        let changes = std::mem::take(&mut step.changes);
        if changes.is_empty() {
            let deeds = self.owners.carry_out(now, step);
            return self.deeds.extend(deeds);
        }
        let id = self.save(changes.clone());
        self.pending_of_outbox.insert(id, (step, changes));
    }

    fn save(&mut self, changes: Vec<domain::Change>) -> SaveId {
        let id = SaveId(self.saves);
        self.saves += 1;
        self.out.push_back(Output::Save(id, changes));
        id
    }

    /// The store has spoken: what the step promised is so, or nothing has changed.
    fn saved(&mut self, now: Now, save: SaveId, result: Result<(), NotDone>) {
        if let Some((user, step, changes)) = self.pending.remove(&save) {
            match result {
                Ok(()) => {
                    self.forget_landed(&user, &step);
                    let deeds = self.owners.carry_out(now, step);
                    self.deeds.extend(deeds);
                }
                Err(error) if error != NotDone::Missing && !changes.is_empty() => {
                    self.try_again(now, Step { changes, ..step });
                }
                Err(error) => self.refuse(step.asker, error),
            }
            if let Some(work) = self.turns.leave(&user) {
                self.take_turns(now, user, work);
            }
        } else if let Some((step, changes)) = self.pending_of_outbox.remove(&save) {
            match result {
                Ok(()) => {
                    let deeds = self.owners.carry_out(now, step);
                    self.deeds.extend(deeds);
                }
                // Whatever it was about is gone.
                Err(NotDone::Missing) => self.forget_pushes_of(&step),
                Err(_) => self.try_again(now, Step { changes, ..step }),
            }
        }
    }

    /// Of devices that are no more nothing is to leave a queue.
    fn forget_landed(&mut self, user: &Address, step: &Step) {
        for then in &step.then {
            if let Then::Forgotten(device) = then {
                self.turns.forget_landed(user, device);
                let is_of_it = |then: &Then| matches!(then, Then::Landed(of, _) if of == device);
                self.refused
                    .retain(|(_, step)| !step.then.iter().any(is_of_it));
            }
        }
    }

    fn try_again(&mut self, now: Now, step: Step) {
        self.refused.push_back((now.instant + TRY_AGAIN, step));
    }

    fn forget_pushes_of(&mut self, step: &Step) {
        for then in &step.then {
            let id = match then {
                Then::Owed(push) => &push.id,
                Then::Settled(id) => id,
                _ => continue,
            };
            self.owners.outbox.remove(id);
        }
    }

    fn refuse(&mut self, asker: Asker, error: NotDone) {
        if asker == Asker::Nobody {
            tracing::debug!(%error, "a step was not saved");
        }
        if matches!(asker, Asker::Writer(_)) {
            self.deeds.push_back(messages::count("not_stored"));
        }
        self.deeds.extend(asker.tell(Err(error)));
    }
}

/// Whether a step that the store refuses is tried again: nobody asked for it, nobody plans it anew, and it stands by
/// itself, whatever becomes of the user's records meanwhile.
fn is_tried_again(step: &Step, changes: &[domain::Change]) -> bool {
    let by_itself = |change: &domain::Change| {
        matches!(
            change,
            domain::Change::Delivered { .. }
                | domain::Change::Read { .. }
                | domain::Change::Owe(_)
                | domain::Change::Settle(_)
        )
    };
    let planned_anew = |then: &Then| matches!(then, Then::Asked(..));
    step.asker == Asker::Nobody
        && changes.iter().all(by_itself)
        && !step.then.iter().any(planned_anew)
}
