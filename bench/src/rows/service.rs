//! The push service on one core: REST in, APNs out; and what a million pushes leave in its memory.

use super::{Options, SETTLE, progress};
use crate::{
    contestants::{self, Contestant, Order},
    load::Tenant,
    publisher::Publisher,
    row::{Measure, Row, Verdict, grouped},
    sink::{Apns, Identity, Manner},
    stats::float,
    usage,
};
use anyhow::{Context, Result};
use std::{thread, time::Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The app, and the name of its tenant.
const APP: &str = "com.example.phone";
/// Pushes of a round, and how many of them are under way.
const REQUESTS: u32 = 100_000;
const WINDOW: u32 = 200;
/// How many pushes there were when memory is looked at first, and at the end.
const FIRST: u32 = 200_000;
const ALL: u32 = 1_000_000;

/// A service, what pushes to its cloud, and its tenant.
struct Stage {
    service: Publisher,
    order: Order,
    runtime: Runtime,
    tenant: Tenant,
}

impl Stage {
    fn new(options: &Options) -> Result<Self> {
        let folder = TempDir::with_prefix("reveille-bench-")?;
        let identity = Identity::put_into(folder.path())?;
        let cloud = Apns::start(&identity, Manner::AtOnce)?.address;
        let order = Order::to(cloud, folder.path());
        let service = Publisher::start(&options.binary, folder, &[(APP, cloud)])?;
        let runtime = runtime()?;
        let tenant = Tenant::connect(service.rest(), service.token(0), APP);
        let tenant = runtime.block_on(tenant)?;
        Ok(Self {
            service,
            order,
            runtime,
            tenant,
        })
    }

    /// Has so many pushes accepted, from this number on.
    fn push(&self, first: u32, count: u32) -> Result<()> {
        let pushed = self.tenant.push_all(first, count, WINDOW);
        let pushed = self.runtime.block_on(pushed);
        pushed.with_context(|| format!("the service said: {}", self.service.words()))
    }
}

pub(super) fn runtime() -> Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime)
}

pub(super) fn speed(options: &Options) -> Result<Row> {
    contestants::H2LOAD.install()?;
    let requests = options.requests(REQUESTS);
    let [mut limit, mut clock, mut micros] = [const { Vec::new() }; 3];
    for round in 1..=options.rounds {
        let stage = Stage::new(options)?;
        let pid = stage.service.pid();
        stage.push(0, requests / 10)?;
        let (begun, before) = (Instant::now(), usage::processor_time(pid)?);
        stage.push(requests, requests)?;
        let took = begun.elapsed();
        thread::sleep(SETTLE);
        let used = usage::processor_time(pid)?.saturating_sub(before);
        clock.push(f64::from(requests) / took.as_secs_f64());
        micros.push(used.as_secs_f64() * 1e6 / f64::from(requests));
        let order = Order {
            in_flight: WINDOW,
            ..stage.order.clone()
        };
        let said = Contestant::H2load.run(&order)?;
        limit.push(f64::from(said.taken) / said.seconds);
        let told = format!(
            "{:.0}/s by the clock, {:.1} µs each; h2load {:.0}/s",
            clock[clock.len() - 1],
            micros[micros.len() - 1],
            limit[limit.len() - 1]
        );
        progress("push-service", round, options.rounds, &told);
    }
    let reckoned = micros.iter().map(|micros| 1e6 / micros).collect();
    let measures = vec![
        Measure::new("h2load to the same cloud", "1/s", limit),
        Measure::new("Reveille, by the clock", "1/s", clock),
        Measure::new("Reveille, by its CPU", "1/s", reckoned),
        Measure::new("Reveille, CPU a push", "µs", micros),
    ];
    let goal = "≥ 0.45, or 30,000/s";
    Ok(Row {
        name: "push-service",
        title: "The push service, REST in to APNs out, one core",
        how: format!(
            "{} notifications a round over one connection of HTTP/2 over TLS, {WINDOW} under way, each waited for.",
            grouped(&requests.to_string())
        ),
        verdicts: vec![
            Verdict::ratio(&measures[1], &measures[0], goal),
            Verdict::ratio(&measures[2], &measures[0], goal),
        ],
        measures,
        notes: vec![
            "The service has core 1; tenant and cloud share core 0. A notification is about 500 octets of JSON with a sealed text, for a device of \
             its own, and is answered with what the cloud said; the row fails if one is not accepted. `h2load` pushes to the same cloud from core 1, \
             with as many under way: what the cloud and HTTP/2 allow where nobody asks for anything."
                .to_owned(),
            "By the clock: with tenant and cloud on one core, which has as much to do as the service. By its CPU: a second over what a push takes of it, \
             which a tenant and a cloud elsewhere would let it reach."
                .to_owned(),
        ],
    })
}

pub(super) fn memory(options: &Options) -> Result<Row> {
    let [mut early, mut late, mut peak] = [const { Vec::new() }; 3];
    let megabytes = |bytes: u64| float(bytes) / 1e6;
    for round in 1..=options.rounds {
        let stage = Stage::new(options)?;
        let pid = stage.service.pid();
        stage.push(0, FIRST)?;
        early.push(megabytes(usage::memory(pid)?.resident));
        usage::forget_peak(pid)?;
        stage.push(FIRST, ALL - FIRST)?;
        let memory = usage::memory(pid)?;
        late.push(megabytes(memory.resident));
        peak.push(megabytes(memory.peak));
        let told = format!("peak {:.1} MB", peak[peak.len() - 1]);
        progress("push-memory", round, options.rounds, &told);
    }
    let measures = vec![
        Measure::new("resident after 200,000 pushes", "MB", early),
        Measure::new("resident after 1,000,000 pushes", "MB", late),
        Measure::new("peak between them", "MB", peak),
    ];
    Ok(Row {
        name: "push-memory",
        title: "Memory of the push service over a million pushes",
        how: format!(
            "{} notifications by one tenant, {WINDOW} under way.",
            grouped(&ALL.to_string())
        ),
        verdicts: vec![Verdict::ratio(&measures[2], &measures[0], "≤ 1.1")],
        measures,
        notes: vec![
            "What became of an id is remembered for a day, for 100,000 ids of a tenant (`pushd::Limits`): the first 200,000 fill that."
                .to_owned(),
        ],
    })
}
