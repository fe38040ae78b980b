//! The admin API of watching: what happens, line by line of JSON, for as long as somebody reads.

use super::{Admin, Api, problem::Problem};
use crate::live::Wanted;
use axum::{
    Router,
    body::Body,
    extract::{Query, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::body::{Bytes, Frame};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::mpsc;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/watch", get(watch))
}

async fn watch(
    State(api): State<Api>,
    _: Admin,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    if let Some(user) = &wanted.user
        && api.store.user(user).await?.is_none()
    {
        let detail = format!("there is no user {user}: `reveille user list` shows all");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    let Some(lines) = api.live.watch(wanted) else {
        let detail = "as many watch already as may: end one of them";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let kind = [(CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::new(Lines(lines))).into_response())
}

/// A body that is written as its lines come.
struct Lines(mpsc::Receiver<String>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let line = self.0.poll_recv(context);
        line.map(|line| Some(Ok(Frame::data(line?.into()))))
    }
}
