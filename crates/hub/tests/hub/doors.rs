//! Who is where, and that the store's word is the truth.

use crate::world::{StoreMood, World, account_of_bob, bob, door, opening};
use domain::{
    Change, Channel, Device, Door, DoorState, Handed, Mode, Purpose, Timestamp, behaviour::Incoming,
};
use hub::{Input, NotDone, Output, Question};

#[test]
fn a_closed_connection_leaves_the_device_suspended() {
    let mut world = World::new();
    world.opens(opening("a", 600));
    let mode = |world: &World| world.hub.directory().get(&"a".into()).unwrap().mode();
    assert_eq!(mode(&world), Mode::Foreground);
    world.handle(Input::DoorLost(door("a"), DoorState::Down));
    assert_eq!(mode(&world), Mode::Suspended);
    assert!(world.is_registered("a"));
}

#[test]
fn nothing_is_so_before_the_store_has_answered() {
    let mut world = World::new();
    world.mood = StoreMood::Waits;
    let ticket = world.opens(opening("a", 600));
    assert_eq!(world.answer_to(ticket), None);
    assert!(!world.is_registered("a"));
    world.answers();
    assert_eq!(world.answer_to(ticket), Some(&Ok(())));
    assert!(world.is_registered("a"));
}

#[test]
fn what_the_store_refuses_has_not_happened() {
    let mut world = World::new();
    let kept = world.opens(opening("a", 600));
    assert_eq!(world.answer_to(kept), Some(&Ok(())));
    world.mood = StoreMood::Refuses;
    let refused = world.opens(opening("b", 600));
    assert!(matches!(
        world.answer_to(refused),
        Some(Err(NotDone::Failed(_)))
    ));
    assert!(!world.is_registered("b"));
    let refused = world.closes(door("a"));
    assert!(matches!(
        world.answer_to(refused),
        Some(Err(NotDone::Failed(_)))
    ));
    assert!(world.is_registered("a"));
    let forgotten = world.asks(Question::ForgetDevice(None, "a".into()));
    assert!(matches!(forgotten, Err(NotDone::Failed(_))));
    assert!(world.is_registered("a"));
}

#[test]
fn of_one_user_one_step_is_under_way_at_a_time() {
    let mut world = World::new();
    world.mood = StoreMood::Waits;
    world.opens(opening("a", 600));
    let removed = world.closes(door("a"));
    assert_eq!(world.waiting.len(), 1, "the second waits for the first");
    world.answers();
    assert!(world.is_registered("a"));
    world.answers();
    assert_eq!(world.answer_to(removed), Some(&Ok(())));
    assert!(!world.is_registered("a"));
    assert_eq!(world.hub.load().steps, 0);
}

#[test]
fn too_many_questions_about_one_user_are_turned_away() {
    let mut world = World::new();
    world.mood = StoreMood::Waits;
    world.opens(opening("a", 600));
    let mut turned_away = 0;
    for _ in 0..100 {
        let ticket = world.opens(opening("a", 600));
        turned_away += usize::from(world.answer_to(ticket) == Some(&Err(NotDone::Overloaded)));
    }
    assert_eq!(turned_away, 36);
}

#[test]
fn bindings_expire_in_order_and_are_not_pushed_to_any_more() {
    let mut world = World::new();
    world.opens(opening("late", 200));
    world.opens(opening("soon", 100));
    world.pass(99_000);
    assert!(world.is_registered("soon"));
    world.pass(100_000);
    assert!(!world.is_registered("soon") && world.is_registered("late"));
    let directory = world.hub.directory();
    let entry = directory.get(&"soon".into()).unwrap();
    let profile = directory.profile(entry.device.app.as_ref());
    let target = entry.push_target(Incoming::Call, profile);
    assert_eq!(target.unwrap_err(), "not registered");
    assert_eq!(directory.counts().registered, 1);
}

#[test]
fn a_sleeping_device_is_asked_once_to_register_again_before_it_expires() {
    let mut world = World::new();
    world.opens(opening("a", 3600));
    world.handle(Input::DoorLost(door("a"), DoorState::Down));
    world.pass(3_300_000);
    assert!(world.pushes.is_empty());
    world.mood = StoreMood::Refuses;
    world.pass(3_425_000);
    assert!(world.pushes.is_empty(), "what is not saved is not asked");
    world.mood = StoreMood::Saves;
    world.pass(3_500_000);
    assert_eq!(world.pushes.len(), 1);
    assert_eq!(world.pushes[0].notification.purpose, Purpose::Refresh);
}

#[test]
fn a_refresh_that_changes_nothing_but_its_time_is_not_written_each_time() {
    let mut world = World::new();
    world.opens(opening("a", 3600));
    let written = |world: &World| {
        let doors = world.kept.iter();
        doors
            .filter(|kept| matches!(kept, Change::PutDoor(_)))
            .count()
    };
    let refresh = |seconds| hub::Opening {
        fresh: false,
        unchanged: true,
        ..opening("a", seconds)
    };
    world.pass(1_000_000);
    world.opens(refresh(4600));
    assert_eq!(written(&world), 1);
    let entry = world.hub.directory().get(&"a".into()).unwrap();
    assert_eq!(entry.expires_at(), Some(Timestamp(4_600_000)));
    // Further than the store believes in it.
    world.pass(3_900_000);
    world.opens(refresh(7500));
    assert_eq!(written(&world), 2);
}

