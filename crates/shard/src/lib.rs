//! A hub and its roles, put together: all of one shard but whoever performs. Pure, so that the server's loop and a
//! simulator drive the very same thing.
//!
//! What comes from outside goes to the part that it is for; what a role says to the hub and the hub to a role stays
//! inside; the rest is for the performer: sockets, store, push clients, resolver, other shards.

mod pidf;
mod steer;
mod translate;

pub use steer::steer;

use call::{Description, MediaId, Over, ReachId, Relayed, Role, Way};
use domain::{
    Address, Change, Class, DeviceId, Door, DoorId, Message as Chat, MessageId, Note,
    NotificationId, Now, Record, Refusal, Timestamp, Unread, push::OwedPush, roster::Contact,
};
use hub::{Answer, Hub, Measure, NotDone, PushOrder, Pushed, Question, SaveId, Ticket, Word};
use pidf::DOCUMENTS;
use sip::{Flow, Message, endpoint::Transmit};
use std::{collections::VecDeque, sync::Arc, time::Duration, time::Instant};
use translate::for_door;

/// What happened outside.
#[derive(Debug)]
pub enum Input {
    /// A stream of XMPP, or the role of another user.
    Im(im::Input),
    /// A message arrived.
    Received(Flow, Message),
    /// A connection is gone, or a send over the flow failed.
    FlowClosed(Flow),
    /// A flow that was asked for, or nothing if there is none.
    Reached(ReachId, Option<Flow>),
    /// What a media relay made of a description, or why none did.
    Relayed(MediaId, Result<Relayed, String>),
    /// What the store says of a step.
    Saved(SaveId, Result<(), NotDone>),
    /// The head of a device's queue, or nothing if it could not be read.
    Fetched(DeviceId, Option<Vec<Arc<Chat>>>),
    /// What is unread on the device that a push is for, or nothing if it could not be read.
    Counted(NotificationId, Option<Unread>),
    /// Whom a user knows, or nothing if that could not be read.
    RosterRead(Address, Option<Vec<Contact>>),
    /// Another user, perhaps of another shard, says something to one of ours.
    Told(Address, Word),
    /// What became of a push.
    Pushed(Pushed),
    /// An API asks.
    Asked(Ticket, Question),
}

/// What is to be done outside.
#[derive(Debug)]
pub enum Output {
    /// For a stream of XMPP, or for the role of another user: never [`im::Output::Hub`].
    Im(im::Output),
    /// Send this. What goes over a [spiral](call::is_spiral) is to be given to the shard that it is for.
    Transmit(Transmit),
    /// Close this connection after what is queued for it.
    Close(Flow),
    /// Find or make a flow, and say so by [`Input::Reached`].
    Reach(ReachId, Way),
    /// Have a media relay write itself into this description, and say so by [`Input::Relayed`].
    Relay(MediaId, Box<Description>),
    /// No relay need know this any more.
    RelayEnds(Over),
    /// Save this step as a whole, and say so by [`Input::Saved`]: in the order in which they come.
    Save(SaveId, Vec<Change>),
    /// Keep this if there is room.
    Note(Note),
    /// Read the head of a device's queue, and say so by [`Input::Fetched`].
    Fetch(DeviceId),
    /// Read what is unread on a device, of all and of whoever wrote this message, all that is saved by now included, and say so
    /// by [`Input::Counted`].
    Count(NotificationId, DeviceId, Option<MessageId>),
    /// Read whom a user knows, and say so by [`Input::RosterRead`].
    FetchRoster(Address),
    /// Tell this user's shard by [`Input::Told`], in the order in which it is said.
    Tell(Address, Word),
    /// Push this, and say what became of it by [`Input::Pushed`].
    Push(Box<PushOrder>),
    /// Tell whoever asked.
    Answer(Ticket, Result<Answer, NotDone>),
    /// Count this.
    Measured(Measure),
    /// Count that a role refused something.
    Refused(Spoken, Refusal),
    /// Count a request of this method.
    Request(String, Flow),
    /// A call left for a device so long after it began to register.
    RegisterToInvite(Duration),
}

/// What somebody speaks who is refused something.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Spoken {
    /// SIP.
    Sip,
    /// XMPP.
    Xmpp,
}

/// Whether a door is one of the XMPP role's.
fn is_of_im(door: &DoorId) -> bool {
    door.number >= im::DOORS
}

/// How much is under way: to see that nothing is left behind.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Load {
    /// In the hub.
    pub hub: hub::Load,
    /// In the SIP role.
    pub call: call::Load,
    /// In the XMPP role.
    pub im: im::Load,
}

