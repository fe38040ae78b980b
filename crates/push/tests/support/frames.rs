//! HTTP/2 frame by frame (RFC 9113 §4.1), for what no server library lets a test do: SETTINGS that change, a GOAWAY with
//! a chosen last stream, a connection that says nothing. Requests are told apart by their stream alone.

use std::{collections::VecDeque, io};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const DATA: u8 = 0;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
const MAX_CONCURRENT_STREAMS: u16 = 3;

/// What a client did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    /// A request is complete.
    Request(u32),
    /// It took over our last SETTINGS.
    SettingsTaken,
    /// It gave up a stream.
    Reset(u32),
}

/// A connection, seen from the cloud.
pub struct Frames {
    io: TlsStream<TcpStream>,
    /// Streams with a request that has no answer yet.
    pub open: VecDeque<u32>,
    pub answer_pings: bool,
    /// SETTINGS that the client has not taken over yet.
    unsettled: usize,
}

pub struct Listener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener {
    pub async fn bind(acceptor: TlsAcceptor) -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor,
        }
    }

    /// The same where one was before.
    pub async fn bind_at(acceptor: TlsAcceptor, port: u16) -> Self {
        Self {
            listener: TcpListener::bind(("127.0.0.1", port)).await.unwrap(),
            acceptor,
        }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// The next connection, greeted with SETTINGS that allow so many streams.
    pub async fn accept(&self, streams: u32) -> Frames {
        let tcp = self.accept_tcp().await;
        let mut io = self.acceptor.accept(tcp).await.unwrap();
        let mut preface = [0; 24];
        io.read_exact(&mut preface).await.unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut frames = Frames {
            io,
            open: VecDeque::new(),
            answer_pings: true,
            unsettled: 0,
        };
        frames.settings(streams).await;
        frames
    }

    /// For a client that does not trust us.
    pub async fn accept_in_vain(&self) {
        let tcp = self.accept_tcp().await;
        assert!(self.acceptor.accept(tcp).await.is_err());
    }

    async fn accept_tcp(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }
}

impl Frames {
    /// What the client does next; `None` once it has gone.
    pub async fn next(&mut self) -> Option<Seen> {
        loop {
            let mut head = [0; 9];
            self.io.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let (kind, flags) = (head[3], head[4]);
            let mut payload = vec![0; length.try_into().unwrap()];
            self.io.read_exact(&mut payload).await.ok()?;
            match kind {
                HEADERS => self.open.push_back(stream),
                DATA if flags & END_STREAM != 0 => return Some(Seen::Request(stream)),
                SETTINGS if flags & ACK != 0 => {
                    self.unsettled -= 1;
                    return Some(Seen::SettingsTaken);
                }
                SETTINGS => self.write(SETTINGS, ACK, 0, &[]).await,
                PING if flags & ACK == 0 && self.answer_pings => {
                    self.write(PING, ACK, 0, &payload).await;
                }
                RST_STREAM => {
                    self.open.retain(|open| *open != stream);
                    return Some(Seen::Reset(stream));
                }
                _ => {}
            }
        }
    }

    /// The next complete request.
    pub async fn request(&mut self) -> Option<u32> {
        loop {
            if let Seen::Request(stream) = self.next().await? {
                return Some(stream);
            }
        }
    }

    /// Until the client has taken over all our SETTINGS. Requests that come meanwhile are in `open`.
    pub async fn settings_taken(&mut self) {
        while self.unsettled > 0 {
            self.next().await.unwrap();
        }
    }

    pub async fn settings(&mut self, streams: u32) {
        self.unsettled += 1;
        let mut payload = MAX_CONCURRENT_STREAMS.to_be_bytes().to_vec();
        payload.extend(streams.to_be_bytes());
        self.write(SETTINGS, 0, 0, &payload).await;
    }

    /// 200 without a body: HPACK's static entry 8 (RFC 7541 appendix A).
    pub async fn accept(&mut self, stream: u32) {
        self.open.retain(|open| *open != stream);
        self.write(HEADERS, END_STREAM | END_HEADERS, stream, &[0x88])
            .await;
    }

    pub async fn reset(&mut self, stream: u32, code: u32) {
        self.open.retain(|open| *open != stream);
        self.write(RST_STREAM, 0, stream, &code.to_be_bytes()).await;
    }

    pub async fn go_away(&mut self, last_stream: u32, reason: &str) {
        let mut payload = last_stream.to_be_bytes().to_vec();
        payload.extend(0_u32.to_be_bytes());
        payload.extend(format!(r#"{{"reason":"{reason}"}}"#).as_bytes());
        self.write(GOAWAY, 0, 0, &payload).await;
    }

    /// Accepts what is open and all that comes, until the client goes; the number of them.
    pub async fn accept_all(mut self) -> usize {
        let mut count = self.open.len();
        for stream in self.open.clone() {
            self.accept(stream).await;
        }
        while let Some(stream) = self.request().await {
            self.accept(stream).await;
            count += 1;
        }
        count
    }

    async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        // A client that has gone does not mind.
        let _: io::Result<()> = self.io.write_all(&frame).await;
    }
}
