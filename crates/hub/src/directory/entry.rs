//! A device as the directory holds it: its record, its doors, and what waits for it.

use super::wheel::Second;
use crate::door::OpenDoor;
use domain::{
    AppProfile, CallKind, Channel, Device, DeviceId, DoorId, Generation, Handed, Mode, Platform,
    Timestamp, Token, behaviour::Incoming, wake::PlatformRules,
};
use smallvec::SmallVec;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

/// How long before its registration expires a sleeping device is asked to register again: RFC 8599 §5.5 wants at least
/// 120 s. Of a shorter registration it is the second half.
pub const REFRESH_LEAD: Duration = Duration::from_mins(3);
/// Most by which a device is asked earlier than it need be, so that a fleet which registered together is not asked
/// together.
const JITTER: Duration = Duration::from_mins(1);

/// A device.
#[derive(Debug)]
pub struct Entry {
    /// The record, as the store has it.
    pub device: Device,
    /// Its doors, in no order.
    pub doors: SmallVec<[OpenDoor; 1]>,
    /// Messages that wait for it, as the store has them.
    pub queued: u64,
    /// Messages that went over into the archive, since as many waited as may.
    pub over: u64,
    /// When its user did something on it last, as far as anybody knows.
    pub(super) used_at: Option<Timestamp>,
    /// There may be messages among them that wait for no other device of the user.
    pub(super) alone: bool,
    /// Whose tokens are dead by a provider's word that is not saved yet: not pushed to from that moment on.
    pub(super) dying: Dying,
    /// The expiry for which it was asked to register again.
    pub(super) asked_for: Timestamp,
    /// Where it stands in the wheel.
    pub(super) filed: Second,
}

/// Where a message waits.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Room {
    /// In the device's queue.
    Queue,
    /// In the archive, behind those.
    Archive,
}

/// The channels of a device whose tokens are dying.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Dying {
    voip: bool,
    message: bool,
}

impl Dying {
    fn of(self, channel: Channel) -> bool {
        match channel {
            Channel::Voip => self.voip,
            Channel::Message => self.message,
        }
    }
}

impl Entry {
    /// A device without doors.
    pub(super) fn new(device: Device) -> Self {
        Self {
            device,
            doors: SmallVec::new(),
            queued: 0,
            over: 0,
            used_at: None,
            alone: false,
            dying: Dying::default(),
            asked_for: Timestamp::default(),
            filed: 0,
        }
    }

    /// Takes over its record as it is saved. A token's death that the store did not take stands, unless the client has
    /// handed the token over again since.
    pub(super) fn replace(&mut self, device: Device) {
        let stands = |before: &Option<Token>, now: &Option<Token>| match (before, now) {
            (Some(before), Some(now)) => {
                now.dead.is_none() && (&before.value, before.given_at) == (&now.value, now.given_at)
            }
            _ => false,
        };
        let (before, now) = (&self.device.tokens, &device.tokens);
        self.dying.voip &= stands(&before.voip, &now.voip);
        self.dying.message &= stands(&before.message, &now.message);
        self.device = device;
    }

    /// When its user did something on it last, as far as anybody knows.
    pub fn used_at(&self) -> Option<Timestamp> {
        self.used_at
    }

    /// How a message waits for it that is kept; `None`: it does not, since there is no room and it could not be found again.
    /// Clients that speak for themselves read the archive; and what has gone over once stays in order.
    pub(crate) fn room(&self, limit: u64) -> Option<Room> {
        if self.over == 0 && self.queued < limit {
            return Some(Room::Queue);
        }
        let reads_archive = self.doors.iter().any(|it| it.speaks && !it.is_over);
        (self.over > 0 || reads_archive).then_some(Room::Archive)
    }

    /// So many of those that went over can be taken back now: not before half of the queue is empty, so that it is worth it.
    pub(crate) fn refill(&self, limit: u64) -> u64 {
        if self.queued > limit / 2 {
            return 0;
        }
        self.over.min(limit.saturating_sub(self.queued))
    }

    /// Messages that it has not got, wherever they wait.
    pub fn unread(&self) -> u64 {
        self.queued + self.over
    }

    /// One of its doors.
    pub fn door(&self, number: u32) -> Option<&OpenDoor> {
        self.doors.iter().find(|door| door.number == number)
    }

    /// The door to go through with a message, if one is open.
    pub fn best_door(&self) -> Option<&OpenDoor> {
        self.best_door_of(|_| true)
    }

    /// The name of that door.
    pub fn way_in(&self) -> Option<DoorId> {
        self.best_door().map(|door| self.name(door))
    }

    /// The door to go through with a call of this kind.
    pub fn way_to_ring(&self, kind: CallKind) -> Option<DoorId> {
        let door = self.best_door_of(|door| door.rings == Some(kind));
        door.map(|door| self.name(door))
    }

    fn name(&self, door: &OpenDoor) -> DoorId {
        DoorId {
            device: self.device.id.clone(),
            number: door.number,
        }
    }

    /// The door to go through among those.
    pub fn best_door_of(&self, wanted: impl Fn(&OpenDoor) -> bool) -> Option<&OpenDoor> {
        let doors = self.doors.iter();
        let open = doors.filter(|door| door.is_open() && wanted(door));
        open.max_by_key(|door| door.rank())
    }

    /// What the device does: what whoever is most awake behind one of its doors does.
    pub fn mode(&self) -> Mode {
        self.mode_of(|_| true)
    }

