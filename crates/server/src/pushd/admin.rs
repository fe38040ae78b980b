//! What operators do about tenants, over the admin API.

use super::tenants::{Credentials, TenantChange, TenantView, Tenants};
use crate::api::{Gate, Problem};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, put},
};
use serde_json::{Value, json};

pub(super) fn routes(tenants: Tenants, gate: Gate) -> Router {
    let behind = Router::new()
        .route("/api/v1/tenants", get(all))
        .route("/api/v1/tenants/{id}", put(change).delete(remove));
    gate.before(behind.with_state(tenants))
}

async fn all(State(tenants): State<Tenants>) -> Json<Vec<TenantView>> {
    Json(tenants.all())
}

async fn change(
    State(tenants): State<Tenants>,
    Path(name): Path<String>,
    Json(wanted): Json<TenantChange>,
) -> Result<Json<Value>, Problem> {
    let changed = tenants.change(&name, &wanted).await;
    let (tenant, credentials) = changed
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{error:#}")))?;
    let mut document = document(&tenant, credentials.as_ref());
    if wanted.webhook.is_some() {
        document["webhook_secret"] = tenants.webhook_secret(&name).into();
    }
    Ok(Json(document))
}

/// A tenant, and its credentials if it got some.
pub(crate) fn document(tenant: &TenantView, credentials: Option<&Credentials>) -> Value {
    json!({ "tenant": tenant, "credentials": credentials })
}

async fn remove(
    State(tenants): State<Tenants>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    match tenants.remove(&name).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is no tenant {name}"),
        )),
        Err(error) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{error:#}"),
        )),
    }
}
