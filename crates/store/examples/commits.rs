//! How many steps a second a disk takes, and how long each waits, by how many are under way at once:
//! `cargo run --release -p reveille-store --example commits -- sqlite:/path/to/a/new.db`.
//! A step is what a REGISTER saves (the device), or what a MESSAGE does (the message, its place in a queue, the push).

use domain::{
    Address, Binding, Change, Class, Device, DeviceId, Message, MessageId, NotificationId, Purpose,
    Timestamp, TrackingId, User, push::OwedPush, user::Secrets,
};
use reveille_store::{Store, open};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const STEPS: usize = 20_000;
const DEVICES: usize = 1_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args()
        .nth(1)
        .ok_or("name a store: sqlite:PATH or memory:")?;
    let store = open(&url)?;
    let alice = Address::new("alice", "example.org")?;
    let mut setup = vec![Change::PutUser(user(&alice))];
    setup.extend((0..DEVICES).map(|n| put_device(&alice, n)));
    store.commit(setup).await?;

    println!("step      at once  steps/s  steps/transaction    p50       p99");
    for at_once in [1, 16, 256, 4096] {
        for (name, step) in [
            ("register", register as fn(&Address, usize) -> Vec<Change>),
            ("message", message),
        ] {
            let before = store.stats();
            let started = Instant::now();
            let waits = run(&store, &alice, step, at_once).await?;
            let seconds = started.elapsed().as_secs_f64();
            let after = store.stats();
            let count = waits.len();
            println!(
                "{name:<9} {at_once:>7} {:>8.0} {:>18.1} {:>8.2?} {:>8.2?}",
                f64::from(u32::try_from(count)?) / seconds,
                f64::from(u32::try_from(count)?)
                    / f64::from(u32::try_from(after.groups - before.groups)?),
                waits[count / 2],
                waits[count * 99 / 100],
            );
        }
    }
    store.close().await?;
    Ok(())
}

/// How long each step waited, shortest first.
async fn run(
    store: &Arc<dyn Store>,
    alice: &Address,
    step: fn(&Address, usize) -> Vec<Change>,
    at_once: usize,
) -> Result<Vec<Duration>, Box<dyn std::error::Error>> {
    // One at a time is slow on a real disk.
    let steps = if at_once == 1 { STEPS / 20 } else { STEPS };
    let tasks: Vec<_> = (0..at_once)
        .map(|lane| {
            let (store, alice) = (Arc::clone(store), alice.clone());
            tokio::spawn(async move {
                let mut waits = Vec::new();
                for n in (lane..steps).step_by(at_once) {
                    let started = Instant::now();
                    store.commit(step(&alice, at_once * STEPS + n)).await?;
                    waits.push(started.elapsed());
                }
                Ok::<_, reveille_store::StoreError>(waits)
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
    }
    waits.sort();
    Ok(waits)
}

fn register(alice: &Address, n: usize) -> Vec<Change> {
    vec![put_device(alice, n)]
}

fn message(alice: &Address, n: usize) -> Vec<Change> {
    let id = MessageId(format!("message-{n}"));
    let tracking = TrackingId(format!("tracking-{n}"));
    let device = DeviceId((n % DEVICES).to_string());
    vec![
        Change::Archive(Message {
            id: id.clone(),
            tracking: tracking.clone(),
            from: "bob@example.org".to_owned(),
            from_name: "Bob".to_owned(),
            to: alice.clone(),
            at: Timestamp(0),
            class: Class::Chat,
            content_type: "text/plain".to_owned(),
            body: "See you at noon, same place as last time?".into(),
        }),
        Change::Enqueue {
            device: device.clone(),
            message: id.clone(),
        },
        Change::Owe(OwedPush {
            id: NotificationId(format!("push-{n}")),
            device,
            purpose: Purpose::Message {
                conversation: "c1".to_owned(),
                unread: 1,
            },
            tracking,
            message: Some(id),
            due: Timestamp(0),
            until: Timestamp(1),
            attempts: 0,
        }),
    ]
}

/// A registration differs from the one before: SQLite writes nothing for a row that stays the same.
fn put_device(alice: &Address, n: usize) -> Change {
    let id = DeviceId((n % DEVICES).to_string());
    let mut device = Device::new(id, alice.clone(), Timestamp(n as u64));
    device.binding = Some(Binding {
        contact: "<sip:alice@192.0.2.1:5060;transport=tcp;pn-provider=apns>".to_owned(),
        source: "tcp/192.0.2.1:5060".to_owned(),
        expires_at: Timestamp(n as u64 + 3_600_000),
        call_id: format!("call-{n}@192.0.2.1"),
        ..Binding::default()
    });
    Change::PutDevice(Box::new(device))
}

fn user(address: &Address) -> User {
    User {
        address: address.clone(),
        display_name: "Alice".to_owned(),
        secrets: Secrets {
            md5: String::new(),
            sha256: String::new(),
        },
        forward: None,
    }
}
