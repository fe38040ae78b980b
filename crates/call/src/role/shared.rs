//! What all chapters of the role use.

use super::Role;
use crate::{calls::Calls, line::Line, vocabulary::Output};
use domain::Now;
use hub::Ticket;

impl Role {
    pub(super) fn line(&mut self, now: Now) -> (&mut Calls, Line<'_>) {
        let line = Line {
            now,
            settings: &self.settings,
            endpoint: &mut self.endpoint,
            bindings: &self.bindings,
            registrations: &self.registrations,
            dialogs: &self.dialogs,
            legs: &mut self.legs,
        };
        (&mut self.calls, line)
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    pub(super) fn tell(&mut self, input: impl IntoIterator<Item = hub::Input>) {
        self.out.extend(input.into_iter().map(Output::Hub));
    }
}
