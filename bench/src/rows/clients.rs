//! Push clients side by side: pushes a second with 20 and 200 under way, the time of one, and a first burst.

use super::{Options, progress};
use crate::{
    contestants::{self, Contestant, Order, Said},
    http::{Client, is_ok},
    process::{Cores, Server},
    reveille::free_tcp,
    row::{Measure, Row, Verdict},
    sink::{Apns, Identity, Manner},
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{process::Command, time::Duration};
use tempfile::TempDir;

/// Pushes under way at once.
const IN_FLIGHT: [u32; 3] = [1, 20, MOST];
const MOST: u32 = 200;
/// How long each is measured.
const SECONDS: f64 = 1.5;
/// Pushes at once over a connection that is not there yet.
const BURST: u32 = 1_000;
/// The core of clouds and load.
const CLOUD: Cores = Cores("0");
/// Until the lab is there.
const START: Duration = Duration::from_secs(10);

pub(super) fn run(options: &Options) -> Result<Row> {
    contestants::install()?;
    let mut rates = vec![[const { Vec::new() }; IN_FLIGHT.len()]; Contestant::ALL.len()];
    let mut cpu = vec![Vec::new(); Contestant::ALL.len()];
    let mut bursts = vec![Vec::new(); Contestant::ALL.len()];
    let lab = Lab::start(options)?;
    for round in 1..=options.rounds {
        let folder = TempDir::with_prefix("reveille-bench-")?;
        let identity = Identity::put_into(folder.path())?;
        let sink = Apns::start(&identity, Manner::AtOnce)?;
        let order = Order::to(sink.address, folder.path());
        for (at, contestant) in Contestant::ALL.into_iter().enumerate() {
            let name = contestant.name();
            for (rates, in_flight) in rates[at].iter_mut().zip(IN_FLIGHT) {
                let order = Order {
                    in_flight,
                    seconds: SECONDS,
                    ..order.clone()
                };
                let said = contestant.run(&order);
                let said = said.with_context(|| format!("push-clients, round {round}, {name}"))?;
                ensure!(said.failed == 0, "{name}: {said:?}");
                rates.push(f64::from(said.taken) / said.seconds);
                if in_flight == MOST {
                    cpu[at].push(said.cpu * 1e6 / f64::from(said.taken));
                }
            }
            if contestant != Contestant::H2load {
                bursts[at].push(burst(contestant, &lab)?);
            }
            let now = rates[at].iter().filter_map(|it| it.last());
            let now: Vec<_> = now.map(|rate| format!("{rate:.0}/s")).collect();
            let told = format!("{name}: {} with {IN_FLIGHT:?} under way", now.join(", "));
            progress("push-clients", round, options.rounds, &told);
        }
    }
    Ok(row(&rates, &cpu, &bursts))
}

/// How many of a first burst failed.
fn burst(contestant: Contestant, lab: &Lab) -> Result<f64> {
    let order = Order {
        burst: BURST,
        ..lab.order.clone()
    };
    let said = contestant.run(&order)?;
    let Said { failed, reason, .. } = &said;
    if *failed > 0 {
        eprintln!("{}: {failed} of a first burst: {reason}", contestant.name());
    }
    ensure!(said.taken + failed == BURST, "{said:?}");
    Ok(f64::from(*failed))
}

fn row(rates: &[[Vec<f64>; IN_FLIGHT.len()]], cpu: &[Vec<f64>], bursts: &[Vec<f64>]) -> Row {
    let mut measures = Vec::new();
    for (at, in_flight) in IN_FLIGHT.into_iter().enumerate().rev() {
        for (contestant, rates) in Contestant::ALL.iter().zip(rates) {
            let (name, rates) = (contestant.name(), rates[at].clone());
            measures.push(if in_flight == 1 {
                let micros = rates.iter().map(|rate| 1e6 / rate).collect();
                Measure::new(format!("{name}, a push at a time"), "µs", micros)
            } else {
                Measure::new(format!("{name}, {in_flight} under way"), "1/s", rates)
            });
        }
    }
    for (contestant, cpu) in Contestant::ALL.iter().zip(cpu) {
        let what = format!("{}, CPU a push, {MOST} under way", contestant.name());
        measures.push(Measure::new(what, "µs", cpu.clone()));
    }
    for (contestant, failed) in Contestant::ALL.iter().zip(bursts).skip(1) {
        let what = format!("{}, failed of a first burst", contestant.name());
        measures.push(Measure::new(what, "of 1,000", failed.clone()));
    }
    // h2load and ours stand first in each part.
    let part = |number: usize| &measures[number * Contestant::ALL.len()..];
    let (many, single, burst) = (part(0), part(2), part(4));
    Row {
        name: "push-clients",
        title: "Push clients, to the same cloud",
        how: format!(
            "Each for {SECONDS} s with 200, 20 and one under way, over TLS to a cloud that takes everything; and 1,000 at once over a fresh \
             connection to `reveille lab`."
        ),
        verdicts: vec![
            Verdict::ratio(&many[1], &many[0], "≥ 0.8"),
            Verdict::ratio(&single[1], &single[0], "≤ 1.2"),
            Verdict::plain(&burst[0], "0"),
        ],
        measures,
        notes: vec![
            "The client has core 1, the cloud core 0: HTTP/2 of the crate `h2` over TLS in one thread, which reads each push and says 200. \
             A push is an alert of about 50 octets of JSON with an id, a topic and a signed token, to a device of its own. \
             Connecting and the first pushes are not counted; a row fails if one is refused. The time of a push at a time is what all took, over their number."
                .to_owned(),
            "`h2load` sends one request again and again and looks at its status alone: what HTTP/2 and the cloud allow. The others are push clients as \
             their registries have them. a2 knows Apple's address and the public roots alone: both are changed in a copy of its source; with \
             \"nodelay\" its connections have Nagle's algorithm off, which it leaves on. aioapns's address is set from outside, as `contrib/lab` does it."
                .to_owned(),
            "A push at a time and a rate are by the clock, with the cloud's part in them; CPU is the client's alone, its start included.".to_owned(),
            "`reveille lab` has Apple's rules: one stream until a first push is taken, then 1,000; streams beyond that are refused. Some \
             clients take that for a failure of the push. a2 writes its tokens in padded base64, which JWS does not have, and the lab takes none of them."
                .to_owned(),
        ],
    }
}

/// `reveille lab`, and what is needed to push to it.
struct Lab {
    order: Order,
    _server: Server,
    _folder: TempDir,
}

impl Lab {
    fn start(options: &Options) -> Result<Self> {
        let folder = TempDir::with_prefix("reveille-bench-lab-")?;
        let (control, apns) = (free_tcp()?, free_tcp()?);
        let mut command = Command::new(&options.binary);
        command.args(["lab", "--keys"]).arg(folder.path());
        for (name, at) in [
            ("LAB", control),
            ("APNS", apns),
            ("FCM", free_tcp()?),
            ("WEBPUSH", free_tcp()?),
        ] {
            command.env(format!("REVEILLE_LISTEN__{name}"), at.to_string());
        }
        let mut server = Server::start(&command, CLOUD, &folder.path().join("lab.log"))?;
        server.wait_until(START, || is_ok(control, "/about"))?;
        let mut client = Client::connect(control)?;
        let mut ask = |path: &str| -> Result<Vec<u8>> {
            let answer = client.ask("GET", path, "", "")?;
            ensure!(answer.status == 200, "{path}: {}", answer.status);
            Ok(answer.body)
        };
        let about: Value = serde_json::from_slice(&ask("/about")?)?;
        let mut order = Order::to(apns, folder.path());
        std::fs::write(&order.ca, ask("/ca.pem")?)?;
        std::fs::write(&order.key, ask("/credentials/apns.p8")?)?;
        let text = |name: &str| about["apns"][name].as_str().map(str::to_owned);
        order.team = text("team_id").context("a team")?;
        order.key_id = text("key_id").context("a key")?;
        Ok(Self {
            order,
            _server: server,
            _folder: folder,
        })
    }
}
