//! Who is signed out has no connection any more, whatever they did over it: at whichever shard they were let in.

use crate::{
    dialogs::registers,
    peer::{Dialog, credentials, uri, what},
    settings::{SHARDS, account, address, users_of_shard},
    world::World,
};
use hub::{Accounts, Bearers, Question};
use sip::{Flow, Message, Transport};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

const CONNECTIONS: [Transport; 3] = [Transport::Tcp, Transport::Tls, Transport::Edge];

/// Asks for something outside a dialog with this password, and says what came of it but for the challenge.
fn asks(world: &mut World, flow: Flow, method: &str, (from, to): (&str, &str)) -> Vec<Message> {
    asks_as(world, flow, method, (from, to), from)
}

/// The same, with the credentials of somebody.
fn asks_as(
    world: &mut World,
    flow: Flow,
    method: &str,
    (from, to): (&str, &str),
    credentials_of: &str,
) -> Vec<Message> {
    let lines = format!("Contact: <{}>\nContent-Type: text/plain\n", uri(from, flow));
    let first = world.request(method, flow, from, to, &lines);
    world.send(flow, first);
    let challenged = world.take_if(flow, |it| it.status() == Some(407)).unwrap();
    let answer = credentials(&challenged, credentials_of, &format!("sip:{to}@r.example"));
    let lines = format!("{lines}Proxy-Authorization: {answer}\n");
    let second = world.request(method, flow, from, to, &lines);
    world.send(flow, second);
    world.inbox(flow)
}

/// Somebody writes, and is not refused.
#[track_caller]
fn writes(world: &mut World, flow: Flow, from: &str, to: &str) {
    let answers = asks(world, flow, "MESSAGE", (from, to));
    let answers: Vec<_> = answers.iter().map(what).collect();
    assert_eq!(answers, ["202 MESSAGE"]);
}

/// A user who is not registered calls a phone at `to`: both sides of the dialog.
#[track_caller]
fn calls(world: &mut World, flow: Flow, from: &str, to: (Flow, &str)) -> (Dialog, Dialog) {
    asks(world, flow, "INVITE", (from, to.1));
    let invite = world.take(to.0, "INVITE");
    let contact = uri(to.1, to.0);
    world.answer(to.0, &invite, 200, &contact);
    let answer = world.take(flow, "200");
    let caller = Dialog::of_caller(&answer).at(&uri(from, flow));
    world.within(&caller, "ACK", flow);
    world.take(to.0, "ACK");
    (caller, Dialog::of_callee(&invite, "callee").at(&contact))
}

/// A user is signed out: `reveille user sign-out`.
fn signs_out(world: &mut World, user: &str) {
    let mut account = account(user, None);
    account.secrets.mark = 7;
    let put = Question::PutUser(Box::new(account), 0);
    world.ask(user, put).unwrap();
}

#[test]
fn who_only_called_is_hung_up_on_and_their_call_goes_on_no_more() {
    for (shards, transport) in SHARDS
        .into_iter()
        .flat_map(|it| CONNECTIONS.map(|by| (it, by)))
    {
        let mut world = World::new(shards);
        let bob = world.tcp("203.0.113.20:40000");
        registers(&mut world, bob, "bob");
        let alice = world.peer(transport, "198.51.100.10:40000");
        let (_, callee) = calls(&mut world, alice, "alice", (bob, "bob"));
        signs_out(&mut world, "alice");
        assert!(!world.is_open(alice), "{shards} {transport:?}");
        assert!(world.is_open(bob));
        world.heard(bob);
        world.within(&callee, "BYE", bob);
        world.pass(Duration::from_secs(40));
        assert_eq!(world.heard(bob), ["480 BYE"], "{shards} {transport:?}");
        world.ends_clean();
    }
}

