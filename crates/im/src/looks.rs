//! Clients say whether anybody looks (XEP-0352).

use crate::line::Line;
use domain::{DoorId, Mode, Now};
use xmpp::xml::Element;

impl Line {
    /// XEP-0352 §4.2.
    pub(crate) fn looks(&mut self, now: Now, door: &DoorId, element: &Element) {
        let somebody = match element.local() {
            "active" => true,
            "inactive" => false,
            _ => return,
        };
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        let (is_news, given) = session.management.looks(now.instant, somebody);
        self.given(door, given);
        if is_news {
            self.states(door);
        }
        if somebody {
            self.tell(hub::Input::Used(door.device.clone()));
        }
    }

    /// The hub hears it, if it knows the client: who sleeps with the connection up is silent (`behaviour.md` 3.2).
    pub(crate) fn states(&mut self, door: &DoorId) {
        let Some(session) = self.sessions.get(door).filter(|it| it.takes_messages()) else {
            return;
        };
        let mode = if session.management.is_inactive() {
            Mode::Suspended
        } else {
            Mode::Foreground
        };
        let (user, device) = (session.user.clone(), door.device.clone());
        self.tell(hub::Input::Stated(user, device, mode));
    }
}
