//! Watches a scene while it is played, and tells its steps in the order in which they happened.

use super::{
    report::{Step, Told},
    scene::Scene,
};
use std::time::Duration;
use tokio::{sync::mpsc, time::MissedTickBehavior};

/// How often it looks. What several phones did meanwhile is put in order.
const LOOK: Duration = Duration::from_millis(25);

/// Drives `play` to its end.
pub(super) async fn narrate<T>(
    scene: &Scene,
    number: usize,
    play: impl Future<Output = T>,
    told: &mpsc::Sender<Told>,
) -> (T, Vec<Step>) {
    let mut steps = Vec::new();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(play);
    loop {
        let outcome = tokio::select! {
            outcome = &mut play => Some(outcome),
            _ = looks.tick() => None,
        };
        let until = outcome.is_none().then(crate::clock::now);
        for step in scene.news(until) {
            steps.push(step.clone());
            // Who listened may have gone.
            let _ = told.send(Told::Step { play: number, step }).await;
        }
        if let Some(outcome) = outcome {
            return (outcome, steps);
        }
    }
}
