//! One HTTP/2 connection of a client to a cloud, on the low level, so that the platforms' connection rules (one stream
//! until authorised, SETTINGS that change, GOAWAY with a reason) and the faults are real.

use super::{
    Limits, State,
    exchange::{Outcome, Platform, exchange},
    wire::{GoAway, Wire, WireControl},
};
use bytes::{Bytes, BytesMut};
use h2::{
    Reason, RecvStream,
    server::{Connection, SendResponse},
};
use http::{Request, Response};
use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_rustls::server::TlsStream;

/// The window that SETTINGS repeat when they are sent again: HTTP/2's default (RFC 9113 §6.9.2).
const WINDOW: u32 = 65_535;

/// What a request tells its connection.
enum Directive {
    /// It was judged: the number of streams allowed may have changed.
    Judged,
    /// Take no stream above this one, and close when the others are answered.
    GoAway { last_stream: u32, reason: String },
    /// Reset the TCP connection.
    Reset,
    /// The wire is frozen: nothing more to do but to wait.
    Frozen,
}

/// What all requests of a connection share.
struct Shared<P: Platform> {
    platform: Arc<P>,
    state: Arc<State>,
    session: Mutex<P::Session>,
    connection: u64,
    /// Streams open: accepted and not answered.
    open: AtomicU32,
    control: WireControl,
    tell: mpsc::UnboundedSender<Directive>,
}

/// Serves the connection until either side ends it.
pub(super) async fn serve<P: Platform>(
    platform: Arc<P>,
    state: Arc<State>,
    io: TlsStream<TcpStream>,
    number: u64,
) {
    let mut max_streams = state.faults(P::PROVIDER).max_streams();
    // At most one directive a request, and the requests are bounded by the streams.
    let (tell, mut told) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        platform,
        state,
        session: Mutex::default(),
        connection: number,
        open: AtomicU32::new(0),
        control: WireControl::new(1),
        tell,
    });
    let (state, control) = (shared.state.clone(), shared.control.clone());
    let limits = state.limits();
    control.set_streams(shared.streams_allowed(*max_streams.borrow()));
    let handshake = h2::server::Builder::new()
        .initial_window_size(WINDOW)
        .handshake(Wire::new(io, control.clone()));
    let Ok(Ok(mut h2)) = timeout(limits.handshake, handshake).await else {
        return;
    };
    let mut closing = false;
    loop {
        let wanted = shared.streams_allowed(*max_streams.borrow_and_update());
        announce(&mut h2, &control, wanted);
        let idle = tokio::time::sleep(limits.idle);
        tokio::select! {
            biased;
            accepted = poll_fn(|cx| h2.poll_accept(cx)) => match accepted {
                Some(Ok((request, respond))) if closing => {
                    drop(request);
                    refuse(respond);
                }
                Some(Ok((request, respond))) => {
                    shared.clone().accept(request, respond);
                }
                Some(Err(_)) | None => return,
            },
            directive = told.recv() => match directive {
                Some(Directive::GoAway { last_stream, reason }) if !closing => {
                    closing = true;
                    go_away(&mut h2, &control, last_stream, &reason);
                }
                Some(Directive::Judged | Directive::GoAway { .. }) | None => {}
                Some(Directive::Reset) => {
                    control.reset_on_close();
                    return;
                }
                Some(Directive::Frozen) => {
                    let _ = timeout(limits.silence, state.stopping.cancelled()).await;
                    return;
                }
            },
            () = control.acknowledged() => {}
            _ = max_streams.changed() => {}
            () = idle, if !closing && shared.open.load(Ordering::Relaxed) == 0 => {
                closing = true;
                go_away(&mut h2, &control, u32::MAX >> 1, "IdleTimeout");
            }
            () = state.stopping.cancelled(), if !closing => {
                closing = true;
                go_away(&mut h2, &control, u32::MAX >> 1, "Shutdown");
            }
            () = state.stopped.cancelled() => return,
        }
    }
}

/// Sends SETTINGS if they have changed. While earlier ones are not acknowledged it cannot, and is called again when
/// they are.
fn announce(h2: &mut Connection<Wire, Bytes>, control: &WireControl, streams: u32) {
    if control.streams() != streams && h2.set_initial_window_size(WINDOW).is_ok() {
        control.set_streams(streams);
    }
}

