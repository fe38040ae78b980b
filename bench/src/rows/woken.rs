//! Thousands of clients of XMPP that sleep, all written to at once: each is pushed to, comes back, and has its message.

use super::{Options, progress, reveille_with_users};
use crate::{
    load::{Crowd, Seen, write_to},
    process::ONE_CORE,
    reveille::{Setup, Store},
    row::{Measure, Row, Verdict, grouped},
    sink::{Apns, Identity, Listener, Manner, Teller},
    stats::{float, percentile},
    usage,
};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// Clients that write to those who sleep, and how much each has under way.
const WRITERS: u32 = 100;
const UNDER_WAY: u32 = 8;
/// Until all that a sign-in or a lost connection left behind is put away.
const RESTING: Duration = Duration::from_secs(5);
/// Between looks at what was pushed.
const LOOK: Duration = Duration::from_millis(2);
/// Nothing more happens.
const PATIENCE: Duration = Duration::from_secs(30);

const KINDS: [(&str, &str); 8] = [
    ("first message to last push", "s"),
    ("message to push, p50", "ms"),
    ("message to push, p99", "ms"),
    ("first message to last message there", "s"),
    ("CPU, each", "µs"),
    ("resident with all of them there, before", "MB"),
    ("peak of the wake", "MB"),
    ("resident with all of them there, after", "MB"),
];

pub(super) fn run(options: &Options) -> Result<Row> {
    let users = options.sessions.iter().max().copied().unwrap_or_default();
    Crowd::make_room(users + WRITERS)?;
    let mut values = [const { Vec::new() }; KINDS.len()];
    for round in 1..=options.rounds {
        let found = play(options, users).with_context(|| format!("xmpp-wake, round {round}"))?;
        let told: Vec<_> = KINDS
            .iter()
            .zip(&found)
            .map(|((kind, unit), value)| format!("{kind} {value:.2} {unit}"))
            .collect();
        progress("xmpp-wake", round, options.rounds, &told.join("; "));
        for (values, value) in values.iter_mut().zip(found) {
            values.push(value);
        }
    }
    let measures: Vec<_> = KINDS
        .iter()
        .zip(values)
        .map(|((kind, unit), values)| Measure::new(*kind, unit, values))
        .collect();
    Ok(Row {
        name: "xmpp-wake",
        title: "Many sleeping XMPP clients written to at once",
        how: format!(
            "{} users whose phone has lost its connection, one message to each.",
            grouped(&users.to_string())
        ),
        verdicts: vec![Verdict::ratio(&measures[6], &measures[5], "≤ 1.2")],
        measures,
        notes: vec![
            format!(
                "{WRITERS} clients write as fast as the server acknowledges, {UNDER_WAY} messages under way each. The push cloud is that of APNs (HTTP/2, TLS, a \
                 signed provider token), answers at once, and lets 1,000 streams be open: no more are under way. Each phone connects when its push is there, resumes \
                 TLS and its stream with one message, and has its message; the row fails if a push or a message is missing or comes twice."
            ),
            "Phones, writers and push cloud share core 0 and are slower than the server, so the times have their part in them."
                .to_owned(),
        ],
    })
}

fn play(options: &Options, users: u32) -> Result<Vec<f64>> {
    let began = Instant::now();
    let pushes = Listener::new()?;
    let setup = options.reveille(Store::Sqlite, ONE_CORE)?;
    let identity = Identity::put_into(setup.folder.path())?;
    let teller = Teller::new(pushes.port()?, began)?;
    let sink = Apns::start(&identity, Manner::Tell(teller))?;
    let setup = Setup {
        push: Some(sink.address),
        xmpp: true,
        ..setup
    };
    let server = reveille_with_users(setup, users + WRITERS)?;
    let reach = server.reach()?;
    let pid = reach.2;
    let mut crowd = Crowd::who_come_back(reach, true)?;
    crowd.sign_in(0..users + WRITERS)?;
    want_pushes(&mut crowd, users)?;
    crowd.idle(RESTING)?;
    let before = usage::memory(pid)?.resident;
    for user in 0..users {
        crowd.lose(user)?;
    }
    crowd.idle(RESTING)?;
    usage::forget_peak(pid)?;
    let used = usage::processor_time(pid)?;
    let wake = wake(&mut crowd, users, &pushes, began)
        .with_context(|| format!("the server said: {}", server.words()))?;
    let used = usage::processor_time(pid)?.saturating_sub(used);
    let peak = usage::memory(pid)?.peak;
    crowd.idle(RESTING)?;
    let after = usage::memory(pid)?.resident;
    let megabytes = |bytes: u64| float(bytes) / 1e6;
    Ok(vec![
        wake.last_push.as_secs_f64(),
        percentile(&wake.to_push, 50),
        percentile(&wake.to_push, 99),
        wake.all_there.as_secs_f64(),
        used.as_secs_f64() * 1e6 / f64::from(users),
        megabytes(before),
        megabytes(peak),
        megabytes(after),
    ])
}

