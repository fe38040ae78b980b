//! What the `h2` crate does not let a server say: SETTINGS that allow another number of streams later on, and a
//! GOAWAY with a reason and a last stream of our choice. This wraps the connection below `h2`, reads frame headers
//! (RFC 9113 §4.1) as they pass, and rewrites those two frames. Everything else passes unchanged.

use bytes::{Buf, Bytes, BytesMut};
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
};
use tokio_rustls::server::TlsStream;

const FRAME_HEADER: usize = 9;
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
const ACK: u8 = 0x1;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;

/// Bytes waiting for the socket; at this many `h2` has to wait.
const MOST_WAITING: usize = 256 * 1024;

/// How the engine tells the wire what to write into the frames that pass.
#[derive(Clone)]
pub(super) struct WireControl {
    shared: Arc<Shared>,
}

struct Shared {
    orders: Mutex<Orders>,
    /// Told when the client acknowledged SETTINGS.
    acknowledged: Notify,
}

struct Orders {
    /// Goes into every SETTINGS frame.
    streams: u32,
    /// What the client acknowledged last.
    acknowledged: u32,
    /// Sent and not acknowledged yet, oldest first.
    unacknowledged: VecDeque<u32>,
    go_away: Option<GoAway>,
    reset: bool,
    frozen: bool,
}

/// What goes into a GOAWAY frame.
#[derive(Clone)]
pub(super) struct GoAway {
    /// Streams above this one were not processed.
    pub(super) last_stream: u32,
    /// Debug data: JSON with Apple's `reason`.
    pub(super) debug: Bytes,
}

impl WireControl {
    /// The first SETTINGS will allow `streams` at once.
    pub(super) fn new(streams: u32) -> Self {
        Self {
            shared: Arc::new(Shared {
                orders: Mutex::new(Orders {
                    streams,
                    acknowledged: streams,
                    unacknowledged: VecDeque::new(),
                    go_away: None,
                    reset: false,
                    frozen: false,
                }),
                acknowledged: Notify::new(),
            }),
        }
    }

    /// What SETTINGS say from now on.
    pub(super) fn set_streams(&self, streams: u32) {
        self.orders().streams = streams;
    }

    /// What SETTINGS said last, or will say in the frame that is on its way.
    pub(super) fn streams(&self) -> u32 {
        self.orders().streams
    }

    /// How many streams the client may believe that it may open: a new limit binds it once it has acknowledged it
    /// (RFC 9113 §6.5.3).
    pub(super) fn streams_in_force(&self) -> u32 {
        let orders = self.orders();
        let unacknowledged = orders.unacknowledged.iter().copied().max();
        orders.acknowledged.max(unacknowledged.unwrap_or(0))
    }

    /// Comes back when the client has acknowledged SETTINGS.
    pub(super) async fn acknowledged(&self) {
        self.shared.acknowledged.notified().await;
    }

    /// What every GOAWAY from now on says.
    pub(super) fn set_go_away(&self, go_away: GoAway) {
        self.orders().go_away = Some(go_away);
    }

    /// Closing the connection becomes a TCP reset.
    pub(super) fn reset_on_close(&self) {
        self.orders().reset = true;
    }

