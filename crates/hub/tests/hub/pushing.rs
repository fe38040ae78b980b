//! What devices are pushed to by, apart from their registrations.

use crate::world::{World, bob, door, opening};
use domain::{CallKind, Channel, DeviceId, DoorState, Handed, Outcome, Token, User, user::Secrets};
use hub::{
    DeviceUpdate, Input, Meant, NotDone, Opening, PushOffer, PushRef, Pushed, Question, Ticket,
};

/// Calls of another role than those that the world makes.
const OTHER: CallKind = CallKind(1);

fn update(of: Option<CallKind>, voip: Option<&str>, message: Option<&str>) -> DeviceUpdate {
    DeviceUpdate {
        of,
        app: Some("com.example.phone".into()),
        voip: voip.map(str::to_owned),
        message: message.map(str::to_owned),
        ..DeviceUpdate::default()
    }
}

fn enables(world: &mut World, device: &str, update: DeviceUpdate) -> Result<(), NotDone> {
    let ticket = world.ticket();
    world.handle(Input::Enables(
        ticket,
        bob(),
        device.into(),
        Box::new(update),
    ));
    said(world, ticket)
}

/// By the device API.
fn puts(world: &mut World, device: &str, update: DeviceUpdate) -> Result<(), NotDone> {
    world.hub.accounts().put(User {
        address: bob(),
        display_name: String::new(),
        secrets: Secrets {
            md5: String::new(),
            sha256: String::new(),
            scram: None,
            mark: 0,
        },
        forward: None,
    });
    let put = Question::PutDevice(bob(), device.into(), Box::new(update));
    world.asks(put).map(drop)
}

fn disables(world: &mut World, device: Option<&str>) -> Result<(), NotDone> {
    let ticket = world.ticket();
    let device = device.map(DeviceId::from);
    let meant = Meant::Device(device);
    world.handle(Input::Disables(ticket, bob(), meant, OTHER));
    said(world, ticket)
}

fn said(world: &World, ticket: Ticket) -> Result<(), NotDone> {
    world.answer_to(ticket).cloned().expect("an answer")
}

fn token(world: &World, device: &str, channel: Channel) -> Option<Token> {
    let entry = world.hub.directory().get(&device.into())?;
    entry.device.tokens.get(channel).cloned()
}

/// A client that chats, and takes the other role's calls.
fn chat(device: &str) -> Opening {
    Opening {
        rings: Some(OTHER),
        push: PushOffer::None,
        ..opening(device, 600)
    }
}

fn pushed_to(world: &mut World) -> Vec<String> {
    let pushes = world.pushes.drain(..);
    pushes.map(|push| push.notification.token).collect()
}

#[test]
fn a_device_without_a_door_is_pushed_to_until_its_client_takes_that_back() {
    let mut world = World::new();
    enables(&mut world, "pad", update(Some(OTHER), None, Some("m1"))).unwrap();
    world.writes("one");
    assert_eq!(pushed_to(&mut world), ["m1"]);
    disables(&mut world, Some("pad")).unwrap();
    assert!(world.hub.directory().get(&"pad".into()).is_none());
    world.writes("two");
    assert!(pushed_to(&mut world).is_empty());
    assert_eq!(
        world.hub.directory().unclaimed(&bob()),
        2,
        "nothing is lost"
    );
    assert_eq!(disables(&mut world, Some("pad")), Err(NotDone::Missing));
    assert_eq!(disables(&mut world, None), Ok(()));
}

#[test]
fn nobody_takes_back_what_a_registration_or_the_device_api_named() {
    let mut world = World::new();
    world.opens(opening("a", 600));
    puts(&mut world, "b", update(None, None, Some("m2"))).unwrap();
    disables(&mut world, None).unwrap();
    assert!(token(&world, "a", Channel::Voip).is_some());
    assert_eq!(
        token(&world, "b", Channel::Message).unwrap().handed,
        Handed::Apart
    );
}

#[test]
fn an_app_that_is_not_configured_is_refused() {
    let mut world = World::new();
    let mut unknown = update(Some(OTHER), None, Some("m1"));
    unknown.app = Some("com.example.other".into());
    assert_eq!(enables(&mut world, "pad", unknown), Err(NotDone::NoSuchApp));
}

