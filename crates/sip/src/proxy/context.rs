//! The response context (RFC 3261 §16.2): a proxied request, the branches that it was forked into, and what has been
//! decided about it.

use crate::transaction::{Key, TimerId};
use crate::{HeaderName, Message, reason_phrase};

/// One proxied request.
#[derive(Debug)]
pub(crate) struct Context {
    /// Its server transaction.
    pub(crate) server: Key,
    /// The request as every branch starts from it, while there may be further ones.
    pub(crate) request: Option<Message>,
    pub(crate) invite: bool,
    pub(crate) loop_mark: u32,
    pub(crate) branches: Vec<Branch>,
    /// Client transactions that are not over.
    pub(crate) alive: usize,
    /// Max-Breadth that no branch has (RFC 5393 §5.3.2).
    pub(crate) breadth: u32,
    /// The owner waits for further targets.
    pub(crate) held: bool,
    /// Why it comes to its end, once that is decided: no branch may ring on.
    pub(crate) ending: Option<Ending>,
    /// What the caller got.
    pub(crate) done: Option<u16>,
    pub(crate) guard: Option<TimerId>,
}

/// Why a context ends.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    /// The caller cancelled.
    pub(crate) by_caller: bool,
    /// For the CANCELs of its branches (RFC 3326).
    pub(crate) reason: Option<String>,
}

/// One target of the request.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) key: Key,
    pub(crate) breadth: u32,
    pub(crate) state: BranchState,
    /// It was sent only to show that the call is over.
    pub(crate) too_late: bool,
    /// A 2xx that nobody waits for any more has been answered with a BYE.
    pub(crate) orphaned: bool,
    /// What its responses lose.
    pub(crate) off_responses: &'static [HeaderName<'static>],
    /// The owner hears when it is gone.
    pub(crate) watched: bool,
}

#[derive(Debug)]
pub(crate) enum BranchState {
    /// Silent so far.
    Calling,
    /// There was a provisional response.
    Proceeding,
    /// The final one; without a message if none came.
    Final(u16, Option<Message>),
}

impl Branch {
    pub(crate) fn is_pending(&self) -> bool {
        !matches!(self.state, BranchState::Final(..))
    }
}

impl Context {
    pub(crate) fn branch_mut(&mut self, key: Key) -> Option<&mut Branch> {
        self.branches.iter_mut().find(|branch| branch.key == key)
    }

    /// What is not needed any more, once the caller has its final response and no further branch can come.
    pub(crate) fn forget_messages(&mut self) {
        if self.done.is_none() || self.held {
            return;
        }
        self.request = None;
        for branch in &mut self.branches {
            if let BranchState::Final(_, response) = &mut branch.state {
                *response = None;
            }
        }
    }

    /// The branches without a final response.
    pub(crate) fn pending(&self) -> impl Iterator<Item = Key> {
        self.branches
            .iter()
            .filter(|branch| branch.is_pending())
            .map(|branch| branch.key)
    }

    /// Must the caller still wait? For every branch; but once the context is ending, not for one that never said a
    /// word: a phone that is gone would keep the caller for 32 seconds. (It is cancelled when it speaks.)
    pub(crate) fn must_wait(&self) -> bool {
        self.branches.iter().any(|branch| match branch.state {
            BranchState::Calling => self.ending.is_none(),
            BranchState::Proceeding => true,
            BranchState::Final(..) => false,
        })
    }

    /// All final responses so far, in the order of the branches.
    pub(crate) fn finals(&self) -> impl Iterator<Item = (u16, Option<&Message>)> + Clone {
        self.branches
            .iter()
            .filter_map(|branch| match &branch.state {
                BranchState::Final(status, response) => Some((*status, response.as_ref())),
                _ => None,
            })
    }
}

/// Value of a Reason header field for a status (RFC 3326 §2).
pub(super) fn reason_value(status: u16) -> String {
    format!("SIP;cause={status};text=\"{}\"", reason_phrase(status))
}
