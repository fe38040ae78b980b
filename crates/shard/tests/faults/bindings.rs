//! The same contact, the same device: two questions, each with one answer.

use crate::{
    dialogs::registers,
    peer::{message, pn, uri, via, what},
    settings::{SHARDS, address},
    world::World,
};
use hub::Question;
use sip::{Contacts, Flow, HeaderName, Message, Transport};
use std::time::Duration;

/// The contacts that a 200 lists.
fn listed(answer: &Message) -> Vec<String> {
    assert_eq!(what(answer), "200 REGISTER");
    match answer.contacts() {
        Ok(Contacts::List(contacts)) => contacts
            .iter()
            .map(|it| it.uri.as_str().to_owned())
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// What stands in a Contact of PJSUA2 2.15 with default settings.
fn pjsua(flow: Flow) -> String {
    uri("bob", flow) + ";ob" + &pn("token")
}

#[test]
fn a_pjsua_that_comes_back_gets_the_call_that_woke_it() {
    for (shards, order) in SHARDS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let first = world.tcp("10.0.0.20:40000");
        let instance = ";reg-id=1;+sip.instance=\"<urn:uuid:U>\"";
        let old = format!("<{}>{instance}", pjsua(first));
        listed(&world.register(first, "bob", &[&old]));
        let device = world.devices("bob")[0].device.id.clone();
        world.close(first);
        assert_eq!(world.message(alice, "alice", "bob"), Some(202));
        world.invite(alice, "alice", "bob");
        assert!(!world.cloud.pushes.is_empty());
        let second = world.tcp("10.0.0.20:40001");
        let new = format!("<{}>", pjsua(second));
        let gone = format!("<{}>;expires=0{instance}", pjsua(first));
        let contacts: [&str; 2] = if order { [&new, &gone] } else { [&gone, &new] };
        let answer = world.register(second, "bob", &contacts);
        assert_eq!(listed(&answer).len(), 1, "{:?}", listed(&answer));
        world.take(second, "INVITE");
        world.take(second, "MESSAGE");
        let devices = world.devices("bob");
        assert_eq!(devices.len(), 1);
        assert_eq!(devices[0].device.id, device);
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    }
}

#[test]
fn a_goodbye_of_the_old_process_leaves_the_new_one_bound() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let flow = world.tcp("10.0.0.20:40000");
        let instance = "+sip.instance=\"<urn:uuid:U>\"";
        let new = "sip:bob@10.0.0.20:59124;transport=tcp";
        let answer = world.register(flow, "bob", &[&format!("<{new}>;{instance}")]);
        assert_eq!(listed(&answer), [new]);
        // Removal is by contact: what was not named stays, and the 200 says so. Another process has another Call-ID.
        let gone = world.tcp("10.0.0.20:40001");
        let old = format!("<sip:bob@10.0.0.20:9;transport=tcp>;{instance};expires=0");
        let answer = world.register(gone, "bob", &[&old]);
        assert_eq!(listed(&answer), [new]);
        world.assert_memory_is_what_is_kept();
        world.invite(alice, "alice", "bob");
        world.take(flow, "INVITE");
        world.ends_clean();
    }
}

#[test]
fn an_instance_may_leave_and_come_in_one_request() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let flow = world.udp("10.0.0.20:5060");
        let contact = |port: u16, more: &str| {
            format!("<sip:bob@10.0.0.20:{port}>;+sip.instance=\"<urn:uuid:U>\"{more}")
        };
        listed(&world.register(flow, "bob", &[&contact(5060, "")]));
        let (new, old) = (contact(5070, ""), contact(5060, ";expires=0"));
        let answer = world.register(flow, "bob", &[&new, &old]);
        assert_eq!(listed(&answer), ["sip:bob@10.0.0.20:5070"]);
        assert_eq!(world.devices("bob").len(), 1);
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    }
}

