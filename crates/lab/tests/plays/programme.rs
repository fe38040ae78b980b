//! The clients of the demo's programme, and what all plays share.

use std::time::{Duration, Instant};

use domain::{Channel, Generation, Notification};
use lab::phone::machine::Order;
use lab::phone::{PhoneEvent, PushService};
use lab::sim::whole::{DOMAIN, Stage};
use sip::endpoint::Transport;

pub const SECOND: Duration = Duration::from_secs(1);
pub const SHARDS: [usize; 3] = [1, 2, 4];

/// A client of the behaviour table (`behaviour.md` 2).
#[derive(Clone, Debug)]
pub struct Client {
    pub service: PushService,
    pub generation: Generation,
    pub transport: Transport,
}

fn client(service: PushService, generation: Generation, transport: Transport) -> Client {
    Client {
        service,
        generation,
        transport,
    }
}

pub fn iphone(generation: Generation, transport: Transport) -> Client {
    let bundle = match generation {
        Generation::SingleChannel => "example.pad",
        Generation::DualChannel => "example.phone",
    };
    let service = PushService::Apns {
        team: "TEAM123456".to_owned(),
        bundle: bundle.to_owned(),
    };
    client(service, generation, transport)
}

pub fn android(transport: Transport) -> Client {
    let service = PushService::Fcm {
        project: "sim-droid".to_owned(),
        package: "example.droid".to_owned(),
    };
    client(service, Generation::DualChannel, transport)
}

/// Jabber over TCP and Webex over TLS, each on iOS 12, iOS 13 and newer, and Android.
pub fn clients() -> Vec<Client> {
    let over = |transport| {
        [
            iphone(Generation::SingleChannel, transport),
            iphone(Generation::DualChannel, transport),
            android(transport),
        ]
    };
    [Transport::Tcp, Transport::Tls]
        .into_iter()
        .flat_map(over)
        .collect()
}

impl Client {
    /// iOS 13 and newer shows a pushed call by itself, before any SIP.
    pub fn has_callkit(&self) -> bool {
        matches!(self.service, PushService::Apns { .. })
            && self.generation == Generation::DualChannel
    }

    /// The way of a push about a message.
    pub fn message_channel(&self) -> Channel {
        match self.generation {
            Generation::SingleChannel => Channel::Voip,
            Generation::DualChannel => Channel::Message,
        }
    }
}

pub const ALICE: usize = 0;
pub const BOB: usize = 1;

/// Alice with an iPhone in front, and Bob with this client in front; Carol has an account, and no phone.
pub fn stage(client: &Client, shards: usize) -> Stage {
    let mut stage = Stage::new(Instant::now(), shards, &["alice", "bob", "carol"]);
    add(
        &mut stage,
        "alice",
        &iphone(Generation::DualChannel, Transport::Tcp),
    );
    add(&mut stage, "bob", client);
    stage
}

pub fn add(stage: &mut Stage, user: &str, client: &Client) -> usize {
    let Client {
        service,
        generation,
        transport,
    } = client.clone();
    stage.phone(user, transport, service, generation).unwrap()
}

pub fn uri(user: &str) -> String {
    format!("sip:{user}@{DOMAIN}")
}

/// Calls somebody; gives the call's name and when it was made.
pub fn call(stage: &mut Stage, who: usize, user: &str) -> (String, Duration) {
    let began = stage.now();
    let uri = uri(user);
    stage.order(who, Order::Call { uri }).unwrap();
    let calling = |(at, event): (Duration, &PhoneEvent)| match event {
        PhoneEvent::Calling { call, .. } if at == began => Some(call.clone()),
        _ => None,
    };
    let call = stage.seen(who).find_map(calling).unwrap();
    (call, began)
}

pub fn write(stage: &mut Stage, who: usize, user: &str, text: &str) {
    let (uri, text) = (uri(user), text.to_owned());
    stage.order(who, Order::Send { uri, text }).unwrap();
}

pub fn run(stage: &mut Stage, time: Duration) {
    stage.run_for(time).unwrap();
}

/// When something happened to a phone since `since`, first.
pub fn when(
    stage: &Stage,
    who: usize,
    since: Duration,
    wanted: impl Fn(&PhoneEvent) -> bool,
) -> Option<Duration> {
    let mut seen = stage.seen(who).skip_while(|(at, _)| *at < since);
    seen.find(|(_, event)| wanted(event)).map(|(at, _)| at)
}

/// The events of these names since `since`, in their order.
pub fn order_of(stage: &Stage, who: usize, since: Duration, names: &[&str]) -> Vec<String> {
    let seen = stage.seen(who).skip_while(|(at, _)| *at < since);
    let names_of = seen.map(|(_, event)| {
        let event = serde_json::json!(event);
        event["event"].as_str().unwrap().to_owned()
    });
    names_of
        .filter(|name| names.contains(&name.as_str()))
        .collect()
}

/// What was pushed to a phone of this kind since `since`.
pub fn pushes(
    stage: &Stage,
    who: usize,
    since: Duration,
    kind: &str,
) -> Vec<(Duration, Notification)> {
    let pushes = stage.pushes(who).skip_while(|(at, _)| *at < since);
    pushes
        .filter(|(_, push)| push.purpose.name() == kind)
        .map(|(at, push)| (at, push.clone()))
        .collect()
}

/// The callee answers, the two talk, the caller hangs up.
pub fn talk(stage: &mut Stage, caller: usize, callee: usize, call: &str) {
    stage.order(callee, Order::Answer(call.to_owned())).unwrap();
    run(stage, SECOND);
    let is_up = PhoneEvent::Connected {
        call: call.to_owned(),
    };
    assert!(stage.seen(callee).any(|(_, event)| *event == is_up));
    stage.order(caller, Order::Hangup(call.to_owned())).unwrap();
    run(stage, SECOND);
    let over = PhoneEvent::Ended {
        call: call.to_owned(),
        by_us: false,
    };
    assert!(stage.seen(callee).any(|(_, event)| *event == over));
}
