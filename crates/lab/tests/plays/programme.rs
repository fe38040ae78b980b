//! The clients of the demo's programme, and what all plays share.

use std::time::{Duration, Instant};

use domain::{Channel, Generation, Notification, Platform};
use lab::phone::machine::Order;
use lab::phone::{PhoneEvent, PushService};
use lab::plays::{CLIENTS, Client, JABBER_13, Play};
use lab::sim::whole::{DOMAIN, Doors, ONE_WAY, Stage};

pub const SECOND: Duration = Duration::from_secs(1);
pub const SHARDS: [usize; 3] = [1, 2, 4];
/// INVITE, challenge, INVITE: one and a half times there and back.
pub const ARRIVES: Duration = ONE_WAY.saturating_mul(3);
/// How long a cloud in a good mood takes.
pub const CLOUD: Duration = Duration::from_millis(60);

/// What pushes to a client in the simulated world.
fn service(client: &Client) -> PushService {
    let bundle = match client.generation {
        Generation::SingleChannel => "example.pad",
        Generation::DualChannel => "example.phone",
    };
    match client.platform {
        Platform::Ios => PushService::Apns {
            team: "TEAM123456".to_owned(),
            bundle: bundle.to_owned(),
        },
        Platform::Android => PushService::Fcm {
            project: "sim-droid".to_owned(),
            package: "example.droid".to_owned(),
        },
        Platform::Web => PushService::WebPush {
            app: "example.page".to_owned(),
            service: "https://push.example".to_owned(),
        },
        Platform::Unknown => unreachable!("no client of the plays is one"),
    }
}

/// Every client that has SIP with every number of shards.
pub fn casts() -> impl Iterator<Item = (Client, usize)> {
    casts_of(Play::ForegroundCall)
}

/// Every client that plays this with every number of shards.
pub fn casts_of(play: Play) -> impl Iterator<Item = (Client, usize)> {
    let clients = CLIENTS.into_iter().filter(move |it| play.is_for(it));
    clients.flat_map(|client| SHARDS.map(|shards| (client, shards)))
}

/// The way of a push about a message.
pub fn message_channel(client: &Client) -> Channel {
    match client.generation {
        Generation::SingleChannel => Channel::Voip,
        Generation::DualChannel => Channel::Message,
    }
}

pub const ALICE: usize = 0;
pub const BOB: usize = 1;

/// Alice with an iPhone in front, and Bob with this client in front; Carol has an account, and no phone.
pub fn stage(client: &Client, shards: usize) -> Stage {
    let mut stage = Stage::new(Instant::now(), shards, &["alice", "bob", "carol"]);
    add(&mut stage, "alice", &JABBER_13);
    add(&mut stage, "bob", client);
    stage
}

pub fn add(stage: &mut Stage, user: &str, client: &Client) -> usize {
    let (service, generation) = (service(client), client.generation);
    stage
        .phone(user, client.transport, service, generation)
        .unwrap()
}

/// The same by XMPP, beside SIP if the client has both doors.
pub fn add_by_xmpp(stage: &mut Stage, user: &str, client: &Client) -> usize {
    add_with(stage, user, client, false)
}

/// The same, woken for calls over XMPP.
pub fn add_called_by_xmpp(stage: &mut Stage, user: &str, client: &Client) -> usize {
    add_with(stage, user, client, true)
}

fn add_with(stage: &mut Stage, user: &str, client: &Client, tokens_in_stream: bool) -> usize {
    let (service, generation) = (service(client), client.generation);
    let doors = Doors {
        sip: client.both_doors,
        xmpp: true,
        tokens_in_stream,
    };
    stage
        .phone_by(doors, user, client.transport, service, generation)
        .unwrap()
}

pub fn uri(user: &str) -> String {
    format!("sip:{user}@{DOMAIN}")
}

/// Calls somebody; gives the call's name and when it was made.
pub fn call(stage: &mut Stage, who: usize, user: &str) -> (String, Duration) {
    call_to(stage, who, uri(user))
}

/// The same over XMPP.
pub fn offer(stage: &mut Stage, who: usize, user: &str) -> (String, Duration) {
    call_to(stage, who, format!("xmpp:{user}@{DOMAIN}"))
}

fn call_to(stage: &mut Stage, who: usize, uri: String) -> (String, Duration) {
    let began = stage.now();
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

/// The call rings, by SIP.
pub fn rings(event: &PhoneEvent) -> bool {
    matches!(event, PhoneEvent::Ringing { .. })
}

/// When the caller got a final answer that is no 200, and which.
pub fn failed(stage: &Stage, since: Duration) -> Option<(Duration, u16)> {
    let mut seen = stage.seen(ALICE).skip_while(|(at, _)| *at < since);
    seen.find_map(|(at, event)| match event {
        PhoneEvent::CallFailed { status, .. } => Some((at, *status)),
        _ => None,
    })
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