#[test]
fn a_client_without_an_instance_may_come_back_as_often_as_it_likes() {
    for (shards, tcp) in SHARDS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut world = World::new(shards);
        for time in 0..25_u16 {
            let remote = format!("10.0.0.20:{}", 40_000 + time);
            let flow = if tcp {
                world.tcp(&remote)
            } else {
                world.udp(&remote)
            };
            let contact = format!("<{}>", uri("bob", flow));
            let answer = world.register(flow, "bob", &[&contact]);
            assert!(listed(&answer).contains(&uri("bob", flow)), "{time}");
            world.close(flow);
            world.pass(Duration::from_mins(1));
        }
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    }
}

#[test]
fn a_token_that_is_not_named_any_more_is_not_pushed_to() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let flow = world.tcp("10.0.0.20:40000");
        let contact =
            |pn: &str| format!("<{}{pn}>;+sip.instance=\"<urn:uuid:U>\"", uri("bob", flow));
        listed(&world.register(flow, "bob", &[&contact(&pn("one"))]));
        listed(&world.register(flow, "bob", &[&contact(&pn("two"))]));
        world.invite(alice, "alice", "bob");
        let tokens: Vec<_> = world.cloud.pushes.drain(..).map(|it| it.token).collect();
        assert_eq!(tokens, ["two"]);
        world.inbox(flow);
        listed(&world.register(flow, "bob", &[&contact("")]));
        world.close(flow);
        world.invite(alice, "alice", "bob");
        assert_eq!(world.message(alice, "alice", "bob"), Some(202));
        world.pass(Duration::from_secs(30));
        assert!(world.cloud.pushes.is_empty(), "{:?}", world.cloud.pushes);
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    }
}

#[test]
fn reg_ids_are_doors_of_one_device_where_outbound_is_agreed() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let (one, two) = (world.tcp("10.0.0.20:40000"), world.tcp("10.0.0.20:40001"));
        for (number, flow) in [(1, one), (2, two)] {
            let contact = format!(
                "<{}>;reg-id={number};+sip.instance=\"<urn:uuid:U>\"",
                uri("bob", flow)
            );
            let answer = world.register(flow, "bob", &[&contact]);
            assert_eq!(listed(&answer).len(), number);
            assert_eq!(answer.header_text(HeaderName::Require), Some("outbound"));
        }
        let devices = world.devices("bob");
        assert_eq!(devices.len(), 1);
        assert_eq!(devices[0].doors.len(), 2);
        world.assert_memory_is_what_is_kept();
        world.close(two);
        world.invite(alice, "alice", "bob");
        world.take(one, "INVITE");
        let device = devices[0].device.id.clone();
        world
            .ask("bob", Question::ForgetDevice(Some(address("bob")), device))
            .unwrap();
        world.ends_clean();
    }
}

#[test]
fn a_reg_id_means_nothing_where_outbound_is_not_agreed() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        // Over datagrams there is no outbound here.
        for (number, port) in [(1, 5060), (2, 5070)] {
            let flow = world.udp(&format!("10.0.0.20:{port}"));
            let contact = format!(
                "<{}>;reg-id={number};+sip.instance=\"<urn:uuid:U>\"",
                uri("bob", flow)
            );
            let answer = world.register(flow, "bob", &[&contact]);
            assert_eq!(listed(&answer), [uri("bob", flow)]);
            assert!(!answer.has(HeaderName::Require));
        }
        assert_eq!(world.devices("bob")[0].doors.len(), 1);
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    }
}

#[test]
fn a_dialog_goes_on_through_the_other_door() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let (one, two) = two_doors(&mut world);
        let (caller, _) = world.call((alice, "alice"), (two, "bob"));
        assert_eq!(world.heard(one), [""; 0], "one device rings once");
        world.close(two);
        world.within(&caller, "BYE", alice);
        world.take(one, "BYE");
        world.ends_clean();
    }
}

