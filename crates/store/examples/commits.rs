//! What commits cost, by how many devices there are and how many steps a turn brings, in CPU time of this process (all of
//! its threads; on Linux) and in steps a second:
//! `cargo run --release -p reveille-store --example commits -- sqlite:/path/to/a/new.db 1000000`.
//!
//! A *refresh* is what a REGISTER saves: one door, of devices in random order. A *message* is stored, queued and its push
//! owed in one step, delivered and settled in another, with six notes for its story. The *load* is a start.

use domain::{
    Address, Change, Class, Device, DeviceId, Door, DoorId, Message, MessageId, Namer, Note,
    NotificationId, Purpose, Record, Timestamp, Token, TraceEvent, TrackingId, User,
    device::Handed, push::OwedPush, trace::Step, user::Secrets,
};
use reveille_store::{Store, open};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

type Failure = Box<dyn std::error::Error>;

/// Steps that a commit of the setup brings.
const SETUP: u64 = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .ok_or("name a store: sqlite:PATH or memory:")?;
    let devices = arguments.next().as_deref().unwrap_or("1000").parse()?;
    let store = open(&url)?;

    println!(
        "{:<9} {:>7} {:>7} {:>9} {:>9}",
        "what", "a turn", "count", "CPU µs", "a second"
    );
    let meter = Meter::start("device", SETUP);
    for first in (0..devices).step_by(usize::try_from(SETUP)?) {
        let numbers = first..devices.min(first + SETUP);
        commit(&store, numbers.map(new_device).collect()).await?;
    }
    meter.stop(devices);
    for turn in [1, 16, 64, 256] {
        refreshes(&store, devices, turn).await?;
        messages(&store, devices, turn).await?;
    }
    load(&store, devices).await?;
    store.close().await?;
    Ok(())
}

async fn refreshes(store: &Arc<dyn Store>, devices: u64, turn: u64) -> Result<(), Failure> {
    let count = (turn * 4_000).min(256_000);
    let meter = Meter::start("refresh", turn);
    for first in (0..count).step_by(usize::try_from(turn)?) {
        let steps =
            (first..first + turn).map(|n| vec![door(scattered(n, devices), turn * count + n)]);
        commit(store, steps.collect()).await?;
    }
    meter.stop(count);
    Ok(())
}

async fn messages(store: &Arc<dyn Store>, devices: u64, turn: u64) -> Result<(), Failure> {
    let count = (turn * 1_000).min(64_000);
    let mut namer = Namer::new([u8::try_from(turn % 251)?; 32]);
    let meter = Meter::start("message", turn);
    for first in (0..count).step_by(usize::try_from(turn)?) {
        let now = Timestamp(1_700_000_000_000 + first);
        let sent: Vec<Sent> = (first..first + turn)
            .map(|n| Sent {
                id: namer.fresh(now),
                tracking: namer.fresh(now),
                user: scattered(n, devices),
            })
            .collect();
        commit(store, sent.iter().map(Sent::stored).collect()).await?;
        commit(store, sent.iter().map(Sent::delivered).collect()).await?;
        store.note(sent.iter().flat_map(Sent::story).collect());
    }
    store.flush().await?;
    meter.stop(count);
    Ok(())
}

async fn load(store: &Arc<dyn Store>, devices: u64) -> Result<(), Failure> {
    let records = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&records);
    let meter = Meter::start("load", 1);
    let sink = move |_: Record| {
        counter.fetch_add(1, Relaxed);
    };
    store.load(Box::new(sink)).await?;
    meter.stop(devices);
    println!("{} records", records.load(Relaxed));
    Ok(())
}

async fn commit(store: &Arc<dyn Store>, steps: Vec<Vec<Change>>) -> Result<(), Failure> {
    for word in store.commit(steps).await? {
        word?;
    }
    Ok(())
}

/// One of so many, in no order.
fn scattered(n: u64, devices: u64) -> u64 {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % devices
}

fn address(n: u64) -> Address {
    Address::new(&format!("user{n}"), "example.org").expect("a sound name")
}

/// As long as an instance id is.
fn device_id(n: u64) -> DeviceId {
    format!("{n:08x}-0000-4000-8000-000000000000").into()
}