    /// Nothing is read or written any more, from this moment on.
    pub(super) fn freeze(&self) {
        self.orders().frozen = true;
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.shared
            .orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A TLS connection whose HTTP/2 frames are looked at, and two of them rewritten.
pub(super) struct Wire {
    io: TlsStream<TcpStream>,
    control: WireControl,
    inbound: Inbound,
    outbound: Outbound,
    waiting: BytesMut,
}

impl Wire {
    pub(super) fn new(io: TlsStream<TcpStream>, control: WireControl) -> Self {
        Self {
            io,
            control,
            inbound: Inbound {
                skip: PREFACE,
                header: BytesMut::with_capacity(FRAME_HEADER),
            },
            outbound: Outbound::default(),
            waiting: BytesMut::new(),
        }
    }

    fn poll_write_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.control.orders().frozen {
            return Poll::Pending;
        }
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.control.orders().reset {
            // Nothing to be done if the socket is gone already.
            let _ = self.io.get_ref().0.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.control.orders().frozen {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        this.inbound.look(&buf.filled()[before..], &this.control);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.waiting.len() >= MOST_WAITING {
            ready!(this.poll_write_waiting(cx))?;
        }
        this.outbound.pass(buf, &mut this.waiting, &this.control);
        if let Poll::Ready(result) = this.poll_write_waiting(cx) {
            result?;
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_write_waiting(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_write_waiting(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

/// Looks at the frames that the client sends, for acknowledgements of SETTINGS.
struct Inbound {
    /// Bytes until the next frame header.
    skip: usize,
    header: BytesMut,
}

impl Inbound {
    fn look(&mut self, mut bytes: &[u8], control: &WireControl) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let wanted = (FRAME_HEADER - self.header.len()).min(bytes.len());
            if self.skip == 0 {
                self.header.extend_from_slice(&bytes[..wanted]);
                bytes = &bytes[wanted..];
            }
            if self.header.len() == FRAME_HEADER {
                self.skip = payload_length(&self.header);
                if self.header[3] == SETTINGS && self.header[4] & ACK != 0 {
                    let mut orders = control.orders();
                    if let Some(streams) = orders.unacknowledged.pop_front() {
                        orders.acknowledged = streams;
                    }
                    drop(orders);
                    control.shared.acknowledged.notify_one();
                }
                self.header.clear();
            }
        }
    }
}

/// Rewrites the frames that the server sends.
#[derive(Default)]
struct Outbound {
    /// Bytes of the present frame that still pass unchanged.
    pass: usize,
    /// The present frame, as far as it is there, if it may have to be rewritten.
    frame: BytesMut,
}

impl Outbound {
    fn pass(&mut self, mut bytes: &[u8], out: &mut BytesMut, control: &WireControl) {
        while !bytes.is_empty() {
            let passed = self.pass.min(bytes.len());
            out.extend_from_slice(&bytes[..passed]);
            self.pass -= passed;
            bytes = &bytes[passed..];
            if bytes.is_empty() {
                return;
            }
            let whole = self.wanted();
            let taken = (whole - self.frame.len()).min(bytes.len());
            self.frame.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.frame.len() < self.wanted() {
                continue;
            }
            let length = payload_length(&self.frame);
            match self.frame[3] {
                SETTINGS if self.frame[4] & ACK == 0 => {
                    write_settings(&self.frame, out, control);
                }
                GOAWAY => write_go_away(&self.frame, out, control),
                _ => {
                    out.extend_from_slice(&self.frame);
                    self.pass = length;
                }
            }
            self.frame.clear();
        }
    }

    /// How much of the present frame is needed to decide: SETTINGS and GOAWAY whole, of others the header.
    fn wanted(&self) -> usize {
        let rewritten =
            self.frame.len() >= FRAME_HEADER && matches!(self.frame[3], SETTINGS | GOAWAY);
        if rewritten {
            FRAME_HEADER + payload_length(&self.frame)
        } else {
            FRAME_HEADER
        }
    }
}

fn payload_length(header: &[u8]) -> usize {
    usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2])
}

/// Writes `frame` with another payload length: the header's first three bytes.
fn write_header(frame: &[u8], length: usize, out: &mut BytesMut) {
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&frame[3..FRAME_HEADER]);
}

fn write_settings(frame: &[u8], out: &mut BytesMut, control: &WireControl) {
    let mut orders = control.orders();
    write_header(frame, payload_length(frame) + 6, out);
    out.extend_from_slice(&frame[FRAME_HEADER..]);
    out.extend_from_slice(&MAX_CONCURRENT_STREAMS.to_be_bytes());
    out.extend_from_slice(&orders.streams.to_be_bytes());
    let streams = orders.streams;
    orders.unacknowledged.push_back(streams);
}

fn write_go_away(frame: &[u8], out: &mut BytesMut, control: &WireControl) {
    let Some(go_away) = control.orders().go_away.clone() else {
        out.extend_from_slice(frame);
        return;
    };
    write_header(frame, 8 + go_away.debug.len(), out);
    out.extend_from_slice(&go_away.last_stream.to_be_bytes());
    out.extend_from_slice(&frame[FRAME_HEADER + 4..FRAME_HEADER + 8]);
    out.extend_from_slice(&go_away.debug);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 0]);
        frame.extend(payload);
        frame
    }

    #[test]
    fn two_kinds_of_frames_are_rewritten_however_the_bytes_are_cut() {
        let data = frame(0x0, 0, b"some data");
        let settings_ack = frame(SETTINGS, ACK, &[]);
        let sent = [
            frame(SETTINGS, 0, &[0, 4, 0, 0, 255, 255]),
            data.clone(),
            settings_ack.clone(),
            frame(GOAWAY, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
            data.clone(),
        ]
        .concat();
        let wanted = [
            frame(SETTINGS, 0, &[0, 4, 0, 0, 255, 255, 0, 3, 0, 0, 0, 7]),
            data.clone(),
            settings_ack,
            frame(GOAWAY, 0, b"\0\0\0\x05\0\0\0\0because"),
            data,
        ]
        .concat();
        for cut in 1..sent.len() {
            let control = WireControl::new(7);
            control.set_go_away(GoAway {
                last_stream: 5,
                debug: Bytes::from_static(b"because"),
            });
            let (mut outbound, mut out) = (Outbound::default(), BytesMut::new());
            for piece in sent.chunks(cut) {
                outbound.pass(piece, &mut out, &control);
            }
            assert_eq!(out, wanted, "cut every {cut}");
        }
    }

    #[test]
    fn a_lower_limit_binds_the_client_once_it_is_acknowledged() {
        let control = WireControl::new(100);
        let mut out = BytesMut::new();
        let settings = frame(SETTINGS, 0, &[]);
        Outbound::default().pass(&settings, &mut out, &control);
        control.set_streams(1);
        Outbound::default().pass(&settings, &mut out, &control);
        assert_eq!(control.streams_in_force(), 100);

        let client = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(SETTINGS, ACK, &[]),
            frame(0x6, 0, &[0; 8]),
            frame(SETTINGS, ACK, &[]),
        ]
        .concat();
        let mut inbound = Inbound {
            skip: PREFACE,
            header: BytesMut::new(),
        };
        for piece in client.chunks(5) {
            inbound.look(piece, &control);
        }
        assert_eq!(control.streams_in_force(), 1);
    }
}
