//! The device API for clients outside. What may go on goes on as a request of its own, each over a stream of the tunnel.

use super::{gate::Refused, places::Place, shared::Shared};
use crate::{
    api::{
        Problem, bearer,
        device::{self, Grant, Revocation},
        not_found, oauth,
        tokens::Kind,
    },
    authorize::{self, AUTHORIZE},
    form,
};
use axum::{
    Json, Router,
    body::{Body, Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode, Uri,
        header::{
            AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST,
            LOCATION, ORIGIN, PRAGMA, REFERRER_POLICY, RETRY_AFTER, WWW_AUTHENTICATE,
            X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use domain::Address;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tunnel::{Header, Spoken, Stream};

/// Octets of the longest request that goes on. One that names a device has a key and two tokens of 4 KiB.
const LONGEST: usize = 16 * 1024;

/// Octets of its path and of what else of its head goes on. The longest token has 8 KiB.
const LONGEST_HEAD: usize = 10 * 1024;

/// Octets of the longest answer that comes back.
const LONGEST_ANSWER: usize = 256 * 1024;

/// What of a request goes on, and what of its answer comes back, beside the body.
const ASKED: [HeaderName; 3] = [AUTHORIZATION, CONTENT_TYPE, ORIGIN];
const ANSWERED: [HeaderName; 10] = [
    CONTENT_TYPE,
    CACHE_CONTROL,
    PRAGMA,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
    // Of the page by which people sign in.
    LOCATION,
    CONTENT_SECURITY_POLICY,
    REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
];

/// A few seconds, within which a tunnel is there again.
const AGAIN: Duration = Duration::from_secs(5);

/// The paths of the device API, and no others.
pub(crate) fn device_api(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(oauth::TOKEN, post(sign_in))
        .route(AUTHORIZE, get(show_page).post(sign_in_by_page))
        .route(oauth::REVOKE, post(sign_out))
        .route(oauth::JWKS, get(jwks))
        .route(
            device::DEVICE,
            get(signed_in).put(signed_in).delete(signed_in),
        )
        .route(device::MODE, post(signed_in))
        .route(device::TURN, get(signed_in))
        .with_state(shared)
}

/// What an inside answers, whole.
type Answer = http::Response<Bytes>;

/// Who signs in says in the body who they are; by a password, if that may be. It is read as the inside reads it, so nothing else can be
/// looked at there than here.
async fn sign_in(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, Problem> {
    let (place, request) = of_a_stranger(&shared, from, request).await?;
    let says = form::said(request.headers(), request.body());
    let shown = match says.ok_or_else(device::invalid_request)? {
        Grant::Password { username, .. } => {
            let whose = device::address(&username, &shared.rules().domain)?;
            if !shared.rules().passwords {
                shared.metrics.edge_refused(Refused::NotSignedIn.name(), 1);
                return Err(device::unsupported_grant_type());
            }
            let answer = by_password(&shared, from, &whose, request).await?;
            return Ok(answer.map(Body::from));
        }
        Grant::RefreshToken { refresh_token } => (refresh_token, Kind::Refresh),
        Grant::AuthorizationCode(shown) => (shown.code, Kind::Code),
    };
    let answer = renew(&shared, from, shown, (place, request)).await?;
    Ok(answer.map(Body::from))
}

/// Whoever shows a token or a code that an inside has made gets others by it.
async fn renew(
    shared: &Shared,
    from: SocketAddr,
    (token, kind): (String, Kind),
    (place, request): (Place, http::Request<Bytes>),
) -> Result<Answer, Problem> {
    let bearer = shared.bearer(&token, kind, from.ip());
    let bearer = bearer.map_err(|why| match why {
        Refused::BadToken => {
            shared.metrics.edge_refused(why.name(), 1);
            device::invalid_grant()
        }
        _ => refused(shared, why),
    })?;
    drop(place);
    let answer = forward(shared, from, &bearer.whose, request).await?;
    match answer.status() {
        StatusCode::OK => shared.guards.right(from.ip(), bearer.whose.as_str()),
        // A code is refused to whoever has it without what its client knows, and is that client's still.
        StatusCode::BAD_REQUEST
            if kind == Kind::Refresh && Problem::is_named("invalid_grant", answer.body()) =>
        {
            shared.has_ended(&bearer.shown);
        }
        _ => {}
    }
    Ok(answer)
}

/// Whoever signs in by a password is known here once the inside says that it is right.
async fn by_password(
    shared: &Shared,
    from: SocketAddr,
    whose: &Address,
    request: http::Request<Bytes>,
) -> Result<Answer, Problem> {
    let answer = forward(shared, from, whose, request).await?;
    // A browser is sent on with a code.
    let to = answer.headers().get(LOCATION).map(HeaderValue::as_bytes);
    let has_code = to.is_some_and(authorize::brings_code);
    if answer.status() == StatusCode::OK || has_code {
        shared.guards.right(from.ip(), whose.as_str());
    }
    Ok(answer)
}

/// The page by which somebody signs in for an app is made here: nothing of a stranger gets in for it.
async fn show_page(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let rules = shared.rules();
    match &rules.clients {
        None => not_found().await.into_response(),
        Some(_) if !rules.passwords => authorize::not_here(),
        Some(clients) => authorize::shown(clients, &uri),
    }
}

/// What its form says goes on if it makes sense: it is a password, and nothing else may go where none is let through.
async fn sign_in_by_page(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, Problem> {
    let rules = shared.rules();
    let Some(clients) = &rules.clients else {
        return Err(not_found().await);
    };
    if !rules.passwords {
        shared.metrics.edge_refused(Refused::NotSignedIn.name(), 1);
        return Ok(authorize::not_here());
    }
    let (_place, request) = match of_a_stranger(&shared, from, request).await {
        Ok(taken) => taken,
        Err(problem) => return Ok(authorize::not_now(problem.status())),
    };
    let signing_in = match authorize::submitted(clients, request.headers(), request.body()) {
        Ok(signing_in) => signing_in,
        Err(response) => return Ok(*response),
    };
    let Ok(whose) = device::address(&signing_in.username, &rules.domain) else {
        return Ok(signing_in.again(StatusCode::BAD_REQUEST));
    };
    match by_password(&shared, from, &whose, request).await {
        Ok(answer) => Ok(answer.map(Body::from)),
        Err(problem) => Ok(signing_in.again(problem.status())),
    }
}

/// By which keys the tokens of the insides that are there are told.
async fn jwks(State(shared): State<Arc<Shared>>) -> Json<serde_json::Value> {
    Json(oauth::keys(&shared.keys()))
}

/// Who signs out says in the body by which token. By one that is none nothing has to end, and nobody is told (RFC 7009); by one to sign in
/// with nothing can.
async fn sign_out(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, Problem> {
    let (place, request) = of_a_stranger(&shared, from, request).await?;
    let says = form::said(request.headers(), request.body());
    let Revocation { token } = says.ok_or_else(device::invalid_request)?;
    let bearer = shared.bearer_or_other(&token, Kind::Refresh, from.ip());
    drop(place);
    match bearer {
        Ok(None) => Err(device::unsupported_token_type()),
        Ok(Some(bearer)) => {
            let answer = forward(&shared, from, &bearer.whose, request).await?;
            Ok(answer.map(Body::from))
        }
        Err(Refused::BadToken) => {
            shared.metrics.edge_refused(Refused::BadToken.name(), 1);
            Ok(Response::default())
        }
        Err(why) => Err(refused(&shared, why)),
    }
}

/// Whoever has signed in shows a token that an inside has made.
async fn signed_in(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, Problem> {
    let token = bearer(request.headers()).ok_or(Refused::NotSignedIn);
    let bearer = token.and_then(|token| shared.bearer(token, Kind::Access, from.ip()));
    let bearer = bearer.map_err(|why| refused(&shared, why))?;
    let request = whole(&shared, request).await?;
    let answer = forward(&shared, from, &bearer.whose, request).await?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        shared.has_ended(&bearer.shown);
    }
    Ok(answer.map(Body::from))
}

/// A request that says in its body who sends it, and a place that is held until it is answered, or it is known who shows a token. While it
/// comes it has none: who sends one slowly keeps nobody else at that address out.
async fn of_a_stranger(
    shared: &Shared,
    from: SocketAddr,
    mut request: Request,
) -> Result<(Place, http::Request<Bytes>), Problem> {
    // Nobody looks at it there.
    request.headers_mut().remove(AUTHORIZATION);
    let request = whole(shared, request).await?;
    let place = shared.place(from.ip());
    let place = place.ok_or_else(|| refused(shared, Refused::Crowded))?;
    Ok((place, request))
}

/// A request with all of its body.
async fn whole(shared: &Shared, request: Request) -> Result<http::Request<Bytes>, Problem> {
    let (parts, body) = request.into_parts();
    let values = known(&parts.headers, &ASKED).map(|(_, value)| value.len());
    if parts.uri.path().len() + values.sum::<usize>() > LONGEST_HEAD {
        shared.metrics.edge_refused(Refused::TooLong.name(), 1);
        return Err(Problem::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "the head of the request is too long",
        ));
    }
    let body = to_bytes(body, LONGEST).await;
    let body = body.map_err(|_| refused(shared, Refused::TooLong))?;
    Ok(http::Request::from_parts(parts, body))
}

/// A request does not go on.
fn refused(shared: &Shared, why: Refused) -> Problem {
    shared.metrics.edge_refused(why.name(), 1);
    match why {
        Refused::NotSignedIn | Refused::BadToken | Refused::AnotherUser => {
            Problem::unauthorized("this needs an access token from POST /oauth/token")
        }
        Refused::TooLong => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long"),
        Refused::TooManyTries | Refused::Crowded => {
            Problem::try_again("too many from this address, or by this user", AGAIN)
        }
        Refused::NoInside | Refused::NotTaken => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server cannot be reached at the moment",
        ),
    }
}

/// Lets the inside answer.
async fn forward(
    shared: &Shared,
    from: SocketAddr,
    whose: &Address,
    request: http::Request<Bytes>,
) -> Result<Answer, Problem> {
    let header = Header {
        spoken: Spoken::Http,
        client: from,
        port: 0,
        name: None,
        exporter: None,
        end_point: None,
    };
    let whose = whose.as_str().as_bytes();
    let stream = shared.tunnel.open(whose, &header).await.map_err(|error| {
        tracing::debug!(client = %from, %error, "a client has no inside");
        refused(shared, Refused::NoInside)
    })?;
    exchanged(stream, request).await.map_err(|error| {
        tracing::debug!(client = %from, %error, "the inside does not answer a client");
        refused(shared, Refused::NotTaken)
    })
}

/// One request over this stream, and its answer, whole.
async fn exchanged(stream: Stream, request: http::Request<Bytes>) -> anyhow::Result<Answer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let (parts, body) = request.into_parts();
    let mut request = Request::builder()
        .method(parts.method)
        .uri(parts.uri.path())
        .header(HOST, "inside")
        .header(CONNECTION, "close");
    for (name, value) in known(&parts.headers, &ASKED) {
        request = request.header(name, value);
    }
    let request = request.body(Body::from(body))?;
    let answer = async move {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = to_bytes(Body::new(body), LONGEST_ANSWER).await?;
        let mut response = http::Response::builder().status(parts.status);
        for (name, value) in known(&parts.headers, &ANSWERED) {
            response = response.header(name, value);
        }
        anyhow::Ok(response.body(body)?)
    };
    // What is wrong with the connection is wrong with the answer.
    let (answer, _) = tokio::join!(answer, connection);
    answer
}

fn known<'a>(
    all: &'a HeaderMap,
    names: &'a [HeaderName],
) -> impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)> {
    names.iter().filter_map(|name| Some((name, all.get(name)?)))
}
