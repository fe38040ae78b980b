//! The admin API of the configuration: it is read again.

use super::{gate::Gate, problem::Problem};
use crate::reloaded::{InPart, Reloaded, Reloading};
use axum::{Json, Router, http::StatusCode, routing::post};

/// For every role.
pub(crate) fn reload(reloading: Reloading, gate: Gate) -> Router {
    let read = async move || -> Result<Json<Reloaded>, Problem> {
        let reloaded = reloading().await;
        reloaded.map(Json).map_err(|error| {
            let detail = if error.is::<InPart>() {
                format!("{error:#}")
            } else {
                format!("nothing has changed: {error:#}")
            };
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        })
    };
    gate.before(Router::new().route("/api/v1/reload", post(read)))
}
