//! Work for one user does not depend on how many there are: a test that counts looks at devices, not time.

use crate::{
    Accounts, CallEnd, CallId, Config, DeviceUpdate, Doors, Hub, Input, NewCall, Opening, Output,
    People, PushOffer, PushRef, Pushed, Question, Ticket,
};
use domain::{
    Address, AppProfile, Behaviour, CallKind, Channel, Class, Device, Door, DoorId, DoorState,
    Generation, Message, Mode, Now, Outcome, Platform, Provider, Timestamp, User, delivery,
    user::Secrets, wake, wake::Failure,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const APP: &str = "com.example.phone";
/// Nothing expires meanwhile.
const FAR: Timestamp = Timestamp(1_000_000_000);

fn user(number: usize) -> Address {
    format!("user{number}@localhost").parse().unwrap()
}

fn door(number: usize) -> DoorId {
    DoorId {
        device: format!("device{number}").into(),
        number: 0,
    }
}

fn opening(number: usize) -> Opening {
    let tokens = [Channel::Voip, Channel::Message];
    let token = |channel: Channel| (channel, format!("{}-{number}", channel.name()).into());
    Opening {
        door: door(number),
        fresh: true,
        unchanged: false,
        state: DoorState::Up,
        expires_at: FAR,
        rings: Some(CallKind(0)),
        speaks: false,
        q: 1000,
        window: 1,
        register_at: "sip:here".into(),
        push: PushOffer::Tokens(APP.into(), tokens.map(token).into()),
        data: bytes::Bytes::from_static(b"way"),
        history: None,
    }
}

fn is_over(call: CallId) -> Input {
    Input::CallDone(call, CallEnd::Failed("486".into()))
}

/// A hub with so many users, each with a device that is registered.
struct World {
    hub: Hub,
    now: Now,
    others: usize,
}

/// Somebody calls this user.
fn called(id: CallId, callee: &Address) -> NewCall {
    NewCall {
        id,
        kind: CallKind(0),
        tracking: "t2".into(),
        call: "call-1".into(),
        callee: callee.clone(),
        caller_name: String::new(),
        caller: "alice@localhost".to_owned(),
        whence: String::new(),
        wakes_nobody: None,
    }
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn of(users: usize) -> Self {
        let config = Config {
            behaviour: Arc::new(Behaviour::default()),
            wake: wake::Timers::default(),
            delivery: delivery::Timers::default(),
            apps: vec![AppProfile {
                app: APP.into(),
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
        };
        let mut hub = Hub::new(config, Accounts::default());
        for number in 0..users {
            hub.accounts().put(User {
                address: user(number),
                display_name: String::new(),
                secrets: Secrets {
                    md5: String::new(),
                    sha256: String::new(),
                    scram: None,
                    mark: 0,
                },
                forward: None,
            });
            let id = door(number);
            hub.load_device(Device::new(id.device.clone(), user(number), Timestamp(1)));
            let door = Door {
                id,
                opened_at: Timestamp(1),
                expires_at: FAR,
                q: 1000,
                data: bytes::Bytes::new(),
            };
            hub.load_door(
                &door,
                (DoorState::Up, Some(CallKind(0))),
                1,
                "sip:here".into(),
            );
        }
        let now = Now {
            instant: Instant::now(),
            wall: Timestamp(1000),
        };
        let others = users;
        Self { hub, now, others }
    }

    /// How many devices are looked at for this.
    fn looks(&mut self, input: Input) -> usize {
        let before = self.hub.directory().looks();
        self.hub.handle(self.now, input);
        while let Some(output) = self.hub.poll() {
            let input = match output {
                Output::Save(id, _) => Input::Saved(id, Ok(())),
                Output::FetchRoster(user) => Input::RosterRead(user, Some(Vec::new())),
                _ => continue,
            };
            self.hub.handle(self.now, input);
        }
        self.hub.directory().looks() - before
    }

    fn passes(&mut self, time: Duration) -> usize {
        self.now.instant += time;
        self.now.wall = self.now.wall.plus(time);
        let before = self.hub.directory().looks();
        self.hub.next_timeout(self.now);
        self.hub.handle_timeout(self.now);
        while self.hub.poll().is_some() {}
        self.hub.directory().looks() - before
    }

    /// All that happens to one of the users, with the work that each takes.
    fn day_of_a_user(&mut self) -> Vec<(&'static str, usize)> {
        let number = self.others / 2;
        let (one, door) = (user(number), door(number));
        let (device, ticket) = (door.device.clone(), Ticket(1));
        let next = self::door(number + 1).device;
        let call = CallId(1);
        let message = Arc::new(Message {
            id: "m1".into(),
            tracking: "t1".into(),
            from: "alice@localhost".to_owned(),
            from_name: String::new(),
            to: one.clone(),
            at: self.now.wall,
            class: Class::Chat,
            content_type: "text/plain".to_owned(),
            body: bytes::Bytes::new(),
            about: None,
        });
        let doors = |opened, closed| {
            Input::Doors(Doors {
                ticket,
                user: one.clone(),
                opened,
                closed,
            })
        };
        let asked = |question| Input::Asked(ticket, question);
        let own = (one.clone(), device.clone());
        let mut update = Box::<DeviceUpdate>::default();
        update.mode = Some(Mode::Foreground);
        let pushed = Pushed {
            push: PushRef::Call(call),
            device: device.clone(),
            token: format!("voip-{number}").into(),
            outcome: Outcome::TokenDead {
                since: None,
                reason: "Unregistered".to_owned(),
            },
        };
        let why = || "486".to_owned();
        let happens = [
            ("a refresh", doors(vec![opening(number)], vec![])),
            (
                "one device",
                asked(Question::Device(own.0.clone(), own.1.clone())),
            ),
            (
                "the user's devices",
                asked(Question::Devices(Some(one.clone()))),
            ),
            (
                "a device's word",
                asked(Question::PutDevice(own.0, own.1, update)),
            ),
            (
                "its mode",
                asked(Question::SetMode(
                    one.clone(),
                    device.clone(),
                    Mode::Suspended,
                )),
            ),
            ("a message", Input::Arrived(ticket, message)),
            (
                "it is taken",
                Input::Acknowledged(device.clone(), "m1".into(), false),
            ),
            ("a call", Input::Called(Box::new(called(call, &one)))),
            ("it rings", Input::Progress(call, device.clone(), true)),
            ("its push fails", Input::Pushed(pushed)),
            (
                "it is declined",
                Input::Failed(call, door.clone(), Failure::Declined, why()),
            ),
            ("it is over", is_over(call)),
            (
                "its connection ends",
                Input::DoorLost(door.clone(), DoorState::Down),
            ),
            ("it comes back", doors(vec![opening(number)], vec![])),
            ("it leaves", doors(vec![], vec![door])),
            (
                "another is forgotten",
                asked(Question::ForgetDevice(None, next)),
            ),
            ("the user is removed", asked(Question::RemoveUser(one))),
        ];
        let looks = happens.map(|(what, input)| (what, self.looks(input)));
        let mut looks = Vec::from(looks);
        looks.push(("nothing", self.passes(Duration::from_mins(1))));
        looks
    }
}

#[test]
fn work_for_one_user_does_not_depend_on_how_many_there_are() {
    let few = World::of(10).day_of_a_user();
    let many = World::of(10_000).day_of_a_user();
    assert_eq!(few, many);
    assert!(few.iter().all(|(_, looks)| *looks < 50), "{few:?}");

    // What is for all is counted, too.
    let all = Input::Asked(Ticket(1), Question::Devices(None));
    assert!(World::of(10_000).looks(all) >= 10_000);
}
