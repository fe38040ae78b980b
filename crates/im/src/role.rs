//! The role: what comes in goes to the part that it is for.

use crate::{
    line::{Line, condition},
    session::Session,
    settings::Settings,
    sign_in::{SignIn, Step},
    vocabulary::{Input, Output, Post},
};
use domain::{Address, DoorId, Now, wake::Failure};
use hub::Accounts;
use std::{sync::Arc, time::Instant};
use xmpp::{StreamId, stream::BindRequest, xml::StreamCondition};

/// How much is under way: to see that nothing is left behind.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Load {
    /// Clients that are signing in.
    pub strangers: usize,
    /// Clients that are there.
    pub sessions: usize,
    /// Messages and questions that wait for the hub.
    pub letters: usize,
}

/// See the crate's documentation.
#[derive(Debug)]
pub struct Role {
    sign_in: SignIn,
    line: Line,
}

impl Role {
    /// The role of one shard. `accounts` are shared by all; `seed` is unlike any other shard's.
    pub fn new(settings: Settings, accounts: Accounts, seed: [u8; 32]) -> Self {
        let settings = Arc::new(settings);
        Self {
            sign_in: SignIn::new(settings.clone(), accounts.clone()),
            line: Line::new(settings, accounts, seed),
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.line.out.pop_front()
    }

    /// How much is under way.
    pub fn load(&self) -> Load {
        Load {
            strangers: self.sign_in.len(),
            sessions: self.line.sessions.len(),
            letters: self.line.waiting.len(),
        }
    }

    /// When [`Role::handle_timeout`] wants to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.line.alarms.first().map(|(at, _)| *at)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(door) = self.line.due(now.instant) {
            self.line.touched.push(door);
            self.follow_up(now);
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.take_in(now, input);
        self.follow_up(now);
    }

    /// Does what follows for the sessions of which something has changed.
    fn follow_up(&mut self, now: Now) {
        loop {
            for (door, kind) in std::mem::take(&mut self.line.lost) {
                self.line.lost(now, &door, kind);
            }
            let Some(door) = self.line.touched.pop() else {
                break;
            };
            self.line.touched.retain(|it| *it != door);
            self.line.comes_back(now, &mut self.sign_in, &door);
            self.line.polls(now, &door);
        }
        for (stream, handled) in std::mem::take(&mut self.line.turned_away) {
            self.line.has_no_way_back(&self.sign_in, stream, handled);
        }
    }

    fn take_in(&mut self, now: Now, input: Input) {
        match input {
            Input::Greeted(stream, greeted, link) => {
                let entropy = self.line.entropy();
                let steps = self.sign_in.greeted(stream, *greeted, &link, entropy);
                self.signing_in(now, stream, steps);
            }
            Input::Read(stream, item) => {
                if let Some(door) = self.line.sessions.door_of(stream).cloned() {
                    return self.line.read(now, &door, item);
                }
                let entropy = self.line.entropy();
                let steps = self.sign_in.read(stream, item, entropy);
                self.signing_in(now, stream, steps);
            }
            Input::Gone(stream) => {
                self.sign_in.gone(stream);
                if let Some(door) = self.line.sessions.door_of(stream).cloned() {
                    self.line.drops(now, &door);
                }
            }
            Input::Posted(to, post) => self.posted(now, &to, post),
            Input::Page(ticket, page) => self.line.archive_read(now, ticket, page),
            Input::Hub(output) => self.hub_says(now, output),
        }
    }

    /// What comes of a step of a client that signs in.
    fn signing_in(&mut self, now: Now, stream: StreamId, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Write(octets) => self.line.put(stream, octets),
                Step::End => self.line.hang_up(stream),
                Step::SignedIn { anew } => self.line.out.push_back(Output::SignedIn(stream, anew)),
                Step::Resume(user, resume) => {
                    self.line
                        .wants_back(now, &self.sign_in, stream, &user, &resume);
                }
                Step::Bind(user, request) => self.bind(now, stream, &user, &request),
            }
        }
    }

    /// A client that has signed in gets its address (RFC 6120 §7).
    fn bind(&mut self, now: Now, stream: StreamId, user: &Address, request: &BindRequest) {
        let fresh: String = self.line.namer.fresh(now.wall);
        let Some(bound) = self.sign_in.bound(stream, request, &fresh) else {
            return;
        };
        let mut session = Session::new(user, bound.jid, stream, bound.framing, bound.lang);
        self.line.numbers += 1;
        session.number = self.line.numbers;
        let door = session.door.clone();
        // RFC 6120 §7.7.2.2: who comes back takes its place; the one from before is gone, though it may not know.
        self.line.end(
            now,
            &door,
            Some(StreamCondition::Conflict),
            "signed in again",
        );
        let mut others: Vec<&Session> = self.line.sessions.of(user).collect();
        // Who is not there goes before who is.
        others.sort_by_key(|it| it.management.is_up());
        let others: Vec<DoorId> = others.iter().map(|it| it.door.clone()).collect();
        let too_many = (others.len() + 1).saturating_sub(self.line.settings.sessions_per_user);
        for door in others.iter().take(too_many) {
            let text = "too many clients: the one that signed in first goes";
            self.line
                .end(now, door, Some(StreamCondition::PolicyViolation), text);
        }
        self.line.sessions.insert(session);
        for octets in bound.answer {
            self.line.put(stream, octets);
        }
    }

    /// The role of another user says something for one of ours.
    fn posted(&mut self, now: Now, to: &Address, post: Post) {
        match post {
            Post::Letter(letter) => self.line.letter(now, to, *letter),
            Post::Settled(ticket, result) => self.line.settled(now, ticket, result),
            Post::Stanza(element) => self.line.delivered(now, to, &element),
        }
    }

    /// The hub speaks.
    fn hub_says(&mut self, now: Now, output: hub::Output) {
        match output {
            hub::Output::Done(ticket, result) if self.line.is_for_door(ticket) => {
                self.line.opened(now, ticket, &result);
            }
            hub::Output::Done(ticket, result) => {
                self.line
                    .settled(now, ticket, result.map_err(|why| condition(&why)));
            }
            hub::Output::Roster(ticket, roster) => self.line.roster(now, ticket, roster),
            hub::Output::Show(showing) => self.line.show(now, *showing),
            hub::Output::Send(door, message) => self.line.send(now, &door, &message),
            hub::Output::Relay(door, message) => self.line.relay(now, &door, &message),
            hub::Output::Closed(doors) => self.line.closed(now, doors),
            hub::Output::Hibernate(door) => self.line.doubts(now, &door),
            hub::Output::Ring(call, door) | hub::Output::ShowEnded(call, door, _) => {
                let why = "takes no calls".to_owned();
                self.line
                    .tell(hub::Input::Failed(call, door, Failure::Unreachable, why));
            }
            _ => {}
        }
    }
}
