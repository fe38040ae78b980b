//! How the tunnels are: for alarms, metrics and the admin API, at an edge and inside.

use crate::{
    alarms::{Alarm, Notice, Severity},
    api::Gate,
    metrics::Metrics,
    upkeep::until,
};
use axum::{Json, Router, routing::get};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch::Receiver, time::interval};
use tunnel::{Link, State};

/// How often they are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A tunnel that is down for so long is an alarm: one that is dialled again at once, as after a restart, is none.
const DOWN: Duration = Duration::from_secs(5);

/// What may stand of a tunnel.
const ALARMS: [Alarm; 2] = [Alarm::EdgeUnreachable, Alarm::TunnelDown];

/// Says how all tunnels are.
pub(crate) type Links = Arc<dyn Fn() -> Vec<Link> + Send + Sync>;

/// A tunnel, as the admin API shows it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct View {
    /// What the other side calls itself.
    pub(crate) name: String,
    /// Its key.
    pub(crate) key: String,
    /// Whether it is there.
    pub(crate) up: bool,
    /// For so many seconds.
    pub(crate) seconds: u64,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<String>,
    /// How long a packet takes there and back, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) round_trip_ms: Option<f64>,
    /// Of the packets that were sent from here, the part that was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lost: Option<f64>,
    /// Clients over it.
    pub(crate) clients: usize,
    /// Why it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

impl View {
    fn of(link: &Link) -> Self {
        let view = Self {
            name: link.name.to_string(),
            key: link.who.to_string(),
            up: false,
            seconds: 0,
            at: None,
            round_trip_ms: None,
            lost: None,
            clients: 0,
            why: None,
        };
        match &link.state {
            State::Up {
                since,
                at,
                round_trip,
                lost,
                clients,
            } => Self {
                up: true,
                seconds: since.elapsed().as_secs(),
                at: Some(at.to_string()),
                round_trip_ms: Some(round_trip.as_secs_f64() * 1_000.0),
                lost: Some(*lost),
                clients: *clients,
                ..view
            },
            State::Down { since, why, .. } => Self {
                seconds: since.elapsed().as_secs(),
                why: Some(why.to_string()),
                ..view
            },
        }
    }
}

/// All that there are, those that are down first.
fn views(links: &Links) -> Vec<View> {
    let mut views: Vec<_> = links().iter().map(View::of).collect();
    views.sort_by_key(|view| view.up);
    views
}

/// `GET /api/v1/tunnels`.
pub(crate) fn router(all: Links, gate: Gate) -> Router {
    let show = move || {
        let all = all.clone();
        async move { Json(views(&all)) }
    };
    gate.before(Router::new().route("/api/v1/tunnels", get(show)))
}

/// Keeps metrics and the alarms as the tunnels are, until we stop.
pub(crate) async fn watch(all: Links, metrics: Arc<Metrics>, stopped: Receiver<bool>) {
    let mut looks = interval(LOOK);
    let mut before: Vec<Box<str>> = Vec::new();
    loop {
        tokio::select! {
            () = until(stopped.clone()) => return,
            _ = looks.tick() => {}
        }
        let links = all();
        for at in before
            .iter()
            .filter(|at| !links.iter().any(|link| link.at == **at))
        {
            metrics.tunnel_is_gone(at);
            for alarm in ALARMS {
                metrics.alarms().about(alarm, at, None);
            }
        }
        before = links.iter().map(|link| link.at.clone()).collect();
        let is_up = |link: &Link| matches!(link.state, State::Up { .. });
        let severity = if links.iter().any(is_up) {
            // Clients go by another.
            Severity::Warning
        } else {
            Severity::Critical
        };
        for link in &links {
            metrics.tunnel_is(link);
            let stands = stands(&link.state, severity);
            for alarm in ALARMS {
                let notice = stands.as_ref().filter(|(it, _)| *it == alarm);
                let notice = notice.map(|(_, notice)| notice);
                metrics.alarms().about(alarm, &link.at, notice);
            }
        }
    }
}

/// What there is to say of a tunnel that is down, if anything.
fn stands(state: &State, severity: Severity) -> Option<(Alarm, Notice)> {
    let State::Down {
        since,
        why,
        reached,
    } = state
    else {
        return None;
    };
    if since.elapsed() < DOWN {
        return None;
    }
    let alarm = if *reached {
        Alarm::TunnelDown
    } else {
        Alarm::EdgeUnreachable
    };
    let notice = Notice {
        severity,
        ..Notice::of(alarm, &**why)
    };
    Some((alarm, notice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn an_edge_that_does_not_answer_is_another_alarm_than_a_tunnel_that_is_not_taken() {
        let since = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds));
        let down = |seconds, reached| State::Down {
            since: since(seconds).unwrap(),
            why: "timed out".into(),
            reached,
        };
        let alarm = |state| stands(&state, Severity::Warning).map(|(alarm, _)| alarm);
        assert_eq!(alarm(down(1, false)), None);
        assert_eq!(alarm(down(6, false)), Some(Alarm::EdgeUnreachable));
        assert_eq!(alarm(down(6, true)), Some(Alarm::TunnelDown));
        let (_, notice) = stands(&down(6, false), Severity::Critical).unwrap();
        assert_eq!(notice.severity, Severity::Critical);
        assert_eq!(notice.detail, "timed out");
    }
}
