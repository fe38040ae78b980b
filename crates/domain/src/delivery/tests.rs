//! Delivery under virtual time, against a store of three lines.

use super::*;
use crate::{Address, Mode, Note};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

struct World {
    start: Instant,
    delivery: Delivery,
    /// The queue of each device, as the store keeps it.
    queues: BTreeMap<DeviceId, Vec<Arc<Message>>>,
    archive: Vec<Arc<Message>>,
    /// Sent over a connection, in order.
    sent: Vec<(String, String)>,
    /// Owed pushes by device and due time after the start.
    pushes: Vec<(String, u64)>,
    relayed: Vec<String>,
    hibernated: Vec<String>,
    /// Sent, with the door of its device.
    by: Vec<(u32, String)>,
    rerouted: Vec<String>,
    steps: BTreeSet<&'static str>,
    /// How many messages a door takes at once.
    window: usize,
    /// The doors of every device that are open, the best one first; by default it has one, and no other to fall back on.
    doors: Open,
}

#[derive(Clone)]
struct Open(Vec<u32>);

impl Ways for Open {
    fn way(&self, _: &DeviceId, but: &[u32]) -> Option<Way> {
        let door = self.0.iter().find(|door| !but.contains(door))?;
        Some(way(*door, 1))
    }

    fn is_open(&self, door: &DoorId) -> bool {
        self.0.contains(&door.number)
    }
}

fn way(door: u32, window: usize) -> Way {
    Way { door, window }
}

fn door(device: &str, number: u32) -> DoorId {
    DoorId {
        device: id(device),
        number,
    }
}

fn id(name: &str) -> DeviceId {
    name.into()
}

fn message(name: &str) -> Message {
    Message {
        id: name.into(),
        tracking: format!("t-{name}").into(),
        from: "alice@example.org".to_owned(),
        from_name: String::new(),
        to: Address::new("bob", "example.org").unwrap(),
        at: Timestamp(0),
        class: Class::Chat,
        content_type: "text/plain".to_owned(),
        body: Bytes::from_static(b"hello"),
        about: None,
    }
}

