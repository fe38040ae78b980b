//! Who may use the admin API.

use super::{guarded::may_try, problem::Problem};
use crate::{
    admin_socket::OverSocket,
    clock::now,
    metrics::{Door, Metrics},
    secret,
};
use axum::{
    Router,
    extract::{ConnectInfo, Request},
    http::{Extensions, HeaderMap, header::AUTHORIZATION},
    middleware::{Next, from_fn},
    response::IntoResponse,
};
use domain::Refusal;
use hub::Guards;
use std::{net::SocketAddr, sync::Arc};

/// How the admin API is named as an account: no user can be named so.
const ADMIN: &str = "the admin API";

/// Whoever comes over the socket may, or shows the token; where it is guessed at too often, nobody for a while.
#[derive(Clone)]
pub struct Gate {
    /// Who shows this may do everything.
    pub token: Arc<str>,
    /// Who may try it.
    pub guards: Guards,
    /// Where refusals are counted.
    pub metrics: Arc<Metrics>,
}

impl Gate {
    /// What is behind it is for whoever may.
    pub(crate) fn before(self, behind: Router) -> Router {
        let may = move |request: Request, next: Next| {
            let admitted = self.admit(request.headers(), request.extensions());
            async move {
                match admitted {
                    Ok(()) => next.run(request).await,
                    Err(problem) => problem.into_response(),
                }
            }
        };
        behind.route_layer(from_fn(may))
    }

    /// Looks at what a request came with.
    pub(crate) fn admit(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<(), Problem> {
        if extensions.get::<OverSocket>().is_some() {
            return Ok(());
        }
        let from = extensions.get::<ConnectInfo<SocketAddr>>();
        // Whoever is on this host cannot be told from others there.
        let from = from.map(|it| it.0.ip()).filter(|from| !from.is_loopback());
        if let Some(from) = from {
            may_try((&self.guards, &self.metrics), from, ADMIN)?;
        }
        let given = bearer(headers).unwrap_or_default();
        if secret::same(given.as_bytes(), self.token.as_bytes()) {
            if let Some(from) = from {
                self.guards.right(from, ADMIN);
            }
            return Ok(());
        }
        self.metrics.refused_at(Door::Admin, Refusal::Password);
        if let Some(from) = from {
            self.guards.wrong(now(), from, ADMIN);
        }
        Err(Problem::unauthorized(
            "this needs the admin token: it is in server.data_dir/admin.token",
        ))
    }
}

/// The token that a request shows.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}
