//! What operators do about apps whose credentials are kept, over the admin API of a running server: what is put in or taken
//! away is so from then on.

use crate::{
    accounts,
    api::{Gate, Problem},
    kept_apps::{All, AppChange, AppView, changed},
    reload::Reload,
};
use anyhow::{Context, Result};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, put},
};
use domain::Change;
use std::sync::Arc;
use store::Store;
use tokio::sync::Mutex;

/// See the module.
#[derive(Clone)]
struct KeepingApps {
    store: Arc<dyn Store>,
    reload: Arc<Reload>,
    /// One change after another.
    changing: Arc<Mutex<()>>,
}

impl KeepingApps {
    /// All apps that are pushed to, by name.
    async fn all(&self) -> Result<Vec<AppView>> {
        let (base, push) = self.reload.base().await;
        let all = All::of(&base, &push, self.store.as_ref()).await?;
        Ok(all.views())
    }

    /// Puts one in, or changes it: saved, then so.
    async fn put(&self, name: &str, change: &AppChange) -> Result<()> {
        let _changing = self.changing.lock().await;
        let (base, push) = self.reload.base().await;
        let rows = self.store.push_apps().await?;
        let row = changed(&base, &rows, (name, change), &push)?;
        self.save(Change::PutPushApp(Box::new(row))).await?;
        if let Err(error) = self.reload.take_apps().await {
            // As it was before, and so is the store.
            let before = rows.into_iter().find(|row| row.app.as_str() == name);
            let back = match before {
                Some(row) => Change::PutPushApp(Box::new(row)),
                None => Change::RemovePushApp(name.into()),
            };
            self.save(back).await?;
            return Err(error);
        }
        tracing::info!(app = name, "credentials of an app are in the store");
        Ok(())
    }

    /// Takes one away; says whether there was one.
    async fn remove(&self, name: &str) -> Result<bool> {
        let _changing = self.changing.lock().await;
        let rows = self.store.push_apps().await?;
        if !rows.iter().any(|row| row.app.as_str() == name) {
            return Ok(false);
        }
        self.save(Change::RemovePushApp(name.into())).await?;
        self.reload.take_apps().await?;
        tracing::info!(app = name, "credentials of an app are removed");
        Ok(true)
    }

    async fn save(&self, change: Change) -> Result<()> {
        let saved = accounts::write(self.store.as_ref(), change).await;
        saved.context("the app could not be saved")
    }
}

/// What is served.
pub(crate) fn routes(store: &Arc<dyn Store>, reload: &Arc<Reload>, gate: Gate) -> Router {
    let apps = KeepingApps {
        store: store.clone(),
        reload: reload.clone(),
        changing: Arc::default(),
    };
    let behind = Router::new()
        .route("/api/v1/push/apps", get(all))
        .route("/api/v1/push/apps/{app}", put(change).delete(remove));
    gate.before(behind.with_state(apps))
}

fn unprocessable(error: &anyhow::Error) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{error:#}"))
}

async fn all(State(apps): State<KeepingApps>) -> Result<Json<Vec<AppView>>, Problem> {
    let all = apps.all().await;
    all.map(Json).map_err(|error| unprocessable(&error))
}

async fn change(
    State(apps): State<KeepingApps>,
    Path(name): Path<String>,
    Json(wanted): Json<AppChange>,
) -> Result<StatusCode, Problem> {
    let put = apps.put(&name, &wanted).await;
    put.map_err(|error| unprocessable(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(
    State(apps): State<KeepingApps>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    match apps.remove(&name).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is no app {name} in the store: `reveille push app list` names all"),
        )),
        Err(error) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{error:#}"),
        )),
    }
}
