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
/// Pushes of one request, where it has several.
const BATCH: u32 = 50;
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

    /// Has so many pushes accepted, from this number on, by so many a request.
    fn push(&self, first: u32, count: u32, batch: u32) -> Result<()> {
        let pushed = self.tenant.push_all(first, count, (WINDOW / batch, batch));
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

/// How fast it was in each round.
struct Speed {
    /// Pushes a second, by the clock.
    clock: Vec<f64>,
    /// Processor time of a push, in microseconds.
    micros: Vec<f64>,
}

impl Speed {
    /// So many pushes from this number on; what came of it, in words.
    fn measure(&mut self, stage: &Stage, first: u32, count: u32, batch: u32) -> Result<String> {
        let pid = stage.service.pid();
        let (begun, before) = (Instant::now(), usage::processor_time(pid)?);
        stage.push(first, count, batch)?;
        let took = begun.elapsed();
        thread::sleep(SETTLE);
        let used = usage::processor_time(pid)?.saturating_sub(before);
        let clock = f64::from(count) / took.as_secs_f64();
        let micros = used.as_secs_f64() * 1e6 / f64::from(count);
        self.clock.push(clock);
        self.micros.push(micros);
        Ok(format!(
            "{batch} a request: {clock:.0}/s by the clock, {micros:.1} µs each"
        ))
    }

    /// As rows show it: by the clock, by processor time, and that.
    fn measures(self, what: &str) -> [Measure; 3] {
        let reckoned = self.micros.iter().map(|micros| 1e6 / micros).collect();
        [
            Measure::new(format!("{what}, by the clock"), "1/s", self.clock),
            Measure::new(format!("{what}, by its CPU"), "1/s", reckoned),
            Measure::new(format!("{what}, CPU a push"), "µs", self.micros),
        ]
    }
}

pub(super) fn speed(options: &Options) -> Result<Row> {
    contestants::H2LOAD.install()?;
    let requests = options.requests(REQUESTS);
    let mut limit = Vec::new();
    let [mut one, mut several] = [const {
        Speed {
            clock: Vec::new(),
            micros: Vec::new(),
        }
    }; 2];
    for round in 1..=options.rounds {
        let stage = Stage::new(options)?;
        stage.push(0, requests / 10, 1)?;
        let one = one.measure(&stage, requests, requests, 1)?;
        let several = several.measure(&stage, 2 * requests, requests, BATCH)?;
        let order = Order {
            in_flight: WINDOW,
            ..stage.order.clone()
        };
        let said = Contestant::H2load.run(&order)?;
        limit.push(f64::from(said.taken) / said.seconds);
        let most = limit[limit.len() - 1];
        let told = format!("{one}; {several}; h2load {most:.0}/s");
        progress("push-service", round, options.rounds, &told);
    }
    let limit = Measure::new("h2load to the same cloud", "1/s", limit);
    let one = one.measures("one a request");
    let several = several.measures(&format!("{BATCH} a request"));
    let goal = "≥ 0.45, or 30,000/s";
    Ok(Row {
        name: "push-service",
        title: "The push service, REST in to APNs out, one core",
        how: format!(
            "{} notifications a round over one connection of HTTP/2 over TLS, {WINDOW} under way, each waited for: one a request, and {BATCH}.",
            grouped(&requests.to_string())
        ),
        verdicts: [&one, &several]
            .into_iter()
            .flat_map(|of| &of[..2])
            .map(|of| Verdict::ratio(of, &limit, goal))
            .collect(),
        measures: [limit].into_iter().chain(one).chain(several).collect(),
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
        stage.push(0, FIRST, 1)?;
        early.push(megabytes(usage::memory(pid)?.resident));
        usage::forget_peak(pid)?;
        stage.push(FIRST, ALL - FIRST, 1)?;
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