#[test]
fn all_contacts_of_a_user_may_be_removed_at_once() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let flow = world.tcp("10.0.0.20:40000");
        for instance in ["U", "V"] {
            let contact = format!(
                "<{};x={instance}>;+sip.instance=\"<urn:uuid:{instance}>\"",
                uri("bob", flow)
            );
            listed(&world.register(flow, "bob", &[&contact]));
        }
        let answer = world.register_with(flow, "bob", &["*"], "Expires: 0\n");
        assert_eq!(what(&answer.unwrap()), "200 REGISTER");
        assert!(world.devices("bob").iter().all(|it| it.doors.is_empty()));
        assert!(world.store.kept.doors.is_empty());
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    }
}

/// A phone with two doors, by Outbound; the later is the better.
pub(crate) fn two_doors(world: &mut World) -> (Flow, Flow) {
    let (one, two) = (world.tcp("10.0.0.20:40000"), world.tcp("10.0.0.20:40001"));
    for (number, flow) in [(1, one), (2, two)] {
        let contact = format!(
            "<{}>;reg-id={number};+sip.instance=\"<urn:uuid:U>\"",
            uri("bob", flow)
        );
        listed(&world.register(flow, "bob", &[&contact]));
        world.pass(Duration::from_secs(1));
    }
    (one, two)
}

#[test]
fn a_call_goes_to_the_other_door_when_the_first_is_gone() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let (one, two) = two_doors(&mut world);
        world.invite(alice, "alice", "bob");
        world.take(two, "INVITE");
        assert_eq!(world.heard(one), [""; 0], "one device rings once");
        world.close(two);
        let invite = world.take(one, "INVITE");
        world.answer(one, &invite, 200, &uri("bob", one));
        world.take(alice, "200");
        world.ends_clean();
    }
}

#[test]
fn a_phone_that_rings_is_told_of_the_end_through_its_other_door() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let (one, two) = two_doors(&mut world);
        let call = world.invite(alice, "alice", "bob");
        let invite = world.take(two, "INVITE");
        world.answer(two, &invite, 180, &uri("bob", two));
        world.take(alice, "180");
        world.close(two);
        world.cancel(alice, &call);
        let cancel = world.take(one, "CANCEL");
        world.answer(one, &cancel, 200, &uri("bob", one));
        world.answer(one, &invite, 487, &uri("bob", one));
        world.take(alice, "487");
        world.ends_clean();
    }
}

#[test]
fn a_call_that_was_taken_back_goes_to_no_other_door() {
    for (shards, rings) in SHARDS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let (one, two) = two_doors(&mut world);
        let call = world.invite(alice, "alice", "bob");
        let invite = world.take(two, "INVITE");
        if rings {
            world.answer(two, &invite, 180, &uri("bob", two));
        }
        world.cancel(alice, &call);
        world.close(two);
        world.pass(Duration::from_mins(3));
        assert!(!world.heard(one).contains(&"INVITE".to_owned()));
        assert!(world.heard(alice).contains(&"487".to_owned()));
        world.ends_clean();
    }
}

/// A door as the store hands it on from its first schema: what a REGISTER says.
fn as_register(world: &mut World, via: &str, contact: &str, more: &str) {
    for door in world.store.kept.doors.values_mut() {
        let text = format!(
            "REGISTER sip:localhost SIP/2.0\nVia: SIP/2.0/{via}\nFrom: <sip:localhost>\nTo: <sip:localhost>\n\
             Call-ID: one\nCSeq: 1 REGISTER\nContact: <{contact}>;+sip.instance=\"<urn:uuid:bob>\";q=0.700\n{more}\n"
        );
        door.data = text.replace('\n', "\r\n").into();
    }
}

