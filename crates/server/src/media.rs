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
use bencode::Value;
use call::{Description, Over, Relayed, Turn};
use daemon::{Daemon, Failed};
use legs::Legs;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, task::JoinSet, time::interval};

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
                    "calls with phones outside ring, and audio finds its way only by ICE and TURN: call.media is none"
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
        let relayed = self.ask_for(&description).await;
        if let Err((reason, why)) = &relayed {
            self.0.metrics.media_missing(reason);
            tracing::warn!(
                leg = &*description.leg,
                why,
                "a call with somebody outside has no media relay"
            );
        }
        relayed.map_err(|(_, why)| why)
    }

    /// `Err`: the reason as it is counted, and in words.
    async fn ask_for(&self, description: &Description) -> Result<Relayed, (&'static str, String)> {
        let Inner { daemons, .. } = &*self.0;
        if let Some(why) = ng::is_too_much(&description.sdp) {
            return Err(("refused", why.to_owned()));
        }
        let command = ng::describe(description, &self.0.interfaces);
        let mut why = ("down", "no rtpengine answers".to_owned());
        for at in self.turn(&description.leg, description.turn) {
            let daemon = &daemons[at];
            let answer = self.ask(daemon, &command, description.turn).await;
            match answer.and_then(|answer| Ok(ng::described(&answer)?)) {
                Ok(sdp) => {
                    self.legs(|legs| legs.put(&description.leg, at));
                    self.0.metrics.media_relayed();
                    let by = format!("rtpengine at {}", daemon.address()).into();
                    return Ok(Relayed { sdp, by });
                }
                Err(error) => {
                    why = (error.reason(), format!("{}: {error}", daemon.address()));
                }
            }
        }
        Err(why)
    }

    /// Asks one daemon, and says so if that shows that it is not as it was.
    async fn ask(&self, daemon: &Daemon, command: &Value, turn: Turn) -> Result<Value, Failed> {
        let before = daemon.trouble();
        let answer = match turn {
            Turn::Offer => daemon.offer(command, self.0.patience).await,
            Turn::Answer => daemon.ask(command, self.0.patience).await,
        };
        self.tell_if_other(daemon, before.as_ref());
        answer
    }

    /// Says how the daemons are if this one is not as it was.
    fn tell_if_other(&self, daemon: &Daemon, before: Option<&String>) {
        if daemon.trouble().as_ref() != before {
            self.tell();
        }
    }

    /// No daemon need know this any more. One that does not hear of it forgets by itself when nothing is said.
    pub(crate) async fn forget(&self, over: &Over) {
        let known = self.legs(|legs| legs.take(&over.leg));
        let all = 0..self.0.daemons.len();
        let command = ng::delete(over);
        // Of a leg from before a restart it is not known where it is.
        for at in known.map_or(all, |at| at..at + 1) {
            let daemon = &self.0.daemons[at];
            let before = daemon.trouble();
            // What becomes of it changes nothing here.
            daemon.forget(&command, self.0.patience).await;
            self.tell_if_other(daemon, before.as_ref());
        }
    }

    /// The daemons to ask about a leg, the one that has it first. For an offer each that is up; but an answer belongs where
    /// its offer is known, and nowhere else, whatever is thought of that daemon.
    fn turn(&self, leg: &str, turn: Turn) -> Vec<usize> {
        let daemons = &self.0.daemons;
        let known = self.legs(|legs| legs.get(leg));
        let mut all: Vec<_> = (0..daemons.len()).collect();
        all.sort_by_key(|at| {
            let rank = legs::rank(leg, daemons[*at].address());
            (known != Some(*at), rank)
        });
        match turn {
            Turn::Offer => all.retain(|at| daemons[*at].is_up()),
            Turn::Answer => all.truncate(1),
        }
        all
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
            let mut asked = JoinSet::new();
            for at in 0..self.0.daemons.len() {
                let this = self.clone();
                asked.spawn(async move { this.look(at).await });
            }
            asked.join_all().await;
            self.tell();
        }
    }

    /// Asks one daemon whether it is there.
    async fn look(&self, at: usize) {
        let daemon = &self.0.daemons[at];
        match alive(daemon, self.0.patience).await {
            Ok(()) => daemon.is_there(),
            Err(Failed::Local(_)) => {}
            Err(why) => daemon.is_down(&why.to_string()),
        }
    }

    /// Says how the daemons are.
    fn tell(&self) {
        let daemons = &self.0.daemons;
        let severity = if daemons.iter().any(|it| it.trouble().is_none()) {
            Severity::Warning
        } else {
            Severity::Critical
        };
        for daemon in daemons {
            let at = daemon.address().to_string();
            self.0.metrics.media_relay_is(&at, daemon.is_up());
            let notice = daemon.trouble().map(|why| Notice {
                severity,
                ..Notice::of(Alarm::MediaRelayDown, why)
            });
            let alarms = self.0.metrics.alarms();
            alarms.about(Alarm::MediaRelayDown, &at, notice.as_ref());
        }
    }
}

async fn alive(daemon: &Daemon, patience: Duration) -> Result<(), Failed> {
    let answer = daemon.ask(&ng::ping(), patience).await?;
    Ok(ng::pong(&answer)?)
}

/// Whether a daemon of rtpengine answers there; if not, why.
///
/// # Errors
/// It does not.
pub(crate) async fn answers(at: SocketAddr, patience: Duration) -> Result<(), String> {
    let daemon = Daemon::at(at).await.map_err(|error| error.to_string())?;
    let alive = alive(&daemon, patience).await;
    alive.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
