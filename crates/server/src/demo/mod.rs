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
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

/// How the plays are played.
#[derive(Copy, Clone, Debug)]
pub struct Pace {
    /// Plays of the behaviour table at once. Those that wait for long timers all begin at once, beside them.
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
        for (number, played) in side_by_side {
            let (stage, seats, told) = (self.stage.clone(), seats.clone(), told.clone());
            playing.spawn(async move {
                let _seat = if played.play.waits_for_timers() {
                    None
                } else {
                    seats.acquire_owned().await.ok()
                };
                perform(stage, number, played, told).await
            });
        }
        let mut rows = Vec::new();
        while let Some(played) = playing.join_next().await {
            rows.extend(played);
        }
        for (number, played) in last {
            rows.push(perform(self.stage.clone(), number, played, told.clone()).await);
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
    number: usize,
    played: Played,
    told: mpsc::Sender<Told>,
) -> (usize, Row) {
    let play = played.play;
    let expected = play.expected(stage.timers());
    let edge = played.by_edge().then(|| stage.edge());
    let scene = Scene::new(stage, number, played.side);
    let (outcome, steps) = narrator::narrate(&scene, number, play.perform(&scene), &told).await;
    scene.end().await;
    let row = Row::new((played.title(), edge), expected, outcome, steps);
    // Who listened may have gone; the report has it too.
    let _ = told
        .send(Told::Row {
            play: number,
            row: row.clone(),
        })
        .await;
    (number, row)
}
