//! A small client for JSON APIs in HTTP/1.1 on loopback: the lab's control API, the device and admin API, plain; and the device
//! API in TLS.
//!
//! One connection a request: these APIs are called by tools and simulated phones, not in a hurry.

mod lines;

pub use lines::{Lines, Opened, lines};

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// A longer answer is an error.
const ANSWER_BYTES: usize = 16 << 20;

/// Longer than any long poll that these APIs offer (30 s).
const TIMEOUT: Duration = Duration::from_mins(1);

/// One request. `url` is like `http://127.0.0.1:8080/path?query`; `bearer` and `json` are sent when given. Every status
/// that the server answers is `Ok`; the bytes are the body.
pub async fn request(
    method: Method,
    url: &str,
    bearer: Option<&str>,
    json: Option<&serde_json::Value>,
) -> Result<(StatusCode, Bytes), HttpError> {
    let (request, at) = made(PLAIN, (method, url), bearer, json)?;
    let answer = async { exchange(connected(&at).await?, request).await };
    answered_in_time(url, answer).await
}

/// The same in TLS, at a URL like `https://127.0.0.1:8443/path?query`: its host is the name that the server's certificate must have.
pub async fn request_in_tls(
    tls: &Arc<ClientConfig>,
    method: Method,
    url: &str,
    bearer: Option<&str>,
    json: Option<&serde_json::Value>,
) -> Result<(StatusCode, Bytes), HttpError> {
    let (request, at) = made(IN_TLS, (method, url), bearer, json)?;
    let name = ServerName::try_from(at.0.clone());
    let name = name.map_err(|_| HttpError::Url(url.to_owned()))?;
    let answer = async {
        let stream = connected(&at).await?;
        let tls = TlsConnector::from(tls.clone());
        exchange(tls.connect(name, stream).await?, request).await
    };
    answered_in_time(url, answer).await
}

async fn connected((host, port): &(String, u16)) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host.as_str(), *port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The same over a Unix socket: of `url` only the path counts.
pub async fn request_over(
    socket: &std::path::Path,
    method: Method,
    url: &str,
    json: Option<&serde_json::Value>,
) -> Result<(StatusCode, Bytes), HttpError> {
    let (request, _) = made(PLAIN, (method, url), None, json)?;
    let answer = async { exchange(UnixStream::connect(socket).await?, request).await };
    answered_in_time(&socket.display().to_string(), answer).await
}

/// A request, and the host and port that it goes to.
type Made = (Request<Full<Bytes>>, (String, u16));

/// The scheme of a URL, and the port where it states none.
type Scheme = (&'static str, u16);
const PLAIN: Scheme = ("http", 80);
const IN_TLS: Scheme = ("https", 443);

fn made(
    (scheme, usual): Scheme,
    (method, url): (Method, &str),
    bearer: Option<&str>,
    json: Option<&serde_json::Value>,
) -> Result<Made, HttpError> {
    let uri: Uri = url.parse().map_err(|_| HttpError::Url(url.to_owned()))?;
    let authority = uri.authority().cloned();
    let authority = authority.filter(|_| uri.scheme_str() == Some(scheme));
    let authority = authority.ok_or_else(|| HttpError::Url(url.to_owned()))?;
    let path = uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, authority.as_str());
    if let Some(bearer) = bearer {
        request = request.header(AUTHORIZATION, format!("Bearer {bearer}"));
    }
    if json.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let body = json.map(ToString::to_string).unwrap_or_default();
    let request = request
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| HttpError::Url(url.to_owned()))?;

    let host = authority.host().trim_matches(['[', ']']).to_owned();
    Ok((request, (host, authority.port_u16().unwrap_or(usual))))
}

async fn answered_in_time<T>(
    url: &str,
    answer: impl Future<Output = io::Result<T>>,
) -> Result<T, HttpError> {
    // In a place of its own: whoever asks may be large already.
    match tokio::time::timeout(TIMEOUT, Box::pin(answer)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(HttpError::Failed {
            url: url.to_owned(),
            source,
        }),
        Err(_) => Err(HttpError::Failed {
            url: url.to_owned(),
            source: io::ErrorKind::TimedOut.into(),
        }),
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> io::Result<(StatusCode, Bytes)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let answer = async {
        let answer = sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        let status = answer.status();
        Ok((status, body_of(&mut answer.into_body()).await?))
    };
    // The connection is driven here, beside its one request, so that no task outlives this call.
    tokio::pin!(answer, connection);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => {
            ended.map_err(io::Error::other)?;
            answer.await
        }
    }
}

/// All of a body.
async fn body_of(body: &mut hyper::body::Incoming) -> io::Result<Bytes> {
    let whole = Limited::new(body, ANSWER_BYTES).collect().await;
    Ok(whole.map_err(io::Error::other)?.to_bytes())
}

/// No answer was had.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not a URL of HTTP, or not in TLS and ought to be, or the other way round.
    #[error("`{0}` is not a URL of the form http://host:port/path, or https where TLS is meant")]
    Url(String),
    /// Nobody answers there, or not in HTTP, or not in time.
    #[error("{url} does not answer: {source}; is the server running there?")]
    Failed {
        /// The URL asked for.
        url: String,
        /// Why.
        source: io::Error,
    },
}
