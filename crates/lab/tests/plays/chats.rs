//! Over XMPP: a message for a phone in front, one for a phone that sleeps, and how its user is seen meanwhile.

use lab::phone::PhoneEvent;
use lab::phone::machine::Order;
use lab::plays::{Client, JABBER_13, Play};
use lab::sim::whole::{DOMAIN, Stage};
use std::time::Instant;

use crate::programme::*;

/// Alice with a Jabber that has both doors in front, and Bob with this client over XMPP in front.
fn stage(client: &Client, shards: usize) -> Stage {
    let mut stage = Stage::new(Instant::now(), shards, &["alice", "bob", "carol"]);
    add_by_xmpp(&mut stage, "alice", &JABBER_13);
    add_by_xmpp(&mut stage, "bob", client);
    run(&mut stage, SECOND);
    stage
}

fn chat(stage: &mut Stage, who: usize, user: &str, text: &str) {
    let uri = format!("xmpp:{user}@{DOMAIN}");
    let text = text.to_owned();
    stage.order(who, Order::Send { uri, text }).unwrap();
}

/// The texts that were shown on Bob's phone, and what came more often than it should.
fn shown(stage: &Stage) -> Vec<String> {
    let texts = stage.seen(BOB).filter_map(|(_, event)| match event {
        PhoneEvent::MessageReceived { text, .. } => Some(text.clone()),
        PhoneEvent::DuplicateMessageDropped { .. } => Some("again".to_owned()),
        _ => None,
    });
    texts.collect()
}

pub fn a_phone_in_front_gets_a_message_over_its_stream_once_and_no_push() {
    for (client, shards) in casts_of(Play::ForegroundChat) {
        let mut stage = stage(&client, shards);
        let began = stage.now();
        chat(&mut stage, ALICE, "bob", "Shall we have lunch?");
        run(&mut stage, SECOND);
        assert_eq!(shown(&stage), ["Shall we have lunch?"]);
        let delivered = |event: &PhoneEvent| matches!(event, PhoneEvent::MessageDelivered { .. });
        assert!(
            when(&stage, ALICE, began, delivered).is_some(),
            "{client:?}"
        );
        run(&mut stage, SECOND.saturating_mul(60));
        assert_eq!(pushes(&stage, BOB, began, "message"), []);
        stage.ends().unwrap();
    }
}

const TEXTS: [&str; 3] = ["Are you there?", "The train is late.", "Wait for me!"];

pub fn messages_for_a_sleeping_client_are_kept_pushed_and_had_in_order_by_resumption() {
    for (client, shards) in casts_of(Play::SuspendedChat) {
        let mut stage = stage(&client, shards);
        stage.order(BOB, Order::Suspend).unwrap();
        run(&mut stage, SECOND);
        let began = stage.now();
        for text in TEXTS {
            chat(&mut stage, ALICE, "bob", text);
            run(&mut stage, SECOND);
        }
        let pushed = pushes(&stage, BOB, began, "message");
        assert_eq!(pushed.len(), 1, "one push a conversation and window");
        let (_, push) = &pushed[0];
        assert_eq!(push.channel, message_channel(&client));
        let read = stage.seen(BOB).find_map(|(_, event)| match event {
            PhoneEvent::NotificationShown { text, .. } => text.clone(),
            _ => None,
        });
        assert_eq!(read.as_deref(), Some(TEXTS[0]), "what was sealed");
        assert_eq!(shown(&stage), [""; 0]);

        stage.order(BOB, Order::Tap).unwrap();
        run(&mut stage, SECOND);
        let resumed =
            |event: &PhoneEvent| matches!(event, PhoneEvent::SignedIn { resumed: true, .. });
        assert!(when(&stage, BOB, began, resumed).is_some(), "{client:?}");
        assert_eq!(shown(&stage), TEXTS);
        stage.ends().unwrap();
    }
}

pub fn a_user_is_away_for_others_while_all_their_clients_sleep_and_back_when_one_is() {
    for (client, shards) in casts_of(Play::Away) {
        let mut stage = stage(&client, shards);
        let to = format!("bob@{DOMAIN}");
        stage.order(ALICE, Order::Subscribe { to }).unwrap();
        run(&mut stage, SECOND);
        let began = stage.now();
        stage.order(BOB, Order::Suspend).unwrap();
        run(&mut stage, SECOND);
        // A SIP phone of the user's is seen as well, as a client of its own.
        let client_of = |stage: &Stage| format!("bob@{DOMAIN}/{}", stage.config(BOB).resource());
        let seen = |stage: &Stage| {
            let own = client_of(stage);
            let all = stage.seen(ALICE).filter(|(at, _)| *at >= began);
            let shows = all.filter_map(|(_, event)| match event {
                PhoneEvent::PresenceSeen { from, show } if *from == own => Some(*show),
                _ => None,
            });
            shows.collect::<Vec<_>>()
        };
        assert_eq!(seen(&stage), [""; 0], "a short sleep is seen by nobody");
        run(&mut stage, SECOND.saturating_mul(2));
        assert_eq!(seen(&stage), ["away"], "{client:?}");
        stage.order(BOB, Order::Resume).unwrap();
        run(&mut stage, SECOND);
        assert_eq!(seen(&stage), ["away", "available"]);
        stage.ends().unwrap();
    }
}
