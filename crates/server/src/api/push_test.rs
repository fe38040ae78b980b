//! The admin API of a push that is only to be seen.

use super::{Admin, Api, admin::no_device, problem::Problem};
use crate::push_test::{Order, Tested, Tools, test};
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::post,
};
use domain::DeviceId;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/devices/{id}/push-test", post(push))
}

async fn push(
    State(api): State<Api>,
    _: Admin,
    Path(id): Path<String>,
    Json(order): Json<Order>,
) -> Result<Json<Tested>, Problem> {
    let id = DeviceId::from(id);
    let tools = Tools {
        store: api.store.as_ref(),
        pushing: &api.pushing,
        live: &api.live,
    };
    let tested = test(tools, &id, order).await?;
    tested.map(Json).ok_or_else(|| no_device(&id))
}
