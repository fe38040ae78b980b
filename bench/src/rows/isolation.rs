//! Tenants of the push service, and what one whose cloud is slow does to another; beside it, what one does whose cloud is well.

use super::{Options, progress, service::runtime};
use crate::{
    load::{Answered, Tenant},
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
const BUSY: &str = "com.example.busy";
const SLOW: &str = "com.example.slow";
/// How long the slow one's cloud takes.
const PAUSE: Duration = Duration::from_secs(10);
/// For so long each part of a round lasts.
const SECONDS: u32 = 20;

/// One round: the times of the one who is well, in milliseconds, alone, beside one who is as well, and beside the one who is not; how many of
/// the latter's were accepted.
struct Round {
    alone: Vec<f64>,
    beside_busy: Vec<f64>,
    beside: Vec<f64>,
    others: usize,
}

pub(super) fn run(options: &Options) -> Result<Row> {
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let round = play(options).with_context(|| format!("push-isolation, round {number}"))?;
        let told = format!(
            "p99 {:.2} ms alone, {:.2} ms beside one who is well, {:.2} ms beside the slow one, of whom {} are accepted",
            percentile(&round.alone, 99),
            percentile(&round.beside_busy, 99),
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
        measure("beside one who is well", 50, |round| &round.beside_busy),
        measure("beside the slow one", 50, |round| &round.beside),
        measure("undisturbed", 99, |round| &round.alone),
        measure("beside one who is well", 99, |round| &round.beside_busy),
        measure("beside the slow one", 99, |round| &round.beside),
    ];
    let rate = options.rate;
    Ok(Row {
        name: "push-isolation",
        title: "A tenant of the push service beside one whose cloud is slow",
        how: format!(
            "{rate} notifications a second of each, each waited for, for {SECONDS} s alone, {SECONDS} s beside a tenant whose cloud answers at \
             once, and {SECONDS} s beside one whose cloud answers after {} s.",
            PAUSE.as_secs()
        ),
        verdicts: vec![Verdict::ratio(&measures[5], &measures[3], "≤ 1.5")],
        measures,
        notes: vec![
            "From a notification that leaves the tenant to its answer, over HTTP/2 and TLS. The service has core 1; all tenants and \
             clouds share core 0, and their own waiting for it is in the times. All are accepted but the slow one's, of which none is: its cloud answers after our \
             deadline of 5 s, its line fills, and in the end its app is left alone for a while."
                .to_owned(),
        ],
    })
}

/// What became of what the one pushes, its numbers from `first` on, while another pushes as much; and of what that one did.
async fn beside(
    one: &Tenant,
    first: u32,
    other: Tenant,
    rate: u32,
) -> Result<(Vec<Answered>, Vec<Answered>)> {
    let others = tokio::spawn(async move { other.push_at(0, rate, SECONDS + 1).await });
    // If its cloud is slow, its line begins to fill.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let of_one = one.push_at(first, rate, SECONDS).await?;
    Ok((of_one, others.await??))
}

fn play(options: &Options) -> Result<Round> {
    let folder = TempDir::with_prefix("reveille-bench-")?;
    let identity = Identity::put_into(folder.path())?;
    let well = Apns::start(&identity, Manner::AtOnce)?;
    let busy = Apns::start(&identity, Manner::AtOnce)?;
    let slow = Apns::start(&identity, Manner::After(PAUSE))?;
    let apps = [
        (WELL, well.address),
        (BUSY, busy.address),
        (SLOW, slow.address),
    ];
    let service = Publisher::start(&options.binary, folder, &apps)?;
    let (rest, rate) = (service.rest(), options.rate);
    let played = runtime()?.block_on(async {
        let one = Tenant::connect(rest.clone(), service.token(0), WELL).await?;
        let busy = Tenant::connect(rest.clone(), service.token(1), BUSY).await?;
        let slow = Tenant::connect(rest, service.token(2), SLOW).await?;
        // What is slow only the first time.
        one.push_at(0, rate, 1).await?;
        let alone = one.push_at(1_000_000, rate, SECONDS).await?;
        let (beside_busy, _) = beside(&one, 2_000_000, busy, rate).await?;
        let (beside_slow, others) = beside(&one, 3_000_000, slow, rate).await?;
        anyhow::Ok((alone, beside_busy, beside_slow, others))
    });
    let (alone, beside_busy, beside, others) =
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
        beside_busy: times(&beside_busy)?,
        beside: times(&beside)?,
        others: others.iter().filter(|(_, status)| is_good(status)).count(),
    })
}