#[test]
fn the_last_word_on_a_devices_tokens_counts() {
    let mut world = World::new();
    enables(
        &mut world,
        "pad",
        update(Some(OTHER), Some("v1"), Some("m1")),
    )
    .unwrap();
    enables(&mut world, "pad", update(Some(OTHER), None, Some("m2"))).unwrap();
    assert!(token(&world, "pad", Channel::Voip).is_none());
    assert_eq!(
        &*token(&world, "pad", Channel::Message).unwrap().value,
        "m2"
    );
}

#[test]
fn a_token_is_one_devices_and_what_waited_for_its_earlier_name_waits_for_it() {
    let mut world = World::new();
    enables(&mut world, "old", update(Some(OTHER), None, Some("m1"))).unwrap();
    world.writes("one");
    pushed_to(&mut world);
    enables(&mut world, "new", update(Some(OTHER), None, Some("m1"))).unwrap();
    assert!(world.hub.directory().get(&"old".into()).is_none());
    let new = world.hub.directory().get(&"new".into()).unwrap();
    assert_eq!(new.queued, 1);
    // One that is there is another device, whatever it says of its token.
    world.opens(chat("there"));
    enables(&mut world, "there", update(Some(OTHER), None, Some("m1"))).unwrap();
    assert!(world.hub.directory().get(&"new".into()).is_none());
    enables(&mut world, "third", update(Some(OTHER), None, Some("m1"))).unwrap();
    assert!(world.hub.directory().get(&"there".into()).is_some());
    assert!(token(&world, "there", Channel::Message).is_none());
}

#[test]
fn calls_go_to_devices_that_take_calls_of_their_kind() {
    let mut world = World::new();
    // There, asleep, and gone: none of them takes such a call.
    world.opens(chat("there"));
    world.opens(chat("asleep"));
    enables(&mut world, "asleep", update(Some(OTHER), Some("v1"), None)).unwrap();
    world.handle(Input::DoorLost(door("asleep"), DoorState::Down));
    enables(&mut world, "gone", update(Some(OTHER), Some("v2"), None)).unwrap();
    // Nobody knows which one takes that has never been there.
    puts(&mut world, "new", update(None, Some("v3"), None)).unwrap();
    let call = world.calls(1);
    assert!(world.rung(call).is_empty());
    assert_eq!(pushed_to(&mut world), ["v3"]);
    // One that has doors of both kinds takes both.
    let mut both = opening("asleep", 600);
    both.door.number = 7;
    both.push = PushOffer::None;
    world.opens(both);
    let mut other = door("asleep");
    other.number = 7;
    world.handle(Input::DoorLost(other, DoorState::Down));
    world.pushes.clear();
    world.calls(2);
    assert_eq!(pushed_to(&mut world), ["v1", "v3"]);
}

#[test]
fn a_token_that_died_twice_is_not_taken_a_third_time() {
    let mut world = World::new();
    let dies = |world: &mut World| {
        let outcome = Outcome::TokenDead {
            since: None,
            reason: "Unregistered".to_owned(),
        };
        world.handle(Input::Pushed(Pushed {
            push: PushRef::Owed("n".into(), "t".into()),
            device: "pad".into(),
            token: "m1".into(),
            outcome,
        }));
    };
    enables(&mut world, "pad", update(Some(OTHER), None, Some("m1"))).unwrap();
    dies(&mut world);
    world.pass(1000);
    enables(&mut world, "pad", update(Some(OTHER), None, Some("m1"))).unwrap();
    dies(&mut world);
    world.pass(2000);
    let again = enables(&mut world, "pad", update(Some(OTHER), None, Some("m1")));
    assert_eq!(again, Err(NotDone::DeadToken));
    let put = puts(&mut world, "pad", update(None, None, Some("m1")));
    assert_eq!(put, Err(NotDone::DeadToken));
    enables(&mut world, "pad", update(Some(OTHER), None, Some("m2"))).unwrap();
}
