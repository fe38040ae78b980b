//! A phone's connection for XMPP, with TLS from the start, in a task of its own: over TCP (XEP-0368), or over a WebSocket (RFC 7395).

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
use xmpp::stream::Framing;

use super::websocket::{self, Frame, Frames};
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
    server: Option<(SocketAddr, Framing)>,
    /// By which name, and by whose certificates, the server is known.
    tls: Result<Named, String>,
    current: Option<(StreamNumber, mpsc::Sender<Bytes>)>,
    tasks: JoinSet<()>,
    happened: mpsc::Sender<Link>,
    happens: mpsc::Receiver<Link>,
}

impl Streams {
    pub(super) fn of(phone: &PhoneConfig) -> Self {
        let (happened, happens) = mpsc::channel(READ);
        Self {
            server: phone.xmpp.as_ref().map(|door| (door.server, door.framing)),
            tls: tls(phone),
            current: None,
            tasks: JoinSet::new(),
            happened,
            happens,
        }
    }

    /// The next connection is to this server.
    pub(super) fn move_to(&mut self, server: Option<SocketAddr>) {
        if let (Some((known, _)), Some(server)) = (&mut self.server, server) {
            *known = server;
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
                Ok((stream, wire)) => {
                    if happened.send(Link::Opened(number)).await.is_err() {
                        return;
                    }
                    run(number, (stream, wire), writes, &happened).await;
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

/// By which name a server is known, and by whose certificates.
#[derive(Clone)]
struct Named {
    domain: String,
    name: ServerName<'static>,
    tls: TlsConnector,
}

fn tls(phone: &PhoneConfig) -> Result<Named, String> {
    let ca = phone.ca.as_ref().ok_or("XMPP needs the server's CA")?;
    let config = net::client_config(ca.as_bytes()).map_err(|error| error.to_string())?;
    let mut config = ClientConfig::clone(&config);
    // XEP-0368 §3.
    let protocol = match phone.xmpp.as_ref().map(|door| door.framing) {
        Some(Framing::WebSocket) => "http/1.1",
        _ => "xmpp-client",
    };
    config.alpn_protocols = vec![protocol.into()];
    let domain = phone.domain.clone();
    let name = ServerName::try_from(domain.clone()).map_err(|error| error.to_string())?;
    let tls = TlsConnector::from(Arc::new(config));
    Ok(Named { domain, name, tls })
}

type Stream = tokio_rustls::client::TlsStream<TcpStream>;

/// How the octets of a stream go over its connection.
enum Wire {
    Octets,
    /// Each write is a message, and so is each read.
    Messages(Frames),
}

/// What was read: for the phone, and what the server is to hear for that.
#[derive(Default)]
struct Read {
    stream: Vec<Bytes>,
    answers: Vec<Bytes>,
    is_over: bool,
}

impl Wire {
    fn written(&self, octets: Bytes) -> Bytes {
        match self {
            Self::Octets => octets,
            Self::Messages(_) => websocket::message(&octets),
        }
    }

    fn read(&mut self, octets: Bytes) -> Read {
        let mut read = Read::default();
        let frames = match self {
            Self::Octets => {
                read.stream.push(octets);
                return read;
            }
            Self::Messages(frames) => frames,
        };
        frames.push(&octets);
        loop {
            match frames.next() {
                Ok(None) => return read,
                Ok(Some(Frame::Message(message))) => read.stream.push(message),
                Ok(Some(Frame::Ping(payload))) => read.answers.push(websocket::pong(&payload)),
                Ok(Some(Frame::Pong)) => {}
                Ok(Some(Frame::Close)) => {
                    read.is_over = true;
                    return read;
                }
                Err(why) => {
                    tracing::warn!(why, "the server breaks the rules of WebSockets");
                    read.is_over = true;
                    return read;
                }
            }
        }
    }
}

async fn open(
    (server, framing): (SocketAddr, Framing),
    Named { domain, name, tls }: Named,
) -> Result<(Stream, Wire), String> {
    let opening = async {
        let io = |error: std::io::Error| error.to_string();
        let stream = TcpStream::connect(server).await.map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        let mut stream = tls.connect(name, stream).await.map_err(io)?;
        let wire = match framing {
            Framing::Tcp | Framing::Component => Wire::Octets,
            Framing::WebSocket => Wire::Messages(websocket::begin(&mut stream, &domain).await?),
        };
        Ok((stream, wire))
    };
    match tokio::time::timeout(OPENING, opening).await {
        Ok(opened) => opened.map_err(|why: String| format!("{server}: {why}")),
        Err(_) => Err(format!("{server}: no answer")),
    }
}

/// Carries octets until either end is done.
async fn run(
    number: StreamNumber,
    (stream, mut wire): (Stream, Wire),
    mut writes: mpsc::Receiver<Bytes>,
    happened: &mpsc::Sender<Link>,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut buffer = BytesMut::with_capacity(OCTETS);
    loop {
        let out = tokio::select! {
            read = reader.read_buf(&mut buffer) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
                let read = wire.read(buffer.split().freeze());
                for octets in read.stream {
                    if happened.send(Link::Received(number, octets)).await.is_err() {
                        return;
                    }
                }
                if read.is_over {
                    return;
                }
                read.answers
            },
            octets = writes.recv() => {
                let Some(octets) = octets else {
                    // The server may be gone already.
                    let _ = writer.shutdown().await;
                    return;
                };
                vec![wire.written(octets)]
            }
        };
        for octets in out {
            if writer.write_all(&octets).await.is_err() {
                return;
            }
        }
        if writer.flush().await.is_err() {
            return;
        }
    }
}
