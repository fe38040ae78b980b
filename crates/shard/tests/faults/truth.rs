//! The store's word is the truth: what it refuses has not happened, and whoever asked hears so.

use crate::{
    dialogs::{contact, registers},
    peer::{uri, what},
    settings::{SHARDS, account, address},
    world::World,
};
use domain::Mode;
use hub::{Answer, DeviceUpdate, NotDone, Question};
use std::time::Duration;

fn refusals() -> [(NotDone, u16); 2] {
    let full = NotDone::Failed("disk full".to_owned());
    [(full, 500), (NotDone::Overloaded, 503)]
}

/// Runs with each number of shards and each refusal, and the status that tells it.
pub(crate) fn each(test: impl Fn(World, NotDone, u16)) {
    for shards in SHARDS {
        for (why, status) in refusals() {
            test(World::new(shards), why, status);
        }
    }
}

#[test]
fn a_registration_that_is_not_saved_binds_nothing() {
    each(|mut world, why, status| {
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.udp("10.0.0.20:5060"));
        world.store.refuses = Some(why);
        let answer = world.register(bob, "bob", &[&contact("bob", bob)]);
        assert_eq!(answer.status(), Some(status));
        world.assert_memory_is_what_is_kept();
        world.store.refuses = None;
        world.invite(alice, "alice", "bob");
        assert_eq!(world.heard(alice), ["100", "480"]);
        assert_eq!(world.heard(bob), [""; 0]);
        assert!(world.cloud.pushes.is_empty());
        world.ends_clean();
    });
}

#[test]
fn a_removal_that_is_not_saved_leaves_the_phone_bound() {
    each(|mut world, why, status| {
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.udp("10.0.0.20:5060"));
        registers(&mut world, bob, "bob");
        world.store.refuses = Some(why);
        let gone = format!("{};expires=0", contact("bob", bob));
        let answer = world.register(bob, "bob", &[&gone]);
        assert_eq!(answer.status(), Some(status));
        world.store.refuses = None;
        world.assert_memory_is_what_is_kept();
        world.invite(alice, "alice", "bob");
        world.take(bob, "INVITE");
        world.ends_clean();
    });
}

#[test]
fn a_move_that_is_not_saved_leaves_the_phone_where_it_was() {
    each(|mut world, why, status| {
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.udp("10.0.0.20:5060"));
        registers(&mut world, bob, "bob");
        let moved = world.udp("10.0.0.21:5060");
        world.store.refuses = Some(why);
        let answer = world.register(moved, "bob", &[&contact("bob", moved)]);
        assert_eq!(answer.status(), Some(status));
        world.store.refuses = None;
        world.assert_memory_is_what_is_kept();
        world.invite(alice, "alice", "bob");
        world.take(bob, "INVITE");
        assert_eq!(world.heard(moved), [""; 0]);
        world.ends_clean();
    });
}

