//! The steps of RFC 3261 §10.3 that touch bindings, all or nothing.

use std::num::NonZeroU32;

use smallvec::SmallVec;

use super::identity::Identity;
use super::{
    Binding, Change, Contact, Contacts, Known, Outcome, Policy, Registration, Reject, Removal,
};

/// A wish of so many seconds or more is never too brief (RFC 3261 §10.3 step 7).
const NEVER_TOO_BRIEF: u32 = 3600;

const OUT_OF_ORDER: Reject = Reject::new(500, "REGISTER Out of Order");
const TOO_MANY: Reject = Reject::new(403, "Too Many Contacts");
const TWICE: Reject = Reject::new(400, "Contact Given Twice");

/// Applies a REGISTER to the bindings of its address. `flow_qualifies` says whether it came straight from the client
/// over a connection, so that Outbound can be agreed (RFC 5626 §6).
///
/// # Errors
/// The answer to give; then nothing has changed.
pub fn apply<'b>(
    known: &[Known<'b>],
    registration: &Registration<'_>,
    flow_qualifies: bool,
    now_ms: u64,
    policy: &Policy,
) -> Result<Outcome<'b>, Reject> {
    let mut update = Update {
        known,
        left: known
            .iter()
            .map(|known| known.binding.expires_at_ms > now_ms)
            .collect(),
        registration,
        outbound: flow_qualifies && registration.supports_outbound,
        now_ms,
        policy,
        changes: Vec::new(),
    };
    match &registration.contacts {
        Contacts::None => {}
        Contacts::Star => update.remove(|_| true, Removal::Unregistered)?,
        Contacts::List(contacts) => update.contacts(contacts)?,
    }
    Ok(update.outcome())
}

/// A REGISTER being applied.
struct Update<'a, 'b> {
    known: &'a [Known<'b>],
    /// Which of them have not expired, and are not touched yet.
    left: SmallVec<[bool; 16]>,
    registration: &'a Registration<'a>,
    /// Is Outbound agreed with whoever names an instance and a flow?
    outbound: bool,
    now_ms: u64,
    policy: &'a Policy,
    changes: Vec<Change>,
}

/// A contact that is to be bound.
struct Wanted<'a> {
    contact: &'a Contact<'a>,
    identity: Identity<'a>,
    reg_id: Option<NonZeroU32>,
    expires_at_ms: u64,
    /// The binding that it takes the place of, and whether that is the same one.
    old: Option<(usize, bool)>,
}

