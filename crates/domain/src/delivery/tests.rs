//! Delivery under virtual time, against a store of three lines.

use super::*;
use crate::{Address, Mode};
use bytes::Bytes;
use std::{collections::BTreeSet, time::Duration};

struct World {
    start: Instant,
    delivery: Delivery,
    /// The queue of each device, as the store keeps it.
    queues: BTreeMap<DeviceId, Vec<Message>>,
    archive: Vec<Message>,
    /// Sent over a connection, in order.
    sent: Vec<(String, String)>,
    /// Owed pushes by device and due time after the start.
    pushes: Vec<(String, u64)>,
    relayed: Vec<String>,
    hibernated: Vec<String>,
    steps: BTreeSet<&'static str>,
}

fn id(name: &str) -> DeviceId {
    DeviceId(name.to_owned())
}

fn message(name: &str) -> Message {
    Message {
        id: MessageId(name.to_owned()),
        tracking: TrackingId(format!("t-{name}")),
        from: "alice@example.org".to_owned(),
        from_name: String::new(),
        to: Address::new("bob", "example.org").unwrap(),
        at: Timestamp(0),
        class: Class::Chat,
        content_type: "text/plain".to_owned(),
        body: Bytes::from_static(b"hello"),
    }
}

fn recipient(name: &str, mode: Mode) -> Recipient {
    Recipient {
        device: id(name),
        mode,
        push: Ok(()),
    }
}

impl World {
    fn new() -> Self {
        Self::with(Behaviour::default())
    }

    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn with(behaviour: Behaviour) -> Self {
        Self {
            start: Instant::now(),
            delivery: Delivery::new(
                behaviour,
                Timers::default(),
                NameConversation::by(|message| message.from.clone()),
            ),
            queues: BTreeMap::new(),
            archive: Vec::new(),
            sent: Vec::new(),
            pushes: Vec::new(),
            relayed: Vec::new(),
            hibernated: Vec::new(),
            steps: BTreeSet::new(),
        }
    }

    fn now(&self, millis: u64) -> Now {
        Now {
            instant: self.start + Duration::from_millis(millis),
            wall: Timestamp(millis),
        }
    }

    fn at(&mut self, millis: u64, input: Input) -> &mut Self {
        let now = self.now(millis);
        let timed_out = self.delivery.timeout(now);
        self.perform(millis, timed_out);
        let step = self.delivery.step(now, input);
        self.perform(millis, step);
        self
    }

    fn arrives(&mut self, millis: u64, name: &str, recipients: &[Recipient]) -> &mut Self {
        self.arrives_as(millis, name, Class::Chat, recipients)
    }

    fn arrives_as(
        &mut self,
        millis: u64,
        name: &str,
        class: Class,
        recipients: &[Recipient],
    ) -> &mut Self {
        let message = Message {
            class,
            ..message(name)
        };
        self.at(
            millis,
            Input::Arrived {
                message,
                recipients: recipients.to_vec(),
            },
        )
    }

    fn acknowledges(&mut self, millis: u64, device: &str, name: &str) -> &mut Self {
        self.at(
            millis,
            Input::Acknowledged {
                device: id(device),
                message: MessageId(name.to_owned()),
            },
        )
    }

    fn perform(&mut self, millis: u64, step: Step) {
        for change in step.changes {
            match change {
                Change::Archive(message) => self.archive.push(message),
                Change::Enqueue { device, message } => {
                    let message = self
                        .archive
                        .iter()
                        .find(|kept| kept.id == message)
                        .unwrap()
                        .clone();
                    self.queues.entry(device).or_default().push(message);
                }
                Change::Delivered { device, message } => {
                    self.queues
                        .entry(device)
                        .or_default()
                        .retain(|queued| queued.id != message);
                }
                Change::Owe(push) => self.pushes.push((push.device.0, push.due.0)),
                Change::Trace(event) => {
                    self.steps.insert(event.step.name());
                }
                Change::EnqueueForUser { .. } => {}
                other => panic!("unexpected {other:?}"),
            }
        }
        for effect in step.effects {
            match effect {
                Effect::Send(device, message) => self.sent.push((device.0, message.id.0)),
                Effect::Relay(device, _) => self.relayed.push(device.0),
                Effect::Hibernate(device) => self.hibernated.push(device.0),
                Effect::Fetch(device) => {
                    let messages = self
                        .queues
                        .get(&device)
                        .into_iter()
                        .flatten()
                        .take(BATCH)
                        .cloned()
                        .collect();
                    self.at(millis, Input::Fetched { device, messages });
                }
            }
        }
    }

