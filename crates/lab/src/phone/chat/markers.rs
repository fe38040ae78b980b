//! What its user has read (XEP-0333): of each conversation the last message that wants to be marked. It is said once, when they
//! look at it.

use super::{Client, words};

impl Client {
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
