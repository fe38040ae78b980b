//! The admin API of alarms: what stands now.

use super::gate::Gate;
use crate::{alarms::Standing, metrics::Metrics};
use axum::{Json, Router, routing::get};
use std::sync::Arc;

/// For every role: something can be wrong with each.
pub(crate) fn alarms(metrics: Arc<Metrics>, gate: Gate) -> Router {
    let standing = async move || -> Json<Vec<Standing>> { Json(metrics.alarms().standing()) };
    gate.before(Router::new().route("/api/v1/alarms", get(standing)))
}