/// A shard.
#[derive(Debug)]
pub struct Shard {
    hub: Hub,
    call: Role,
    im: im::Role,
    /// Doors of sessions of the last run: such as can be gone on with, and such as ended with it.
    left: Vec<(Address, Door)>,
    out: VecDeque<Output>,
}

impl Shard {
    /// Of these parts.
    pub fn new(hub: Hub, call: Role, im: im::Role) -> Self {
        Self {
            hub,
            call: call.with_documents(DOCUMENTS),
            im,
            left: Vec::new(),
            out: VecDeque::new(),
        }
    }

    /// Takes over something that the store has kept. What is about users of other shards must not come here, and accounts
    /// go to all. `Err` names a door that cannot be read; its device stands without it.
    pub fn load(&mut self, record: Record) -> Result<(), DoorId> {
        match record {
            Record::User(user) => self.hub.accounts().put(user),
            Record::Blocked(user, peer) => self.hub.accounts().block(user, &peer),
            Record::Avatar(user, avatar) => self.hub.accounts().put_avatar(user, Some(avatar)),
            Record::Device(device) => self.hub.load_device(device),
            Record::Door(door) if is_of_im(&door.id) => {
                if let Some(user) = self.user_of(&door.id.device) {
                    self.left.push((user, door));
                }
            }
            Record::Door(door) => {
                let user = self.user_of(&door.id.device);
                let behind = user.and_then(|user| self.call.load_door(&door, user));
                let (state, window, register_at) = behind.ok_or_else(|| door.id.clone())?;
                let way = (state, Some(call::CALLS));
                self.hub.load_door(&door, way, window, register_at);
            }
            Record::Session(session) => self.im.load_session(session),
            Record::Queued(device, messages) => self.hub.load_queued(&device, messages),
            Record::Over(device, messages) => self.hub.load_over(&device, messages),
            Record::Unclaimed(user, messages) => self.hub.load_unclaimed(&user, messages),
            Record::Owed(push) => self.load_owed(push),
        }
        Ok(())
    }

    fn load_owed(&mut self, push: OwedPush) {
        self.hub.load_owed(push);
    }

    /// The operator has decided otherwise.
    pub fn reconfigure(&mut self, hub: hub::Config, call: call::Settings) {
        self.hub.reconfigure(hub);
        self.call.reconfigure(call);
    }

    /// Whose a device is, if it is one of ours.
    pub fn user_of(&self, device: &DeviceId) -> Option<Address> {
        let entry = self.hub.directory().get(device)?;
        Some(entry.device.user.clone())
    }

    /// Who is where, and how much is under way.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// What is behind a door, in words.
    pub fn describe(&self, door: &DoorId) -> Option<String> {
        let by_xmpp = || self.im.describe(door);
        self.call.describe(door).or_else(by_xmpp)
    }

    /// Where the device of a user that is, or was, at a flow has registered since then: asked by another shard.
    pub fn find(
        &self,
        user: &Address,
        device: Option<&DeviceId>,
        flow: Flow,
        since: Timestamp,
    ) -> Option<Flow> {
        let directory = self.hub.directory();
        self.call.find(directory, user, device, flow, since)
    }

