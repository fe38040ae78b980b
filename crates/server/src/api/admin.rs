//! The admin API: accounts, devices and stories.

use super::{Admin, Api, problem::Problem};
use crate::{
    accounts::{self, UserChange},
    meant::{NAMED, Unclear, meant},
    shown::shown,
};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{delete, get, put},
};
use domain::{
    Address, Device, DeviceId, Timestamp, TraceEvent, TrackingId, change::HistoryEntry, trace::Step,
};
use hub::{DeviceView, Question};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::Store;

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

/// A line in the list of stories.
#[derive(Debug, Deserialize, Serialize)]
pub struct StoryView {
    /// Whose story it is.
    pub tracking: TrackingId,
    /// When it began.
    pub began: Timestamp,
    /// How it began.
    pub first: Step,
    /// The first step in words.
    pub summary: String,
    /// How far it came.
    pub last: Step,
}

impl From<store::Story> for StoryView {
    fn from(story: store::Story) -> Self {
        Self {
            tracking: story.tracking,
            began: story.began,
            first: story.first,
            summary: story.summary,
            last: story.last,
        }
    }
}

async fn users(State(api): State<Api>, _: Admin) -> Result<Json<Vec<UserView>>, Problem> {
    let users = api.store.users().await?;
    Ok(Json(users.into_iter().map(UserView::from).collect()))
}

async fn put_user(
    State(api): State<Api>,
    _: Admin,
    Path(address): Path<String>,
    Json(change): Json<UserChange>,
) -> Result<Json<Value>, Problem> {
    let address = accounts::given(&address).map_err(unprocessable)?;
    let known = api.store.user(&address).await?;
    let created = known.is_none();
    let read = known.as_ref().map_or(0, |known| known.secrets.mark);
    // Keys for SCRAM take milliseconds to make, which no shard is to wait for.
    let (whose, domains, ways) = (address.clone(), api.domains.clone(), api.ways);
    let made = tokio::task::spawn_blocking(move || {
        accounts::change(&whose, known, &change, (&domains, ways))
    });
    let user = made
        .await
        .map_err(|error| failed(&error))?
        .map_err(unprocessable)?;
    api.ask(Question::PutUser(Box::new(user), read)).await?;
    Ok(Json(json!({ "address": address, "created": created })))
}

fn failed(error: &tokio::task::JoinError) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn unprocessable(error: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
}

async fn remove_user(
    State(api): State<Api>,
    _: Admin,
    Path(address): Path<String>,
) -> Result<StatusCode, Problem> {
    let address = accounts::given(&address)
        .map_err(|error| Problem::new(StatusCode::NOT_FOUND, error.to_string()))?;
    let who = accounts::named(api.store.as_ref(), &address).await?;
    api.ask(Question::RemoveUser(address)).await?;
    // To the end, also if nobody waits for it any more.
    let store = api.store.clone();
    let forgets = tokio::spawn(async move {
        let forgotten = store.forget(&who).await;
        tracing::info!(user = %who.user, ?forgotten, "an account is removed");
        forgotten
    });
    forgets.await.map_err(|error| failed(&error))??;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Which {
    /// Only this user's.
    user: Option<Address>,
    /// Only those whose ids begin so.
    begins: Option<String>,
}

async fn devices(
    State(api): State<Api>,
    _: Admin,
    Query(Which { user, begins }): Query<Which>,
) -> Result<Json<Vec<DeviceView>>, Problem> {
    if let Some(user) = &user
        && api.store.user(user).await?.is_none()
    {
        let detail = format!("there is no user {user}: `reveille user list` shows all");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    let mut views = api.devices(Question::Devices(user)).await?;
    if let Some(begins) = begins {
        views.retain(|view| view.device.id.as_str().starts_with(&begins));
    }
    for view in &mut views {
        hide(&mut view.device);
    }
    views.sort_by(|a, b| (&a.device.user, &a.device.id).cmp(&(&b.device.user, &b.device.id)));
    Ok(Json(views))
}

/// Who has a token can push to its device, so nobody is shown more of one than tells it from others; of what pushes are
/// sealed with, that it is there.
fn hide(device: &mut Device) {
    let tokens = [&mut device.tokens.voip, &mut device.tokens.message];
    for token in tokens.into_iter().flatten() {
        token.value = shown(&token.value).into();
    }
    if let Some(key) = &mut device.key {
        key.auth = "…".into();
        key.p256dh = "…".into();
    }
}

async fn forget_device(
    State(api): State<Api>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = DeviceId::from(id);
    if api.store.device(&id).await?.is_none() {
        return Err(no_device(&id));
    }
    api.ask(Question::ForgetDevice(None, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn history(
    State(api): State<Api>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Json<Vec<HistoryEntry>>, Problem> {
    let id = DeviceId::from(id);
    if api.store.device(&id).await?.is_none() {
        return Err(no_device(&id));
    }
    Ok(Json(api.store.history(&id, LINES).await?))
}

pub(super) fn no_device(id: &DeviceId) -> Problem {
    let detail = format!("there is no device {id}: `reveille device list` shows all");
    Problem::new(StatusCode::NOT_FOUND, detail)
}

#[derive(Deserialize)]
struct Most {
    limit: Option<usize>,
}

async fn traces(
    State(api): State<Api>,
    _: Admin,
    Query(Most { limit }): Query<Most>,
) -> Result<Json<Vec<StoryView>>, Problem> {
    let stories = api
        .store
        .recent_traces(limit.unwrap_or(20).min(LINES))
        .await?;
    Ok(Json(stories.into_iter().map(StoryView::from).collect()))
}

async fn trace(
    State(api): State<Api>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Json<Vec<TraceEvent>>, Problem> {
    story(api.store.as_ref(), &id).await.map(Json)
}

/// The story that an id names, or its beginning if that is of one alone.
pub(crate) async fn story(store: &dyn Store, id: &str) -> Result<Vec<TraceEvent>, Problem> {
    let events = store.trace(id).await?;
    if !events.is_empty() {
        return Ok(events);
    }
    let names = store.story_names(id, NAMED + 1).await?;
    let (status, why) = match meant(id, names) {
        Ok(name) => return Ok(store.trace(&name).await?),
        Err(Unclear::None) => {
            let why = format!("no story of {id}: `reveille trace` lists the latest");
            (StatusCode::NOT_FOUND, why)
        }
        Err(several @ Unclear::Several(_)) => {
            (StatusCode::CONFLICT, format!("story {id}: {several}"))
        }
    };
    Err(Problem::new(status, why))
}