fn new_device(n: u64) -> Vec<Change> {
    let mut device = Device::new(device_id(n), address(n), Timestamp(1_700_000_000_000));
    device.app = Some("org.example.phone".into());
    let token = |kind: &str| Token {
        value: format!("{kind}{n:062x}").into(),
        given_at: Timestamp(1_700_000_000_000),
        dead: None,
        on_probation: false,
        handed: Handed::Through(0),
    };
    device.tokens.voip = Some(token("aa"));
    device.tokens.message = Some(token("bb"));
    let user = User {
        address: address(n),
        display_name: format!("User {n}"),
        secrets: Secrets {
            md5: format!("{n:032x}"),
            sha256: format!("{n:064x}"),
            scram: None,
            mark: 0,
        },
        forward: None,
    };
    vec![
        Change::PutUser(Box::new(user)),
        Change::PutDevice(Box::new(device)),
        door(n, 0),
    ]
}

/// A registration differs from the one before: SQLite writes nothing for a row that stays the same.
fn door(device: u64, n: u64) -> Change {
    let data = format!(
        "<sip:user{device}@192.0.2.1:5060;transport=tcp;pn-provider=apns>\0tcp/192.0.2.1:5060\0call-{n}@192.0.2.1\0{n}"
    );
    Change::PutDoor(Box::new(Door {
        id: DoorId {
            device: device_id(device),
            number: 0,
        },
        opened_at: Timestamp(1_700_000_000_000 + n),
        expires_at: Timestamp(1_700_003_600_000 + n),
        q: 1_000,
        data: data.into(),
    }))
}

/// A message on its way.
struct Sent {
    id: MessageId,
    tracking: TrackingId,
    user: u64,
}

impl Sent {
    fn push(&self) -> NotificationId {
        NotificationId::of("message", self.id.as_str(), &device_id(self.user))
    }

    fn stored(&self) -> Vec<Change> {
        let message = Message {
            id: self.id.clone(),
            tracking: self.tracking.clone(),
            from: "bob@example.org".to_owned(),
            from_name: "Bob".to_owned(),
            to: address(self.user),
            at: Timestamp(1_700_000_000_000),
            class: Class::Chat,
            content_type: "text/plain".to_owned(),
            body: "See you at noon, same place as last time?".into(),
            about: None,
        };
        let push = OwedPush {
            id: self.push(),
            device: device_id(self.user),
            purpose: Purpose::Message {
                conversation: "c1".to_owned(),
                unread: 1,
            },
            tracking: self.tracking.clone(),
            message: Some(self.id.clone()),
            due: Timestamp(0),
            until: Timestamp(1),
            attempts: 0,
        };
        vec![
            Change::Archive(Arc::new(message)),
            Change::Enqueue {
                device: device_id(self.user),
                message: self.id.clone(),
            },
            Change::Owe(Box::new(push)),
        ]
    }

    fn delivered(&self) -> Vec<Change> {
        vec![
            Change::Delivered {
                device: device_id(self.user),
                message: self.id.clone(),
            },
            Change::Settle(self.push()),
        ]
    }

    fn story(&self) -> impl Iterator<Item = Note> {
        let steps = [
            Step::MessageStored,
            Step::PushSent,
            Step::PushAccepted,
            Step::DeviceReturned,
            Step::MessageSent,
            Step::MessageDelivered,
        ];
        steps.into_iter().map(|step| {
            Note::Story(TraceEvent {
                tracking: self.tracking.clone(),
                at: Timestamp(1_700_000_000_000),
                step,
                alias: None,
                device: Some(device_id(self.user)),
                detail: "from bob@example.org".to_owned(),
            })
        })
    }
}

struct Meter {
    what: &'static str,
    turn: u64,
    cpu: f64,
    wall: Instant,
}

impl Meter {
    fn start(what: &'static str, turn: u64) -> Self {
        Self {
            what,
            turn,
            cpu: cpu_seconds(),
            wall: Instant::now(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    fn stop(self, count: u64) {
        let cpu = (cpu_seconds() - self.cpu) * 1e6 / count as f64;
        let rate = count as f64 / self.wall.elapsed().as_secs_f64();
        println!(
            "{:<9} {:>7} {count:>7} {cpu:>9.1} {rate:>9.0}",
            self.what, self.turn
        );
    }
}

/// User and system time of this process, in the hundredths of a second that Linux counts.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |at| fields.split_whitespace().nth(at)?.parse::<f64>().ok();
    (ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default()) / 100.0
}
