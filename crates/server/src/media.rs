//! Media relays: daemons of rtpengine, asked by its ng protocol to stand between parties of whom one is outside. A leg of a
//! call stays with its daemon as long as that answers; another takes over with the next offer.

mod bencode;
mod daemon;
mod legs;
mod ng;

use crate::{
    alarms::{Alarm, Notice, Severity},
    config::Config,
    metrics::Metrics,
};
use anyhow::{Context, Result};
use call::{Description, Relayed, Turn};
use daemon::Daemon;
use legs::Legs;
use ng::Refused;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::interval};

/// How often each daemon is asked whether it is there.
const LOOK: Duration = Duration::from_secs(2);

/// All daemons. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Media(Arc<Inner>);

struct Inner {
    daemons: Vec<Daemon>,
    interfaces: ng::Interfaces,
    /// How long one daemon has to answer.
    patience: Duration,
    legs: Mutex<Legs>,
    metrics: Arc<Metrics>,
}

impl Media {
    /// Those of the configuration, if media are relayed.
    ///
    /// # Errors
    /// No socket can be opened.
    pub(crate) async fn of(config: &Config, metrics: &Arc<Metrics>) -> Result<Option<Self>> {
        if !config.relays_media() {
            if !config.edge.edges.0.is_empty() {
                tracing::warn!(
                    remedy = "run rtpengine and set call.media (docs/operations/media.md)",
                    "calls with phones outside ring, and audio finds its way only by ICE and TURN: call.media is \"none\""
                );
            }
            return Ok(None);
        }
        let mut daemons = Vec::new();
        for at in &config.media.rtpengine.0 {
            let daemon = Daemon::at(*at).await;
            daemons.push(daemon.with_context(|| format!("a socket for rtpengine at {at}"))?);
        }
        Ok(Some(Self(Arc::new(Inner {
            daemons,
            interfaces: ng::Interfaces::of(&config.media),
            patience: config.media.answer_within.0,
            legs: Mutex::default(),
            metrics: metrics.clone(),
        }))))
    }

    /// Has a daemon write itself into a description. `Err`: why none does.
    pub(crate) async fn relay(&self, description: Description) -> Result<Relayed, String> {
        let Inner { daemons, .. } = &*self.0;
        let command = ng::describe(&description, &self.0.interfaces);
        let turn = self.turn(&description.leg);
        // An answer belongs where its offer is known.
        let most = match description.turn {
            Turn::Offer => turn.len(),
            Turn::Answer => 1,
        };
        let mut why = ("down", "no rtpengine answers".to_owned());
        for at in turn.into_iter().take(most) {
            let daemon = &daemons[at];
            let answer = match daemon.ask(&command, self.0.patience).await {
                Ok(answer) => ng::described(&answer),
                Err(error) => {
                    daemon.is_down(&error);
                    why = ("unanswered", format!("{}: {error}", daemon.address()));
                    continue;
                }
            };
            match answer {
                Ok(sdp) => {
                    self.legs(|legs| legs.put(&description.leg, at));
                    self.0.metrics.media_relayed();
                    let by = format!("rtpengine at {}", daemon.address()).into();
                    return Ok(Relayed { sdp, by });
                }
                Err(Refused(error)) => {
                    why = ("refused", format!("{}: {error}", daemon.address()));
                }
            }
        }
        let (reason, why) = why;
        self.0.metrics.media_missing(reason);
        tracing::warn!(
            leg = &*description.leg,
            why,
            "a call with somebody outside has no media relay"
        );
        Err(why)
    }

    /// No daemon need know a leg any more. One that does not hear of it forgets by itself when nothing is said.
    pub(crate) async fn forget(&self, leg: &str) {
        let known = self.legs(|legs| legs.take(leg));
        let all = 0..self.0.daemons.len();
        let command = ng::delete(leg);
        // Of a leg from before a restart it is not known where it is.
        for at in known.map_or(all, |at| at..at + 1) {
            let daemon = &self.0.daemons[at];
            if daemon.is_up()
                && let Err(error) = daemon.ask(&command, self.0.patience).await
            {
                daemon.is_down(&error);
            }
        }
    }

    /// The daemons that may be asked about a leg, each that is up, the one that has it first.
    fn turn(&self, leg: &str) -> Vec<usize> {
        let daemons = &self.0.daemons;
        let known = self.legs(|legs| legs.get(leg));
        let mut turn: Vec<_> = (0..daemons.len())
            .filter(|at| daemons[*at].is_up())
            .collect();
        turn.sort_by_key(|at| {
            let rank = legs::rank(leg, daemons[*at].address());
            (known != Some(*at), rank)
        });
        turn
    }

    fn legs<T>(&self, act: impl FnOnce(&mut Legs) -> T) -> T {
        act(&mut self.0.legs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the daemons again and again whether they are there.
    pub(crate) async fn watch(self, mut stopped: watch::Receiver<bool>) {
        let mut looks = interval(LOOK);
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                _ = looks.tick() => {}
            }
            for daemon in &self.0.daemons {
                match alive(daemon, self.0.patience).await {
                    Ok(()) => daemon.is_there(),
                    Err(why) => daemon.is_down(&why),
                }
            }
            self.tell();
        }
    }

    /// Says how the daemons are.
    fn tell(&self) {
        let daemons = &self.0.daemons;
        let severity = if daemons.iter().any(Daemon::is_up) {
            Severity::Warning
        } else {
            Severity::Critical
        };
        for daemon in daemons {
            let at = daemon.address().to_string();
            self.0.metrics.media_relay_is(&at, daemon.is_up());
            let notice = daemon.why_down().map(|why| Notice {
                severity,
                ..Notice::of(Alarm::MediaRelayDown, why)
            });
            let alarms = self.0.metrics.alarms();
            alarms.about(Alarm::MediaRelayDown, &at, notice.as_ref());
        }
    }
}

async fn alive(daemon: &Daemon, patience: Duration) -> Result<(), String> {
    let answer = daemon.ask(&ng::ping(), patience).await?;
    ng::pong(&answer).map_err(|Refused(why)| why)
}

/// Whether a daemon of rtpengine answers there; if not, why.
///
/// # Errors
/// It does not.
pub(crate) async fn answers(at: SocketAddr, patience: Duration) -> Result<(), String> {
    let daemon = Daemon::at(at).await.map_err(|error| error.to_string())?;
    alive(&daemon, patience).await
}

#[cfg(test)]
mod tests;
