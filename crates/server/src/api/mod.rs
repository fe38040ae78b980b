//! The HTTP APIs: for operators (the command line uses it), for devices, and for whoever watches over us.

mod admin;
mod alarms;
mod authorize;
mod bans;
pub(crate) mod device;
mod gate;
mod grants;
mod guarded;
pub mod health;
pub(crate) mod oauth;
mod problem;
mod push_test;
mod reload;
mod token_keys;
pub(crate) mod tokens;
mod watch;

pub(crate) use admin::story;
pub use admin::{StoryView, UserView};
pub(crate) use alarms::alarms;
pub use bans::BanOrder;
pub use gate::Gate;
pub use grants::Turns;
pub(crate) use reload::reload;
pub use tokens::{AccessTokens, Lives};

use crate::{
    accounts::Ways, apps::Apps, authorize::Clients, bans::BanFile, clock::now, live::Live,
    metrics::Metrics, push_test::Pushing, reloaded::Reloading, shards::Shards,
};
use axum::{Router, extract::FromRequestParts, http::request::Parts};
use domain::Address;
pub(crate) use gate::bearer;
use hub::{Answer, DeviceView, Guards, Question};
pub(crate) use problem::{Problem, not_found};
use std::sync::Arc;
use store::Store;
use tokens::Kind;

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    /// The running shards.
    pub shards: Shards,
    /// Where state is kept.
    pub store: Arc<dyn Store>,
    /// Who may do everything.
    pub gate: Gate,
    /// Tokens of users.
    pub tokens: Arc<AccessTokens>,
    /// Apps whose users sign in by our page.
    pub(crate) clients: Option<Arc<Clients>>,
    /// Who uses their refresh tokens.
    pub turns: Turns,
    /// Who may try a password.
    pub guards: Guards,
    /// Where bans are kept.
    pub ban_file: Arc<BanFile>,
    /// The domain of a user name without one.
    pub domain: Arc<str>,
    /// Every domain of ours.
    pub domains: Arc<[String]>,
    /// Which ways to sign in accounts are made for.
    pub ways: Ways,
    /// The clients that push.
    pub(crate) pushing: Pushing,
    /// What happens, for whoever watches.
    pub(crate) live: Live,
    /// What an operator should know of.
    pub metrics: Arc<Metrics>,
    /// Apps that can be pushed to.
    pub apps: Apps,
    /// Reads the configuration again.
    pub reload: Reloading,
    /// A relay that clients ask themselves.
    pub turn: Option<im::Turn>,
}

/// The admin API.
pub(crate) fn admin(api: Api) -> Router {
    let alarms = alarms(api.metrics.clone(), api.gate.clone());
    let reload = reload(api.reload.clone(), api.gate.clone());
    let others = admin::routes().merge(bans::routes());
    let others = others.merge(watch::routes()).merge(push_test::routes());
    let others = others.merge(token_keys::routes());
    others.with_state(api).merge(alarms).merge(reload)
}

/// The device API.
pub(crate) fn device(api: Api) -> Router {
    device::routes().merge(authorize::routes()).with_state(api)
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

/// Proof that the request may do everything.
struct Admin;

impl FromRequestParts<Api> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        api.gate.admit(&parts.headers, &parts.extensions)?;
        Ok(Self)
    }
}

/// The user whose access token the request came with.
struct Me(Address);

impl FromRequestParts<Api> for Me {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let refused = || Problem::unauthorized("this needs an access token from POST /oauth/token");
        let token = bearer(&parts.headers).ok_or_else(refused)?;
        let made = api.tokens.made(token, Kind::Access, now());
        let made = made.ok_or_else(refused)?;
        let user = api.store.user(&made.sub).await?.ok_or_else(refused)?;
        if api.tokens.is_of(&made.pw, &user) {
            Ok(Self(made.sub))
        } else {
            Err(refused())
        }
    }
}
