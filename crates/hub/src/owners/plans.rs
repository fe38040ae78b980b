//! What is to be done about a user becomes one step. Nothing changes here: what a step promises is carried out once it
//! is saved.

use super::{Owners, read::plan_read};
use crate::{
    NotDone, Output, Said, messages, pushes,
    step::{Asker, Step, Then, Work},
};
use domain::{Change, DeviceId, Message, Now, behaviour::Incoming, delivery::Landed, trace};
use std::sync::Arc;

impl Owners {
    /// The step, or why it cannot be.
    pub(crate) fn plan(&mut self, now: Now, work: Work) -> Result<Step, NotDone> {
        let asker = work.asker();
        let directory = &self.directory;
        match work {
            Work::Doors(doors) => directory.plan_doors(now, doors),
            Work::Expired(doors) => Ok(directory.plan_expired(now, doors)),
            Work::Refresh(device) => {
                let tracking = self.namer.fresh(now.wall);
                Ok(directory.plan_refresh(now, &device, tracking))
            }
            Work::Update(_, user, device, update) => {
                directory.plan_update(now, asker, &user, &device, &update)
            }
            Work::Disable(_, user, meant, kind) => {
                directory.plan_disable(now, asker, &user, &meant, kind)
            }
            Work::State(_, device, mode) => match directory.get(&device) {
                Some(_) => Ok(Step {
                    changes: Vec::new(),
                    then: vec![Then::Stated(device, mode)],
                    asker,
                }),
                None => Err(NotDone::Missing),
            },
            Work::TokenDead(device, token, since, reason) => {
                Ok(directory.plan_token_dead(now, &device, &token, since, &reason))
            }
            Work::Forget(_, device) => directory.plan_forget(asker, &device),
            Work::Left(door) => directory.plan_left(&door),
            Work::Message(_, message) => self.plan_message(now, asker, message),
            Work::Landed(device, landed) => Ok(plan_landed(now, &device, landed)),
            Work::Refill(device) => Ok(self.plan_refill(device)),
            Work::Announce(device, message) => Ok(self.plan_announcement(now, &device, &message)),
            Work::Read(read) => Ok(plan_read(*read)),
            Work::Owe(push) => {
                let mut step = Step::of(asker);
                if directory.get(&push.device).is_some() {
                    step.owe(*push);
                }
                Ok(step)
            }
            Work::Said(user, _) if !self.accounts.has(&user) => Err(NotDone::Missing),
            Work::Said(user, Said::Blocks(_, peers)) => self.plan_blocked(asker, &user, peers),
            Work::Said(user, Said::Unblocks(_, peers)) => {
                Ok(self.plan_unblocked(asker, &user, peers))
            }
            Work::Said(user, Said::ShowsCard(_, card)) => Ok(self.plan_card(asker, &user, card)),
            Work::Said(user, Said::IsLookedFor(ticket, peer)) => {
                self.plan_looked_for(ticket, &user, &peer)
            }
            Work::Said(user, Said::IsSeenBy(_, peer)) => {
                let is_seen = self.is_seen_by(&user, &peer);
                is_seen.then(|| Step::of(asker)).ok_or(NotDone::Missing)
            }
            Work::Said(user, Said::LooksAnew(client)) => {
                let mut step = Step::of(asker);
                self.welcome(&user, &client, &mut step);
                Ok(step)
            }
            Work::Said(user, said) => self.rosters.plan_said(asker, &user, said),
            Work::SignIn(_, tokens) if !self.accounts.has(&tokens.user) => Err(NotDone::Missing),
            Work::SignIn(_, tokens) => Ok(Step {
                changes: vec![Change::PutSignInTokens(tokens)],
                then: Vec::new(),
                asker,
            }),
            Work::Session(_, session) if !self.accounts.has(&session.user) => Err(NotDone::Missing),
            Work::Session(_, session) => Ok(Step {
                changes: vec![Change::PutSession(session)],
                then: Vec::new(),
                asker,
            }),
            Work::Told(user, word) if self.is_barred(&user, &word) => {
                Ok(self.plan_told_by_barred(&user, word))
            }
            Work::Told(user, word) => Ok(self.plan_told(&user, word)),
            Work::Broadcast(user, broadcast) => Ok(self.plan_broadcast(&user, broadcast)),
            Work::PutUser(_, user, read) => self.plan_put(asker, user, read),
            Work::Redeem(_, user, token, inviter) => {
                self.plan_redeemed(asker, user, token, inviter)
            }
            Work::RemoveUser(_, user) => Ok(Step {
                changes: vec![Change::RemoveUser(user.clone())],
                then: vec![Then::NoAccount(user)],
                asker,
            }),
            Work::SignOut(user) => Ok(Step {
                changes: Vec::new(),
                then: vec![Then::Say(Box::new(Output::SignedOut(user)))],
                asker,
            }),
            Work::UserGone(user) => Ok(Step {
                changes: Vec::new(),
                then: vec![Then::NoAccount(user)],
                asker,
            }),
        }
    }

    fn plan_message(&self, now: Now, asker: Asker, message: Arc<Message>) -> Result<Step, NotDone> {
        let limits = (self.messages_per_device, self.idle_after);
        let arrival = messages::arrived(now, &self.directory, &self.delivery, message, limits);
        let arrival = arrival.ok_or(NotDone::QueueFull)?;
        Ok(Step {
            changes: arrival.changes,
            then: vec![Then::Stored(Box::new(arrival.then))],
            asker,
        })
    }

    fn plan_refill(&self, device: DeviceId) -> Step {
        let mut step = Step::of(Asker::Nobody);
        let entry = self.directory.get(&device);
        let most = entry.map_or(0, |it| it.refill(self.messages_per_device));
        if most > 0 {
            let to = device.clone();
            step.changes.push(Change::Refill { device: to, most });
            step.then.push(Then::Refilled(device, most));
        }
        step
    }

    /// A message did not get through: a push for it, if its device can be pushed to and was not told already.
    fn plan_announcement(&self, now: Now, device: &DeviceId, message: &Message) -> Step {
        let mut step = Step::of(Asker::Nobody);
        let Some(entry) = self.directory.get(device) else {
            return step;
        };
        let profile = self.directory.profile(entry.device.app.as_ref());
        let owed = entry.push_target(Incoming::Message, profile).and_then(|_| {
            let quiet_until = self.directory.quiet_until(entry, self.idle_after);
            let owed = self.delivery.owe(now, device, message, quiet_until);
            owed.map_err(str::to_owned)
        });
        match owed {
            Ok(push) => step.owe(push),
            Err(why) => {
                let (tracking, skipped) = (&message.tracking, trace::Step::PushSkipped);
                let note = pushes::story(now.wall, tracking, skipped, Some(device), why);
                step.then.push(Then::Note(note));
            }
        }
        step
    }
}

/// Messages leave a device's queue.
fn plan_landed(now: Now, device: &DeviceId, landed: Vec<Landed>) -> Step {
    let mut step = Step::of(Asker::Nobody);
    step.then.push(Then::Landed(device.clone(), landed.len()));
    for Landed { message, told } in landed {
        if let Some((tracking, how, why)) = told {
            let note = pushes::story(now.wall, &tracking, how, Some(device), why);
            step.then.push(Then::Note(note));
        }
        step.changes.push(Change::Delivered {
            device: device.clone(),
            message,
        });
    }
    step
}
