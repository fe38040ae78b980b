//! The page by which somebody signs in for an app, and gets it a code (RFC 6749 §4.1).

use super::{Api, device::by_password, not_found, problem::Problem};
use crate::{
    authorize::{AUTHORIZE, SigningIn, shown, submitted},
    clock::now,
};
use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use std::net::{IpAddr, SocketAddr};

pub(super) fn routes() -> Router<Api> {
    Router::new().route(AUTHORIZE, get(show).post(sign_in))
}

async fn show(State(api): State<Api>, uri: Uri) -> Response {
    match &api.clients {
        Some(clients) => shown(clients, &uri),
        None => not_found().await.into_response(),
    }
}

async fn sign_in(
    State(api): State<Api>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(clients) = &api.clients else {
        return not_found().await.into_response();
    };
    let signing_in = match submitted(clients, &headers, &body) {
        Ok(signing_in) => signing_in,
        Err(response) => return *response,
    };
    match code(&api, from.ip(), &signing_in).await {
        Ok(code) => signing_in.granted(&code),
        Err(problem) => signing_in.again(problem.status()),
    }
}

/// A grant begins with it.
async fn code(api: &Api, from: IpAddr, signing_in: &SigningIn<'_>) -> Result<String, Problem> {
    let (username, password) = (&signing_in.username, &signing_in.password);
    let user = by_password(api, from, username, password).await?;
    let turn = api.grants_by_code(&user.address).await?;
    Ok(api.tokens.code(&user, turn, signing_in.bound(), now()))
}