#[test]
fn a_phone_that_an_earlier_version_registered_is_reached_as_before() {
    for (shards, tcp) in SHARDS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let bob = world.peer(transport, "10.0.0.20:40000");
        registers(&mut world, bob, "bob");
        let via = format!("{} {}", bob.transport.as_str(), bob.remote);
        let contact = uri("bob", bob) + &pn("bob");
        as_register(&mut world, &via, &contact, "User-Agent: Phone 1.0\n");
        world.restart();
        world.invite(alice, "alice", "bob");
        let pushed: Vec<_> = world.cloud.pushes.iter().map(|it| &*it.token).collect();
        assert_eq!(pushed, ["bob"], "it is woken");
        let back = if tcp {
            world.tcp("10.0.0.20:40001")
        } else {
            bob
        };
        if !tcp {
            world.take(bob, "INVITE");
        }
        registers(&mut world, back, "bob");
        let invite = world.take(back, "INVITE");
        world.answer(back, &invite, 200, &uri("bob", back));
        world.take(alice, "200");
        assert_eq!(world.devices("bob").len(), 1, "it is the same device");
        assert_eq!(world.store.kept.doors.len(), 1);
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    }
}

#[test]
fn a_desk_phone_and_one_behind_a_proxy_stay_registered_from_an_earlier_version() {
    for shards in SHARDS {
        for path in ["", "Path: <sip:edge@10.0.0.20:5060;lr>\n"] {
            let mut world = World::new(shards);
            let alice = world.udp("10.0.0.10:5060");
            let bob = world.udp("10.0.0.20:40000");
            listed(&world.register(bob, "bob", &[&format!("<{}>", uri("bob", bob))]));
            let via = format!("UDP {}", bob.remote);
            as_register(&mut world, &via, &uri("bob", bob), path);
            world.restart();
            world.invite(alice, "alice", "bob");
            let invite = world.take(bob, "INVITE");
            assert_eq!(invite.has(HeaderName::Route), !path.is_empty());
            world.answer(bob, &invite, 486, &uri("bob", bob));
            world.take(alice, "486");
            world.ends_clean();
        }
    }
}

/// RFC 3261 §10.3 step 5, RFC 4475 §3.3.4.
#[test]
fn what_is_no_address_of_ours_is_not_registered() {
    let mut world = World::new(1);
    let phone = world.udp("10.0.0.20:5060");
    for (number, to) in ["isbn:2983792873", "sip:bob@elsewhere.example"]
        .into_iter()
        .enumerate()
    {
        world.send(
            phone,
            message(&format!(
                "REGISTER sip:r.example SIP/2.0\nVia: {}\nFrom: <sip:bob@r.example>;tag=1\nTo: <{to}>\n\
                 Call-ID: {number}\nCSeq: 1 REGISTER\nContact: <{}>\nContent-Length: 0\n\n",
                via(phone, u32::try_from(number).unwrap()),
                uri("bob", phone),
            )),
        );
        assert_eq!(world.heard(phone), ["404 REGISTER"], "{to}");
    }
}

#[test]
fn a_refresh_asks_the_store_for_nothing_where_nothing_waits() {
    for (shards, transport) in SHARDS
        .into_iter()
        .flat_map(|it| [(it, Transport::Udp), (it, Transport::Tcp)])
    {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let bob = world.peer(transport, "10.0.0.20:5060");
        registers(&mut world, bob, "bob");
        assert_eq!(world.store.asked, (1, 0), "a new device is saved");
        for _ in 0..20 {
            world.pass(Duration::from_mins(1));
            registers(&mut world, bob, "bob");
        }
        assert_eq!(
            world.store.asked,
            (1, 0),
            "nothing but its time has changed"
        );
        // It is believed in for an hour longer than it stands; then the store must know.
        world.pass(Duration::from_mins(50));
        registers(&mut world, bob, "bob");
        assert_eq!(world.store.asked, (2, 0));
        // A call promises nothing that must be kept.
        world.call((alice, "alice"), (bob, "bob"));
        assert_eq!(world.store.asked, (2, 0));
        world.ends_clean();
    }
}
