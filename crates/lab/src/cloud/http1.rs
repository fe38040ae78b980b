//! One HTTP/1.1 connection of a client to a cloud (FCM takes it too). Requests come one after the other, so a fault of
//! a stream is one of the connection.

use super::{
    State,
    exchange::{Fortune, Outcome, Platform, exchange},
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::CONNECTION};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    io,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::server::TlsStream;

/// Serves the connection until either side ends it.
pub(super) async fn serve<P: Platform>(
    platform: Arc<P>,
    session: P::Session,
    state: Arc<State>,
    io: TlsStream<TcpStream>,
    number: u64,
) {
    let session = Mutex::new(session);
    let service = service_fn(|request| one(&*platform, &state, &session, number, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(state.limits().idle)
        .serve_connection(TokioIo::new(io), service);
    tokio::pin!(connection);
    tokio::select! {
        // The client sees how it ended.
        _ = connection.as_mut() => return,
        () = state.stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection => {}
        () = state.stopped.cancelled() => {}
    }
}

/// Answers one request. The error is for hyper, which then closes the connection.
async fn one<P: Platform>(
    platform: &P,
    state: &State,
    session: &Mutex<P::Session>,
    number: u64,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, state.limits().body_bytes)
        .collect()
        .await
        .map_err(io::Error::other)?
        .to_bytes();
    let request = Request::from_parts(head, body);
    let fortune = Fortune::draw(platform, state, &request);
    match exchange(platform, state, session, number, request, fortune).await {
        Outcome::Answer(response) => Ok(response.map(Full::new)),
        Outcome::AnswerAndGoAway(mut response, _) => {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
            Ok(response.map(Full::new))
        }
        Outcome::GoAway(_) | Outcome::Reset { .. } => Err(io::ErrorKind::ConnectionReset.into()),
        Outcome::Silence { .. } => {
            let _ = timeout(state.limits().silence, state.stopping.cancelled()).await;
            Err(io::ErrorKind::TimedOut.into())
        }
    }
}