    fn sent_to(&self, device: &str) -> Vec<&str> {
        self.sent
            .iter()
            .filter(|(to, _)| to == device)
            .map(|(_, name)| name.as_str())
            .collect()
    }

    fn queued(&self, device: &str) -> usize {
        self.queues.get(&id(device)).map_or(0, Vec::len)
    }
}

#[test]
fn a_device_in_the_foreground_gets_the_message_and_no_push() {
    let mut world = World::new();
    world
        .arrives(0, "m1", &[recipient("a", Mode::Foreground)])
        .acknowledges(10, "a", "m1");
    assert_eq!(world.sent_to("a"), ["m1"]);
    assert!(world.pushes.is_empty());
    assert_eq!(world.queued("a"), 0);
}

#[test]
fn a_suspended_device_gets_a_push_and_its_message_when_it_returns() {
    let mut world = World::new();
    world.arrives(0, "m1", &[recipient("a", Mode::Suspended)]);
    assert_eq!(world.pushes, [("a".to_owned(), 0)]);
    assert!(world.sent.is_empty());
    world
        .at(
            4000,
            Input::Returned {
                device: id("a"),
                fresh: true,
            },
        )
        .acknowledges(4010, "a", "m1");
    assert_eq!(world.sent_to("a"), ["m1"]);
    assert_eq!(world.queued("a"), 0);
}

#[test]
fn messages_come_in_order_and_one_at_a_time_however_many_wait() {
    let mut world = World::new();
    let names: Vec<String> = (0..3 * BATCH + 5).map(|n| format!("m{n}")).collect();
    for name in &names {
        world.arrives(0, name, &[recipient("a", Mode::Suspended)]);
    }
    world.at(
        1000,
        Input::Returned {
            device: id("a"),
            fresh: true,
        },
    );
    for name in &names {
        assert_eq!(world.sent_to("a").last(), Some(&name.as_str()));
        world.acknowledges(1001, "a", name);
    }
    assert_eq!(world.sent_to("a"), names);
    assert_eq!(world.queued("a"), 0);
}

#[test]
fn a_message_that_comes_while_the_queue_is_drained_waits_its_turn() {
    let mut world = World::new();
    world
        .arrives(0, "m1", &[recipient("a", Mode::Suspended)])
        .arrives(0, "m2", &[recipient("a", Mode::Suspended)]);
    world
        .at(
            1000,
            Input::Returned {
                device: id("a"),
                fresh: true,
            },
        )
        .arrives(1001, "m3", &[recipient("a", Mode::Foreground)]);
    for name in ["m1", "m2", "m3"] {
        world.acknowledges(1010, "a", name);
    }
    assert_eq!(world.sent_to("a"), ["m1", "m2", "m3"]);
}

#[test]
fn six_messages_of_a_conversation_make_two_pushes() {
    let mut world = World::new();
    for n in 0..6 {
        world.arrives(
            n * 100,
            &format!("m{n}"),
            &[recipient("a", Mode::Suspended)],
        );
    }
    assert_eq!(world.pushes, [("a".to_owned(), 0), ("a".to_owned(), 5000)]);
}

#[test]
fn a_quiet_window_makes_the_next_push_immediate_again() {
    let mut world = World::new();
    world
        .arrives(0, "m1", &[recipient("a", Mode::Suspended)])
        .arrives(5000, "m2", &[recipient("a", Mode::Suspended)]);
    assert_eq!(world.pushes, [("a".to_owned(), 0), ("a".to_owned(), 5000)]);
}

