//! Two tenants of the push service, and what the one whose cloud is slow does to the other.

use super::{Options, progress, service::runtime};
use crate::{
    load::Tenant,
    publisher::Publisher,
    row::{Measure, Row, Verdict},
    sink::{Apns, Identity, Manner},
    stats::percentile,
};
use anyhow::{Context, Result, ensure};
use http::StatusCode;
use std::time::Duration;
use tempfile::TempDir;

/// The apps, and the names of their tenants.
const WELL: &str = "com.example.well";
const SLOW: &str = "com.example.slow";
/// How long the slow one's cloud takes.
const PAUSE: Duration = Duration::from_secs(10);
/// For so long each part of a round lasts.
const SECONDS: u32 = 10;

/// One round: the times of the one who is well, in milliseconds, without and with the other; how many of the other's were accepted.
struct Round {
    alone: Vec<f64>,
    beside: Vec<f64>,
    others: usize,
}

pub(super) fn run(options: &Options) -> Result<Row> {
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let round = play(options).with_context(|| format!("push-isolation, round {number}"))?;
        let told = format!(
            "p99 {:.2} ms alone, {:.2} ms beside; {} of the other's accepted",
            percentile(&round.alone, 99),
            percentile(&round.beside, 99),
            round.others
        );
        progress("push-isolation", number, options.rounds, &told);
        rounds.push(round);
    }
    let measure = |what: &str, percent, of: fn(&Round) -> &[f64]| {
        let values = rounds.iter().map(|round| percentile(of(round), percent));
        Measure::new(format!("{what}, p{percent}"), "ms", values.collect())
    };
    let measures = vec![
        measure("undisturbed", 50, |round| &round.alone),
        measure("beside the other", 50, |round| &round.beside),
        measure("undisturbed", 99, |round| &round.alone),
        measure("beside the other", 99, |round| &round.beside),
    ];
    let rate = options.rate;
    Ok(Row {
        name: "push-isolation",
        title: "A tenant of the push service beside one whose cloud is slow",
        how: format!(
            "{rate} notifications a second of each, each waited for, for {SECONDS} s without and {SECONDS} s with the other tenant, whose cloud \
             answers after {} s.",
            PAUSE.as_secs()
        ),
        verdicts: vec![Verdict::ratio(&measures[3], &measures[2], "≤ 1.5")],
        measures,
        notes: vec![
            "From a notification that leaves the tenant to its answer, over HTTP/2 and TLS. The service has core 1; both tenants and both clouds \
             share core 0, and their own waiting for it is in the times. All of the one's are accepted, none of the other's: its cloud answers after our \
             deadline of 5 s, its line fills, and in the end its app is left alone for a while."
                .to_owned(),
        ],
    })
}

fn play(options: &Options) -> Result<Round> {
    let folder = TempDir::with_prefix("reveille-bench-")?;
    let identity = Identity::put_into(folder.path())?;
    let well = Apns::start(&identity, Manner::AtOnce)?;
    let slow = Apns::start(&identity, Manner::After(PAUSE))?;
    let apps = [(WELL, well.address), (SLOW, slow.address)];
    let service = Publisher::start(&options.binary, folder, &apps)?;
    let (rest, rate) = (service.rest(), options.rate);
    let played = runtime()?.block_on(async {
        let one = Tenant::connect(rest.clone(), service.token(0), WELL).await?;
        let other = Tenant::connect(rest, service.token(1), SLOW).await?;
        // What is slow only the first time.
        one.push_at(0, rate, 1).await?;
        let alone = one.push_at(1_000_000, rate, SECONDS).await?;
        let others = tokio::spawn(async move { other.push_at(0, rate, SECONDS + 1).await });
        // Its line begins to fill.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let beside = one.push_at(2_000_000, rate, SECONDS).await?;
        anyhow::Ok((alone, beside, others.await??))
    });
    let (alone, beside, others) =
        played.with_context(|| format!("the service said: {}", service.words()))?;
    let is_good = |status: &StatusCode| *status == StatusCode::OK;
    let times = |answered: &[(Duration, StatusCode)]| -> Result<Vec<f64>> {
        let all = answered.iter().all(|(_, status)| is_good(status));
        ensure!(all, "not all were accepted");
        Ok(answered
            .iter()
            .map(|(took, _)| took.as_secs_f64() * 1e3)
            .collect())
    };
    Ok(Round {
        alone: times(&alone)?,
        beside: times(&beside)?,
        others: others.iter().filter(|(_, status)| is_good(status)).count(),
    })
}
