//! What each input means to the owners.

use super::Owners;
use crate::{
    Doors, Input, PushRef, Pushed, messages, pushes,
    step::{Deed, Work},
};
use domain::{Now, Outcome, wake};

impl Owners {
    /// Takes in what happened.
    pub(crate) fn handle(&mut self, now: Now, input: Input) -> Vec<Deed> {
        match input {
            Input::Doors(doors) => self.doors(now, doors),
            Input::DoorLost(door, state) => {
                self.directory.door_lost(&door, state);
                Vec::new()
            }
            Input::Said(user, said) => self.said(now, user, said).into_iter().collect(),
            Input::Told(user, word) => self.told(user, word).into_iter().collect(),
            Input::DoorLeft(user, door) => vec![Deed::Work(user, Work::Left(door))],
            Input::Alone(device) => {
                self.directory.waits_alone(&device);
                Vec::new()
            }
            Input::Stated(user, device, mode) => {
                vec![Deed::Work(user, Work::State(None, device, mode))]
            }
            Input::Pushed(pushed) => self.pushed(now, pushed),
            Input::Asked(ticket, question) => self.asked(ticket, question),
            Input::Arrived(ticket, message) => {
                let user = message.to.clone();
                vec![Deed::Work(user, Work::Message(ticket, message))]
            }
            // A device that is no more has no queue that anything could leave.
            Input::Acknowledged(device, ..) | Input::Refused(device, ..)
                if self.directory.get(&device).is_none() =>
            {
                Vec::new()
            }
            Input::Acknowledged(device, id, all_before) => {
                let effects = self.delivery.acknowledged(now, &device, &id, all_before);
                let mut deeds = vec![messages::count("delivered")];
                deeds.extend(self.deliver(now, effects));
                deeds
            }
            Input::Refused(device, id, why) => {
                let effects = self.delivery.refused(now, &device, &id, &why);
                let mut deeds = vec![messages::count("refused")];
                deeds.extend(self.deliver(now, effects));
                deeds
            }
            Input::Unacknowledged(device, id, why) => {
                let effects = self.delivery.failed(&device, &id, &why);
                self.deliver(now, effects)
            }
            Input::Fetched(device, queue) => {
                let effects = self.delivery.fetched(now, &device, queue);
                self.deliver(now, effects)
            }
            call => self.call(now, call),
        }
    }

    /// What happened to a call.
    fn call(&mut self, now: Now, input: Input) -> Vec<Deed> {
        let (calls, directory) = (&mut self.calls, &self.directory);
        let (id, input) = match input {
            Input::Called(call) => return calls.called(now, *call, directory),
            Input::Failed(id, door, failure, why) => {
                return calls.failed(now, id, door, (failure, why), directory);
            }
            Input::FallenBack(id, uri) => return calls.fallen_back(now, id, uri),
            Input::CallDone(id, end) => return calls.done(now, id, end, directory),
            Input::Progress(id, device, ringing) => (id, wake::Input::Progress { device, ringing }),
            Input::Answered(id, device) => (id, wake::Input::Answered(device)),
            Input::CallerCancelled(id) => (id, wake::Input::CallerCancelled),
            _ => return Vec::new(),
        };
        calls.step(now, id, input, directory)
    }

    /// A role opens and closes doors. Calls hear of it at once, since they promise nothing that must be kept.
    fn doors(&mut self, now: Now, doors: Doors) -> Vec<Deed> {
        let mut deeds = Vec::new();
        for opening in doors.opened.iter().filter(|opening| opening.rings) {
            if self.directory.get(&opening.door.device).is_some() {
                let (door, fresh) = (&opening.door, opening.fresh);
                let (user, directory) = (&doors.user, &self.directory);
                deeds.extend(self.calls.returned(now, user, door, fresh, directory));
            }
        }
        deeds.push(Deed::Work(doors.user.clone(), Work::Doors(doors)));
        deeds
    }

    fn pushed(&mut self, now: Now, pushed: Pushed) -> Vec<Deed> {
        let Pushed {
            push,
            device,
            token,
            outcome,
        } = pushed;
        let mut deeds = Vec::new();
        if let Outcome::TokenDead { since, reason } = &outcome
            && let Some(entry) = self.directory.get(&device)
        {
            let user = entry.device.user.clone();
            self.directory.token_dies(&device, &token, *since);
            let dead = Work::TokenDead(device.clone(), token, *since, reason.clone());
            deeds.push(Deed::Work(user, dead));
        }
        match push {
            PushRef::Call(call) => {
                let directory = &self.directory;
                deeds.extend(self.calls.pushed(now, call, device, outcome, directory));
            }
            PushRef::Owed(id, tracking) => {
                let notes = pushes::outcome_notes(now.wall, &tracking, &device, &outcome);
                deeds.extend(
                    notes
                        .into_iter()
                        .map(|note| crate::Output::Note(note).into()),
                );
                deeds.extend(pushes::done(now, &mut self.outbox, &id, &outcome));
                deeds.extend(self.push_due(now));
            }
        }
        deeds
    }
}