#[test]
fn a_device_that_does_not_acknowledge_is_asleep_and_gets_the_message_once_more_when_it_returns() {
    let mut world = World::new();
    world.arrives(0, "m1", &[recipient("a", Mode::Foreground)]);
    world.at(
        5000,
        Input::Returned {
            device: id("b"),
            fresh: true,
        },
    );
    assert_eq!(world.hibernated, ["a"]);
    assert_eq!(world.pushes, [("a".to_owned(), 5000)]);
    assert_eq!(world.queued("a"), 1);
    world
        .at(
            9000,
            Input::Returned {
                device: id("a"),
                fresh: true,
            },
        )
        .acknowledges(9010, "a", "m1");
    assert_eq!(world.sent_to("a"), ["m1", "m1"]);
    assert_eq!(world.queued("a"), 0);
}

#[test]
fn a_late_acknowledgement_spares_the_device_the_repetition() {
    let mut world = World::new();
    world.arrives(0, "m1", &[recipient("a", Mode::Foreground)]);
    world
        .at(
            5000,
            Input::Returned {
                device: id("b"),
                fresh: true,
            },
        )
        .acknowledges(6000, "a", "m1")
        .at(
            9000,
            Input::Returned {
                device: id("a"),
                fresh: true,
            },
        );
    assert_eq!(world.sent_to("a"), ["m1"]);
}

#[test]
fn a_phone_that_changes_connection_gets_the_message_that_was_on_its_way_again_and_is_left_alone() {
    let mut world = World::new();
    world.arrives(0, "m1", &[recipient("a", Mode::Foreground)]);
    world.at(
        3000,
        Input::Returned {
            device: id("a"),
            fresh: true,
        },
    );
    assert_eq!(world.sent_to("a"), ["m1", "m1"]);
    world.acknowledges(5500, "a", "m1");
    assert!(world.hibernated.is_empty() && world.pushes.is_empty());
    assert_eq!(world.queued("a"), 0);
}

#[test]
fn a_phone_that_refreshes_its_registration_does_not_get_the_message_twice() {
    let mut world = World::new();
    world.arrives(0, "m1", &[recipient("a", Mode::Foreground)]);
    world.at(
        100,
        Input::Returned {
            device: id("a"),
            fresh: false,
        },
    );
    assert_eq!(world.sent_to("a"), ["m1"]);
}

#[test]
fn what_could_not_be_saved_blocks_nothing() {
    let mut world = World::new();
    let now = world.now(0);
    let lost = Input::Arrived {
        message: message("lost"),
        recipients: vec![recipient("a", Mode::Foreground)],
    };
    let step = world.delivery.step(now, lost);
    let undone = Input::Undone {
        effects: step.effects,
        devices: vec![id("a")],
    };
    world.delivery.step(now, undone);
    world
        .arrives(10, "m2", &[recipient("a", Mode::Foreground)])
        .acknowledges(20, "a", "m2");
    assert_eq!(world.sent_to("a"), ["m2"]);
    assert!(world.pushes.is_empty() && world.hibernated.is_empty());
}

#[test]
fn a_second_acknowledgement_changes_nothing() {
    let mut world = World::new();
    world
        .arrives(0, "m1", &[recipient("a", Mode::Foreground)])
        .acknowledges(10, "a", "m1");
    let now = world.now(20);
    let again = Input::Acknowledged {
        device: id("a"),
        message: MessageId("m1".to_owned()),
    };
    assert_eq!(world.delivery.step(now, again).changes, []);
}

#[test]
fn a_message_that_the_device_refuses_for_good_does_not_block_the_next() {
    let mut world = World::new();
    world
        .arrives(0, "m1", &[recipient("a", Mode::Foreground)])
        .arrives(0, "m2", &[recipient("a", Mode::Foreground)]);
    let message = MessageId("m1".to_owned());
    world.at(
        10,
        Input::Failed {
            device: id("a"),
            message,
            why: "415".to_owned(),
            for_good: true,
        },
    );
    assert_eq!(world.sent_to("a"), ["m1", "m2"]);
    assert!(world.steps.contains("message_refused"));
}