#[test]
fn a_password_that_is_not_saved_is_not_the_password() {
    each(|mut world, why, _| {
        let bob = world.udp("10.0.0.20:5060");
        let mut other = account("bob", None);
        other.secrets.md5 = "0".repeat(32);
        other.secrets.sha256 = "0".repeat(64);
        world.store.refuses = Some(why.clone());
        let put = Question::PutUser(Box::new(other.clone()), 0);
        assert_eq!(world.ask("bob", put).unwrap_err(), why);
        world.store.refuses = None;
        world.assert_memory_is_what_is_kept();
        registers(&mut world, bob, "bob");
        world
            .ask("bob", Question::PutUser(Box::new(other), 0))
            .unwrap();
        let answer = world.register(bob, "bob", &[&contact("bob", bob)]);
        assert_eq!(what(&answer), "403 REGISTER");
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}

#[test]
fn a_user_whose_removal_is_not_saved_is_there() {
    each(|mut world, why, _| {
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.udp("10.0.0.20:5060"));
        registers(&mut world, bob, "bob");
        world.store.refuses = Some(why.clone());
        let remove = || Question::RemoveUser(address("bob"));
        assert_eq!(world.ask("bob", remove()).unwrap_err(), why);
        world.store.refuses = None;
        world.assert_memory_is_what_is_kept();
        assert_eq!(world.message(alice, "alice", "bob"), Some(202));
        world.take(bob, "MESSAGE");
        world.ask("bob", remove()).unwrap();
        assert_eq!(world.message(alice, "alice", "bob"), Some(404));
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}

#[test]
fn a_message_that_is_not_saved_is_refused_and_goes_nowhere() {
    each(|mut world, why, status| {
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.udp("10.0.0.20:5060"));
        registers(&mut world, bob, "bob");
        world.store.refuses = Some(why);
        for to in ["bob", "carol"] {
            assert_eq!(world.message(alice, "alice", to), Some(status));
        }
        world.store.refuses = None;
        world.assert_memory_is_what_is_kept();
        assert_eq!(world.heard(bob), [""; 0]);
        assert!(world.cloud.pushes.is_empty());
        world.ends_clean();
    });
}

#[test]
fn what_a_device_says_is_true_when_it_is_saved() {
    each(|mut world, why, _| {
        let bob = world.udp("10.0.0.20:5060");
        registers(&mut world, bob, "bob");
        let device = world.devices("bob")[0].device.id.clone();
        world.store.refuses = Some(why.clone());
        let update = DeviceUpdate {
            voip: Some("another".to_owned()),
            mode: Some(Mode::Suspended),
            ..DeviceUpdate::default()
        };
        let put = Question::PutDevice(address("bob"), device.clone(), Box::new(update));
        assert_eq!(world.ask("bob", put).unwrap_err(), why);
        assert_eq!(world.devices("bob")[0].mode, Mode::Unknown);
        let forget = Question::ForgetDevice(Some(address("bob")), device);
        assert_eq!(world.ask("bob", forget).unwrap_err(), why);
        world.store.refuses = None;
        world.assert_memory_is_what_is_kept();
        assert_eq!(world.devices("bob").len(), 1);
        world.ends_clean();
    });
}

#[test]
fn a_call_that_comes_in_while_its_devices_registration_is_saved_leaves_for_it() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let old = world.tcp("10.0.0.20:40000");
        registers(&mut world, old, "bob");
        world.close(old);
        let new = world.tcp("10.0.0.20:40001");
        world.store.holds = true;
        let bobs = contact("bob", new);
        assert!(world.register_with(new, "bob", &[&bobs], "").is_none());
        world.invite(alice, "alice", "bob");
        world.store_answers();
        let invite = world.take(new, "INVITE");
        world.answer(new, &invite, 200, &uri("bob", new));
        world.take(alice, "200");
        world.pass(Duration::from_millis(10));
        world.ends_clean();
    }
}

#[test]
fn what_an_app_says_while_it_registers_is_said_of_the_way_that_it_comes_by() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let old = world.tcp("10.0.0.20:40000");
        registers(&mut world, old, "bob");
        world.close(old);
        let device = world.devices("bob")[0].device.id.clone();
        let new = world.tcp("10.0.0.20:40001");
        world.store.holds = true;
        let bobs = contact("bob", new);
        assert!(world.register_with(new, "bob", &[&bobs], "").is_none());
        let asleep = Question::SetMode(address("bob"), device, Mode::Suspended);
        let ticket = world.ask_later("bob", asleep);
        world.store_answers();
        let answer = world.answered(ticket);
        assert!(matches!(answer, Some(Ok(Answer::Done))), "{answer:?}");
        assert_eq!(world.devices("bob")[0].mode, Mode::Silent);
        world.ends_clean();
    }
}

#[test]
fn calls_go_on_while_the_store_refuses() {
    each(|mut world, why, _| {
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.tcp("10.0.0.20:5060"));
        registers(&mut world, bob, "bob");
        world.store.refuses = Some(why);
        let (caller, _) = world.call((alice, "alice"), (bob, "bob"));
        world.within(&caller, "BYE", alice);
        let bye = world.take(bob, "BYE");
        world.answer(bob, &bye, 200, &uri("bob", bob));
        world.take(alice, "200 BYE");
        world.ends_clean();
    });
}

