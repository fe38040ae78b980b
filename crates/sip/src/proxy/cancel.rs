//! What the branches of a context hear when they need not answer any more (RFC 3261 §16.7, §16.10).

use std::time::Instant;

use smallvec::SmallVec;

use crate::endpoint::{BranchId, ContextId, Endpoint, GIVEN_UP};
use crate::transaction::Key;

impl Endpoint {
    /// Cancels every pending branch of an INVITE but one, with this Reason. The context stays open.
    pub fn cancel_branches(
        &mut self,
        now: Instant,
        context: ContextId,
        except: Option<BranchId>,
        reason: Option<&str>,
    ) {
        self.cancel_pending(now, context.0, except.map(|branch| branch.0), reason);
    }

    /// Cancels one branch of an INVITE, with this Reason. The context stays open. A branch whose flow is gone
    /// ([`Event::BranchStranded`](crate::endpoint::Event::BranchStranded)) ends at once with 408; its phone is still
    /// told if it is found within 64*T1 ([`Endpoint::move_branch`]).
    pub fn cancel_branch(&mut self, now: Instant, branch: BranchId, reason: Option<&str>) {
        let Some(client) = self.clients.get_mut(branch.0) else {
            return;
        };
        if client.cancel(now, &mut self.wire, reason) {
            self.client_failed(now, branch.0, GIVEN_UP);
        }
    }

    /// Cancels what is pending, but for one.
    pub(super) fn cancel_pending(
        &mut self,
        now: Instant,
        context: Key,
        except: Option<Key>,
        reason: Option<&str>,
    ) {
        let Some(known) = self.contexts.get(context) else {
            return;
        };
        let pending: SmallVec<[Key; 8]> =
            known.pending().filter(|key| Some(*key) != except).collect();
        for key in pending {
            self.cancel_branch(now, BranchId(key), reason);
        }
    }
}