impl<'a, 'b> Update<'a, 'b> {
    /// Step 7. What is bound comes first, so that a device which names its old contact only to take it back is known
    /// again in its new one.
    fn contacts(&mut self, contacts: &'a [Contact<'a>]) -> Result<(), Reject> {
        if contacts.len() > self.policy.max_bindings {
            return Err(TOO_MANY);
        }
        let (mut wanted, mut leaving) = (SmallVec::<[Wanted<'a>; 1]>::new(), Vec::new());
        for contact in contacts {
            match self.granted(contact)? {
                0 => leaving.push(contact),
                seconds => wanted.push(self.wanted(contact, seconds)),
            }
        }
        check_twice(&wanted, &leaving)?;
        let signs_out = wanted.is_empty();
        self.bind(wanted)?;
        for contact in leaving {
            self.take_back(contact, signs_out)?;
        }
        self.make_room()
    }

    fn wanted(&self, contact: &'a Contact<'a>, seconds: u32) -> Wanted<'a> {
        let agreed = self.outbound && contact.instance.is_some();
        let reg_id = contact.reg_id.filter(|_| agreed);
        Wanted {
            contact,
            identity: Identity::of_contact(contact, reg_id),
            reg_id,
            expires_at_ms: self.now_ms + u64::from(seconds) * 1000,
            old: None,
        }
    }

    /// Each contact takes the place of the same binding, else of one of its device; what its device has besides goes.
    fn bind(&mut self, mut wanted: SmallVec<[Wanted<'a>; 1]>) -> Result<(), Reject> {
        for one in &mut wanted {
            let same = self.find(|known| one.identity.is_same_binding(known));
            one.old = self.take(same)?.map(|old| (old, true));
        }
        for one in wanted.iter_mut().filter(|one| one.old.is_none()) {
            let moved = self.find(|known| one.identity.supersedes(known));
            one.old = self.take(moved)?.map(|old| (old, false));
        }
        for one in &wanted {
            let new = Binding::new(
                one.contact,
                self.registration,
                one.reg_id,
                one.expires_at_ms,
            );
            self.changes.push(match one.old {
                None => Change::Added(new),
                Some((old, true)) => Change::Refreshed { old, new },
                Some((old, false)) => Change::Replaced { old, new },
            });
        }
        let superseded =
            |known: &Identity<'_>| wanted.iter().any(|one| one.identity.supersedes(known));
        self.remove(superseded, Removal::Superseded)
    }

    /// Removes by contact alone; a flow of Outbound by its number, where the client names it (RFC 5626 §6). A client that
    /// signs out over a new connection names a contact that was never bound: what it bound itself (one Call-ID, RFC 3261
    /// §10.2) goes. Its next process has another Call-ID, and stays.
    fn take_back(&mut self, contact: &Contact<'_>, signs_out: bool) -> Result<(), Reject> {
        let by_flow = contact.reg_id.filter(|_| contact.instance.is_some());
        let identity = Identity::of_contact(contact, by_flow);
        let named = self.find(|known| identity.is_same_binding(known)).is_some();
        if named || !signs_out || by_flow.is_some() {
            return self.remove(
                |known| identity.is_same_binding(known),
                Removal::Unregistered,
            );
        }
        let call_id = self.registration.call_id;
        let own = |known: &Binding| {
            known.call_id() == call_id && identity.is_same_device(&Identity::of_binding(known))
        };
        self.remove_bindings(own, Removal::Unregistered)
    }

    /// Forgets those that are out of reach for longest, until there is room for what was bound.
    fn make_room(&mut self) -> Result<(), Reject> {
        let bound = self
            .changes
            .iter()
            .filter(|change| change.bound().is_some())
            .count();
        let left = self.left.iter().filter(|left| **left).count();
        if bound == 0 {
            return Ok(());
        }
        for _ in self.policy.max_bindings..bound + left {
            let lost = |place: &usize| self.known[*place].out_of_reach_since;
            let places = (0..self.known.len()).filter(|place| self.left[*place]);
            let oldest = places
                .filter(|place| lost(place).is_some())
                .min_by_key(lost);
            let old = oldest.ok_or(TOO_MANY)?;
            self.left[old] = false;
            let why = Removal::MadeRoom;
            self.changes.push(Change::Removed { old, why });
        }
        Ok(())
    }

    /// The first binding that is left and is such a one.
    fn find(&self, is: impl Fn(&Identity<'_>) -> bool) -> Option<usize> {
        self.find_binding(|known| is(&Identity::of_binding(known)))
    }

    fn find_binding(&self, is: impl Fn(&Binding) -> bool) -> Option<usize> {
        let mut places = 0..self.known.len();
        places.find(|place| self.left[*place] && is(self.known[*place].binding))
    }

    fn remove(&mut self, is: impl Fn(&Identity<'_>) -> bool, why: Removal) -> Result<(), Reject> {
        self.remove_bindings(|known| is(&Identity::of_binding(known)), why)
    }

    fn remove_bindings(
        &mut self,
        is: impl Fn(&Binding) -> bool,
        why: Removal,
    ) -> Result<(), Reject> {
        while let Some(old) = self.take(self.find_binding(&is))? {
            self.changes.push(Change::Removed { old, why });
        }
        Ok(())
    }

    /// Takes a binding out of those that are left. Requests of one client (one Call-ID) count in order only.
    fn take(&mut self, place: Option<usize>) -> Result<Option<usize>, Reject> {
        let Some(place) = place else { return Ok(None) };
        let (binding, request) = (self.known[place].binding, self.registration);
        if binding.call_id() == request.call_id && request.cseq <= binding.cseq {
            return Err(OUT_OF_ORDER);
        }
        self.left[place] = false;
        Ok(Some(place))
    }

    /// Seconds that this contact gets; zero removes it.
    fn granted(&self, contact: &Contact<'_>) -> Result<u32, Reject> {
        let wish = self.registration.wish(contact);
        let wish = wish.unwrap_or(self.policy.default_expires);
        let min = self.policy.min_expires;
        if wish > 0 && wish < NEVER_TOO_BRIEF && wish < min {
            return Err(Reject {
                min_expires: Some(min),
                ..Reject::new(423, "Interval Too Brief")
            });
        }
        Ok(wish.min(self.policy.max_expires))
    }

    fn outcome(self) -> Outcome<'b> {
        let kept = self.known.iter().zip(&self.left).filter(|(_, left)| **left);
        let new = || self.changes.iter().filter_map(Change::bound);
        Outcome {
            kept: kept.map(|(known, _)| known.binding).collect(),
            outbound: new().any(|binding| binding.reg_id.is_some()),
            changes: self.changes,
        }
    }
}

/// Only one of two that are the same could be meant. A contact with its old push token may be taken back beside it.
fn check_twice(wanted: &[Wanted<'_>], leaving: &[&Contact<'_>]) -> Result<(), Reject> {
    for (place, one) in wanted.iter().enumerate() {
        let identity = &one.identity;
        let before = &wanted[..place];
        let taken_back = |contact: &&Contact<'_>| {
            identity.is_same_contact_and_token(&Identity::of_contact(contact, None))
        };
        if before
            .iter()
            .any(|other| identity.is_same_binding(&other.identity))
            || (one.reg_id.is_none() && leaving.iter().any(taken_back))
        {
            return Err(TWICE);
        }
    }
    Ok(())
}
