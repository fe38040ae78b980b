//! The role: what comes in goes to the part that it is for.

use crate::{
    comings::register_at,
    ext,
    line::{Line, Waiting},
    registering::{self, Registering, is_question},
    session::{Session, Way},
    settings::Settings,
    sign_in::{Bound, Entry, Of, SignIn, Step},
    vocabulary::{Input, Output, Post, Seen},
};
use bytes::Bytes;
use domain::{Address, AppId, DoorId, KeptSession, Now};
use hub::{Accounts, Directory, NotDone, Ticket};
use std::{sync::Arc, time::Instant};
use xmpp::{
    StreamId,
    stream::{BindRequest, BoundOffer},
    xml::{Element, StreamCondition},
};

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
    registering: Registering,
    line: Line,
    /// Sessions that the store has kept, until we run.
    kept: Vec<KeptSession>,
    /// Clients that have got their address within their sign-in, and what they asked for with it.
    entering: Vec<(DoorId, Entry)>,
}

impl Role {
    /// The role of one shard. `accounts` are shared by all; `seed` is unlike any other shard's.
    pub fn new(settings: Settings, accounts: Accounts, seed: [u8; 32]) -> Self {
        let mut offer = BoundOffer::clone(&settings.offer);
        offer.others.push(ext::caps(&settings));
        let settings = Arc::new(Settings {
            offer: Arc::new(offer),
            ..settings
        });
        Self {
            sign_in: SignIn::new(settings.clone(), accounts.clone()),
            registering: Registering::default(),
            line: Line::new(settings, accounts, seed),
            kept: Vec::new(),
            entering: Vec::new(),
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.line.out.pop_front()
    }

    /// Whether an app is pushed to by its own server, which is a component.
    pub fn carries(&self, app: &AppId) -> bool {
        self.line.settings.component(app.as_str()).is_some()
    }

    /// How much is under way.
    pub fn load(&self) -> Load {
        Load {
            strangers: self.sign_in.len() + self.registering.len(),
            sessions: self.line.sessions.len(),
            letters: self.line.waiting.len() + self.line.publications.len(),
        }
    }

    /// When [`Role::handle_timeout`] wants to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        let alarm = self.line.alarms.first().map(|(at, _)| *at);
        let call = self.line.calls.next_timeout(self.line.settings.calls_known);
        let publication = self.line.publications.next();
        alarm.into_iter().chain(call).chain(publication).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, directory: &Directory) {
        self.line.forgets_calls(now);
        self.line.publications_late(now);
        while let Some(door) = self.line.due(now.instant) {
            self.line.touched.push(door);
            self.follow_up(now, directory);
        }
    }

    /// Takes over a session that the store has kept.
    pub fn load_session(&mut self, session: KeptSession) {
        self.kept.push(session);
    }

    /// We run from now on. Says what is to be seen of the sessions that were kept.
    pub fn begin(&mut self, now: Now) -> Vec<Seen> {
        self.line.began = Some(now.instant);
        let kept = std::mem::take(&mut self.kept).into_iter();
        kept.filter_map(|it| self.line.restores(now, it)).collect()
    }

    /// Where a client may come back that has this door: how many messages may be on their way to it at once, and where it is to
    /// sign in.
    pub fn awaits(&self, door: &DoorId) -> Option<(u16, Arc<str>)> {
        let session = self.line.sessions.get(door)?;
        let at = register_at(&session.jid);
        Some((self.line.settings.window, at))
    }

    /// What is behind a door, in words.
    pub fn describe(&self, door: &DoorId) -> Option<String> {
        let session = self.line.sessions.get(door)?;
        let whence = self.line.told.whence(session.stream);
        Some(whence.map_or_else(|| "XMPP".to_owned(), |whence| format!("XMPP {whence}")))
    }

    /// The hub has the doors of those sessions.
    pub fn begun(&mut self, now: Now, directory: &Directory) {
        self.line.finds_doors(directory);
        self.follow_up(now, directory);
    }

    /// We stop: sessions that can be gone on with are kept ([`Role::is_keeping`]). Nothing may be read of streams any more.
    pub fn stop(&mut self, now: Now, directory: &Directory) {
        self.line.stops(now);
        self.follow_up(now, directory);
    }

    /// Whether sessions are still to be kept.
    pub fn is_keeping(&self) -> bool {
        self.line.is_keeping()
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Now, directory: &Directory, input: Input) {
        self.take_in(now, directory, input);
        self.follow_up(now, directory);
    }

