//! What has been told in stories beside what the hub tells: within limits, since anybody can be refused, and a BYE repeated.

use crate::token::DialogId;
use domain::refused::RefusedStories;
use sip::{Flow, Transport};
use std::collections::VecDeque;

/// The end of so many calls is remembered as told; the oldest are forgotten.
const ENDED: usize = 512;

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) refused: RefusedStories,
    ended: VecDeque<DialogId>,
}

impl Told {
    /// Whether the end of a call is news.
    pub(crate) fn ends(&mut self, dialog: DialogId) -> bool {
        if self.ended.contains(&dialog) {
            return false;
        }
        self.ended.truncate(ENDED - 1);
        self.ended.push_front(dialog);
        true
    }
}

/// Whence a flow comes, in stories and wherever a device is shown.
pub(crate) fn whence(flow: Flow) -> String {
    format!("{} {}", flow.transport.param(), peer(flow))
}

/// Who is at the other end of a flow: of a client outside also by which edge, as the inside sees that, with the port at which
/// the client came in.
pub(crate) fn peer(flow: Flow) -> String {
    match flow.transport {
        Transport::Edge => format!("{} by the edge {}", flow.remote, flow.local),
        _ => flow.remote.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_call_is_told_once_and_not_for_ever_remembered() {
        let mut told = Told::default();
        let dialog = |at: usize| DialogId::of(&at.to_string());
        assert!(told.ends(dialog(0)) && !told.ends(dialog(0)));
        assert!((1..=ENDED).all(|at| told.ends(dialog(at))));
        assert_eq!(told.ended.len(), ENDED);
        assert!(told.ends(dialog(0)));
    }
}
