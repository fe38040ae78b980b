//! A hub, a role that says what it is told, and a store that answers at once, late, or with a refusal.

use domain::{
    Address, AppProfile, Behaviour, CallKind, Change, Channel, Class, DeviceId, DoorId, DoorState,
    Generation, Message, Note, Now, Platform, Provider, Timestamp, Unread, delivery, wake,
};
use hub::{
    Accounts, Answer, CallId, Config, Doors, Hub, Input, Measure, NewCall, NotDone, Opening,
    Output, People, PushOffer, PushOrder, Question, SaveId, Ticket,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How the store answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StoreMood {
    Saves,
    Waits,
    Refuses,
}

pub struct World {
    start: Instant,
    millis: u64,
    pub hub: Hub,
    pub mood: StoreMood,
    /// Steps that the store has not answered, oldest first.
    pub waiting: Vec<SaveId>,
    /// What the store was asked to keep and kept.
    pub kept: Vec<Change>,
    /// What the store counts whenever it is asked.
    pub unread: Unread,
    pub pushes: Vec<PushOrder>,
    pub notes: Vec<Note>,
    /// Everything else that was said.
    pub said: Vec<Output>,
    tickets: u64,
}

pub fn bob() -> Address {
    "bob@localhost".parse().unwrap()
}

/// Bob's account, by which nobody can sign in.
pub fn account_of_bob() -> domain::User {
    domain::User {
        address: bob(),
        display_name: String::new(),
        secrets: domain::user::Secrets {
            md5: String::new(),
            sha256: String::new(),
            scram: None,
            mark: 0,
        },
        forward: None,
    }
}

pub fn door(device: &str) -> DoorId {
    DoorId {
        device: device.into(),
        number: 0,
    }
}

/// A registration of a phone over a connection, with tokens for calls and messages.
pub fn opening(device: &str, seconds: u64) -> Opening {
    let tokens = vec![
        (Channel::Voip, format!("voip-{device}").into()),
        (Channel::Message, format!("message-{device}").into()),
    ];
    Opening {
        door: door(device),
        fresh: true,
        unchanged: false,
        state: DoorState::Up,
        expires_at: Timestamp(seconds * 1000),
        rings: Some(CallKind(0)),
        speaks: false,
        q: 1000,
        window: 1,
        register_at: "sip:here".into(),
        push: PushOffer::Tokens("com.example.phone".into(), tokens),
        data: bytes::Bytes::from_static(b"way"),
        history: None,
    }
}

/// What a small operator would decide.
pub fn config() -> Config {
    Config {
        behaviour: Arc::new(Behaviour::default()),
        wake: wake::Timers::default(),
        delivery: delivery::Timers::default(),
        apps: vec![AppProfile {
            app: "com.example.phone".into(),
            platform: Platform::Ios,
            provider: Provider::Apns,
            generation: Generation::DualChannel,
        }],
        devices_per_user: 10,
        messages_per_device: 100,
        pushes_in_flight: 10,
        idle_after: Duration::from_mins(5),
        register_at: "sip:usual".into(),
        people: People::default(),
        conversations: delivery::NameConversation::by(|from, _| from.to_owned()),
        seed: [7; 32],
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        change(&mut config);
        Self {
            start: Instant::now(),
            millis: 0,
            hub: Hub::new(config, Accounts::default()),
            mood: StoreMood::Saves,
            waiting: Vec::new(),
            kept: Vec::new(),
            unread: Unread {
                all: 1,
                of_writer: 1,
            },
            pushes: Vec::new(),
            notes: Vec::new(),
            said: Vec::new(),
            tickets: 0,
        }
    }

    pub fn now(&self) -> Now {
        Now {
            instant: self.start + Duration::from_millis(self.millis),
            wall: Timestamp(self.millis),
        }
    }

    pub fn handle(&mut self, input: Input) {
        self.hub.handle(self.now(), input);
        self.run();
    }

    pub fn stop(&mut self) {
        self.hub.stop(self.now());
        self.run();
    }

    /// Lets time pass, taking every timeout on the way.
    pub fn pass(&mut self, millis: u64) {
        let end = self.start + Duration::from_millis(millis);
        while let Some(at) = self.hub.next_timeout(self.now()).filter(|at| *at <= end) {
            let passed = u64::try_from((at - self.start).as_millis()).unwrap();
            self.millis = self.millis.max(passed);
            self.hub.handle_timeout(self.now());
            self.run();
        }
        self.millis = millis;
    }

    fn run(&mut self) {
        while let Some(output) = self.hub.poll() {
            match output {
                Output::Save(id, changes) => match self.mood {
                    StoreMood::Saves => {
                        self.kept.extend(changes);
                        self.hub.handle(self.now(), Input::Saved(id, Ok(())));
                    }
                    StoreMood::Waits => self.waiting.push(id),
                    StoreMood::Refuses => {
                        let full = NotDone::Failed("disk full".to_owned());
                        self.hub.handle(self.now(), Input::Saved(id, Err(full)));
                    }
                },
                Output::FetchRoster(user) => {
                    let nobody = Input::RosterRead(user, Some(Vec::new()));
                    self.hub.handle(self.now(), nobody);
                }
                Output::Count(push, ..) => {
                    let counted = Input::Counted(push, Some(self.unread));
                    self.hub.handle(self.now(), counted);
                }
                Output::Push(order) => self.pushes.push(*order),
                Output::Note(note) => self.notes.push(note),
                other => self.said.push(other),
            }
        }
    }

    /// The store answers what waits.
    pub fn answers(&mut self) {
        for id in std::mem::take(&mut self.waiting) {
            self.hub.handle(self.now(), Input::Saved(id, Ok(())));
        }
        self.run();
    }

    pub fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    pub fn opens(&mut self, opening: Opening) -> Ticket {
        let ticket = self.ticket();
        self.handle(Input::Doors(Doors {
            ticket,
            user: bob(),
            opened: vec![opening],
            closed: Vec::new(),
        }));
        ticket
    }

    pub fn closes(&mut self, door: DoorId) -> Ticket {
        let ticket = self.ticket();
        self.handle(Input::Doors(Doors {
            ticket,
            user: bob(),
            opened: Vec::new(),
            closed: vec![door],
        }));
        ticket
    }

    pub fn asks(&mut self, question: Question) -> Result<Answer, NotDone> {
        let ticket = self.ticket();
        self.handle(Input::Asked(ticket, question));
        let place = self
            .said
            .iter()
            .position(|said| matches!(said, Output::Answer(it, _) if *it == ticket));
        match self.said.remove(place.expect("an answer")) {
            Output::Answer(_, answer) => answer,
            _ => unreachable!("it is an answer"),
        }
    }

    pub fn calls(&mut self, id: u64) -> CallId {
        let id = CallId(id);
        self.handle(Input::Called(Box::new(NewCall {
            id,
            kind: CallKind(0),
            tracking: format!("t{}", id.0).into(),
            call: format!("call-{}", id.0).into(),
            callee: bob(),
            caller_name: "Alice".to_owned(),
            caller: "alice@localhost".to_owned(),
            whence: String::new(),
            wakes_nobody: None,
        })));
        id
    }

    pub fn writes(&mut self, name: &str) -> Ticket {
        let ticket = self.ticket();
        let message = Message {
            id: name.into(),
            tracking: format!("t-{name}").into(),
            from: "alice@localhost".to_owned(),
            from_name: String::new(),
            to: bob(),
            at: self.now().wall,
            class: Class::Chat,
            content_type: "text/plain".to_owned(),
            body: bytes::Bytes::from_static(b"hello"),
            about: None,
        };
        self.handle(Input::Arrived(ticket, Arc::new(message)));
        ticket
    }

    /// What a question of the role was answered, if it was.
    pub fn answer_to(&self, ticket: Ticket) -> Option<&Result<(), NotDone>> {
        self.said.iter().find_map(|said| match said {
            Output::Done(it, result) if *it == ticket => Some(result),
            _ => None,
        })
    }

    /// The doors through which a call rang, in order.
    pub fn rung(&self, call: CallId) -> Vec<&DeviceId> {
        let rung = self.said.iter().filter_map(|said| match said {
            Output::Ring(it, door) if *it == call => Some(&door.device),
            _ => None,
        });
        rung.collect()
    }

    pub fn sent(&self) -> Vec<&str> {
        let sent = self.said.iter().filter_map(|said| match said {
            Output::Send(_, message) => Some(message.id.as_str()),
            _ => None,
        });
        sent.collect()
    }

    /// What was counted of messages.
    pub fn counted(&self) -> Vec<&'static str> {
        let counted = self.said.iter().filter_map(|said| match said {
            Output::Measured(Measure::Message(outcome)) => Some(*outcome),
            _ => None,
        });
        counted.collect()
    }

    pub fn is_registered(&self, device: &str) -> bool {
        let entry = self.hub.directory().get(&device.into());
        entry.is_some_and(|entry| !entry.doors.is_empty())
    }
}