#[test]
fn who_only_wrote_is_hung_up_on_also_when_there_is_no_account_any_more() {
    for (shards, removed) in SHARDS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut world = World::new(shards);
        let all =
            CONNECTIONS.map(|by| world.peer(by, &format!("198.51.100.10:{}", 40_000 + by as u16)));
        let other = world.tcp("198.51.100.10:50000");
        // To users of every shard.
        let readers: Vec<String> = (0..shards)
            .filter_map(|shard| users_of_shard(shard, shards).next())
            .collect();
        for reader in &readers {
            world.add_user(reader, None);
            for flow in all {
                writes(&mut world, flow, "alice", reader);
            }
            writes(&mut world, other, "carol", reader);
        }
        if removed {
            let remove = Question::RemoveUser(address("alice"));
            world.ask("alice", remove).unwrap();
        } else {
            signs_out(&mut world, "alice");
        }
        for flow in all {
            assert!(!world.is_open(flow), "{shards} {flow:?}");
        }
        assert!(world.is_open(other));
        // With the password that still counts they come back, and what was before ends nothing any more.
        if !removed {
            let back = world.tcp("198.51.100.10:40000");
            writes(&mut world, back, "alice", "carol");
            assert!(world.is_open(back));
        }
        world.ends_clean();
    }
}

#[test]
fn a_connection_of_several_users_stays_and_all_but_one_are_reached_over_it() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let gateway = world.tcp("198.51.100.10:40000");
        registers(&mut world, gateway, "alice");
        registers(&mut world, gateway, "bob");
        let caller = world.udp("10.0.0.10:5060");
        signs_out(&mut world, "alice");
        assert!(world.is_open(gateway), "{shards}");
        world.invite(caller, "carol", "bob");
        let invite = world.take(gateway, "INVITE");
        world.answer(gateway, &invite, 486, &uri("bob", gateway));
        world.take(caller, "486");
        assert_eq!(world.devices("alice").len(), 1);
        world.invite(caller, "carol", "alice");
        assert_eq!(world.heard(gateway), ["ACK"], "{shards}");
        world.ends_clean();
    }
}

#[test]
fn nobody_ends_the_connection_of_somebody_else_or_keeps_it_by_what_is_not_theirs() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let [of_alice, of_bob] = [10, 20].map(|it| world.tcp(&format!("198.51.100.{it}:40000")));
        writes(&mut world, of_alice, "alice", "carol");
        writes(&mut world, of_bob, "bob", "carol");
        // Bob says to be alice, and alice to be carol, each with their own credentials.
        for (flow, user, claims) in [(of_bob, "bob", "alice"), (of_alice, "alice", "carol")] {
            let answers = asks_as(&mut world, flow, "MESSAGE", (claims, "carol"), user);
            assert_eq!(answers.last().map(what).as_deref(), Some("403 MESSAGE"));
        }
        signs_out(&mut world, "alice");
        assert!(
            !world.is_open(of_alice) && world.is_open(of_bob),
            "{shards}"
        );
        world.ends_clean();
    }
}

#[test]
fn a_server_that_speaks_for_many_stays_whoever_is_signed_out() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let server = world.tcp("10.0.0.10:40000");
        assert_eq!(world.message(server, "alice", "carol"), Some(202));
        registers(&mut world, server, "alice");
        registers(&mut world, server, "bob");
        signs_out(&mut world, "alice");
        assert!(world.is_open(server), "{shards}");
        let caller = world.udp("10.0.0.11:5060");
        world.invite(caller, "carol", "bob");
        let invite = world.take(server, "INVITE");
        world.answer(server, &invite, 486, &uri("bob", server));
        world.take(caller, "486");
        world.ends_clean();
    }
}

#[test]
fn who_is_signed_out_in_the_moment_of_being_let_in_is_let_in_to_nothing() {
    let accounts: Arc<OnceLock<Accounts>> = Arc::default();
    let signs_out = accounts.clone();
    let mut world = World::new(2);
    world.settings.bearers = Some(Bearers {
        made: Arc::new(|_, _| Some((address("alice"), String::new()))),
        // Her own shard is done with it when this one has found her token good.
        is_of: Arc::new(move |_, user| {
            let mut user = user.clone();
            user.secrets.mark = 7;
            signs_out.get().unwrap().put(user);
            true
        }),
    });
    world.restart();
    accounts.set(world.accounts().clone()).unwrap();
    let alice = world.peer(Transport::Tls, "198.51.100.10:40000");
    let shows = "Proxy-Authorization: Bearer t\nContent-Type: text/plain\n";
    let message = world.request("MESSAGE", alice, "alice", "carol", shows);
    world.send(alice, message);
    assert_eq!(world.heard(alice), ["403 MESSAGE"]);
    world.ends_clean();
}
