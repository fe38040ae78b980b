//! The demo: the whole system on loopback with simulated clouds and phones, and a play for every row of the behaviour
//! table (`behaviour.md` 4) and for the rules around it (5, 6, 8), with Bob's phones inside and with them outside. A play does what people do, looks at what phones,
//! callers and clouds see, and knows nothing of how the server does it. How all this is shown is the command line's.
//!
//! ```text
//! Programme ──> Play ──> Scene (phones of this play) ──> Stage (server, edge, clouds; shared)
//!                          └── narrator ──> Told (steps, rows) ──> whoever shows it
//! ```

mod narrator;
mod outside;
mod phone;
mod plays;
mod programme;
mod relay;
mod report;
mod scene;
mod stage;
mod words;

pub use report::{Report, Row, Side, Step, Title, Told};

use crate::{clock::now, config::Config, dev::Dev};
use anyhow::Result;
use domain::Behaviour;
use lab::cloud::{Ca, DevCredentials};
use outside::Outside;
use programme::Played;
use scene::Scene;
use stage::Stage;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
};

/// How the plays are played.
#[derive(Copy, Clone, Debug)]
pub struct Pace {
    /// Plays of the behaviour table at once. Those that wait for long timers go on beside them, once their phones are there.
    pub at_once: usize,
    /// How long something may take that ought to happen at once; then the play has failed.
    pub patience: Duration,
}

/// A system that waits for its plays.
pub struct Demo {
    dev: Dev,
    outside: Outside,
    stage: Arc<Stage>,
    pace: Pace,
}

impl Demo {
    /// Starts server, edge and clouds, and this binary of ours as the push service between them, if one is named. `config` should say
    /// free ports (`dev::on_free_ports`); the server goes by `behaviour`, the plays expect what the behaviour table of the
    /// product says.
    pub async fn start(
        mut config: Config,
        behaviour: Behaviour,
        pace: Pace,
        beside: Option<PathBuf>,
    ) -> Result<Self> {
        let timers = stage::Timers::of(&config.call);
        let users = programme::users();
        let (ca, keys) = (Ca::new()?, DevCredentials::new());
        let outside = Outside::start(&mut config, &ca).await?;
        let dev = Dev::start_with(config, behaviour, ca, keys, users, beside).await?;
        outside.is_reached().await?;
        let stage = Stage::new(&dev, outside.doors()?, timers, pace.patience)?;
        Ok(Self {
            dev,
            outside,
            stage: Arc::new(stage),
            pace,
        })
    }

    /// What was started, for who wants to look around.
    pub fn dev(&self) -> &Dev {
        &self.dev
    }

    /// What every row is about and expects, in the order in which rows are numbered.
    pub fn titles(&self) -> Vec<(Title, String)> {
        let timers = self.stage.timers();
        let all = programme::all();
        all.map(|it| (it.title(), it.play.expected(timers)))
            .collect()
    }

    /// Where phones outside register.
    pub fn edge(&self) -> SocketAddr {
        self.stage.edge()
    }

    /// Plays everything and tells of it as it happens. Plays wait for a listener who is slow; one who has gone is not missed.
    pub async fn play(&self, told: mpsc::Sender<Told>) -> Report {
        let began = now();
        let seats = Arc::new(Semaphore::new(self.pace.at_once.max(1)));
        let mut playing = JoinSet::new();
        let all = programme::all().enumerate();
        let (last, side_by_side): (Vec<_>, Vec<_>) = all.partition(|(_, it)| it.play.is_last());
        // Those that wait for long begin first, and one after the other as well: the figures of the rest are not of a rush.
        let (waiting, others): (Vec<_>, Vec<_>) = side_by_side
            .into_iter()
            .partition(|(_, it)| it.play.waits_for_timers());
        for (number, played) in waiting.into_iter().chain(others) {
            let seat = seats.clone().acquire_owned().await.ok();
            let (stage, told) = (self.stage.clone(), told.clone());
            playing.spawn(perform(stage, (number, played), seat, told));
        }
        let mut rows = Vec::new();
        while let Some(played) = playing.join_next().await {
            rows.extend(played);
        }
        for (number, played) in last {
            let stage = self.stage.clone();
            rows.push(perform(stage, (number, played), None, told.clone()).await);
        }
        rows.sort_by_key(|(number, _)| *number);
        Report::new(
            rows.into_iter().map(|(_, row)| row).collect(),
            now().since(began),
        )
    }

    /// Stops everything.
    pub async fn shutdown(self) {
        self.dev.shutdown().await;
        self.outside.shutdown().await;
    }
}

async fn perform(
    stage: Arc<Stage>,
    (number, played): (usize, Played),
    mut seat: Option<OwnedSemaphorePermit>,
    told: mpsc::Sender<Told>,
) -> (usize, Row) {
    let play = played.play;
    let expected = play.expected(stage.timers());
    let scene = Scene::new(stage, number, played.side);
    if play.waits_for_timers() {
        scene.takes_seat(seat.take());
    }
    let (outcome, steps) = narrator::narrate(&scene, number, play.perform(&scene), &told).await;
    scene.end().await;
    drop(seat);
    let row = Row::new((played.title(), scene.edge()), expected, outcome, steps);
    // Who listened may have gone; the report has it too.
    let _ = told
        .send(Told::Row {
            play: number,
            row: row.clone(),
        })
        .await;
    (number, row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev;
    use report::Side;
    use std::collections::BTreeSet;

    /// Long enough for what happens on a busy machine, and not too long for those who wait in vain.
    const PATIENCE: Duration = Duration::from_secs(6);

    fn names<'a>(rows: impl Iterator<Item = &'a Row>) -> BTreeSet<String> {
        rows.map(|row| row.name.to_string()).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_phone_that_is_inside_when_it_should_be_outside_fails_its_row() {
        let mut config = dev::on_free_ports();
        let span = |text: &str| text.parse().unwrap();
        config.call.ringing_after = span("1s");
        config.call.wake_timeout = span("4s");
        config.call.message_collapse = span("2s");
        let timers = stage::Timers::of(&config.call);
        let pace = Pace {
            at_once: 8,
            patience: PATIENCE,
        };
        let mut demo = Demo::start(config, Behaviour::default(), pace, None)
            .await
            .unwrap();
        let mut inside = outside::Doors::of(demo.dev.server.bound(), Side::Inside).unwrap();
        inside.health = demo.outside.doors().unwrap().health;
        demo.stage = Arc::new(Stage::new(&demo.dev, inside, timers, PATIENCE).unwrap());
        let (told, _) = mpsc::channel(1);
        let report = demo.play(told).await;
        demo.shutdown().await;
        let is_there = |row: &&Row| {
            let moves = row.name.to_string().contains("moves");
            row.name.side == Some(Side::Outside) || moves
        };
        let failed = report.rows.iter().filter(|row| !row.ok);
        let outside = report.rows.iter().filter(is_there);
        assert_eq!(names(failed), names(outside), "{report:#?}");
        assert!(report.rows.iter().all(|row| row.edge.is_none()));
    }
}