fn go_away(
    h2: &mut Connection<Wire, Bytes>,
    control: &WireControl,
    last_stream: u32,
    reason: &str,
) {
    control.set_go_away(GoAway {
        last_stream,
        debug: serde_json::json!({ "reason": reason }).to_string().into(),
    });
    h2.graceful_shutdown();
}

/// Says that the stream was not processed and may be tried again (RFC 9113 §8.7).
fn refuse(mut respond: SendResponse<Bytes>) {
    respond.send_reset(Reason::REFUSED_STREAM);
}

impl<P: Platform> Shared<P> {
    /// One until the client is authorised; then what was ordered, or the platform's usual number.
    fn streams_allowed(&self, ordered: Option<u32>) -> u32 {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if self.platform.is_authorised(&session) {
            ordered.unwrap_or(self.state.limits().streams)
        } else {
            1
        }
    }

    fn accept(self: Arc<Self>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        if open > self.control.streams_in_force() {
            self.open.fetch_sub(1, Ordering::Relaxed);
            refuse(respond);
            return;
        }
        let tasks = self.state.tasks.clone();
        tasks.spawn(self.run(request, respond));
    }

    async fn run(self: Arc<Self>, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let stream = respond.stream_id().as_u32();
        let Some(request) = whole(request, self.state.limits()).await else {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return;
        };
        let outcome = exchange(
            &*self.platform,
            &self.state,
            &self.session,
            self.connection,
            request,
        )
        .await;
        // Before the answer, so that a client that opens its next stream upon it is not refused.
        self.open.fetch_sub(1, Ordering::Relaxed);
        match outcome {
            Outcome::Answer(response) => {
                self.tell(Directive::Judged);
                answer(respond, response);
            }
            Outcome::AnswerAndGoAway(response, reason) => {
                answer(respond, response);
                self.tell(Directive::GoAway {
                    last_stream: stream,
                    reason,
                });
            }
            Outcome::GoAway(reason) => {
                self.tell(Directive::GoAway {
                    last_stream: stream.saturating_sub(2),
                    reason,
                });
                refuse(respond);
            }
            Outcome::Reset { stream_only: true } => respond.send_reset(Reason::INTERNAL_ERROR),
            Outcome::Reset { stream_only: false } => {
                self.tell(Directive::Reset);
                // Dropped now, the stream would be reset in HTTP/2's own way first.
                self.given_up(&mut respond).await;
            }
            Outcome::Silence { stream_only } => {
                if !stream_only {
                    self.control.freeze();
                    self.tell(Directive::Frozen);
                }
                let _ = timeout(self.state.limits().silence, self.given_up(&mut respond)).await;
            }
        }
    }

    fn tell(&self, directive: Directive) {
        // A connection that is gone needs no telling.
        let _ = self.tell.send(directive);
    }

    /// Until the client resets the stream, the connection ends, or the clouds do.
    async fn given_up(&self, respond: &mut SendResponse<Bytes>) {
        tokio::select! {
            _ = poll_fn(|cx| respond.poll_reset(cx)) => {}
            () = self.state.stopping.cancelled() => {}
        }
    }
}

/// The request with its body, up to `Limits::body_bytes` of it; the rest is not read. Nothing if the client gave up.
async fn whole(request: Request<RecvStream>, limits: &Limits) -> Option<Request<Bytes>> {
    let (head, mut incoming) = request.into_parts();
    let mut body = BytesMut::new();
    while body.len() <= limits.body_bytes
        && let Some(data) = incoming.data().await
    {
        let data = data.ok()?;
        // Fails only when the connection is gone, which the next read tells.
        let _ = incoming.flow_control().release_capacity(data.len());
        body.extend_from_slice(&data);
    }
    Some(Request::from_parts(head, body.freeze()))
}

/// Queues the answer. A client that is gone does not get it.
fn answer(mut respond: SendResponse<Bytes>, response: Response<Bytes>) {
    let (head, body) = response.into_parts();
    let head = Response::from_parts(head, ());
    if let Ok(mut stream) = respond.send_response(head, body.is_empty())
        && !body.is_empty()
    {
        // The answers are far smaller than any window.
        let _ = stream.send_data(body, true);
    }
}