    /// Does what follows for the sessions of which something has changed.
    fn follow_up(&mut self, now: Now, directory: &Directory) {
        self.line.look_for_marked(directory);
        for (door, entry) in std::mem::take(&mut self.entering) {
            // How long it is waited for depends on whether it can be woken.
            self.line.looks_up(now, directory, &door);
            self.line.welcomes(now, &door, entry);
        }
        loop {
            for (door, kind) in std::mem::take(&mut self.line.lost) {
                self.line.lost(now, &door, kind);
            }
            let Some(door) = self.line.touched.pop() else {
                break;
            };
            self.line.touched.retain(|it| *it != door);
            self.line.looks_up(now, directory, &door);
            self.line.keeps(now, directory, &door);
            self.line.comes_back(now, &mut self.sign_in, &door);
            self.line.polls(now, &door);
        }
        for (stream, handled) in std::mem::take(&mut self.line.turned_away) {
            let steps = self.sign_in.has_no_way_back(stream, handled);
            self.signing_in(now, stream, steps);
        }
    }

    fn take_in(&mut self, now: Now, directory: &Directory, input: Input) {
        match input {
            Input::Greeted(stream, greeted, link) if is_question(&greeted) => {
                let settings = self.line.settings.clone();
                let steps = self.registering.begins(stream, &greeted, &link, &settings);
                self.registers(stream, steps);
            }
            Input::Greeted(stream, greeted, link) => {
                self.line.told.comes(stream, &link);
                self.registering.gone(stream);
                let at = (now.wall, self.line.entropy());
                let steps = self.sign_in.greeted(stream, *greeted, &link, at);
                self.signing_in(now, stream, steps);
            }
            Input::Read(stream, item) if self.registering.has(stream) => {
                let settings = self.line.settings.clone();
                let steps = self.registering.read(stream, item, &settings);
                self.registers(stream, steps);
            }
            Input::Component(stream, domain) => self.line.component_connects(stream, domain),
            Input::GoesElsewhere(door, id) => self.line.withdraw(&door, &id),
            Input::ForComponent(domain, post) => self.line.for_component(now, &domain, post),
            Input::Read(stream, item) if self.line.components.has(stream) => {
                self.line.component_says(now, stream, item);
            }
            Input::Read(stream, item) => {
                if let Some(door) = self.line.sessions.door_of(stream).cloned() {
                    return self.line.read(now, &door, item);
                }
                let entropy = self.line.entropy();
                let steps = self.sign_in.read(stream, item, (now.wall, entropy));
                self.signing_in(now, stream, steps);
            }
            Input::Gone(stream) => {
                self.line.told.gone(stream);
                self.registering.gone(stream);
                self.sign_in.gone(stream);
                self.line.component_gone(stream);
                if let Some(door) = self.line.sessions.door_of(stream).cloned() {
                    self.line.drops(now, &door);
                }
            }
            Input::Posted(user, Post::Revoked(revoked)) => {
                self.line.revoked(now, directory, &user, &revoked);
            }
            Input::Posted(to, post) => self.posted(now, &to, post),
            Input::Push(order) => self.line.pushes(directory, *order),
            Input::Account(ticket, result) => self.account_done(now, ticket, result),
            Input::Page(ticket, page) => {
                if !self.line.marked_is_read(ticket, &page) {
                    self.line.archive_read(now, ticket, page);
                }
            }
            Input::Card(ticket, card) => self.line.card_read(now, ticket, card),
            Input::Tokens(ticket, tokens) => {
                if let Some(of) = self.line.signing_in(ticket) {
                    self.tokens_read(now, of, tokens);
                }
            }
            Input::Hub(output) => self.hub_says(now, output),
        }
    }

    /// What comes of a step of a client that has no account yet.
    fn registers(&mut self, stream: StreamId, steps: Vec<registering::Step>) {
        for step in steps {
            match step {
                registering::Step::Write(octets) => self.line.put(stream, octets),
                registering::Step::End => self.line.hang_up(stream),
                registering::Step::Count(why) => self.line.counts(why),
                registering::Step::Do(order) => {
                    let ticket = self.line.ticket(Waiting::Guest(stream));
                    self.line.out.push_back(Output::Account(ticket, order));
                }
            }
        }
    }