#[test]
fn an_acknowledgement_that_is_not_saved_is_saved_later() {
    each(|mut world, why, _| {
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.tcp("10.0.0.20:40000"));
        registers(&mut world, bob, "bob");
        assert_eq!(world.message(alice, "alice", "bob"), Some(202));
        world.store.refuses = Some(why);
        let message = world.take(bob, "MESSAGE");
        world.answer(bob, &message, 200, &uri("bob", bob));
        world.pass(Duration::from_secs(12));
        assert_eq!(world.store.queued(), 1);
        world.store.refuses = None;
        world.pass(Duration::from_secs(6));
        assert_eq!(world.store.queued(), 0);
        assert_eq!(world.heard(bob), [""; 0], "it is not sent twice");
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}

#[test]
fn a_registration_that_expires_while_the_store_refuses_is_gone_in_the_end() {
    each(|mut world, why, _| {
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.tcp("10.0.0.20:40000"));
        registers(&mut world, bob, "bob");
        world.store.refuses = Some(why);
        world.pass(Duration::from_hours(2));
        world.inbox(bob);
        world.invite(alice, "alice", "bob");
        assert_eq!(
            world.heard(bob),
            [""; 0],
            "it has expired, whatever is kept"
        );
        world.pass(Duration::from_secs(20));
        world.store.refuses = None;
        world.pass(Duration::from_hours(2));
        assert!(world.store.kept.doors.is_empty());
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}

#[test]
fn a_dead_token_is_not_pushed_to_whatever_the_store_says() {
    each(|mut world, why, _| {
        let alice = world.udp("10.0.0.10:5060");
        let bob = world.tcp("10.0.0.20:40000");
        registers(&mut world, bob, "bob");
        world.close(bob);
        let dead = domain::Outcome::TokenDead {
            since: None,
            reason: "Unregistered".to_owned(),
        };
        world.cloud.outcomes.insert("bob".to_owned(), dead);
        world.store.refuses = Some(why);
        for _ in 0..3 {
            world.invite(alice, "alice", "bob");
            world.pass(Duration::from_secs(20));
        }
        let calls = world.cloud.pushes.iter().filter(|it| it.token == "bob");
        assert_eq!(calls.count(), 1);
        world.ends_clean();
    });
}

#[test]
fn a_phone_that_could_not_be_asked_to_register_again_is_asked_later() {
    each(|mut world, why, _| {
        let bob = world.tcp("10.0.0.20:40000");
        registers(&mut world, bob, "bob");
        world.close(bob);
        world.pass(Duration::from_mins(50));
        world.store.refuses = Some(why);
        world.pass(Duration::from_mins(8));
        assert!(world.cloud.pushes.is_empty(), "nothing is owed yet");
        world.store.refuses = None;
        world.pass(Duration::from_secs(90));
        let tokens: Vec<_> = world.cloud.pushes.iter().map(|it| &*it.token).collect();
        assert_eq!(tokens, ["bobm"]);
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}

#[test]
fn mail_waits_on_while_the_first_registration_is_refused() {
    each(|mut world, why, status| {
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.tcp("10.0.0.20:40000"));
        assert_eq!(world.message(alice, "alice", "bob"), Some(202));
        world.store.refuses = Some(why);
        let answer = world.register(bob, "bob", &[&contact("bob", bob)]);
        assert_eq!(answer.status(), Some(status));
        world.store.refuses = None;
        world.assert_memory_is_what_is_kept();
        assert_eq!(world.heard(bob), [""; 0]);
        registers(&mut world, bob, "bob");
        let message = world.take(bob, "MESSAGE");
        world.answer(bob, &message, 200, &uri("bob", bob));
        assert_eq!(world.store.queued(), 0);
        world.ends_clean();
    });
}

#[test]
fn a_phone_that_is_forgotten_while_it_rings_may_still_answer() {
    each(|mut world, why, _| {
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.tcp("10.0.0.20:40000"));
        registers(&mut world, bob, "bob");
        world.invite(alice, "alice", "bob");
        let invite = world.take(bob, "INVITE");
        world.answer(bob, &invite, 180, &uri("bob", bob));
        let device = world.devices("bob")[0].device.id.clone();
        let forget = || Question::ForgetDevice(Some(address("bob")), device.clone());
        world.store.refuses = Some(why.clone());
        assert_eq!(world.ask("bob", forget()).unwrap_err(), why);
        world.store.refuses = None;
        world.ask("bob", forget()).unwrap();
        world.answer(bob, &invite, 200, &uri("bob", bob));
        world.take(alice, "200");
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}
