//! What its user has read (XEP-0333): of each conversation the last message that wants to be marked. It is said once, when they
//! look at it.

use super::Client;
use super::words::{self, Received};

/// Conversations of which something is unread; what comes in one more is not marked.
const MOST_UNREAD: usize = 100;

impl Client {
    /// A message is shown that its writer wants marked when it was read.
    pub(super) fn is_unread(&mut self, received: &Received) {
        let peer = words::bare(&received.from);
        let has_room = self.unread.len() < MOST_UNREAD || self.unread.contains_key(&peer);
        if self.account.markers && received.markable && has_room {
            self.unread.insert(peer, received.id.clone());
        }
    }

    /// Its user has read everything: whoever wrote hears so, and the server, which tells their other clients
    /// (`behaviour.md` 6.11).
    pub(super) fn has_read(&mut self) {
        if self.session.is_none() {
            return;
        }
        for (peer, about) in std::mem::take(&mut self.unread) {
            let displayed = words::displayed(&peer, &about, self.rng.hex(12));
            self.send(&displayed, None);
        }
    }
}
