//! The admin API of bans: sources that are kept out for a while.

use super::{Admin, Api, problem::Problem};
use crate::{bans::BanView, clock::now};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, put},
};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, time::Duration};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/bans", get(list))
        .route("/api/v1/bans/{address}", put(add).delete(lift))
}

/// How long to ban.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BanOrder {
    /// Seconds.
    pub seconds: u64,
}

async fn list(State(api): State<Api>, _: Admin) -> Json<Vec<BanView>> {
    let bans = api.guards.bans(now()).into_iter();
    Json(bans.map(BanView::from).collect())
}

async fn add(
    State(api): State<Api>,
    _: Admin,
    Path(address): Path<String>,
    Json(order): Json<BanOrder>,
) -> Result<StatusCode, Problem> {
    let until = now().plus(Duration::from_secs(order.seconds));
    api.guards.ban(parsed(&address)?, until);
    kept(api).await
}

async fn lift(
    State(api): State<Api>,
    _: Admin,
    Path(address): Path<String>,
) -> Result<StatusCode, Problem> {
    if api.guards.lift(parsed(&address)?) {
        kept(api).await
    } else {
        let detail = "it is not banned: see `reveille ban list`";
        Err(Problem::new(StatusCode::NOT_FOUND, detail))
    }
}

/// It is said to be so when it would outlive us.
async fn kept(api: Api) -> Result<StatusCode, Problem> {
    let kept = tokio::task::spawn_blocking(move || api.ban_file.keep(&api.guards)).await;
    match kept.map_err(anyhow::Error::from).flatten() {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => {
            let detail = format!("it is so until the server ends: {error:#}");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail))
        }
    }
}

/// As it is listed, too.
fn parsed(address: &str) -> Result<IpAddr, Problem> {
    let address = address.strip_suffix("/64").unwrap_or(address);
    let wrong = |_| {
        let detail = format!("{address:?} is no IP address");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, &detail)
    };
    address.parse().map_err(wrong)
}
