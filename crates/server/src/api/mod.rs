//! The HTTP APIs: for operators (the command line uses it), for devices, and for whoever watches over us.

mod admin;
mod device;
mod guesses;
pub mod health;
mod problem;
mod tokens;

pub use admin::UserView;
pub use guesses::Guesses;
pub use tokens::AccessTokens;

use crate::{accounts::Ways, clock::now, metrics::Metrics, secret, shards::Shards};
use axum::{
    Router,
    extract::FromRequestParts,
    http::{header::AUTHORIZATION, request::Parts},
};
use domain::Address;
use hub::{Answer, DeviceView, Question};
use problem::Problem;
use std::{collections::HashSet, sync::Arc};
use store::Store;
use tokens::Kind;

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    /// The running shards.
    pub shards: Shards,
    /// Where state is kept.
    pub store: Arc<dyn Store>,
    /// Who shows this may do everything.
    pub admin_token: Arc<str>,
    /// Tokens of users.
    pub tokens: Arc<AccessTokens>,
    /// Wrong passwords of late.
    pub guesses: Arc<Guesses>,
    /// The domain of a user name without one.
    pub domain: Arc<str>,
    /// Every domain of ours.
    pub domains: Arc<[String]>,
    /// Which ways to sign in accounts are made for.
    pub ways: Ways,
    /// What an operator should know of.
    pub metrics: Arc<Metrics>,
    /// Apps that can be pushed to.
    pub apps: Arc<HashSet<String>>,
}

/// Admin and device API.
pub fn router(api: Api) -> Router {
    Router::new()
        .merge(admin::routes())
        .merge(device::routes())
        .fallback(problem::not_found)
        .with_state(api)
}

impl Api {
    /// Asks the shard whose the question is, and waits for its answer.
    async fn ask(&self, question: Question) -> Result<Answer, Problem> {
        let answer = self.shards.ask(question).await;
        Ok(answer.ok_or_else(Problem::stopping)??)
    }

    /// Asks for devices.
    async fn devices(&self, question: Question) -> Result<Vec<DeviceView>, Problem> {
        match self.ask(question).await? {
            Answer::Devices(views) => Ok(views),
            Answer::Done => Ok(Vec::new()),
        }
    }
}

/// Proof that the request came with the admin token.
struct Admin;

impl FromRequestParts<Api> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let given = bearer(parts).unwrap_or_default();
        if secret::same(given.as_bytes(), api.admin_token.as_bytes()) {
            Ok(Self)
        } else {
            Err(Problem::unauthorized(
                "this needs the admin token: it is in server.data_dir/admin.token",
            ))
        }
    }
}

/// The user whose access token the request came with.
struct Me(Address);

impl FromRequestParts<Api> for Me {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let refused = || Problem::unauthorized("this needs an access token from POST /oauth/token");
        let token = bearer(parts).ok_or_else(refused)?;
        let address = AccessTokens::claimed(token).ok_or_else(refused)?;
        let user = api.store.user(&address).await?.ok_or_else(refused)?;
        if api.tokens.is_good(token, Kind::Access, &user, now()) {
            Ok(Self(address))
        } else {
            Err(refused())
        }
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}