fn recipient(name: &str, mode: Mode) -> Recipient {
    Recipient {
        device: id(name),
        mode,
        way: Some(way(0, 1)),
        push: Ok(()),
        quiet_until: None,
        is_full: false,
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
                Arc::new(behaviour),
                Timers::default(),
                NameConversation::by(|from, _| from.to_owned()),
            ),
            queues: BTreeMap::new(),
            archive: Vec::new(),
            sent: Vec::new(),
            pushes: Vec::new(),
            relayed: Vec::new(),
            hibernated: Vec::new(),
            by: Vec::new(),
            rerouted: Vec::new(),
            steps: BTreeSet::new(),
            window: 1,
            doors: Open(vec![0]),
        }
    }

    fn now(&self, millis: u64) -> Now {
        Now {
            instant: self.start + Duration::from_millis(millis),
            wall: Timestamp(millis),
        }
    }

    fn pass(&mut self, millis: u64) -> &mut Self {
        let effects = self.timeout(millis);
        self.perform(millis, effects);
        self
    }

    fn timeout(&mut self, millis: u64) -> Vec<Effect> {
        self.delivery.timeout(self.now(millis), &self.doors)
    }

    /// Device `a` comes through its door.
    fn comes(&mut self, millis: u64) -> Vec<Effect> {
        let (now, came) = (self.now(millis), door("a", 0));
        self.delivery
            .returned(now, &self.doors, (&came, true), way(0, 1))
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
        self.pass(millis);
        let message = Message {
            class,
            ..message(name)
        };
        let now = self.now(millis);
        let arrival = self
            .delivery
            .arrived(now, Arc::new(message), recipients.to_vec());
        self.save(arrival.changes);
        self.tell(&arrival.then.notes);
        let effects = self.delivery.stored(now, &arrival.then);
        self.perform(millis, effects);
        self
    }

    fn returns(&mut self, millis: u64, name: &str, fresh: bool) -> &mut Self {
        self.returns_by(millis, (name, 0), fresh, way(0, self.window))
    }

    /// A device comes through a door, and its messages go this way.
    fn returns_by(
        &mut self,
        millis: u64,
        (name, number): (&str, u32),
        fresh: bool,
        way: Way,
    ) -> &mut Self {
        self.pass(millis);
        let (now, door) = (self.now(millis), door(name, number));
        let came = (&door, fresh);
        let effects = self.delivery.returned(now, &self.doors, came, way);
        self.perform(millis, effects);
        self
    }

    fn fails(&mut self, millis: u64, (name, number): (&str, u32), message: &str) -> &mut Self {
        let (now, door) = (self.now(millis), door(name, number));
        let (ways, id) = (&self.doors, message.into());
        let effects = self.delivery.failed(now, ways, &door, &id, "closed");
        self.perform(millis, effects);
        self
    }

    fn acknowledges(&mut self, millis: u64, device: &str, name: &str) -> &mut Self {
        self.pass(millis);
        let now = self.now(millis);
        let effects = self
            .delivery
            .acknowledged(now, &id(device), &name.into(), false);
        self.perform(millis, effects);
        self
    }

    fn save(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Archive(message) => self.archive.push(message),
                Change::Enqueue { device, message } => {
                    let mut archive = self.archive.iter();
                    let message = archive.find(|kept| kept.id == message).unwrap().clone();
                    self.queues.entry(device).or_default().push(message);
                }
                Change::Owe(push) => self.pushes.push((push.device.to_string(), push.due.0)),
                Change::EnqueueForUser { .. } => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn tell(&mut self, notes: &[Note]) {
        for note in notes {
            if let Note::Story(event) = note {
                self.steps.insert(event.step.name());
            }
        }
    }

    fn perform(&mut self, millis: u64, effects: Vec<Effect>) {
        let now = self.now(millis);
        for effect in effects {
            match effect {
                Effect::Send(door, message) => {
                    let (device, id) = (door.device.to_string(), message.id.to_string());
                    self.by.push((door.number, id.clone()));
                    self.sent.push((device, id));
                }
                Effect::Rerouted(_, message, _) => self.rerouted.push(message.id.to_string()),
                Effect::Relay(device, _) => self.relayed.push(device.to_string()),
                Effect::Hibernate(door) => {
                    self.hibernated.push(door.device.to_string());
                    self.doors.0.retain(|open| *open != door.number);
                }
                Effect::Landed(device, landed) => {
                    let queue = self.queues.entry(device.clone()).or_default();
                    queue.retain(|queued| queued.id != landed.message);
                    let told = landed.told.map(|(_, step, _)| step.name());
                    self.steps.extend(told);
                    let effects = self.delivery.saved(now, &device, 1);
                    self.perform(millis, effects);
                }
                Effect::Unacknowledged(device, message, _) => {
                    if message.class == Class::Chat
                        && let Ok(push) = self.delivery.owe(now, &device, &message, None)
                    {
                        self.delivery.owed(now, &push);
                        self.save(vec![Change::Owe(Box::new(push))]);
                    }
                }
                Effect::Fetch(device) => {
                    let queue = self.queues.get(&device).into_iter().flatten();
                    let messages = queue.take(BATCH).cloned().collect();
                    let effects = self.delivery.fetched(now, &device, Some(messages));
                    self.perform(millis, effects);
                }
            }
        }
    }

    fn sent_to(&self, device: &str) -> Vec<&str> {
        let sent = self.sent.iter().filter(|(to, _)| to == device);
        sent.map(|(_, name)| name.as_str()).collect()
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
    world.returns(4000, "a", true).acknowledges(4010, "a", "m1");
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
    world.returns(1000, "a", true);
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
        .returns(1000, "a", true)
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
    world.returns(5000, "b", true);
    assert_eq!(world.hibernated, ["a"]);
    assert_eq!(world.pushes, [("a".to_owned(), 5000)]);
    assert_eq!(world.queued("a"), 1);
    world.returns(9000, "a", true).acknowledges(9010, "a", "m1");
    assert_eq!(world.sent_to("a"), ["m1", "m1"]);
    assert_eq!(world.queued("a"), 0);
}

#[test]
fn a_late_acknowledgement_spares_the_device_the_repetition() {
    let mut world = World::new();
    world.arrives(0, "m1", &[recipient("a", Mode::Foreground)]);
    world
        .returns(5000, "b", true)
        .acknowledges(6000, "a", "m1")
        .returns(9000, "a", true);
    assert_eq!(world.sent_to("a"), ["m1"]);
}

#[test]
fn a_phone_that_changes_connection_gets_the_message_that_was_on_its_way_again_and_is_left_alone() {
    let mut world = World::new();
    world.arrives(0, "m1", &[recipient("a", Mode::Foreground)]);
    world.returns(3000, "a", true);
    assert_eq!(world.sent_to("a"), ["m1", "m1"]);
    world.acknowledges(5500, "a", "m1");
    assert!(world.hibernated.is_empty() && world.pushes.is_empty());
    assert_eq!(world.queued("a"), 0);
}

#[test]
fn a_phone_that_refreshes_its_registration_does_not_get_the_message_twice() {
    let mut world = World::new();
    world.arrives(0, "m1", &[recipient("a", Mode::Foreground)]);
    world.returns(100, "a", false);
    assert_eq!(world.sent_to("a"), ["m1"]);
}

#[test]
fn what_could_not_be_saved_changed_nothing() {
    let mut world = World::new();
    let recipients = vec![recipient("a", Mode::Foreground)];
    let lost = world
        .delivery
        .arrived(world.now(0), Arc::new(message("lost")), recipients.clone());
    assert!(!lost.changes.is_empty());
    world
        .arrives(10, "m2", &recipients)
        .acknowledges(20, "a", "m2");
    assert_eq!(world.sent_to("a"), ["m2"]);
    assert!(world.pushes.is_empty() && world.hibernated.is_empty());
}

#[test]
fn a_door_with_a_window_takes_several_at_once_and_acknowledges_them_together() {
    let mut world = World::new();
    world.window = 3;
    for name in ["m1", "m2", "m3", "m4"] {
        world.arrives(0, name, &[recipient("a", Mode::Suspended)]);
    }
    world.returns(10, "a", true);
    assert_eq!(world.sent_to("a"), ["m1", "m2", "m3"]);
    let effects = world
        .delivery
        .acknowledged(world.now(20), &id("a"), &"m2".into(), true);
    world.perform(20, effects);
    assert_eq!(world.sent_to("a"), ["m1", "m2", "m3", "m4"]);
    assert_eq!(world.queued("a"), 2);
    world.pass(5010);
    assert_eq!(world.hibernated, ["a"]);
    world.returns(6000, "a", true);
    assert_eq!(world.sent_to("a"), ["m1", "m2", "m3", "m4", "m3", "m4"]);
}

#[test]
fn a_queue_is_not_read_again_before_what_was_delivered_has_left_it() {
    let mut world = World::new();
    let all: Vec<_> = (0..2 * BATCH)
        .map(|number| Arc::new(message(&format!("m{number:02}"))))
        .collect();
    let now = world.now(10);
    let mut effects = world.comes(10);
    assert_eq!(effects, [Effect::Fetch(id("a"))]);
    effects = world
        .delivery
        .fetched(now, &id("a"), Some(all[..BATCH].to_vec()));
    for known in &all[..BATCH] {
        assert_eq!(effects, [Effect::Send(door("a", 0), known.clone())]);
        effects = world.delivery.acknowledged(now, &id("a"), &known.id, false);
        let Effect::Landed(..) = effects.remove(0) else {
            panic!("{} is not told", known.id)
        };
    }
    assert_eq!(effects, [], "the store still has all of it");
    let saved = world.delivery.saved(now, &id("a"), BATCH);
    assert_eq!(saved, [Effect::Fetch(id("a"))]);
}

#[test]
fn a_queue_that_was_read_while_the_next_message_was_saved_doubles_nothing() {
    let mut world = World::new();
    world.arrives(0, "m1", &[recipient("a", Mode::Suspended)]);
    let now = world.now(10);
    assert_eq!(world.comes(10), [Effect::Fetch(id("a"))]);
    let both = ["m1", "m2"].map(|name| Arc::new(message(name)));
    world.queues.insert(id("a"), both.to_vec());
    let arrival =
        world
            .delivery
            .arrived(now, both[1].clone(), vec![recipient("a", Mode::Foreground)]);
    let effects = world.delivery.fetched(now, &id("a"), Some(both.to_vec()));
    world.perform(10, effects);
    let effects = world.delivery.stored(now, &arrival.then);
    world.perform(10, effects);
    for name in ["m1", "m2"] {
        world.acknowledges(20, "a", name);
    }
    assert_eq!(world.sent_to("a"), ["m1", "m2"]);
    assert_eq!(world.queued("a"), 0);
}

#[test]
fn a_queue_that_could_not_be_read_is_read_again_though_nothing_else_happens() {
    let mut world = World::new();
    world.queues.insert(id("a"), vec![Arc::new(message("m1"))]);
    let effects = world.comes(0);
    assert_eq!(effects, [Effect::Fetch(id("a"))]);
    for time in [0, 5_000, 10_000] {
        assert_eq!(world.delivery.fetched(world.now(time), &id("a"), None), []);
        assert_eq!(world.timeout(time + 4_999), []);
        let effects = world.timeout(time + 5_000);
        assert_eq!(effects, [Effect::Fetch(id("a"))]);
    }
    let messages = Some(vec![Arc::new(message("m1"))]);
    let effects = world
        .delivery
        .fetched(world.now(15_000), &id("a"), messages);
    world.perform(15_000, effects);
    assert_eq!(world.sent_to("a"), ["m1"]);
}

#[test]
fn a_message_is_under_way_until_its_device_has_it() {
    let mut world = World::new();
    let is_under_way = |world: &World| world.delivery.is_under_way(&id("a"), &"m1".into());
    assert!(!is_under_way(&world));
    world.arrives(0, "m1", &[recipient("a", Mode::Foreground)]);
    assert!(is_under_way(&world));
    world.acknowledges(10, "a", "m1");
    assert!(!is_under_way(&world));
}

#[test]
fn a_second_acknowledgement_changes_nothing() {
    let mut world = World::new();
    world
        .arrives(0, "m1", &[recipient("a", Mode::Foreground)])
        .acknowledges(10, "a", "m1");
    let now = world.now(20);
    let again = world
        .delivery
        .acknowledged(now, &id("a"), &"m1".into(), false);
    assert_eq!(again, []);
}

#[test]
fn a_message_that_the_device_refuses_for_good_does_not_block_the_next() {
    let mut world = World::new();
    world
        .arrives(0, "m1", &[recipient("a", Mode::Foreground)])
        .arrives(0, "m2", &[recipient("a", Mode::Foreground)]);
    let now = world.now(10);
    let effects = world
        .delivery
        .refused(now, &door("a", 0), &"m1".into(), "415");
    world.perform(10, effects);
    assert_eq!(world.sent_to("a"), ["m1", "m2"]);
    assert!(world.steps.contains("message_refused"));
}

#[test]
fn a_connection_that_breaks_turns_into_a_push_at_once() {
    let mut world = World::new();
    world.arrives(0, "m1", &[recipient("a", Mode::Foreground)]);
    world.fails(10, ("a", 0), "m1");
    assert_eq!(world.pushes, [("a".to_owned(), 10)]);
    assert_eq!(world.queued("a"), 1);
}

#[test]
fn what_is_under_way_by_one_door_is_not_offered_by_another_that_opens() {
    let mut world = World::new();
    for name in ["m1", "m2"] {
        world.arrives(0, name, &[recipient("a", Mode::Foreground)]);
    }
    world.doors = Open(vec![7, 0]);
    world.returns_by(10, ("a", 7), true, way(7, 8));
    // Nor does the next overtake it by the other door.
    assert_eq!(world.by, [(0, "m1".to_owned())]);
    world.acknowledges(20, "a", "m1");
    assert_eq!(world.by[1..], [(7, "m2".to_owned())]);
    world.acknowledges(30, "a", "m2");
    assert_eq!(world.queued("a"), 0);
}

#[test]
fn what_was_under_way_by_a_door_that_is_gone_is_offered_by_the_one_that_opens() {
    let mut world = World::new();
    world.arrives(0, "m1", &[recipient("a", Mode::Foreground)]);
    world.doors = Open(vec![7]);
    world.returns_by(10, ("a", 7), false, way(7, 8));
    assert_eq!(world.by, [(0, "m1".to_owned()), (7, "m1".to_owned())]);
    // What becomes of it by the first does not matter any more.
    world.fails(20, ("a", 0), "m1");
    let (now, first) = (world.now(30), door("a", 0));
    let refused = world.delivery.refused(now, &first, &"m1".into(), "415");
    assert_eq!(refused, []);
    assert!(world.pushes.is_empty() && world.rerouted.is_empty());
    assert_eq!(world.queued("a"), 1);
}

#[test]
fn who_does_not_answer_at_one_door_is_tried_at_the_other_and_pushed_to_when_neither_answers() {
    let mut world = World::new();
    world.doors = Open(vec![0, 7]);
    world.arrives(0, "m1", &[recipient("a", Mode::Foreground)]);
    world.pass(5000);
    assert_eq!(world.by, [(0, "m1".to_owned()), (7, "m1".to_owned())]);
    assert_eq!(world.rerouted, ["m1"]);
    assert!(world.pushes.is_empty());
    world.pass(10_000);
    assert_eq!(world.hibernated, ["a", "a"]);
    assert_eq!(world.pushes, [("a".to_owned(), 10_000)]);
}

#[test]
fn two_doors_that_both_fail_are_tried_once_each() {
    let mut world = World::new();
    world.doors = Open(vec![0, 7]);
    world.arrives(0, "m1", &[recipient("a", Mode::Foreground)]);
    world.fails(10, ("a", 0), "m1").fails(20, ("a", 7), "m1");
    assert_eq!(world.sent_to("a"), ["m1", "m1"]);
    assert_eq!(world.pushes, [("a".to_owned(), 20)]);
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
fn what_says_that_somebody_calls_goes_where_the_call_goes_and_pushes_nobody_itself() {
    let mut world = World::new();
    let recipients = [
        recipient("front", Mode::Foreground),
        recipient("silent", Mode::Silent),
        recipient("asleep", Mode::Suspended),
    ];
    world.arrives_as(0, "c", Class::Call, &recipients);
    assert!(world.pushes.is_empty());
    for (device, sent) in [("front", true), ("silent", true), ("asleep", false)] {
        assert_eq!(world.sent_to(device) == ["c"], sent, "{device}");
        assert_eq!(world.queued(device), 1);
    }
    // Nobody acknowledges it: the call has pushed already.
    world.returns(5000, "other", true);
    assert!(world.pushes.is_empty());
}

#[test]
fn a_receipt_is_not_pushed_even_if_the_device_does_not_acknowledge_it() {
    let mut world = World::new();
    let recipients = [recipient("phone", Mode::Foreground)];
    world.arrives_as(0, "r", Class::Notice, &recipients);
    world.returns(5000, "other", true);
    assert_eq!(world.hibernated, ["phone"]);
    assert!(world.pushes.is_empty());
    assert_eq!(world.queued("phone"), 1);
}

#[test]
fn a_message_that_was_sent_and_pushed_is_not_pushed_again_when_nobody_acknowledges_it() {
    let mut world = World::new();
    let recipients = [recipient("phone", Mode::Unknown)];
    world.arrives(0, "m1", &recipients);
    world.returns(5000, "other", true);
    assert_eq!(world.pushes, [("phone".to_owned(), 0)]);
    // It came, slept again at once, and has not got it yet.
    world.returns(6000, "phone", true);
    world.returns(11_000, "other", true);
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
            way: None,
            push,
            quiet_until: None,
            is_full: false,
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

#[test]
fn what_there_is_no_room_for_goes_over_and_is_pushed_for_and_nothing_overtakes_the_queue() {
    let world = World::new();
    let full = |name, mode| Recipient {
        is_full: true,
        ..recipient(name, mode)
    };
    let arrival = world.delivery.arrived(
        world.now(0),
        Arc::new(message("m1")),
        vec![
            full("asleep", Mode::Suspended),
            full("here", Mode::Foreground),
        ],
    );
    assert_eq!(arrival.then.over, [id("asleep"), id("here")]);
    assert!(arrival.then.queued.is_empty() && arrival.then.direct.is_empty());
    let pushed: Vec<_> = arrival.then.owed.iter().map(|it| &it.device).collect();
    assert_eq!(pushed, [&id("asleep")]);
    // Typing is worth something now or never.
    let typing = Message {
        class: Class::Transient,
        ..message("m2")
    };
    let here = vec![full("here", Mode::Foreground)];
    let arrival = world.delivery.arrived(world.now(0), Arc::new(typing), here);
    assert_eq!(arrival.then.direct, [(id("here"), way(0, 1))]);
    assert!(arrival.changes.is_empty());
}