#[test]
fn whoever_signed_in_is_signed_out_by_another_password_and_by_nothing_else() {
    let mut world = World::new();
    let put = |world: &mut World, user: domain::User| {
        assert!(world.asks(Question::PutUser(Box::new(user), 0)).is_ok());
        let is_out = |said: &Output| matches!(said, Output::SignedOut(it) if *it == bob());
        let out = world.said.iter().filter(|said| is_out(said)).count();
        world.said.clear();
        out
    };
    assert_eq!(put(&mut world, account_of_bob()), 0, "a new account");
    let mut bob = account_of_bob();
    bob.display_name = "Bob".to_owned();
    assert_eq!(put(&mut world, bob.clone()), 0, "another name");
    bob.secrets.sha256 = "another".to_owned();
    assert_eq!(put(&mut world, bob), 1, "another password");
    // What could not be kept is not so.
    world.mood = StoreMood::Refuses;
    let asked = Question::PutUser(Box::new(account_of_bob()), 0);
    assert!(world.asks(asked).is_err());
    assert!(world.said.is_empty(), "{:?}", world.said);
}

#[test]
fn what_was_read_of_an_account_before_it_was_signed_out_is_not_put() {
    let mut world = World::new();
    let mut put =
        |user: &domain::User, read| world.asks(Question::PutUser(Box::new(user.clone()), read));
    let known = account_of_bob();
    assert!(put(&known, 0).is_ok());
    let mut signed_out = known.clone();
    signed_out.secrets.mark = 7;
    assert!(put(&signed_out, 0).is_ok());
    let mut named = known;
    named.display_name = "Bob".to_owned();
    assert!(matches!(put(&named, 0), Err(NotDone::Changed)));
    named.secrets.mark = 7;
    assert!(put(&named, 7).is_ok());
    assert_eq!(world.hub.accounts().get(&bob()).unwrap().secrets.mark, 7);
    // One that is gone is not made again by what was read of it.
    assert!(world.asks(Question::RemoveUser(bob())).is_ok());
    let again = Question::PutUser(Box::new(named), 7);
    assert!(matches!(world.asks(again), Err(NotDone::Changed)));
    assert!(!world.hub.accounts().has(&bob()));
}

#[test]
fn a_user_who_is_removed_takes_everything_along() {
    let mut world = World::new();
    assert!(
        world
            .asks(Question::PutUser(Box::new(account_of_bob()), 0))
            .is_ok()
    );
    world.opens(opening("a", 600));
    assert!(world.asks(Question::RemoveUser(bob())).is_ok());
    assert!(!world.hub.accounts().has(&bob()));
    assert_eq!(world.hub.load(), hub::Load::default());
    assert!(matches!(
        world.asks(Question::RemoveUser(bob())),
        Err(NotDone::Missing)
    ));
}

#[test]
fn a_device_is_shown_to_its_own_user_only() {
    let mut world = World::new();
    world.opens(opening("a", 600));
    let eve = "eve@localhost".parse::<domain::Address>().unwrap();
    let seen = world.asks(Question::Device(eve.clone(), "a".into()));
    assert!(matches!(seen, Err(NotDone::Missing)));
    let forgotten = world.asks(Question::ForgetDevice(Some(eve), "a".into()));
    assert!(matches!(forgotten, Err(NotDone::Missing)));
    assert!(world.asks(Question::Device(bob(), "a".into())).is_ok());
}

/// A hub with so many sleeping phones, whose registrations end after `lifetime`, each so much later than the one before.
fn fleet(phones: u64, lifetime: u64, apart: u64) -> World {
    let mut world = World::with(|config| config.pushes_in_flight = 1000);
    for number in 0..phones {
        let id = format!("device{number}");
        let user = format!("user{number}@localhost").parse().unwrap();
        let mut device = Device::new(id.as_str().into(), user, Timestamp(0));
        device.give_token(Channel::Message, &id, Handed::Through(0), Timestamp(0));
        device.app = Some("com.example.phone".into());
        world.hub.load_device(device);
        let door = Door {
            id: door(&id),
            opened_at: Timestamp(0),
            expires_at: Timestamp(lifetime + number * apart),
            q: 1000,
            data: bytes::Bytes::new(),
        };
        let here = "sip:here".into();
        world
            .hub
            .load_door(&door, (DoorState::Down, Some(domain::CallKind(0))), 1, here);
    }
    world
}

/// How many phones were asked to register again.
fn asked(world: &World) -> usize {
    let kept = world.kept.iter();
    kept.filter(|kept| matches!(kept, Change::Owe(_))).count()
}

#[test]
fn a_fleet_that_registered_together_is_not_asked_together() {
    // At one moment, and one after the other.
    for apart in [0, 40] {
        let mut world = fleet(500, 3_600_000, apart);
        let mut before = 0;
        let most = (3_300..3_500).map(|second| {
            world.pass(second * 1000);
            let now = asked(&world);
            now - std::mem::replace(&mut before, now)
        });
        let most = most.max().unwrap();
        assert!(most < 25, "{most} at once");
        assert_eq!(before, 500, "to the last, and in time");
    }
}

#[test]
fn a_fleet_that_is_due_at_one_moment_is_asked_turn_by_turn() {
    // Too short for an earlier time of each phone's own.
    let mut world = fleet(1000, 200_000, 0);
    world.pass(99_999);
    assert_eq!(asked(&world), 0);
    let due = domain::Now {
        instant: world.now().instant + std::time::Duration::from_millis(1),
        wall: Timestamp(100_000),
    };
    world.hub.handle_timeout(due);
    let turn = std::iter::from_fn(|| world.hub.poll());
    let turn = turn.filter(|it| matches!(it, Output::Save(..))).count();
    assert!((1..=256).contains(&turn), "{turn} in one turn");
    // Those are not saved yet: the others are asked, and they again when it is known what became of them.
    world.pass(110_000);
    assert_eq!(asked(&world), 1000 - turn);
}