/// Every phone hands over its token (XEP-0357 §5): the user's number.
fn want_pushes(crowd: &mut Crowd, users: u32) -> Result<()> {
    let (mut begun, mut done) = (0, 0);
    while done < users {
        while begun < users.min(done + 64) {
            let field = |name: &str, value: &str| {
                format!("<field var='{name}'><value>{value}</value></field>")
            };
            let form = [
                field(
                    "FORM_TYPE",
                    "http://jabber.org/protocol/pubsub#publish-options",
                ),
                field("app", "com.example.phone"),
                field("message", &format!("{begun:064x}")),
            ];
            let order = format!(
                "<iq type='set' id='push'><enable xmlns='urn:xmpp:push:0' jid='push.localhost'><x xmlns='jabber:x:data' type='submit'>{}</x></enable></iq>",
                form.concat()
            );
            crowd.session(begun)?.send(order.as_bytes())?;
            begun += 1;
        }
        crowd.turn(|_, seen| done += u32::from(seen == Seen::Done("push".to_owned())))?;
    }
    Ok(())
}

/// What a wake was; times since the first message.
struct Wake {
    last_push: Duration,
    all_there: Duration,
    /// Of each user, in milliseconds.
    to_push: Vec<f64>,
}

fn wake(crowd: &mut Crowd, users: u32, pushes: &Listener, began: Instant) -> Result<Wake> {
    let start = began.elapsed();
    let mut written = vec![Duration::ZERO; users as usize];
    let mut to_push = Vec::new();
    let mut is_there = vec![false; users as usize];
    let (mut sent, mut there, mut last_push) = (0, 0, start);
    let mut under_way = vec![Vec::new(); WRITERS as usize];
    let mut heard = Instant::now();
    while there < users {
        for (writer, under_way) in (users..).zip(&mut under_way) {
            while sent < users && under_way.len() < UNDER_WAY as usize {
                written[sent as usize] = began.elapsed();
                under_way.push(write_to(crowd, writer, sent)?);
                sent += 1;
            }
        }
        while let Some(push) = pushes.next()? {
            let written = written
                .get(push.user as usize)
                .context("a push for nobody")?;
            last_push = last_push.max(push.at);
            to_push.push(push.at.saturating_sub(*written).as_secs_f64() * 1e3);
            crowd
                .connect(push.user)
                .context("a phone was pushed to twice, or")?;
            heard = Instant::now();
        }
        let mut twice = None;
        crowd.turn_within(LOOK, |user, seen| match seen {
            Seen::Message(number) if number == user => {
                let is_there = &mut is_there[user as usize];
                if std::mem::replace(is_there, true) {
                    twice = Some(user);
                }
                there += 1;
                heard = Instant::now();
            }
            Seen::Acknowledged(h) if user >= users => {
                under_way[(user - users) as usize].retain(|count| *count > h);
            }
            _ => {}
        })?;
        ensure!(twice.is_none(), "u{twice:?} has its message twice");
        ensure!(
            heard.elapsed() < PATIENCE,
            "{sent} messages, {} pushes, {there} messages there, and then nothing for {PATIENCE:?}",
            to_push.len()
        );
    }
    ensure!(to_push.len() == users as usize, "{} pushes", to_push.len());
    Ok(Wake {
        last_push: last_push.saturating_sub(start),
        all_there: began.elapsed().saturating_sub(start),
        to_push,
    })
}