    /// How much is under way.
    pub fn load_now(&self) -> Load {
        Load {
            hub: self.hub.load(),
            call: self.call.load(),
            im: self.im.load(),
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Shard::handle_timeout`] wants to be called next.
    pub fn next_timeout(&self, now: Now) -> Option<Instant> {
        let roles = [self.call.next_timeout(), self.im.next_timeout()];
        let roles = roles.into_iter().flatten();
        roles.chain(self.hub.next_timeout(now)).min()
    }

    /// All is loaded: what ended with the last run is told, and sessions whose clients may come back wait for them.
    pub fn begin(&mut self, now: Now) {
        let seen = self.im.begin(now);
        for (user, door) in std::mem::take(&mut self.left) {
            match self.im.awaits(&door.id) {
                Some((window, at)) => self.hub.load_hibernating(&door, im::CALLS, window, at),
                None => self.hub.handle(now, hub::Input::DoorLeft(user, door.id)),
            }
        }
        for im::Seen {
            user,
            device,
            used_at,
            said,
            is_seen,
        } in seen
        {
            if let Some(at) = used_at {
                self.hub.load_used(&device, at);
            }
            if let Some(said) = said {
                self.hub.load_presence(now, &user, said, is_seen);
            }
        }
        self.im.begun(now, self.hub.directory());
        self.route(now);
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        let directory = self.hub.directory();
        match input {
            Input::Im(input) => self.im.handle(now, directory, input),
            Input::Received(flow, message) => {
                let received = call::Input::Received(flow, message);
                self.call.handle(now, directory, received);
            }
            Input::FlowClosed(flow) => {
                let closed = call::Input::FlowClosed(flow);
                self.call.handle(now, directory, closed);
            }
            Input::Reached(id, flow) => {
                let reached = call::Input::Reached(id, flow);
                self.call.handle(now, directory, reached);
            }
            Input::Relayed(id, answer) => {
                let relayed = call::Input::Relayed(id, answer);
                self.call.handle(now, directory, relayed);
            }
            Input::Saved(save, result) => self.hub.handle(now, hub::Input::Saved(save, result)),
            Input::Fetched(device, messages) => {
                self.hub.handle(now, hub::Input::Fetched(device, messages));
            }
            Input::Counted(push, unread) => {
                self.hub.handle(now, hub::Input::Counted(push, unread));
            }
            Input::RosterRead(user, contacts) => {
                self.hub.handle(now, hub::Input::RosterRead(user, contacts));
            }
            Input::Told(user, word) => self.hub.handle(now, hub::Input::Told(user, word)),
            Input::Pushed(pushed) => self.hub.handle(now, hub::Input::Pushed(pushed)),
            Input::Asked(ticket, question) => {
                self.hub.handle(now, hub::Input::Asked(ticket, question));
            }
        }
        self.route(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.call.handle_timeout(now, self.hub.directory());
        self.im.handle_timeout(now, self.hub.directory());
        self.route(now);
        self.hub.handle_timeout(now);
        self.route(now);
    }

    /// We stop: calls in progress get their answer, and sessions of XMPP are kept; nothing more is to be read of their streams. What was promised is still to be saved.
    pub fn stop(&mut self, now: Now) {
        self.call.stop(now, self.hub.directory());
        self.im.stop(now, self.hub.directory());
        self.hub.stop(now);
        self.route(now);
    }

    /// Stopped, whether there is still something to be handed to the store when it has answered.
    pub fn is_keeping(&self) -> bool {
        self.im.is_keeping()
    }

    /// Carries words between the hub and its roles until both have said all.
    fn route(&mut self, now: Now) {
        loop {
            while let Some(output) = self.call.poll() {
                self.call_says(now, output);
            }
            self.hear_im(now);
            let Some(output) = self.hub.poll() else {
                break;
            };
            self.hub_says(now, output);
        }
    }

    fn call_says(&mut self, now: Now, output: call::Output) {
        self.out.push_back(match output {
            call::Output::Hub(input) => {
                if let hub::Input::Arrived(_, message) = &input {
                    self.sent_by_phone(message);
                }
                return self.hub.handle(now, input);
            }
            call::Output::Transmit(transmit) => Output::Transmit(transmit),
            call::Output::Close(flow) => Output::Close(flow),
            call::Output::Reach(id, way) => Output::Reach(id, way),
            call::Output::Relay(id, description) => Output::Relay(id, description),
            call::Output::RelayEnds(over) => Output::RelayEnds(over),
            call::Output::Counted(method, flow) => Output::Request(method, flow),
            call::Output::Note(note) => Output::Note(note),
            call::Output::Refused(why) => Output::Refused(Spoken::Sip, why),
            call::Output::RegisterToInvite(took) => Output::RegisterToInvite(took),
        });
    }

    /// A phone has sent something: the other clients of its user, who may be another shard's, hear of it.
    fn sent_by_phone(&mut self, message: &Arc<Chat>) {
        let sender = message.from.parse().ok();
        let sender: Option<Address> = sender.filter(|it| self.hub.accounts().has(it));
        let is_kept = message.class != Class::Transient;
        if let Some(sender) = sender.filter(|it| is_kept && *it != message.to) {
            let sent = im::Post::Sent(message.clone());
            let post = im::Output::Post(sender, sent);
            self.out.push_back(Output::Im(post));
        }
    }

    fn hear_im(&mut self, now: Now) {
        while let Some(output) = self.im.poll() {
            self.im_says(now, output);
        }
    }

    fn im_says(&mut self, now: Now, output: im::Output) {
        match output {
            im::Output::Hub(input) => self.hub.handle(now, input),
            im::Output::Note(note) => self.out.push_back(Output::Note(note)),
            im::Output::Refused(why) => self.out.push_back(Output::Refused(Spoken::Xmpp, why)),
            output => self.out.push_back(Output::Im(output)),
        }
    }

    fn hub_says(&mut self, now: Now, output: hub::Output) {
        // Pushes that an app's own server carries leave as stanzas.
        if let hub::Output::Push(order) = output {
            if !self.im.carries(&order.notification.app) {
                return self.out.push_back(Output::Push(order));
            }
            let directory = self.hub.directory();
            return self.im.handle(now, directory, im::Input::Push(order));
        }
        self.out.push_back(match output {
            hub::Output::Save(save, changes) => Output::Save(save, changes),
            hub::Output::Note(note) => Output::Note(note),
            hub::Output::Fetch(device) => Output::Fetch(device),
            hub::Output::Count(push, device, of) => Output::Count(push, device, of),
            hub::Output::FetchRoster(user) => Output::FetchRoster(user),
            hub::Output::Tell(user, word) => Output::Tell(user, word),
            hub::Output::Answer(ticket, answer) => Output::Answer(ticket, answer),
            hub::Output::Measured(measure) => Output::Measured(measure),
            for_a_role => return self.for_role(now, for_a_role),
        });
    }

    fn is_barred(&self, message: &Chat) -> bool {
        self.hub.accounts().bars(&message.to, &message.from)
    }

    /// A message goes to a phone, whose device may have a client as well that is not there now (`behaviour.md` 16.6): what can be
    /// said to the phone the client does not get again when it goes on where it was, what cannot it gets then.
    fn tells_other_door(&mut self, now: Now, door: &DoorId, message: &Arc<Chat>, is_said: bool) {
        if is_of_im(door) {
            return;
        }
        let client = DoorId {
            number: im::DOORS,
            ..door.clone()
        };
        let word = if is_said {
            im::Input::GoesElsewhere(client, message.id.clone())
        } else {
            im::Input::Hub(hub::Output::Relay(client, message.clone()))
        };
        self.im.handle(now, self.hub.directory(), word);
    }

    /// Gives a role what is for it: by whose the door is, or who asked.
    fn for_role(&mut self, now: Now, output: hub::Output) {
        let output = match output {
            hub::Output::Closed(doors) => {
                let (im, call) = doors.into_iter().partition(is_of_im);
                let closed = im::Input::Hub(hub::Output::Closed(im));
                self.im.handle(now, self.hub.directory(), closed);
                hub::Output::Closed(call)
            }
            // Written before its reader blocked who wrote it (XEP-0191 §3.3): it stays in the archive.
            hub::Output::Send(door, message) if self.is_barred(&message) => {
                let had = hub::Input::Acknowledged(door.device, message.id.clone(), false);
                return self.hub.handle(now, had);
            }
            hub::Output::Relay(_, message) if self.is_barred(&message) => return,
            hub::Output::Send(door, message) => {
                let said = for_door(&self.call, &door, &message);
                self.tells_other_door(now, &door, &message, said.is_some());
                let Some(said) = said else {
                    // What the client keeps of it is said to the store first.
                    self.hear_im(now);
                    let had = hub::Input::Acknowledged(door.device, message.id.clone(), false);
                    return self.hub.handle(now, had);
                };
                hub::Output::Send(door, said)
            }
            hub::Output::Relay(door, message) => match for_door(&self.call, &door, &message) {
                Some(message) => hub::Output::Relay(door, message),
                None => return,
            },
            output => output,
        };
        let of_im = match &output {
            hub::Output::Done(ticket, _) => ticket.0 >= im::TICKETS,
            hub::Output::Roster(..) | hub::Output::LastSeen(..) => true,
            // For both.
            hub::Output::Show(_) | hub::Output::SignedOut(_) => {
                let said = match &output {
                    hub::Output::SignedOut(user) => hub::Output::SignedOut(user.clone()),
                    hub::Output::Show(showing) => hub::Output::Show(showing.clone()),
                    _ => return,
                };
                self.call
                    .handle(now, self.hub.directory(), call::Input::Hub(said));
                true
            }
            hub::Output::Send(door, _)
            | hub::Output::Relay(door, _)
            | hub::Output::Hibernate(door) => is_of_im(door),
            hub::Output::Ring(call, _)
            | hub::Output::RingAgain(call, _)
            | hub::Output::ShowEnded(call, ..)
            | hub::Output::EndFollows(call, _)
            | hub::Output::RingBack(call)
            | hub::Output::CallOff(call)
            | hub::Output::GiveUp(call, _)
            | hub::Output::CallOver(call) => call.0 >= im::CALL_IDS,
            _ => false,
        };
        if of_im {
            let directory = self.hub.directory();
            self.im.handle(now, directory, im::Input::Hub(output));
        } else {
            let directory = self.hub.directory();
            self.call.handle(now, directory, call::Input::Hub(output));
        }
    }
}
