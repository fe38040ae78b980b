//! How the tunnels are: for alarms, metrics and the admin API, at an edge and inside.

use crate::{
    alarms::{Alarm, Notice, Severity},
    api::Gate,
    metrics::Metrics,
    token_keys::LEEWAY,
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

/// What may stand of a tunnel that is down.
const ALARMS: [Alarm; 2] = [Alarm::EdgeUnreachable, Alarm::TunnelDown];

/// Clocks that differ by so much are an alarm. Those that are kept right are milliseconds apart, so one of the two is not; and the
/// operator hears of it long before the five minutes are used up that are borne of tokens ([`LEEWAY`]).
const APART: Duration = Duration::from_secs(5);

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
    /// By so many milliseconds its clock is ahead of ours; less than 0: behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) clock_ahead_ms: Option<i64>,
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
            clock_ahead_ms: None,
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
                skew,
            } => Self {
                up: true,
                seconds: since.elapsed().as_secs(),
                at: Some(at.to_string()),
                round_trip_ms: Some(round_trip.as_secs_f64() * 1_000.0),
                lost: Some(*lost),
                clients: *clients,
                clock_ahead_ms: skew.map(|it| it.ahead),
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
            for alarm in ALARMS.into_iter().chain([Alarm::ClocksDiffer]) {
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
            let differ = match clocks(&link.state) {
                Clocks::Unsure => continue,
                Clocks::Agree => None,
                Clocks::Differ(notice) => Some(notice),
            };
            let alarms = metrics.alarms();
            alarms.about(Alarm::ClocksDiffer, &link.at, differ.as_ref());
        }
    }
}

/// What there is to say of the clocks at both ends.
#[derive(Debug, PartialEq)]
enum Clocks {
    /// They have not been compared yet, or with so much time between question and answer that it could be either: what was said of them stands.
    Unsure,
    /// Or nobody is there any more to differ from.
    Agree,
    Differ(Notice),
}

fn clocks(state: &State) -> Clocks {
    let skew = match state {
        State::Up { skew, .. } => skew,
        // It may be there again in a moment, with the same clock.
        State::Down { since, .. } if since.elapsed() < DOWN => return Clocks::Unsure,
        State::Down { .. } => return Clocks::Agree,
    };
    let Some(skew) = skew else {
        return Clocks::Unsure;
    };
    let [least, most] = skew.apart();
    if most < APART {
        return Clocks::Agree;
    }
    if least < APART {
        return Clocks::Unsure;
    }
    let severity = if least < LEEWAY {
        Alarm::ClocksDiffer.severity()
    } else {
        Severity::Critical
    };
    let seconds = (skew.ahead.unsigned_abs() + 500) / 1_000;
    let way = if skew.ahead < 0 { "behind" } else { "ahead of" };
    let detail = format!("its clock is {seconds} s {way} ours: one of the two is wrong");
    Clocks::Differ(Notice {
        severity,
        ..Notice::of(Alarm::ClocksDiffer, detail)
    })
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
    use tunnel::Skew;

    #[test]
    fn clocks_differ_when_it_is_sure_and_agree_when_that_is() {
        let found = |skew: Option<(i64, u64)>| {
            let skew = skew.map(|(ahead, give_or_take)| Skew {
                ahead,
                give_or_take: Duration::from_millis(give_or_take),
            });
            clocks(&State::Up {
                since: Instant::now(),
                at: ([192, 0, 2, 10], 4433).into(),
                round_trip: Duration::ZERO,
                lost: 0.0,
                clients: 0,
                skew,
            })
        };
        let said = |skew| match found(Some(skew)) {
            Clocks::Differ(notice) => Some((notice.severity, notice.detail)),
            _ => None,
        };
        assert_eq!(found(None), Clocks::Unsure);
        for skew in [(0, 1), (4_990, 1), (-4_990, 1), (1_000, 3_000)] {
            assert_eq!(found(Some(skew)), Clocks::Agree, "{skew:?}");
        }
        for skew in [(4_999, 1), (5_200, 300), (-5_200, 300), (0, 5_000)] {
            assert_eq!(found(Some(skew)), Clocks::Unsure, "{skew:?}");
        }
        let detail = "its clock is 37 s behind ours: one of the two is wrong";
        let warned = Some((Severity::Warning, detail.to_owned()));
        for ahead in [-36_999, -37_000, -37_200] {
            assert_eq!(said((ahead, 300)), warned);
        }
        let leeway = i64::try_from(LEEWAY.as_millis()).unwrap();
        let detail = "its clock is 300 s ahead of ours: one of the two is wrong";
        let refused = Some((Severity::Critical, detail.to_owned()));
        assert_eq!(said((leeway, 0)), refused);
        let down = |ago| State::Down {
            since: Instant::now().checked_sub(ago).unwrap(),
            why: "timed out".into(),
            reached: true,
        };
        assert_eq!(clocks(&down(Duration::ZERO)), Clocks::Unsure);
        assert_eq!(clocks(&down(DOWN)), Clocks::Agree);
    }

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
