//! A call to a phone that sleeps: INVITE, push, REGISTER, INVITE, and the call.

use super::{Options, Sample, measured, progress, register_all, reveille_with_users};
use crate::{
    kamailio::{self, Kamailio, Script},
    load::{self, Latencies, Pace, Wakes},
    process::ONE_CORE,
    reveille::{Setup, Store},
    row::{Measure, Row, Verdict},
    sink::{Apns, Identity, Manner, Plain, Teller},
    socket::Phones,
    stats::percentile,
};
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

const REQUESTS: u32 = 10_000;
/// Seconds for which latencies are taken.
const SECONDS: u32 = 10;
/// Later than that the last call was not made at that rate.
const LATE: Duration = Duration::from_millis(500);

/// One round of one server.
struct Round {
    closed: Sample,
    open: Sample,
    latencies: Latencies,
}

pub(super) fn run(options: &Options) -> Result<Row> {
    kamailio::PACKAGES.install()?;
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        for (name, play, rounds) in [
            ("Kamailio, tsilo", peer as fn(&Options) -> _, &mut theirs),
            (Store::Sqlite.label(), reveille, &mut ours),
        ] {
            let played: Round =
                play(options).with_context(|| format!("wake, round {round}, {name}"))?;
            let told = format!(
                "{name}: {:.1} µs; INVITE to push {:.2} ms, REGISTER to INVITE {:.2} ms (p99)",
                played.closed.micros(),
                percentile(&played.latencies.push, 99),
                percentile(&played.latencies.fork, 99)
            );
            progress("wake", round, options.rounds, &told);
            rounds.push(played);
        }
    }
    let mut measures = measures("Kamailio, tsilo", &theirs);
    measures.extend(self::measures(Store::Sqlite.label(), &ours));
    let verdicts = vec![
        Verdict::ratio(&measures[5], &measures[0], "≤ 1.2"),
        Verdict::plain(&measures[7], "≤ 1"),
        Verdict::plain(&measures[9], "≤ 1"),
    ];
    let rate = options.rate;
    Ok(Row {
        name: "wake",
        title: "A wake, CPU each and latency",
        how: format!(
            "{} Latencies at {rate} calls a second for {SECONDS} s, as the phones and the push cloud see them.",
            options.in_words(options.requests(REQUESTS), "woken calls over UDP"),
        ),
        measures,
        verdicts,
        notes: vec![
            "INVITE, 100, push, REGISTER with digest, 200, INVITE, 180, 200, ACK, BYE, 200. The push cloud answers at \
             once and is not counted. Reveille pushes as it does to Apple: HTTP/2, TLS, a signed provider token; and keeps \
             the registration and the story on disk. Kamailio's recipe is a Record-Route put in by `insert_hf` \
             (that of `record_route` is lost on late branches), `t_newtran`, `ts_store` and a plain HTTP/1.1 request of `http_client` over a connection (its worker waits for the answer), then `save` and \
             `ts_append`, all in memory."
                .to_owned(),
            "A phone says once by the device API that it sleeps, and registers from where it was. Phones and push cloud \
             share core 0, so the latencies include their own waiting for it."
                .to_owned(),
        ],
    })
}

/// A latency of each call of a round.
type Of = fn(&Round) -> &[f64];

/// Five of each: what a wake costs, and two latencies by two percentiles.
fn measures(name: &str, rounds: &[Round]) -> Vec<Measure> {
    let closed: Vec<_> = rounds.iter().map(|round| round.closed).collect();
    let open: Vec<_> = rounds.iter().map(|round| round.open).collect();
    let counts = format!(
        "{}; at a fixed rate {}",
        super::counts(&closed),
        super::counts(&open)
    );
    let cost = closed.iter().map(Sample::micros).collect();
    let mut measures = vec![Measure::new(name, "µs", cost).counted(counts)];
    let series: [(&str, Of); 2] = [
        ("INVITE to push", |round| &round.latencies.push),
        ("REGISTER to INVITE", |round| &round.latencies.fork),
    ];
    for (what, of) in series {
        for percent in [50, 99] {
            let values = rounds
                .iter()
                .map(|round| percentile(of(round), percent))
                .collect();
            measures.push(Measure::new(
                format!("{name}, {what}, p{percent}"),
                "ms",
                values,
            ));
        }
    }
    measures
}

fn peer(options: &Options) -> Result<Round> {
    let began = Instant::now();
    // The sink must know the phones' port, and the script the sink's.
    let mut phones = Phones::new()?;
    let sink = Plain::start(phones.port(), began)?;
    let server = Kamailio::start(Script::Wake(sink.address), ONE_CORE)?;
    phones.turn_to(server.sip());
    wake(options, phones, server.pid(), began, |_| Ok(()))
        .with_context(|| format!("Kamailio said: {}", server.words()))
}

fn reveille(options: &Options) -> Result<Round> {
    let began = Instant::now();
    let mut phones = Phones::new()?;
    let setup = options.reveille(Store::Sqlite, ONE_CORE)?;
    let identity = Identity::put_into(setup.folder.path())?;
    let teller = Teller::new(phones.port(), began)?;
    let sink = Apns::start(&identity, Manner::Tell(teller))?;
    let setup = Setup {
        push: Some(sink.address),
        open: false,
        ..setup
    };
    let server = reveille_with_users(setup, options.users)?;
    phones.turn_to(server.sip());
    wake(options, phones, server.pid()?, began, |users| {
        server.put_to_sleep(users)
    })
}

/// All register, and sleep; some are woken to warm up; then it counts.
fn wake(
    options: &Options,
    mut phones: Phones,
    pid: u32,
    began: Instant,
    put_to_sleep: impl FnOnce(u32) -> Result<()>,
) -> Result<Round> {
    let registers = register_all(&mut phones, options.users, true, options.window())?;
    put_to_sleep(options.users).context("putting phones to sleep")?;
    let mut wakes = Wakes::new(options.users, registers, began);
    let requests = options.requests(REQUESTS);
    let warm = requests / 10;
    load::run(&mut wakes, &mut phones, 0, warm, options.window())?;
    let mut part = |first, requests, pace| {
        let received = load::WAKE_RECEIVED;
        measured(
            &mut wakes,
            &mut phones,
            pid,
            (first, requests),
            pace,
            received,
        )
    };
    let closed = part(warm, requests, options.window())?;
    let first = warm + requests;
    let pace = Pace::rate(options.rate, options.users / 2);
    let open = part(first, options.rate * SECONDS, pace)?;
    anyhow::ensure!(
        open.tally.took < Duration::from_secs(SECONDS.into()) + LATE,
        "{} calls a second are more than the server can do",
        options.rate
    );
    Ok(Round {
        closed,
        open,
        latencies: wakes.latencies(first),
    })
}