    /// The same of whoever is behind one of those.
    pub(super) fn mode_of(&self, wanted: impl Fn(&OpenDoor) -> bool) -> Mode {
        let awake = |mode: &Mode| match mode {
            Mode::Foreground => 3,
            Mode::Silent => 2,
            Mode::Unknown => 1,
            Mode::Suspended => 0,
        };
        let doors = self.doors.iter().filter(|door| wanted(door));
        let modes = doors.map(OpenDoor::mode);
        modes.max_by_key(awake).unwrap_or(Mode::Suspended)
    }

    /// What whoever does not speak for themselves does behind its doors; `None`: there is nobody.
    pub(crate) fn silent_mode(&self) -> Option<Mode> {
        let is_it = |door: &OpenDoor| !door.speaks && !door.is_over;
        let stands = self.doors.iter().any(is_it);
        stands.then(|| self.mode_of(is_it))
    }

    /// When it was known to be there last.
    pub fn seen_at(&self) -> Timestamp {
        let opened = self.doors.iter().map(|door| door.opened_at).max();
        opened.unwrap_or(self.device.seen_at)
    }

    /// When the last of its registrations expires.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.doors.iter().map(|door| door.expires_at).max()
    }

    /// The one rule that says whether a device may be pushed to: it has a live token for what comes in, and the
    /// registration that named it stands (RFC 8599 §5.6.1). Whether a door is open does not matter. `Err` says why not.
    pub fn push_target<'a>(
        &'a self,
        incoming: Incoming,
        profile: Option<&AppProfile>,
    ) -> Result<(Channel, &'a Token), String> {
        let Some(profile) = profile else {
            return Err(match self.device.app {
                None => "no push parameters".to_owned(),
                Some(_) => "its app is not configured".to_owned(),
            });
        };
        let target = self.device.push_target(incoming, profile.generation);
        let Some((channel, token)) = target else {
            return Err("no token for this channel".to_owned());
        };
        if let Handed::Through(number) = token.handed
            && self.door(number).is_none_or(|door| door.is_over)
        {
            return Err("not registered".to_owned());
        }
        if self.dying.of(channel) {
            return Err("its token is dead".to_owned());
        }
        match &token.dead {
            Some(dead) => Err(format!("its token is dead: {}", dead.reason)),
            None => Ok((channel, token)),
        }
    }

    /// Whether whoever a token wakes takes calls of this kind, as far as anybody knows.
    pub(super) fn takes(&self, kind: CallKind, token: &Token) -> bool {
        let kinds = || self.doors.iter().filter_map(|door| door.rings);
        kinds().any(|it| it == kind)
            || match token.handed {
                Handed::For(it) | Handed::Both(_, it) => it == kind,
                Handed::Apart => kinds().next().is_none(),
                Handed::Through(number) => self.door(number).is_some_and(|it| it.rings.is_none()),
            }
    }

    /// A provider says that a token is dead: it is not pushed to until the record says what became of it.
    pub(super) fn token_dies(&mut self, token: &str, since: Option<Timestamp>) {
        let tokens = &self.device.tokens;
        let dies = |known: &Option<Token>| {
            let known = known.as_ref();
            known.is_some_and(|known| known.dies(token, since))
        };
        self.dying.voip |= dies(&tokens.voip);
        self.dying.message |= dies(&tokens.message);
    }

    /// Whether a token of a registration that stands is dead.
    pub(super) fn has_dead_token(&self) -> bool {
        !self.doors.is_empty() && self.device.tokens.iter().any(|token| token.dead.is_some())
    }

    /// When the first of its doors expires, or it is to be asked to register again.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let expires = self.doors.iter().map(|door| door.expires_at).min()?;
        Some(match self.refresh_at() {
            Some(refresh) => expires.min(refresh),
            None => expires,
        })
    }

    /// When it is to be asked to register again, once for each registration.
    pub(super) fn refresh_at(&self) -> Option<Timestamp> {
        let door = self.doors.iter().max_by_key(|door| door.expires_at)?;
        if self.asked_for == door.expires_at || self.device.tokens.iter().next().is_none() {
            return None;
        }
        let lifetime = door.expires_at.since(door.opened_at);
        let lead = if lifetime / 2 > REFRESH_LEAD + JITTER {
            REFRESH_LEAD + jitter(&self.device.id)
        } else {
            REFRESH_LEAD.min(lifetime / 2)
        };
        let lead = u64::try_from(lead.as_millis()).unwrap_or(u64::MAX);
        Some(Timestamp(door.expires_at.0.saturating_sub(lead)))
    }
}

/// By how much earlier: the same for a device each time, whenever it registered.
fn jitter(device: &DeviceId) -> Duration {
    let mut hasher = DefaultHasher::new();
    device.hash(&mut hasher);
    let part = hasher.finish() >> 32;
    let whole = u64::try_from(JITTER.as_millis()).unwrap_or_default();
    Duration::from_millis((part * whole) >> 32)
}

/// What a platform allows and demands once a call was pushed.
pub(crate) fn platform_rules(profile: &AppProfile) -> PlatformRules {
    PlatformRules {
        // An app's server can say no more than that there is something: for a call that is over, that is too much.
        cancel_push: !matches!(profile.platform, Platform::Ios | Platform::Unknown),
        must_see_call: profile.platform == Platform::Ios
            && profile.generation == Generation::DualChannel,
    }
}
