//! Which requests that are under way go by a relay, and what is known of that: for their answers, and so that a relay is told
//! when nobody took a call.

use super::{Leg, Over};
use domain::IdMap;
use sip::endpoint::BranchId;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// What is known of the INVITEs of one leg.
#[derive(Debug, Default)]
struct Named {
    /// So many are about to be sent, or were and are not over.
    open: usize,
    /// Somebody took one of them, or the dialog was there before.
    stays: bool,
    /// Who was called has offered, and nobody has answered that.
    callee_offers: bool,
}

/// All of them. What a branch is known for ends with the branch, and so the endpoint's limits are theirs.
#[derive(Debug, Default)]
pub(crate) struct Legs {
    /// By the branch that one was sent by, and whether that has failed.
    by_branch: IdMap<BranchId, (Leg, bool)>,
    by_name: HashMap<Arc<str>, Named>,
    over: VecDeque<Over>,
}

impl Legs {
    /// A leg is about to be used by a request.
    pub(crate) fn begin(&mut self, leg: &Leg) {
        if leg.is_invite {
            let named = self.by_name.entry(leg.name.clone()).or_default();
            named.open += 1;
            named.stays |= !leg.begins;
        }
    }

    /// It is not used after all, or nobody took it. What nobody uses any more a relay can forget.
    pub(crate) fn end(&mut self, leg: &Leg) {
        let Some(named) = self.by_name.get_mut(&leg.name).filter(|_| leg.is_invite) else {
            return;
        };
        named.open -= 1;
        if named.open == 0 {
            let stays = named.stays;
            self.by_name.remove(&leg.name);
            if !stays {
                self.over.push_back(Over {
                    leg: leg.name.clone(),
                    dialog: None,
                });
            }
        }
    }

    /// It was sent by this branch.
    pub(crate) fn sent(&mut self, branch: BranchId, leg: Leg) {
        self.by_branch.insert(branch, (leg, false));
    }

    /// What was sent by a branch.
    pub(crate) fn get(&self, branch: BranchId) -> Option<&Leg> {
        self.by_branch.get(&branch).map(|(leg, _)| leg)
    }

    /// A branch has its final response.
    pub(crate) fn branch_final(&mut self, branch: BranchId, status: u16) {
        let Some((leg, failed)) = self.by_branch.get_mut(&branch) else {
            return;
        };
        if status < 300 {
            if let Some(named) = self.by_name.get_mut(&leg.name) {
                named.stays = true;
            }
        } else if !std::mem::replace(failed, true) {
            let leg = leg.clone();
            self.end(&leg);
        }
    }

    /// Nothing comes from a branch any more.
    pub(crate) fn branch_gone(&mut self, branch: BranchId) {
        if let Some((leg, false)) = self.by_branch.remove(&branch) {
            self.end(&leg);
        }
    }

    /// Who was called offers.
    pub(crate) fn callee_offers(&mut self, leg: &str) {
        if let Some(named) = self.by_name.get_mut(leg) {
            named.callee_offers = true;
        }
    }

    /// Whether a PRACK answers an offer of who was called, and does not offer anew (RFC 3262).
    pub(crate) fn answers_callee(&self, leg: &str) -> bool {
        self.by_name.get(leg).is_some_and(|it| it.callee_offers)
    }

    /// Who was called has an answer.
    pub(crate) fn callee_answered(&mut self, leg: &str) {
        if let Some(named) = self.by_name.get_mut(leg) {
            named.callee_offers = false;
        }
    }

    /// A dialog is over.
    pub(crate) fn dialog_over(&mut self, over: Over) {
        self.over.push_back(over);
    }

    /// The next that no relay need know any more.
    pub(crate) fn next_over(&mut self) -> Option<Over> {
        self.over.pop_front()
    }

    /// Whether nothing is under way by a relay.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_branch.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_branch.len() + self.by_name.len()
    }
}
