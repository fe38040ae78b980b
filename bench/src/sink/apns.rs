//! The part of APNs that a push client needs in order to be content: TLS with HTTP/2, and `200` for every device.

use super::{Teller, user_of};
use anyhow::{Context, Result};
use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{Request, Response, StatusCode};
use rustls::pki_types::PrivateKeyDer;
use std::{
    future::poll_fn,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The files that a server's configuration names to push here.
pub(crate) const CA_FILE: &str = "sink.pem";
pub(crate) const KEY_FILE: &str = "apns.p8";

/// What vouches for sinks: [`CA_FILE`] and [`KEY_FILE`] of a folder, which a server's configuration names.
pub(crate) struct Identity(TlsAcceptor);

impl Identity {
    /// A certificate that vouches for itself, and a signing key that nobody checks.
    pub(crate) fn put_into(folder: &Path) -> Result<Self> {
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
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// What a sink does with a push before it says yes.
pub(crate) enum Manner {
    /// Tells the phones.
    Tell(Teller),
    /// Nothing.
    AtOnce,
    /// Waits for so long.
    After(Duration),
}

/// A sink that runs for as long as the program does.
pub(crate) struct Apns {
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Apns {
    /// Starts one.
    pub(crate) fn start(identity: &Identity, manner: Manner) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (acceptor, manner) = (identity.0.clone(), Arc::new(manner));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::spawn(move || {
            let served = runtime.block_on(listen(listener, &acceptor, &manner));
            if let Err(error) = served {
                eprintln!("the APNs sink: {error:#}");
            }
        });
        Ok(Self { address })
    }
}

async fn listen(
    listener: std::net::TcpListener,
    acceptor: &TlsAcceptor,
    manner: &Arc<Manner>,
) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (connection, _) = listener.accept().await?;
        let (acceptor, manner) = (acceptor.clone(), manner.clone());
        tokio::spawn(async move {
            if let Err(error) = serve(connection, &acceptor, &manner).await {
                eprintln!("the APNs sink: {error:#}");
            }
        });
    }
}

async fn serve(connection: TcpStream, acceptor: &TlsAcceptor, manner: &Arc<Manner>) -> Result<()> {
    connection.set_nodelay(true)?;
    let secured = acceptor.accept(connection).await.context("TLS")?;
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(1_000);
    let mut http = builder.handshake::<_, Bytes>(secured).await?;
    // A server that is killed ends its connection without ceremony.
    while let Some(Ok((request, respond))) = http.accept().await {
        let manner = manner.clone();
        tokio::spawn(async move {
            if let Err(error) = answer(request, respond, &manner).await {
                eprintln!("the APNs sink: {error:#}");
            }
        });
    }
    Ok(())
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    manner: &Manner,
) -> Result<()> {
    let (head, mut body) = request.into_parts();
    while let Some(chunk) = body.data().await {
        match chunk {
            Ok(chunk) => body.flow_control().release_capacity(chunk.len())?,
            // Whoever asked waits no more.
            Err(error) if error.is_reset() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    match manner {
        // The token is the user's number in 64 hexadecimal digits.
        Manner::Tell(teller) => teller.tell(user_of(head.uri.path(), 16)?)?,
        Manner::AtOnce => {}
        Manner::After(pause) => tokio::select! {
            () = tokio::time::sleep(*pause) => {}
            _ = poll_fn(|cx| respond.poll_reset(cx)) => return Ok(()),
        },
    }
    let mut response = Response::builder().status(StatusCode::OK);
    if let Some(id) = head.headers.get("apns-id") {
        response = response.header("apns-id", id);
    }
    respond.send_response(response.body(())?, true)?;
    Ok(())
}
