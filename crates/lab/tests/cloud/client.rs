//! A raw HTTP/2 client that does exactly what a test tells it, and the signatures of both platforms.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use lab::cloud::Ca;
use ring::{rand::SystemRandom, rsa, signature};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName, pem::PemObject};
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{net::TcpStream, sync::watch};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(crate) struct H2Client {
    send: SendRequest<Bytes>,
    /// Why the connection ended.
    ended: watch::Receiver<Option<Result<(), Arc<h2::Error>>>>,
    authority: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or_default()
    }
}

pub(crate) async fn tls(ca: &Ca, address: SocketAddr, alpn: &[u8]) -> TlsStream<TcpStream> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(ca.root_store())
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost").unwrap(), tcp)
        .await
        .unwrap()
}

impl H2Client {
    pub(crate) async fn connect(ca: &Ca, address: SocketAddr) -> Self {
        let io = tls(ca, address, b"h2").await;
        let (send, connection) = h2::client::Builder::new()
            .initial_max_send_streams(100)
            .handshake(io)
            .await
            .unwrap();
        let (tell, ended) = watch::channel(None);
        tokio::spawn(async move {
            let end = connection.await.map_err(Arc::new);
            tell.send_replace(Some(end));
        });
        Self {
            send,
            ended,
            authority: format!("localhost:{}", address.port()),
        }
    }

    /// The host name that the requests are for.
    pub(crate) fn for_host(mut self, authority: &str) -> Self {
        authority.clone_into(&mut self.authority);
        self
    }

    /// How many streams the server allows now.
    pub(crate) fn streams_allowed(&self) -> usize {
        self.send.current_max_send_streams()
    }

    /// Comes back when SETTINGS allow so many streams.
    pub(crate) async fn until_streams_allowed(&self, wanted: usize) {
        let arrive = async {
            while self.streams_allowed() != wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), arrive)
            .await
            .unwrap_or_else(|_| panic!("SETTINGS still allow {}", self.streams_allowed()));
    }

    pub(crate) fn post(&self, path: &str) -> http::request::Builder {
        Request::post(format!("https://{}{path}", self.authority))
    }

    /// Opens a stream at once, whatever the server allows, and gives its answer later.
    pub(crate) fn start<B: Into<Bytes>>(
        &mut self,
        request: http::request::Builder,
        body: B,
    ) -> impl Future<Output = Result<Answer, h2::Error>> + use<B> {
        let body = body.into();
        let request = request.body(()).unwrap();
        let sent = self
            .send
            .send_request(request, false)
            .and_then(|(answer, mut stream)| {
                stream.send_data(body, true)?;
                Ok(answer)
            });
        async move {
            let (head, mut incoming) = sent?.await?.into_parts();
            let mut body = BytesMut::new();
            while let Some(data) = incoming.data().await {
                let data = data?;
                incoming.flow_control().release_capacity(data.len())?;
                body.extend_from_slice(&data);
            }
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body: serde_json::from_slice(&body).unwrap_or_default(),
            })
        }
    }

    /// Sends when the server allows, and waits for the answer.
    pub(crate) async fn try_send(
        &mut self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Result<Answer, h2::Error> {
        self.send = self.send.clone().ready().await?;
        self.start(request, body).await
    }

    pub(crate) async fn send(
        &mut self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Answer {
        self.try_send(request, body).await.unwrap()
    }

    pub(crate) async fn ask_token(&mut self, assertion: &str) -> Answer {
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
        );
        let request = self
            .post("/token")
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request, form).await
    }

    /// Waits for the end of the connection; says what the server gave as reason, if it was a GOAWAY with one.
    pub(crate) async fn end(&mut self) -> Result<(), Arc<h2::Error>> {
        let end = self.ended.wait_for(Option::is_some).await.unwrap();
        end.clone().unwrap()
    }
}

/// Why a stream was refused by GOAWAY: the `reason` in its debug data, as the h2 crate prints it.
pub(crate) fn go_away_reason(error: &h2::Error) -> String {
    assert!(error.is_go_away() && error.is_remote(), "{error}");
    error.to_string()
}

pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

pub(crate) fn base64url(data: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(data)
}

fn pkcs8(pem: &str) -> Vec<u8> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    key.secret_pkcs8_der().to_vec()
}

/// A compact JWT signed by `algorithm`, which also says whether R‖S or DER.
pub(crate) fn ecdsa(
    pem: &str,
    header: &Value,
    claims: &Value,
    algorithm: &'static signature::EcdsaSigningAlgorithm,
) -> String {
    let random = SystemRandom::new();
    let key = signature::EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8(pem), &random).unwrap();
    let signed = format!(
        "{}.{}",
        base64url(header.to_string()),
        base64url(claims.to_string())
    );
    let signature = key.sign(&random, signed.as_bytes()).unwrap();
    format!("{signed}.{}", base64url(signature))
}

pub(crate) fn es256(pem: &str, header: &Value, claims: &Value) -> String {
    ecdsa(
        pem,
        header,
        claims,
        &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
    )
}

pub(crate) fn rs256(pem: &str, claims: &Value) -> String {
    let key = rsa::KeyPair::from_pkcs8(&pkcs8(pem)).unwrap();
    let header = serde_json::json!({ "alg": "RS256", "typ": "JWT" });
    let signed = format!(
        "{}.{}",
        base64url(header.to_string()),
        base64url(claims.to_string())
    );
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &signature::RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{signed}.{}", base64url(signature))
}
