//! Server and store are killed in the middle of a commit: nobody has heard what is not so, what is kept is so after the
//! restart, and whoever asks again hears the truth.

use crate::{
    dialogs::{contact, registers},
    peer::{Dialog, uri, what},
    settings::{SHARDS, account, address},
    world::World,
};
use domain::{Purpose, User};
use hub::{NotDone, Question};
use std::time::Duration;

/// Runs with each number of shards, and with the store killed before it has saved and after.
fn each(test: impl Fn(World, Kill)) {
    for shards in SHARDS {
        for saves in [false, true] {
            test(World::new(shards), Kill { saves });
        }
    }
}

/// A kill that is on its way.
#[derive(Copy, Clone)]
struct Kill {
    /// What is handed in until then is saved.
    saves: bool,
}

impl Kill {
    /// From now on the store says nothing.
    fn begins(self, world: &mut World) {
        world.store.holds = true;
        if !self.saves {
            world.store.refuses = Some(NotDone::Failed("killed".to_owned()));
        }
    }
}

#[test]
fn a_registration() {
    each(|mut world, kill| {
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.udp("10.0.0.20:5060"));
        kill.begins(&mut world);
        let answer = world.register_with(bob, "bob", &[&contact("bob", bob)], "");
        assert!(answer.is_none());
        world.killed();
        assert_eq!(world.devices("bob").len(), usize::from(kill.saves));
        world.invite(alice, "alice", "bob");
        let rings = world.heard(bob).contains(&"INVITE".to_owned());
        assert_eq!(rings, kill.saves);
        registers(&mut world, bob, "bob");
        assert_eq!(world.devices("bob").len(), 1);
        assert_eq!(world.store.kept.doors.len(), 1);
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}

#[test]
fn a_move_to_another_network() {
    each(|mut world, kill| {
        let (alice, old) = (world.udp("10.0.0.10:5060"), world.udp("10.0.0.20:5060"));
        registers(&mut world, old, "bob");
        let new = world.udp("10.0.0.21:5060");
        kill.begins(&mut world);
        let answer = world.register_with(new, "bob", &[&contact("bob", new)], "");
        assert!(answer.is_none());
        world.killed();
        let (here, there) = if kill.saves { (new, old) } else { (old, new) };
        world.invite(alice, "alice", "bob");
        world.take(here, "INVITE");
        assert_eq!(world.heard(there), [""; 0]);
        registers(&mut world, new, "bob");
        world.take(new, "INVITE");
        assert_eq!(world.store.kept.doors.len(), 1);
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}

#[test]
fn a_registration_that_is_taken_back() {
    each(|mut world, kill| {
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.udp("10.0.0.20:5060"));
        registers(&mut world, bob, "bob");
        kill.begins(&mut world);
        let gone = format!("{};expires=0", contact("bob", bob));
        assert!(world.register_with(bob, "bob", &[&gone], "").is_none());
        world.killed();
        world.invite(alice, "alice", "bob");
        let rings = world.heard(bob).contains(&"INVITE".to_owned());
        assert_eq!(rings, !kill.saves, "it is reached as long as it is bound");
        assert_eq!(world.cloud.pushes.is_empty(), kill.saves);
        assert_eq!(what(&world.register(bob, "bob", &[&gone])), "200 REGISTER");
        assert!(world.store.kept.doors.is_empty());
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}

#[test]
fn a_message() {
    each(|mut world, kill| {
        let alice = world.udp("10.0.0.10:5060");
        let bob = world.tcp("10.0.0.20:40000");
        registers(&mut world, bob, "bob");
        world.close(bob);
        kill.begins(&mut world);
        assert_eq!(world.message(alice, "alice", "bob"), None);
        assert!(world.cloud.pushes.is_empty(), "nothing is owed yet");
        world.killed();
        assert_eq!(world.store.queued(), u64::from(kill.saves));
        world.pass(Duration::from_secs(1));
        // What is kept is pushed for, though nobody was told.
        let pushed = world.cloud.pushes.iter();
        let pushed = pushed.filter(|it| matches!(it.purpose, Purpose::Message { .. }));
        assert_eq!(pushed.count(), usize::from(kill.saves));
        assert_eq!(world.message(alice, "alice", "bob"), Some(202));
        let bob = world.tcp("10.0.0.20:40001");
        registers(&mut world, bob, "bob");
        for _ in 0..=usize::from(kill.saves) {
            let message = world.take(bob, "MESSAGE");
            world.answer(bob, &message, 200, &uri("bob", bob));
        }
        assert_eq!(world.heard(bob), [""; 0]);
        assert_eq!(world.store.queued(), 0);
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}

#[test]
fn the_acknowledgement_of_a_message() {
    each(|mut world, kill| {
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.udp("10.0.0.20:5060"));
        registers(&mut world, bob, "bob");
        assert_eq!(world.message(alice, "alice", "bob"), Some(202));
        let message = world.take(bob, "MESSAGE");
        kill.begins(&mut world);
        world.answer(bob, &message, 200, &uri("bob", bob));
        world.killed();
        registers(&mut world, bob, "bob");
        if kill.saves {
            assert_eq!(world.heard(bob), [""; 0], "it has left the queue");
        } else {
            let again = world.take(bob, "MESSAGE");
            assert_eq!(again.call_id(), message.call_id(), "it can be told");
            world.answer(bob, &again, 200, &uri("bob", bob));
        }
        assert_eq!(world.store.queued(), 0);
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}

/// An account with another password.
fn changed() -> User {
    let mut changed = account("bob", Some("sip:carol@r.example"));
    changed.secrets.md5 = "0".repeat(32);
    changed.secrets.sha256 = "0".repeat(64);
    changed
}

#[test]
fn a_change_of_an_account() {
    each(|mut world, kill| {
        let bob = world.udp("10.0.0.20:5060");
        registers(&mut world, bob, "bob");
        kill.begins(&mut world);
        let put = || Question::PutUser(Box::new(changed()), 0);
        assert!(world.ask_and_see("bob", put()).is_none());
        world.killed();
        world.assert_memory_is_what_is_kept();
        let answer = world.register(bob, "bob", &[&contact("bob", bob)]);
        let status = if kill.saves { 403 } else { 200 };
        assert_eq!(answer.status(), Some(status));
        world.ask("bob", put()).unwrap();
        let answer = world.register(bob, "bob", &[&contact("bob", bob)]);
        assert_eq!(answer.status(), Some(403));
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}

#[test]
fn the_removal_of_a_user() {
    each(|mut world, kill| {
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.udp("10.0.0.20:5060"));
        registers(&mut world, bob, "bob");
        assert_eq!(world.message(alice, "alice", "bob"), Some(202));
        kill.begins(&mut world);
        let remove = || Question::RemoveUser(address("bob"));
        assert!(world.ask_and_see("bob", remove()).is_none());
        world.killed();
        world.assert_memory_is_what_is_kept();
        let (status, again) = if kill.saves {
            (404, Err(NotDone::Missing))
        } else {
            (202, Ok(()))
        };
        assert_eq!(world.message(alice, "alice", "bob"), Some(status));
        assert_eq!(world.ask("bob", remove()).map(drop), again);
        assert_eq!(world.message(alice, "alice", "bob"), Some(404));
        assert_eq!(world.store.queued(), 0);
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}

#[test]
fn a_call_that_was_missed() {
    each(|mut world, kill| {
        let alice = world.udp("10.0.0.10:5060");
        let bob = world.tcp("10.0.0.20:40000");
        registers(&mut world, bob, "bob");
        world.close(bob);
        let call = world.invite(alice, "alice", "bob");
        kill.begins(&mut world);
        world.cancel(alice, &call);
        // A call promises nothing that must be kept.
        assert_eq!(world.heard(alice), ["100", "200 CANCEL", "487"]);
        world.killed();
        world.pass(Duration::from_secs(1));
        let missed = world.cloud.pushes.iter();
        let missed = missed.filter(|it| matches!(it.purpose, Purpose::MissedCall { .. }));
        assert_eq!(missed.count(), usize::from(kill.saves));
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}

#[test]
fn a_call_to_a_phone_that_registers() {
    each(|mut world, kill| {
        let alice = world.udp("10.0.0.10:5060");
        let old = world.tcp("10.0.0.20:40000");
        registers(&mut world, old, "bob");
        world.close(old);
        world.invite(alice, "alice", "bob");
        let bob = world.tcp("10.0.0.20:40001");
        kill.begins(&mut world);
        let answer = world.register_with(bob, "bob", &[&contact("bob", bob)], "");
        assert!(answer.is_none());
        // It rings before the disk has spoken, and takes the call.
        let invite = world.take(bob, "INVITE");
        world.answer(bob, &invite, 200, &uri("bob", bob));
        let answer = world.take(alice, "200");
        world.killed();
        // The call goes on: its way is in the Route of those who speak.
        let caller = Dialog::of_caller(&answer).at(&uri("alice", alice));
        let bob = world.tcp("10.0.0.20:40002");
        registers(&mut world, bob, "bob");
        world.within(&caller, "BYE", alice);
        let bye = world.take(bob, "BYE");
        world.answer(bob, &bye, 200, &uri("bob", bob));
        world.take(alice, "200 BYE");
        assert_eq!(world.devices("bob").len(), 1);
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    });
}
