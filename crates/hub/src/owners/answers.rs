//! What APIs ask.

use super::Owners;
use crate::{
    Answer, DeviceView, DoorView, Entry, NotDone, OpenDoor, Output, Question, Ticket,
    step::{Asker, Deed, Work},
};
use domain::{Address, DeviceId, Mode, Now, Timestamp};

impl Owners {
    pub(super) fn asked(&mut self, ticket: Ticket, question: Question) -> Vec<Deed> {
        match question {
            Question::PutUser(user, read) => {
                vec![Deed::Work(
                    user.address.clone(),
                    Work::PutUser(ticket, user, read),
                )]
            }
            Question::Redeem(user, token, inviter) => vec![Deed::Work(
                user.address.clone(),
                Work::Redeem(ticket, user, token, inviter),
            )],
            Question::RemoveUser(user) if self.accounts.has(&user) => {
                vec![Deed::Work(user.clone(), Work::RemoveUser(ticket, user))]
            }
            Question::RemoveUser(_) => answer(ticket, Err(NotDone::Missing)),
            Question::UsersGone(users) => of_each(ticket, users, Work::UserGone),
            Question::SignOut(users) => of_each(ticket, users, Work::SignOut),
            Question::Devices(user) => {
                let views = match &user {
                    Some(user) => self.directory.of(user).map(view).collect(),
                    None => self.directory.all().map(view).collect(),
                };
                answer(ticket, Ok(Answer::Devices(views)))
            }
            Question::Device(user, device) => {
                let own = self.own(&user, &device);
                let found = own.map(|entry| Answer::Devices(vec![view(entry)]));
                answer(ticket, found.ok_or(NotDone::Missing))
            }
            Question::ForgetDevice(user, device) => {
                let owner = self.directory.get(&device);
                let owner = owner.map(|entry| entry.device.user.clone());
                match owner.filter(|owner| user.is_none_or(|user| user == *owner)) {
                    Some(owner) => vec![Deed::Work(owner, Work::Forget(Some(ticket), device))],
                    None => answer(ticket, Err(NotDone::Missing)),
                }
            }
            Question::ForgetGone(before) => {
                let mut deeds = self.forget_gone(before);
                deeds.extend(answer(ticket, Ok(Answer::Done)));
                deeds
            }
            Question::PutDevice(user, device, update) => {
                if !self.accounts.has(&user) {
                    return answer(ticket, Err(NotDone::Missing));
                }
                let asker = Asker::Api(ticket);
                let work = Work::Update(asker, user.clone(), device, update);
                vec![Deed::Work(user, work)]
            }
            Question::SetMode(user, device, mode) => {
                if self.own(&user, &device).is_none() {
                    return answer(ticket, Err(NotDone::Missing));
                }
                // A way that the device is about to come by is the one that it speaks of.
                vec![Deed::Work(user, Work::State(Some(ticket), device, mode))]
            }
        }
    }

    fn own(&self, user: &Address, device: &DeviceId) -> Option<&Entry> {
        let entry = self.directory.get(device)?;
        Some(entry).filter(|entry| entry.device.user == *user)
    }

    /// Forgets devices that have been out of reach since `before`.
    fn forget_gone(&mut self, before: Timestamp) -> Vec<Deed> {
        let gone = |entry: &&Entry| entry.doors.is_empty() && entry.device.seen_at < before;
        let forget = |entry: &Entry| {
            let work = Work::Forget(None, entry.device.id.clone());
            Deed::Work(entry.device.user.clone(), work)
        };
        let deeds: Vec<_> = self.directory.all().filter(gone).map(forget).collect();
        if !deeds.is_empty() {
            tracing::info!(
                devices = deeds.len(),
                "forgotten: out of reach for too long"
            );
        }
        deeds
    }

    /// The client has stated what it does: in the foreground it takes its messages. Its statement counts only while its
    /// connection is up; a registration that is on its way brings it back. Nothing of it is kept over a restart.
    pub(super) fn state_mode(&mut self, now: Now, device: &DeviceId, mode: Mode) -> Vec<Deed> {
        self.directory.state_mode(device, mode);
        let entry = self.directory.get(device);
        let there = entry.filter(|entry| entry.mode() == Mode::Foreground && entry.queued > 0);
        if entry.is_some_and(|entry| entry.mode() == Mode::Foreground) {
            self.shown.returned(device);
        }
        match there.and_then(Entry::way_in) {
            Some(door) => self.gets_messages(now, (&door, false)),
            None => Vec::new(),
        }
    }
}

/// The same about each of these users, which is begun when that is answered.
fn of_each(ticket: Ticket, users: Vec<Address>, work: impl Fn(Address) -> Work) -> Vec<Deed> {
    let deeds = users
        .into_iter()
        .map(|user| Deed::Work(user.clone(), work(user)));
    deeds.chain(answer(ticket, Ok(Answer::Done))).collect()
}

fn answer(ticket: Ticket, answer: Result<Answer, NotDone>) -> Vec<Deed> {
    vec![Output::Answer(ticket, answer).into()]
}

fn view(entry: &Entry) -> DeviceView {
    let door = |open: &OpenDoor| DoorView {
        number: open.number,
        mode: open.mode(),
        expires_at: open.expires_at,
        behind: String::new(),
    };
    DeviceView {
        device: entry.device.clone(),
        doors: entry.doors.iter().map(door).collect(),
        mode: entry.mode(),
        seen_at: entry.seen_at(),
        queued: entry.queued,
    }
}
