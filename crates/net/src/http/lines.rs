//! An answer that comes line by line, for as long as somebody reads it.

use super::{HttpError, PLAIN, answered_in_time, body_of, made};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use std::{io, path::Path, pin::Pin, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

/// A longer line is an error.
const LINE_BYTES: usize = 1 << 20;
/// A server that is there says something at least every 15 s.
const SILENCE: Duration = Duration::from_secs(40);

type Connection = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// See the module. Dropping it ends the connection.
pub struct Lines {
    connection: Connection,
    is_over: bool,
    body: Incoming,
    read: Vec<u8>,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

/// What came of asking for lines.
#[derive(Debug)]
pub enum Opened {
    /// They come.
    Lines(Box<Lines>),
    /// They do not, by this status and body.
    Refused(StatusCode, Bytes),
}

/// Asks for lines, over a Unix socket or else where the URL says.
///
/// # Errors
/// Nobody answers there.
pub async fn lines(
    socket: Option<&Path>,
    url: &str,
    bearer: Option<&str>,
) -> Result<Opened, HttpError> {
    let (request, (host, port)) = made(PLAIN, (Method::GET, url), bearer, None)?;
    let at = socket.map_or_else(|| url.to_owned(), |it| it.display().to_string());
    let opened = async {
        match socket {
            Some(socket) => open(UnixStream::connect(socket).await?, request).await,
            None => open(TcpStream::connect((host.as_str(), port)).await?, request).await,
        }
    };
    answered_in_time(&at, opened).await
}

async fn open<S>(
    stream: S,
    request: http::Request<http_body_util::Full<Bytes>>,
) -> io::Result<Opened>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let mut connection: Connection = Box::pin(connection);
    let answer = sender.send_request(request);
    tokio::pin!(answer);
    let mut is_over = false;
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => {
            ended.map_err(io::Error::other)?;
            is_over = true;
            answer.await
        }
    };
    let answer = answer.map_err(io::Error::other)?;
    let status = answer.status();
    let mut body = answer.into_body();
    if status.is_success() {
        return Ok(Opened::Lines(Box::new(Lines {
            connection,
            is_over,
            body,
            read: Vec::new(),
        })));
    }
    let whole = body_of(&mut body);
    tokio::pin!(whole);
    let bytes = tokio::select! {
        biased;
        whole = &mut whole => whole?,
        ended = &mut connection, if !is_over => {
            ended.map_err(io::Error::other)?;
            whole.await?
        }
    };
    Ok(Opened::Refused(status, bytes))
}

impl Lines {
    /// The next line that is not empty; `None`: the server has ended it.
    ///
    /// # Errors
    /// The connection broke, the server is silent, or a line is longer than any.
    pub async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.read.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                if line.trim().is_empty() {
                    continue;
                }
                return Ok(Some(line.trim_end().to_owned()));
            }
            if self.read.len() > LINE_BYTES {
                return Err(io::Error::other("a line is too long"));
            }
            let frame = tokio::time::timeout(SILENCE, self.frame()).await;
            let Some(frame) = frame.map_err(io::Error::from)? else {
                return Ok(None);
            };
            if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                self.read.extend_from_slice(&data);
            }
        }
    }

    /// The connection is driven here, so that no task outlives this.
    async fn frame(&mut self) -> Option<hyper::Result<hyper::body::Frame<Bytes>>> {
        let frame = self.body.frame();
        tokio::pin!(frame);
        if self.is_over {
            return frame.await;
        }
        tokio::select! {
            biased;
            frame = &mut frame => frame,
            _ = &mut self.connection => {
                self.is_over = true;
                frame.await
            }
        }
    }
}
