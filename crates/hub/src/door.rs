//! A door that is open, or was: a way to a device as it is now.

use domain::{CallKind, Door, DoorState, Mode, Timestamp, behaviour};
use std::sync::Arc;

/// A way to a device, as it is now.
#[derive(Clone, Debug)]
pub struct OpenDoor {
    /// Its number.
    pub number: u32,
    /// What its transport knows.
    pub state: DoorState,
    /// When it was opened or opened anew last.
    pub opened_at: Timestamp,
    /// After this it is gone.
    pub expires_at: Timestamp,
    /// Until when the store will have it: never before `expires_at`.
    pub(crate) stored_until: Timestamp,
    /// Which calls go through it; none: messages alone.
    pub rings: Option<CallKind>,
    /// Whoever is behind it says by themselves what they do.
    pub speaks: bool,
    /// Preference in thousandths.
    pub q: u16,
    /// What the client itself stated since it came through this door last.
    pub stated_mode: Option<Mode>,
    /// How many messages may be on their way through it at once.
    pub window: u16,
    /// Where the device is to register when it is woken.
    pub register_at: Arc<str>,
    /// Its time is over: nobody goes through it or is woken by it, though the store may have it still.
    pub(crate) is_over: bool,
}

impl OpenDoor {
    /// A door as the store has it. It may be believed in for longer than it stands, never shorter.
    pub(crate) fn kept(
        door: &Door,
        (state, rings): (DoorState, Option<CallKind>),
        window: u16,
        register_at: Arc<str>,
    ) -> Self {
        Self {
            number: door.id.number,
            state,
            opened_at: door.opened_at,
            expires_at: door.expires_at,
            stored_until: door.expires_at,
            rings,
            speaks: false,
            q: door.q,
            stated_mode: None,
            window,
            register_at,
            is_over: false,
        }
    }

    /// Its time is over.
    pub(crate) fn expire(&mut self) {
        self.is_over = true;
        self.state = DoorState::Down;
    }

    /// What whoever is behind it does.
    pub fn mode(&self) -> Mode {
        behaviour::mode(self.stated_mode, self.state)
    }

    /// Whether something can be sent through it.
    pub fn is_open(&self) -> bool {
        self.state != DoorState::Down
    }

    /// Which of two open doors is tried first: one that is known to be up, then one through which nothing is lost of what
    /// somebody writes, then the one opened last.
    pub(crate) fn rank(&self) -> (bool, bool, Timestamp, u32) {
        let is_up = self.state == DoorState::Up;
        (is_up, self.speaks, self.opened_at, self.number)
    }
}
