//! Calls that are up: what one end says in it reaches the other, wherever that is by now, and nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{Scene, Verdict};
use crate::phone::PhoneEvent;

/// So long after one end hung up the other one knows, if it is well: a network without faults may still be slow.
const HEARD: Duration = Duration::from_secs(40);
/// Refusals of an INVITE within a call that say that the other end was not found there.
const NOT_FOUND: [u16; 6] = [404, 408, 430, 480, 481, 500];

/// A call that is up at both ends.
#[derive(Debug, Default)]
struct Dialog {
    caller: Option<usize>,
    callee: Option<usize>,
    /// More than one answered.
    forked: bool,
    /// Who knows that it is over.
    ended: BTreeSet<usize>,
    /// Who must know by when.
    due: BTreeMap<usize, Instant>,
    /// Who has hung up: a repeated BYE is answered as the first was.
    byes: BTreeSet<usize>,
    /// INVITEs within it from an end by their `CSeq`, while the other end is well.
    renewals: BTreeSet<(usize, u32)>,
}

impl Dialog {
    fn other(&self, who: usize) -> Option<usize> {
        let (caller, callee) = (self.caller?, self.callee?);
        if self.forked || caller == callee {
            return None;
        }
        match who {
            _ if who == caller => Some(callee),
            _ if who == callee => Some(caller),
            _ => None,
        }
    }
}

/// How a phone is.
#[derive(Debug, Default)]
struct Phone {
    /// Since when it is registered, with nothing that came between.
    well: Option<Instant>,
    frozen: bool,
}

#[derive(Debug, Default)]
pub(super) struct Dialogs {
    dialogs: BTreeMap<String, Dialog>,
    phones: BTreeMap<usize, Phone>,
}

impl Dialogs {
    /// `calls`: it is about a call of theirs. `outside`: they do not register, and are where they were heard last.
    pub(super) fn seen(
        &mut self,
        now: Instant,
        who: usize,
        event: &PhoneEvent,
        (calls, outside): (bool, bool),
    ) {
        let phone = self.phones.entry(who).or_default();
        if outside && matches!(event, PhoneEvent::Answered { .. }) {
            phone.well = Some(now);
        }
        match event {
            PhoneEvent::Registered { .. } => phone.well = Some(now),
            PhoneEvent::Backgrounded => {
                phone.frozen = true;
                self.troubled(who);
            }
            PhoneEvent::Resumed { .. } | PhoneEvent::Suspended => phone.frozen = false,
            PhoneEvent::ConnectionLost | PhoneEvent::RegistrationFailed { .. } => {
                self.troubled(who);
            }
            PhoneEvent::Answered { call } if calls => {
                let dialog = self.dialogs.entry(call.clone()).or_default();
                dialog.caller = Some(who);
            }
            PhoneEvent::Connected { call } => {
                let dialog = self.dialogs.entry(call.clone()).or_default();
                let before = dialog.callee.replace(who);
                dialog.forked |= before.is_some_and(|before| before != who);
            }
            PhoneEvent::Ended { call, .. } => {
                if let Some(dialog) = self.dialogs.get_mut(call) {
                    dialog.ended.insert(who);
                    dialog.due.remove(&who);
                }
            }
            _ => {}
        }
    }

    /// Something came between a phone and the server: what it is told it may miss.
    pub(super) fn troubled(&mut self, who: usize) {
        self.phones.entry(who).or_default().well = None;
        for dialog in self.dialogs.values_mut() {
            dialog.due.remove(&who);
            if dialog.caller == Some(who) || dialog.callee == Some(who) {
                dialog.renewals.clear();
            }
        }
    }

    /// A new server: whoever registers with it is well.
    pub(super) fn restarted(&mut self) {
        let all: Vec<_> = self.phones.keys().copied().collect();
        for who in all {
            self.troubled(who);
        }
    }

    /// The other end, if it is in the call still and hears what it is told.
    fn well(&self, scene: &Scene<'_>, id: &str, who: usize) -> Option<usize> {
        let dialog = self.dialogs.get(id)?;
        let other = dialog.other(who)?;
        let phone = self.phones.get(&other)?;
        let hears = scene.gentle && !phone.frozen && phone.well.is_some();
        (hears && !dialog.ended.contains(&other)).then_some(other)
    }

    /// An end hangs up.
    pub(super) fn hangs_up(&mut self, scene: &Scene<'_>, who: usize, id: &str) {
        let other = self.well(scene, id, who);
        if let Some(dialog) = self.dialogs.get_mut(id)
            && dialog.byes.insert(who)
        {
            dialog
                .due
                .extend(other.map(|other| (other, scene.now + HEARD)));
        }
    }

    /// It was told that the other end knows.
    pub(super) fn hung_up(&self, who: usize, id: &str) -> Verdict {
        let dialog = self.dialogs.get(id);
        let other = dialog.and_then(|it| Some((it, it.other(who)?)));
        match other {
            Some((dialog, other)) if !dialog.ended.contains(&other) => Err(format!(
                "phone {who} was told that {id} is over for phone {other}, which does not know"
            )),
            _ => Ok(()),
        }
    }

    /// An end sends an INVITE within the call.
    pub(super) fn renews(&mut self, scene: &Scene<'_>, who: usize, id: &str, cseq: u32) {
        if self.well(scene, id, who).is_some()
            && let Some(dialog) = self.dialogs.get_mut(id)
        {
            dialog.renewals.insert((who, cseq));
        }
    }

    /// It was answered.
    pub(super) fn renewed(
        &mut self,
        scene: &Scene<'_>,
        who: usize,
        (id, cseq): (&str, u32),
        status: u16,
    ) -> Verdict {
        let Some(dialog) = self.dialogs.get_mut(id) else {
            return Ok(());
        };
        if scene.server.outside.is(who) && status < 300 && dialog.other(who).is_some() {
            self.phones.entry(who).or_default().well = Some(scene.now);
        }
        let other = dialog.other(who).filter(|it| !dialog.ended.contains(it));
        let watched = dialog.renewals.remove(&(who, cseq));
        match other.filter(|_| watched && NOT_FOUND.contains(&status)) {
            Some(other) => Err(format!(
                "phone {who} did not reach phone {other} in {id}: {status}"
            )),
            None => Ok(()),
        }
    }

    /// Nobody is left in a call that the other one has ended.
    pub(super) fn in_time(&self, now: Instant) -> Verdict {
        for (id, dialog) in &self.dialogs {
            if let Some((who, _)) = dialog.due.iter().find(|(_, at)| **at < now) {
                return Err(format!("phone {who} was not told that {id} is over"));
            }
        }
        Ok(())
    }
}
