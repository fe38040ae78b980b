//! `/healthz`, `/readyz` and `/metrics`.

use crate::{alarms::Standing, metrics::Metrics};
use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether the server takes work: set once everything listens, cleared when it stops.
#[derive(Clone, Debug, Default)]
pub struct Ready(Arc<AtomicBool>);

impl Ready {
    /// Says so from now on.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What watches over us asks here.
pub fn router(metrics: Arc<Metrics>, ready: Ready) -> Router {
    let watched = metrics.clone();
    let readyz = async move || {
        if ready.get() {
            (StatusCode::OK, with_alarms(&watched))
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned())
        }
    };
    let render = async move || {
        (
            [(
                CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            metrics.render(),
        )
    };
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render))
}

/// A server with alarms still takes work, as far as it goes: a balancer that sent nothing more would make less of it nothing. Whoever
/// looks here at night is told that there is more to see.
fn with_alarms(metrics: &Metrics) -> String {
    let line = |alarm: Standing| {
        let Standing {
            name,
            detail,
            remedy,
            ..
        } = alarm;
        format!("alarm {name}: {detail}; {remedy}\n")
    };
    let alarms = metrics.alarms().standing();
    "ready\n".to_owned() + &alarms.into_iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarms::Alarm;

    #[test]
    fn alarms_that_stand_are_named_beside_ready() {
        let metrics = Metrics::default();
        assert_eq!(with_alarms(&metrics), "ready\n");
        metrics.alarms().set(Alarm::StrangersFlood, true, "shed 12");
        let text = with_alarms(&metrics);
        assert!(
            text.starts_with("ready\nalarm strangers_flood: shed 12; "),
            "{text}"
        );
    }
}
