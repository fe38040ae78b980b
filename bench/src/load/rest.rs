//! A tenant of the push service: notifications over one connection of HTTP/2 over TLS, each for a device of its own and waited for.

use super::DOMAIN;
use crate::stats::float;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderValue, Request, StatusCode};
use push::{
    seal::{Entropy, KeyPair, seal},
    together::Together,
};
use rustls::pki_types::ServerName;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::TlsConnector;

/// What a device may read of a message, sealed for it.
const TEXT: &[u8] = b"Alice: are you coming to the rehearsal this evening?";
/// Longest answer that is taken.
const LONGEST: usize = 16 * 1024;
/// Octets of answers that are read at a time.
const SHARE: usize = 4096;

/// Its connection. It is driven by the runtime in which it was opened.
#[derive(Clone)]
pub(crate) struct Tenant {
    sender: SendRequest<Bytes>,
    authorization: HeaderValue,
    app: Arc<str>,
    sealed: Arc<str>,
}

/// What became of a push: how long it took, and the status of the answer.
pub(crate) type Answered = (Duration, StatusCode);

impl Tenant {
    /// Connects, with the access token of a tenant that may push to this app.
    pub(crate) async fn connect(
        (at, tls): (SocketAddr, Arc<rustls::ClientConfig>),
        token: &str,
        app: &str,
    ) -> Result<Self> {
        let keys = KeyPair::generate();
        let sealed = seal(&keys.public(), TEXT, &Entropy::random());
        let sealed = sealed.context("sealing")?;
        Ok(Self {
            sender: connected(at, tls).await?,
            authorization: HeaderValue::from_str(&format!("Bearer {token}"))?,
            app: app.into(),
            sealed: base64url(&sealed).into(),
        })
    }

    /// Pushes to the device of this number.
    pub(crate) async fn push(&self, number: u32) -> Result<Answered> {
        let (body, begun) = (self.notification(number), Instant::now());
        let (status, _) = self.ask("/v1/notifications", body).await?;
        Ok((begun.elapsed(), status))
    }

    fn notification(&self, number: u32) -> String {
        let (app, sealed) = (&self.app, &self.sealed);
        format!(
            "{{\"id\":\"{number:08x}-8b86-d011-b42d-00cf4fc964ff\",\"app\":\"{app}\",\"token\":\"{number:064x}\",\
             \"channel\":\"message\",\"kind\":\"message\",\"ttl\":3600,\"badge\":1,\"tracking\":\"{number:x}\",\
             \"sealed\":\"{sealed}\"}}"
        )
    }

    async fn ask(&self, path: &str, body: String) -> Result<(StatusCode, Vec<u8>)> {
        let head = Request::post(format!("https://{DOMAIN}{path}"))
            .header("authorization", self.authorization.clone())
            .header("content-type", "application/json")
            .body(())?;
        exchange(&self.sender, head, body.into()).await
    }

    /// Pushes to the devices from this number on with one request, and has all of them accepted.
    async fn push_batch(&self, first: u32, size: u32) -> Result<()> {
        let all: Vec<_> = (first..first + size)
            .map(|number| self.notification(number))
            .collect();
        let body = format!("[{}]", all.join(","));
        let (status, answer) = self.ask("/v1/notifications/batch", body).await?;
        ensure!(status == StatusCode::OK, "a batch is answered {status}");
        let said: Vec<serde_json::Value> = serde_json::from_slice(&answer)?;
        let accepted = said.iter().filter(|one| one["outcome"] == "accepted");
        let accepted = accepted.count();
        ensure!(
            accepted == said.len() && accepted == size as usize,
            "of {size} {accepted} were accepted"
        );
        Ok(())
    }

    /// Has so many pushes accepted, from this number on, with so many requests under way at any time, each for a batch of this size or for
    /// one.
    pub(crate) async fn push_all(
        &self,
        first: u32,
        count: u32,
        (window, batch): (u32, u32),
    ) -> Result<()> {
        let next = Arc::new(AtomicU32::new(first));
        let mut all = JoinSet::new();
        for _ in 0..window {
            let (tenant, next) = (self.clone(), next.clone());
            all.spawn(async move {
                loop {
                    let number = next.fetch_add(batch, Ordering::Relaxed);
                    if number >= first + count {
                        return Ok(());
                    }
                    if batch > 1 {
                        tenant.push_batch(number, batch).await?;
                        continue;
                    }
                    let (_, status) = tenant.push(number).await?;
                    ensure!(status == StatusCode::OK, "a push is answered {status}");
                }
            });
        }
        while let Some(done) = all.join_next().await {
            done??;
        }
        Ok(())
    }

    /// Pushes so many times a second for so many seconds, whatever becomes of it; what does.
    pub(crate) async fn push_at(
        &self,
        first: u32,
        rate: u32,
        seconds: u32,
    ) -> Result<Vec<Answered>> {
        let (begun, mut all) = (tokio::time::Instant::now(), JoinSet::new());
        for number in 0..rate * seconds {
            let due = Duration::from_secs_f64(float(number.into()) / f64::from(rate));
            tokio::time::sleep_until(begun + due).await;
            let tenant = self.clone();
            all.spawn(async move { tenant.push(first + number).await });
        }
        let mut answered = Vec::new();
        while let Some(one) = all.join_next().await {
            answered.push(one??);
        }
        Ok(answered)
    }
}

/// An access token for client credentials (RFC 6749 §4.4).
pub(crate) fn grant(at: SocketAddr, tls: &rustls::ClientConfig, form: String) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let sender = connected(at, Arc::new(tls.clone())).await?;
        let head = Request::post(format!("https://{DOMAIN}/oauth/token"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(())?;
        let (status, body) = exchange(&sender, head, form.into()).await?;
        ensure!(status == StatusCode::OK, "/oauth/token: {status}");
        let granted: serde_json::Value = serde_json::from_slice(&body)?;
        let token = granted["access_token"].as_str();
        Ok(token.context("a token")?.to_owned())
    })
}

async fn connected(at: SocketAddr, tls: Arc<rustls::ClientConfig>) -> Result<SendRequest<Bytes>> {
    let tcp = TcpStream::connect(at).await?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from(DOMAIN)?;
    let secured = TlsConnector::from(tls).connect(name, tcp).await?;
    let (sender, connection) = h2::client::handshake(Together::over(secured, SHARE)).await?;
    tokio::spawn(async move {
        // Whoever waits for an answer hears of it.
        let _ = connection.await;
    });
    Ok(sender)
}

async fn exchange(
    sender: &SendRequest<Bytes>,
    head: Request<()>,
    body: Bytes,
) -> Result<(StatusCode, Vec<u8>)> {
    let mut sender = sender.clone().ready().await?;
    let (response, mut stream) = sender.send_request(head, false)?;
    stream.send_data(body, true)?;
    let response = response.await?;
    let status = response.status();
    let (mut body, mut answer) = (response.into_body(), Vec::new());
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        answer.extend_from_slice(&part);
        ensure!(
            answer.len() <= LONGEST,
            "an answer of {} bytes",
            answer.len()
        );
    }
    Ok((status, answer))
}

fn base64url(octets: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(octets)
}
