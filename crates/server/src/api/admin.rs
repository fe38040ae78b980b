//! The admin API: accounts, devices and stories.

use super::{Admin, Api, problem::Problem};
use crate::{
    accounts::{self, UserChange},
    alarms::Standing,
};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{delete, get, put},
};
use domain::{Address, TraceEvent, change::HistoryEntry};
use hub::{DeviceView, Question};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Most lines of a list.
const LINES: usize = 1000;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/users", get(users))
        .route("/api/v1/users/{address}", put(put_user).delete(remove_user))
        .route("/api/v1/devices", get(devices))
        .route("/api/v1/devices/{id}", delete(forget_device))
        .route("/api/v1/devices/{id}/history", get(history))
        .route("/api/v1/traces", get(traces))
        .route("/api/v1/traces/{id}", get(trace))
        .route("/api/v1/alarms", get(alarms))
}

/// An account as an operator sees it.
#[derive(Debug, Deserialize, Serialize)]
pub struct UserView {
    /// `name@domain`.
    pub address: Address,
    /// Their name.
    pub display_name: String,
    /// Where unanswered calls go.
    pub forward: Option<String>,
}

impl From<domain::User> for UserView {
    fn from(user: domain::User) -> Self {
        Self {
            address: user.address,
            display_name: user.display_name,
            forward: user.forward,
        }
    }
}

async fn users(State(api): State<Api>, _: Admin) -> Result<Json<Vec<UserView>>, Problem> {
    let users = api.store.users().await?;
    Ok(Json(users.into_iter().map(UserView::from).collect()))
}

async fn alarms(State(api): State<Api>, _: Admin) -> Json<Vec<Standing>> {
    Json(api.metrics.alarms().standing())
}

async fn put_user(
    State(api): State<Api>,
    _: Admin,
    Path(address): Path<String>,
    Json(change): Json<UserChange>,
) -> Result<Json<Value>, Problem> {
    let address: Address = address.parse().map_err(unprocessable)?;
    let known = api.store.user(&address).await?;
    let created = known.is_none();
    // Keys for SCRAM take milliseconds to make, which no shard is to wait for.
    let (whose, domains, ways) = (address.clone(), api.domains.clone(), api.ways);
    let made = tokio::task::spawn_blocking(move || {
        accounts::change(&whose, known, &change, (&domains, ways))
    });
    let failed = |error: tokio::task::JoinError| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    };
    let user = made.await.map_err(failed)?.map_err(unprocessable)?;
    api.ask(Question::PutUser(Box::new(user))).await?;
    Ok(Json(json!({ "address": address, "created": created })))
}

fn unprocessable(error: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
}

async fn remove_user(
    State(api): State<Api>,
    _: Admin,
    Path(address): Path<String>,
) -> Result<StatusCode, Problem> {
    let address = address.parse().map_err(|error: domain::user::BadAddress| {
        Problem::new(StatusCode::NOT_FOUND, error.to_string())
    })?;
    api.ask(Question::RemoveUser(address)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct OfUser {
    user: Option<Address>,
}

async fn devices(
    State(api): State<Api>,
    _: Admin,
    Query(OfUser { user }): Query<OfUser>,
) -> Result<Json<Vec<DeviceView>>, Problem> {
    let mut views = api.devices(Question::Devices(user)).await?;
    views.sort_by(|a, b| (&a.device.user, &a.device.id).cmp(&(&b.device.user, &b.device.id)));
    Ok(Json(views))
}

async fn forget_device(
    State(api): State<Api>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.ask(Question::ForgetDevice(None, id.into())).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn history(
    State(api): State<Api>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Json<Vec<HistoryEntry>>, Problem> {
    Ok(Json(api.store.history(&id.into(), LINES).await?))
}

#[derive(Deserialize)]
struct Most {
    limit: Option<usize>,
}

async fn traces(
    State(api): State<Api>,
    _: Admin,
    Query(Most { limit }): Query<Most>,
) -> Result<Json<Vec<Value>>, Problem> {
    let stories = api
        .store
        .recent_traces(limit.unwrap_or(20).min(LINES))
        .await?;
    let line = |story: store::Story| {
        json!({
            "tracking": story.tracking,
            "began": story.began,
            "first": story.first,
            "summary": story.summary,
            "last": story.last,
        })
    };
    Ok(Json(stories.into_iter().map(line).collect()))
}

async fn trace(
    State(api): State<Api>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Json<Vec<TraceEvent>>, Problem> {
    let events = api.store.trace(&id).await?;
    if events.is_empty() {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("no story of {id}: `reveille trace` lists the latest"),
        ));
    }
    Ok(Json(events))
}