    /// What became of an order about an account: for a guest, or for a client that is there.
    fn account_done(&mut self, now: Now, ticket: Ticket, result: Result<(), NotDone>) {
        if let Some(Waiting::Guest(stream)) = self.line.waiting.get(&ticket) {
            let stream = *stream;
            self.line.waiting.remove(&ticket);
            let steps = self.registering.done(stream, &result);
            return self.registers(stream, steps);
        }
        let result = result.map_err(|why| self.line.not_done(&why));
        self.line.settled(now, ticket, result);
    }

    /// What comes of a step of a client that signs in.
    fn signing_in(&mut self, now: Now, stream: StreamId, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Write(octets) => self.line.put(stream, octets),
                Step::End => self.line.hang_up(stream),
                Step::Count(why) => self.line.counts(why),
                Step::Tell(refused) => self.line.refuses_sign_in(now, stream, &refused),
                Step::SignedIn { anew } => self.line.out.push_back(Output::SignedIn(stream, anew)),
                Step::Resume(user, resume) => self.resumes(now, stream, &user, &resume),
                Step::Bind(user, request) => self.bind(now, stream, &user, &request),
                Step::Enter(user) => self.enter(now, stream, &user),
                Step::ReadTokens(user, client) => {
                    let known = self.line.sessions.tokens(&user, &client);
                    let of = Of {
                        stream,
                        user: user.clone(),
                        client: client.clone(),
                        kept: None,
                    };
                    if known.is_some() {
                        self.tokens_read(now, of, Ok(known));
                        continue;
                    }
                    let ticket = self.line.ticket(Waiting::SignIn(of));
                    let read = Output::ReadTokens(ticket, user, client);
                    self.line.out.push_back(read);
                }
                Step::KeepTokens(tokens) => {
                    let of = Of {
                        stream,
                        user: tokens.user.clone(),
                        client: tokens.client.clone(),
                        kept: Some(tokens.data.clone()).filter(|it| !it.is_empty()),
                    };
                    // Those of another installation may have to make room for them.
                    self.line.sessions.forgets_tokens(&of.user);
                    let ticket = self.line.ticket(Waiting::SignIn(of));
                    self.line.tell(hub::Input::SignIn(ticket, tokens));
                }
            }
        }
    }

    /// What a client signs in with is there.
    fn tokens_read(&mut self, now: Now, of: Of, tokens: Result<Option<Bytes>, NotDone>) {
        let (stream, seed) = (of.stream, self.line.entropy());
        let known = tokens.as_ref().ok().cloned().flatten();
        let sessions = &mut self.line.sessions;
        sessions.has_tokens(&of.user, &of.client, known);
        let steps = self.sign_in.tokens_read(of, tokens, now.wall, seed);
        self.signing_in(now, stream, steps);
    }

    /// What a client signs in with from now on is kept, or is not.
    fn tokens_kept(&mut self, now: Now, of: Of, is_kept: bool) {
        let (stream, user, client) = (of.stream, of.user.clone(), of.client.clone());
        let known = of.kept.clone().filter(|_| is_kept);
        let steps = self.sign_in.tokens_kept(of, is_kept);
        self.signing_in(now, stream, steps);
        // It may have its session only now.
        self.line.sessions.has_tokens(&user, &client, known);
    }

    /// A client wants to go on where it was.
    fn resumes(&mut self, now: Now, stream: StreamId, user: &Address, resume: &Element) {
        let Some(framing) = self.sign_in.framing(stream) else {
            return;
        };
        let wants_back = self.line.wants_back(now, (stream, framing), user, resume);
        if let Err(handled) = wants_back {
            let steps = self.sign_in.has_no_way_back(stream, handled);
            self.signing_in(now, stream, steps);
        }
    }

    /// A client gets its address within its sign-in (XEP-0386 §3.2).
    fn enter(&mut self, now: Now, stream: StreamId, user: &Address) {
        let fresh: String = self.line.namer.fresh(now.wall);
        let Some(entry) = self.sign_in.enters(stream, &fresh) else {
            return;
        };
        let door = self.seat(now, stream, user, &entry.bound, entry.client.as_deref());
        self.entering.push((door, entry));
    }

    /// A client that has signed in gets its address (RFC 6120 §7).
    fn bind(&mut self, now: Now, stream: StreamId, user: &Address, request: &BindRequest) {
        let fresh: String = self.line.namer.fresh(now.wall);
        let Some(bound) = self.sign_in.bound(stream, request, &fresh) else {
            return;
        };
        self.seat(now, stream, user, &bound, None);
        for octets in bound.answer {
            self.line.put(stream, octets);
        }
    }

    /// A client has a session from now on. Those that it takes the place of are over.
    fn seat(
        &mut self,
        now: Now,
        stream: StreamId,
        user: &Address,
        bound: &Bound,
        client: Option<&str>,
    ) -> DoorId {
        let (jid, lang) = (bound.jid.clone(), bound.lang.clone());
        let way = (stream, bound.framing);
        let mut session = Session::new(user, jid, client, way, lang);
        self.line.numbers += 1;
        session.number = self.line.numbers;
        session.is_bearer = bound.is_bearer;
        let door = session.door.clone();
        session.way = self.line.hands_on(&door);
        if session.way == Way::Inherited {
            session.claims_by = Some(now.instant + self.line.settings.hibernation);
        }
        // RFC 6120 §7.7.2.2: who comes back takes its place; the one from before is gone, though it may not know.
        self.line.end(
            now,
            &door,
            Some(StreamCondition::Conflict),
            "signed in again",
        );
        // XEP-0386 §3.2: the same of an installation that calls itself otherwise now.
        let is_same = |it: &&Session| it.client.is_some() && it.client == session.client;
        let same = self.line.sessions.of(user).find(is_same);
        if let Some(same) = same.map(|it| it.door.clone()) {
            let text = "signed in again";
            self.line
                .end(now, &same, Some(StreamCondition::Conflict), text);
        }
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
        (session.push.is_unknown, session.push.is_to_hear) = (true, true);
        self.line.touched.push(session.door.clone());
        self.line.sessions.insert(session);
        door
    }

    /// The role of another user says something for one of ours.
    fn posted(&mut self, now: Now, to: &Address, post: Post) {
        match post {
            Post::Letter(letter) => self.line.letter(now, to, *letter),
            Post::Settled(ticket, result) => self.line.settled(now, ticket, result),
            Post::Sent(message) => self.line.sent_by_phone(now, to, &message),
            Post::Stanza(element) => self.line.delivered(now, to, &element),
            Post::Published(pushed) => self.line.tell(hub::Input::Pushed(*pushed)),
            // For a component; and what is looked up first.
            Post::Publish(_) | Post::Revoked(_) => {}
        }
    }

    /// The hub speaks.
    fn hub_says(&mut self, now: Now, output: hub::Output) {
        match output {
            hub::Output::Done(ticket, result) if self.line.is_for_door(ticket) => {
                self.line.opened(now, ticket, &result);
            }
            hub::Output::Done(ticket, result) if self.line.is_for_push(ticket) => {
                self.line.push_is_set(now, ticket, result);
            }
            hub::Output::Done(ticket, result) if self.line.is_for_session(ticket) => {
                if let Some((door, is_saved)) = self.line.session_is_kept(ticket, &result) {
                    self.line.is_taken_over(now, &door, is_saved);
                }
            }
            hub::Output::Done(ticket, result) if self.line.is_for_call(ticket) => {
                self.line.call_word_is_kept(now, ticket, result);
            }
            hub::Output::Done(ticket, result) => {
                if let Some(of) = self.line.signing_in(ticket) {
                    return self.tokens_kept(now, of, result.is_ok());
                }
                let result = result.map_err(|why| self.line.not_done(&why));
                self.line.settled(now, ticket, result);
            }
            hub::Output::Roster(ticket, roster) => self.line.roster(now, ticket, roster),
            hub::Output::LastSeen(ticket, last) => self.line.last_seen(now, ticket, last),
            hub::Output::Show(showing) => self.line.show(now, *showing),
            hub::Output::Send(door, message) => self.line.send(now, &door, &message),
            hub::Output::Relay(door, message) => self.line.relay(now, &door, &message),
            hub::Output::Closed(doors) => self.line.closed(now, doors),
            hub::Output::SignedOut(user) => {
                let why = self.line.signed_out(now, &user);
                for (stream, steps) in self.sign_in.signed_out(&user, why) {
                    self.signing_in(now, stream, steps);
                }
            }
            hub::Output::Hibernate(door) => self.line.doubts(now, &door),
            hub::Output::GiveUp(call, _) => self.line.gives_call_up(call),
            // A call rings by its proposal, and ends by what its sides say of it: these are messages.
            _ => {}
        }
    }
}
