//! What each input means to the owners.

use super::{Owners, telephones::talks};
use crate::{
    Doors, Input, PushRef, Pushed, messages, pushes,
    step::{Asker, Deed, Read, Work},
};
use domain::{DeviceId, DoorId, DoorState, MessageId, Now, Outcome, wake};

impl Owners {
    /// Takes in what happened.
    pub(crate) fn handle(&mut self, now: Now, input: Input) -> Vec<Deed> {
        match input {
            Input::Doors(doors) => self.doors(now, doors),
            Input::DoorLost(door, state) => {
                self.directory.door_lost(&door, state);
                self.telephone_of(now, &door.device).into_iter().collect()
            }
            Input::Said(user, said) => self.said(now, user, said).into_iter().collect(),
            Input::SignIn(ticket, tokens) => {
                let user = tokens.user.clone();
                vec![Deed::Work(user, Work::SignIn(ticket, tokens))]
            }
            Input::Session(ticket, session) => {
                let user = session.user.clone();
                vec![Deed::Work(user, Work::Session(ticket, session))]
            }
            Input::Told(user, word) => self.told(now, user, word).into_iter().collect(),
            Input::Talks(users, talk, time) => users
                .into_iter()
                .map(|user| talks(user, talk, time))
                .collect(),
            Input::DoorLeft(user, door) => {
                // Whatever becomes of saving that, nobody is behind it.
                self.directory.door_lost(&door, DoorState::Down);
                vec![Deed::Work(user, Work::Left(door))]
            }
            Input::Alone(device) => {
                self.directory.waits_alone(&device);
                Vec::new()
            }
            Input::Stated(user, device, mode) => {
                vec![Deed::Work(user, Work::State(None, device, mode))]
            }
            Input::Used(device) => {
                self.directory.used(&device, now.wall);
                Vec::new()
            }
            Input::Attends(user, device, from) => {
                let conversation = self.delivery.conversation(&from, &user);
                let (directory, outbox) = (&self.directory, &self.outbox);
                pushes::attended(directory, outbox, &device, &user, &conversation)
            }
            Input::Read(user, device, from, up_to) => {
                let read = Read {
                    user: user.clone(),
                    device,
                    writer: from.into(),
                    up_to,
                };
                vec![Deed::Work(user, Work::Read(Box::new(read)))]
            }
            Input::Counted(push, unread) => {
                let pushes = (&self.outbox, &mut self.shown);
                pushes::counted(now, &self.directory, pushes, &push, unread)
            }
            Input::Enables(ticket, user, device, update) => {
                let work = Work::Update(Asker::Role(ticket), user.clone(), device, update);
                vec![Deed::Work(user, work)]
            }
            Input::Disables(ticket, user, meant, kind) => {
                let work = Work::Disable(ticket, user.clone(), meant, kind);
                vec![Deed::Work(user, work)]
            }
            Input::Pushed(pushed) => self.pushed(now, pushed),
            Input::Asked(ticket, question) => self.asked(ticket, question),
            Input::Arrived(ticket, message) => {
                let user = message.to.clone();
                vec![Deed::Work(user, Work::Message(ticket, message))]
            }
            // A device that is no more has no queue that anything could leave.
            Input::Acknowledged(device, ..) | Input::Refused(DoorId { device, .. }, ..)
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
            Input::HadElsewhere(device, id) => self.had_elsewhere(now, device, id),
            Input::Refused(door, id, why) => {
                let effects = self.delivery.refused(now, &door, &id, &why);
                let mut deeds = vec![messages::count("refused")];
                deeds.extend(self.deliver(now, effects));
                deeds
            }
            Input::Unacknowledged(door, id, why) => {
                let directory = &self.directory;
                let effects = self.delivery.failed(now, directory, &door, &id, &why);
                self.deliver(now, effects)
            }
            Input::Fetched(device, queue) => {
                let effects = self.delivery.fetched(now, &device, queue);
                self.deliver(now, effects)
            }
            call => self.call(now, call),
        }
    }

    /// A client has a message that went by another door of its device.
    fn had_elsewhere(&mut self, now: Now, device: DeviceId, id: MessageId) -> Vec<Deed> {
        if !self.delivery.is_under_way(&device, &id) {
            return Vec::new();
        }
        self.handle(now, Input::Acknowledged(device, id, false))
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
        // Who has gone again meanwhile has not come.
        let came = doors.opened.iter().filter(|it| it.state != DoorState::Down);
        for opening in came {
            let is_known = self.directory.get(&opening.door.device).is_some();
            if let Some(kind) = opening.rings.filter(|_| is_known) {
                let (door, fresh) = ((&opening.door, kind), opening.fresh);
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
                if matches!(outcome, Outcome::Accepted { .. }) {
                    deeds.extend(self.is_shown(now, &id));
                }
                deeds.extend(pushes::done(now, &mut self.outbox, &id, &outcome));
                deeds.extend(self.push_due(now));
            }
        }
        deeds
    }
}