#[test]
fn a_connection_that_breaks_turns_into_a_push_at_once() {
    let mut world = World::new();
    world.arrives(0, "m1", &[recipient("a", Mode::Foreground)]);
    let message = MessageId("m1".to_owned());
    world.at(
        10,
        Input::Failed {
            device: id("a"),
            message,
            why: "closed".to_owned(),
            for_good: false,
        },
    );
    assert_eq!(world.pushes, [("a".to_owned(), 10)]);
    assert_eq!(world.queued("a"), 1);
}

#[test]
fn every_device_of_the_user_gets_it_in_its_own_way() {
    let mut world = World::new();
    world.arrives(
        0,
        "m1",
        &[
            recipient("desk", Mode::Foreground),
            recipient("phone", Mode::Suspended),
        ],
    );
    assert_eq!(world.sent_to("desk"), ["m1"]);
    assert_eq!(world.pushes, [("phone".to_owned(), 0)]);
}

#[test]
fn a_typing_notice_reaches_who_is_there_and_leaves_no_trace() {
    let mut world = World::new();
    let recipients = [
        recipient("desk", Mode::Foreground),
        recipient("phone", Mode::Suspended),
    ];
    world.arrives_as(0, "t", Class::Transient, &recipients);
    assert_eq!(world.relayed, ["desk"]);
    assert!(world.archive.is_empty() && world.pushes.is_empty() && world.queued("phone") == 0);
}

#[test]
fn a_receipt_is_queued_and_never_pushed() {
    let mut world = World::new();
    world.arrives_as(
        0,
        "r",
        Class::Notice,
        &[recipient("phone", Mode::Suspended)],
    );
    assert!(world.pushes.is_empty());
    assert_eq!(world.queued("phone"), 1);
}

#[test]
fn a_receipt_is_not_pushed_even_if_the_device_does_not_acknowledge_it() {
    let mut world = World::new();
    let recipients = [recipient("phone", Mode::Foreground)];
    world.arrives_as(0, "r", Class::Notice, &recipients);
    world.at(
        5000,
        Input::Returned {
            device: id("other"),
            fresh: true,
        },
    );
    assert_eq!(world.hibernated, ["phone"]);
    assert!(world.pushes.is_empty());
    assert_eq!(world.queued("phone"), 1);
}

#[test]
fn a_message_that_was_sent_and_pushed_is_not_pushed_again_when_nobody_acknowledges_it() {
    let mut world = World::new();
    let recipients = [recipient("phone", Mode::Unknown)];
    world.arrives(0, "m1", &recipients);
    world.at(
        5000,
        Input::Returned {
            device: id("other"),
            fresh: true,
        },
    );
    assert_eq!(world.pushes, [("phone".to_owned(), 0)]);
    // It came, slept again at once, and has not got it yet.
    world.at(
        6000,
        Input::Returned {
            device: id("phone"),
            fresh: true,
        },
    );
    world.at(
        11_000,
        Input::Returned {
            device: id("other"),
            fresh: true,
        },
    );
    assert_eq!(world.sent_to("phone"), ["m1", "m1"]);
    assert_eq!(world.pushes.last(), Some(&("phone".to_owned(), 11_000)));
}

#[test]
fn a_device_that_cannot_be_pushed_to_says_why_in_the_story() {
    let mut world = World::new();
    let push = Err("no message token".to_owned());
    world.arrives(
        0,
        "m1",
        &[Recipient {
            device: id("a"),
            mode: Mode::Suspended,
            push,
        }],
    );
    assert!(world.pushes.is_empty());
    assert!(world.steps.contains("push_skipped"));
    assert_eq!(world.queued("a"), 1);
}

#[test]
fn a_push_in_the_foreground_would_be_seen() {
    let table = Behaviour::default().with(Mode::Foreground, Incoming::Message, |rule| {
        rule.push = true;
    });
    let mut world = World::with(table);
    world.arrives(0, "m1", &[recipient("a", Mode::Foreground)]);
    assert_eq!(world.pushes.len(), 1);
}
