//! The admin API of the keys by which tokens are signed: which there are, and another one.

use super::{Admin, Api, problem::Problem};
use crate::token_keys::{KeyView, LATEST, MOST, NotRotated, Rotation};
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/tokens/keys", get(list).post(rotate))
}

async fn list(State(api): State<Api>, _: Admin) -> Json<Vec<KeyView>> {
    Json(api.tokens.keys.views())
}

/// It is answered when the key is on the disk and counts.
async fn rotate(
    State(api): State<Api>,
    _: Admin,
    Json(rotation): Json<Rotation>,
) -> Result<Json<Vec<KeyView>>, Problem> {
    let keys = api.tokens.keys.clone();
    let rotated = tokio::task::spawn_blocking(move || keys.rotate(rotation)).await;
    let rotated = rotated.unwrap_or_else(|error| Err(NotRotated::NotKept(error.into())));
    rotated.map_err(|why| match why {
        NotRotated::TooLate => {
            let days = LATEST.as_secs() / 86_400;
            let detail =
                format!("a key waits for {days} days at most, and one that is to be alone signs at once");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        }
        NotRotated::TooMany => Problem::new(
            StatusCode::CONFLICT,
            format!("there are {MOST} keys: `reveille tokens list` says when the first of them ends; --drop-old ends all at once"),
        ),
        NotRotated::NotKept(error) => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("nothing has changed: {error:#}"),
        ),
    })?;
    if rotation.drop_old {
        tracing::warn!(
            "tokens are signed by a new key, and those of all others are good no more: clients sign in anew"
        );
    } else {
        let later = rotation.waits().unwrap_or_default().as_secs();
        tracing::info!(
            later,
            "tokens have another key, which signs after so many seconds"
        );
    }
    Ok(Json(api.tokens.keys.views()))
}
