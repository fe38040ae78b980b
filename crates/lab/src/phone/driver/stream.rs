//! A phone's connection for XMPP: TCP with TLS from the start (XEP-0368), in a task of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::phone::PhoneConfig;
use crate::phone::chat::{Link, StreamNumber};

/// What was read and waits for the phone; the socket waits when it is full.
const READ: usize = 64;
/// Writes that wait for the socket. Whoever does not read so many is gone.
const WRITES: usize = 1_024;
/// Octets of one read.
const OCTETS: usize = 16 * 1_024;
/// How long a connection may take to open, TLS included.
const OPENING: Duration = Duration::from_secs(10);

/// The connections of a phone: one, and those that are about to close.
pub(super) struct Streams {
    server: Option<SocketAddr>,
    /// By which name, and by whose certificates, the server is known.
    tls: Result<(ServerName<'static>, TlsConnector), String>,
    current: Option<(StreamNumber, mpsc::Sender<Bytes>)>,
    tasks: JoinSet<()>,
    happened: mpsc::Sender<Link>,
    happens: mpsc::Receiver<Link>,
}

impl Streams {
    pub(super) fn of(phone: &PhoneConfig) -> Self {
        let (happened, happens) = mpsc::channel(READ);
        Self {
            server: phone.xmpp.as_ref().map(|door| door.server),
            tls: tls(phone),
            current: None,
            tasks: JoinSet::new(),
            happened,
            happens,
        }
    }

    /// What happened on the connections. Cancel safe.
    pub(super) async fn recv(&mut self) -> Option<Link> {
        self.happens.recv().await
    }

    /// Opens a connection in the background.
    pub(super) fn connect(&mut self, number: StreamNumber) {
        while self.tasks.try_join_next().is_some() {}
        let (write, writes) = mpsc::channel(WRITES);
        self.current = Some((number, write));
        let (server, tls, happened) = (self.server, self.tls.clone(), self.happened.clone());
        self.tasks.spawn(async move {
            let server = server.ok_or_else(|| "the phone has no XMPP door".to_owned());
            let opened = match (server, tls) {
                (Ok(server), Ok(tls)) => open(server, tls).await,
                (Err(why), _) | (_, Err(why)) => Err(why),
            };
            // Nobody listens to a phone that is switched off.
            let _ = match opened {
                Ok(stream) => {
                    if happened.send(Link::Opened(number)).await.is_err() {
                        return;
                    }
                    run(number, stream, writes, &happened).await;
                    happened.send(Link::Closed(number)).await
                }
                Err(why) => happened.send(Link::NotOpened(number, why)).await,
            };
        });
    }

    /// Writes, in order. A connection that takes no more is left.
    pub(super) fn write(&mut self, number: StreamNumber, octets: Bytes) {
        let is_full = match &self.current {
            Some((current, write)) if *current == number => write.try_send(octets).is_err(),
            _ => false,
        };
        if is_full {
            self.close(number);
        }
    }

    /// Closes a connection after what was written.
    pub(super) fn close(&mut self, number: StreamNumber) {
        self.current.take_if(|(current, _)| *current == number);
    }

    /// Closes everything, what was written included, and returns when no task is left.
    pub(super) async fn shutdown(mut self) {
        self.current = None;
        self.happens.close();
        while self.tasks.join_next().await.is_some() {}
    }
}

fn tls(phone: &PhoneConfig) -> Result<(ServerName<'static>, TlsConnector), String> {
    let ca = phone.ca.as_ref().ok_or("XMPP needs the server's CA")?;
    let config = net::client_config(ca.as_bytes()).map_err(|error| error.to_string())?;
    let mut config = ClientConfig::clone(&config);
    // XEP-0368 §3.
    config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    let name = ServerName::try_from(phone.domain.clone()).map_err(|error| error.to_string())?;
    Ok((name, TlsConnector::from(Arc::new(config))))
}

type Stream = tokio_rustls::client::TlsStream<TcpStream>;

async fn open(
    server: SocketAddr,
    (name, tls): (ServerName<'static>, TlsConnector),
) -> Result<Stream, String> {
    let opening = async {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        tls.connect(name, stream).await
    };
    match tokio::time::timeout(OPENING, opening).await {
        Ok(opened) => opened.map_err(|error| format!("{server}: {error}")),
        Err(_) => Err(format!("{server}: no answer")),
    }
}

/// Carries octets until either end is done.
async fn run(
    number: StreamNumber,
    stream: Stream,
    mut writes: mpsc::Receiver<Bytes>,
    happened: &mpsc::Sender<Link>,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut buffer = BytesMut::with_capacity(OCTETS);
    loop {
        tokio::select! {
            read = reader.read_buf(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    let octets = buffer.split().freeze();
                    if happened.send(Link::Received(number, octets)).await.is_err() {
                        return;
                    }
                }
            },
            octets = writes.recv() => {
                let Some(octets) = octets else {
                    // The server may be gone already.
                    let _ = writer.shutdown().await;
                    return;
                };
                if writer.write_all(&octets).await.is_err() || writer.flush().await.is_err() {
                    return;
                }
            }
        }
    }
}
