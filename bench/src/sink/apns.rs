//! The part of APNs that a push client needs in order to be content: TLS with HTTP/2, and `200` for every device.

use super::{Teller, user_of};
use anyhow::{Context, Result};
use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{Request, Response, StatusCode};
use rustls::pki_types::PrivateKeyDer;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    thread,
    time::Instant,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The files that a server's configuration names to push here.
pub(crate) const CA_FILE: &str = "sink.pem";
pub(crate) const KEY_FILE: &str = "apns.p8";

/// A sink that runs for as long as the program does.
pub(crate) struct Apns {
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Apns {
    /// Starts one that tells the phones at this port, and writes [`CA_FILE`] and [`KEY_FILE`] into `folder`.
    pub(crate) fn start(phones: u16, began: Instant, folder: &Path) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let teller = Arc::new(Teller::new(phones, began)?);
        let acceptor = TlsAcceptor::from(Arc::new(certificate(folder)?));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::spawn(move || {
            let served = runtime.block_on(listen(listener, &acceptor, &teller));
            if let Err(error) = served {
                eprintln!("the APNs sink: {error:#}");
            }
        });
        Ok(Self { address })
    }
}

/// A certificate that vouches for itself, and a signing key that nobody checks.
fn certificate(folder: &Path) -> Result<rustls::ServerConfig> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let own = rcgen::generate_simple_self_signed(names)?;
    std::fs::write(folder.join(CA_FILE), own.cert.pem())?;
    let signing = rcgen::KeyPair::generate()?;
    std::fs::write(folder.join(KEY_FILE), signing.serialize_pem())?;
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der())
        .map_err(|error| anyhow::anyhow!("the sink's key: {error}"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

async fn listen(
    listener: std::net::TcpListener,
    acceptor: &TlsAcceptor,
    teller: &Arc<Teller>,
) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (connection, _) = listener.accept().await?;
        let (acceptor, teller) = (acceptor.clone(), teller.clone());
        tokio::spawn(async move {
            if let Err(error) = serve(connection, &acceptor, &teller).await {
                eprintln!("the APNs sink: {error:#}");
            }
        });
    }
}

async fn serve(connection: TcpStream, acceptor: &TlsAcceptor, teller: &Arc<Teller>) -> Result<()> {
    connection.set_nodelay(true)?;
    let secured = acceptor.accept(connection).await.context("TLS")?;
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(1_000);
    let mut http = builder.handshake::<_, Bytes>(secured).await?;
    // A server that is killed ends its connection without ceremony.
    while let Some(Ok((request, respond))) = http.accept().await {
        let teller = teller.clone();
        tokio::spawn(async move {
            if let Err(error) = answer(request, respond, &teller).await {
                eprintln!("the APNs sink: {error:#}");
            }
        });
    }
    Ok(())
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    teller: &Teller,
) -> Result<()> {
    let (head, mut body) = request.into_parts();
    while let Some(chunk) = body.data().await {
        let length = chunk?.len();
        body.flow_control().release_capacity(length)?;
    }
    // The token is the user's number in 64 hexadecimal digits.
    teller.tell(user_of(head.uri.path(), 16)?)?;
    let mut response = Response::builder().status(StatusCode::OK);
    if let Some(id) = head.headers.get("apns-id") {
        response = response.header("apns-id", id);
    }
    respond.send_response(response.body(())?, true)?;
    Ok(())
}
