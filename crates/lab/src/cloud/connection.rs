//! One HTTP/2 connection of a client to a cloud, on the low level, so that the platforms' connection rules (one stream
//! until authorised, SETTINGS that change, GOAWAY with a reason) and the faults are real.

use super::{
    Limits, State,
    exchange::{Fortune, Outcome, Platform, exchange},
    locked,
    wire::Wire,
    wire_control::{GoAway, WireControl},
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
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_rustls::server::TlsStream;

/// The window that SETTINGS repeat when they are sent again: HTTP/2's default (RFC 9113 §6.9.2).
const WINDOW: u32 = 65_535;

/// Longest list of request headers.
const HEADER_BYTES: u32 = 16 * 1024;

/// What a request tells its connection.
enum Directive {
    /// It was judged: the number of streams allowed may have changed.
    Judged,
    /// Take nothing more, and close when what was taken is answered.
    GoAway(String),
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
    control: WireControl,
    /// Streams open: accepted and not answered.
    open: AtomicU32,
    gate: Mutex<Gate>,
    tell: mpsc::UnboundedSender<Directive>,
}

/// Which streams are processed. GOAWAY must name the last one that was, so that the client may send the others again
/// elsewhere and none twice (RFC 9113 §6.8).
#[derive(Default)]
struct Gate {
    last: u32,
    closed: bool,
}

/// Serves the connection until either side ends it.
pub(super) async fn serve<P: Platform>(
    platform: Arc<P>,
    session: P::Session,
    state: Arc<State>,
    io: TlsStream<TcpStream>,
    connection: u64,
) {
    let mut max_streams = state.faults(P::PROVIDER).max_streams();
    // At most one directive a request, and the requests are bounded by the streams.
    let (tell, mut told) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        platform,
        state: state.clone(),
        session: Mutex::new(session),
        connection,
        control: WireControl::new(1),
        open: AtomicU32::new(0),
        gate: Mutex::default(),
        tell,
    });
    let (limits, control) = (state.limits(), &shared.control);
    control.set_streams(shared.streams_allowed(*max_streams.borrow()));
    let handshake = h2::server::Builder::new()
        .initial_window_size(WINDOW)
        .max_header_list_size(HEADER_BYTES)
        .handshake(Wire::new(io, control.clone()));
    let Ok(Ok(mut h2)) = timeout(limits.handshake, handshake).await else {
        return;
    };
    let mut closing = false;
    loop {
        let wanted = shared.streams_allowed(*max_streams.borrow_and_update());
        announce(&mut h2, control, wanted);
        let idle = tokio::time::sleep(limits.idle);
        let is_quiet = shared.open.load(Ordering::Relaxed) == 0;
        let go_away = tokio::select! {
            biased;
            accepted = poll_fn(|cx| h2.poll_accept(cx)) => match accepted {
                Some(Ok((request, respond))) => {
                    shared.clone().accept(request, respond);
                    None
                }
                Some(Err(_)) | None => return,
            },
            directive = told.recv() => match directive {
                Some(Directive::GoAway(reason)) => Some(reason),
                Some(Directive::Judged) | None => None,
                Some(Directive::Reset) => return control.reset_on_close(),
                Some(Directive::Frozen) => {
                    let _ = timeout(limits.silence, state.stopping.cancelled()).await;
                    return;
                }
            },
            () = control.acknowledged() => None,
            _ = max_streams.changed() => None,
            // A client that was told and does not go is cut.
            () = idle, if is_quiet => if closing { return } else { Some("IdleTimeout".to_owned()) },
            () = state.stopping.cancelled(), if !closing => Some("Shutdown".to_owned()),
            () = state.stopped.cancelled() => return,
        };
        if let Some(reason) = go_away
            && !closing
        {
            closing = true;
            control.set_go_away(GoAway {
                last_stream: shared.close_gate(),
                debug: serde_json::json!({ "reason": reason }).to_string().into(),
            });
            h2.graceful_shutdown();
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

/// Says that the stream was not processed and may be tried again (RFC 9113 §8.7).
fn refuse(mut respond: SendResponse<Bytes>) {
    respond.send_reset(Reason::REFUSED_STREAM);
}

impl<P: Platform> Shared<P> {
    /// One until the client is authorised; then what was ordered, or the platform's usual number.
    fn streams_allowed(&self, ordered: Option<u32>) -> u32 {
        let lenient = self.state.config.lenient;
        if lenient || self.platform.is_authorised(&locked(&self.session)) {
            ordered.unwrap_or(self.state.limits().streams)
        } else {
            1
        }
    }

    fn accept(self: Arc<Self>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        let allowed = self.control.streams_in_force();
        if open > allowed {
            self.open.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(
                cloud = P::PROVIDER.name(),
                connection = self.connection,
                allowed,
                "the client opens more streams than it may; this one is refused"
            );
            refuse(respond);
            return;
        }
        let tasks = self.state.tasks.clone();
        tasks.spawn(async move {
            let outcome = self.process(request, respond).await;
            if let Some((respond, outcome)) = outcome {
                self.carry_out(outcome, respond).await;
            }
        });
    }

    /// Runs the request. Nothing comes of it if the client or the gate does not want it any more.
    async fn process(
        &self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) -> Option<(SendResponse<Bytes>, Outcome)> {
        // Freed before the answer, so that a client that opens its next stream upon it is not refused.
        let _place = Place(&self.open);
        let request = whole(request, self.state.limits()).await?;
        let Some(fortune) = self.admit(respond.stream_id().as_u32(), &request) else {
            refuse(respond);
            return None;
        };
        let exchange = exchange(
            &*self.platform,
            &self.state,
            &self.session,
            self.connection,
            request,
            fortune,
        );
        tokio::select! {
            outcome = exchange => Some((respond, outcome)),
            _ = poll_fn(|cx| respond.poll_reset(cx)) => None,
        }
    }

    /// Lets the stream through the gate with its fortune, or not; a GOAWAY in its fortune closes the gate before it.
    fn admit(&self, stream: u32, request: &Request<Bytes>) -> Option<Fortune> {
        let mut gate = locked(&self.gate);
        if gate.closed {
            return None;
        }
        let fortune = Fortune::draw(&*self.platform, &self.state, request);
        if fortune.is_go_away() {
            gate.closed = true;
        } else {
            gate.last = gate.last.max(stream);
        }
        Some(fortune)
    }

    /// Lets no stream through any more; says which was the last.
    fn close_gate(&self) -> u32 {
        let mut gate = locked(&self.gate);
        gate.closed = true;
        gate.last
    }

    async fn carry_out(&self, outcome: Outcome, mut respond: SendResponse<Bytes>) {
        match outcome {
            Outcome::Answer(response) => {
                self.tell(Directive::Judged);
                answer(respond, response);
            }
            Outcome::AnswerAndGoAway(response, reason) => {
                answer(respond, response);
                self.tell(Directive::GoAway(reason));
            }
            Outcome::GoAway(reason) => {
                self.tell(Directive::GoAway(reason));
                refuse(respond);
            }
            Outcome::Reset { stream_only: true } => respond.send_reset(Reason::INTERNAL_ERROR),
            Outcome::Reset { stream_only: false } => {
                self.tell(Directive::Reset);
                // Dropped now, the stream would be reset in HTTP/2's own way first.
                self.until_given_up(&mut respond).await;
            }
            Outcome::Silence { stream_only } => {
                if !stream_only {
                    self.control.freeze();
                    self.tell(Directive::Frozen);
                }
                let silence = self.state.limits().silence;
                let _ = timeout(silence, self.until_given_up(&mut respond)).await;
            }
        }
    }

    fn tell(&self, directive: Directive) {
        // A connection that is gone needs no telling.
        let _ = self.tell.send(directive);
    }

    /// Until the client resets the stream, the connection ends, or the clouds do.
    async fn until_given_up(&self, respond: &mut SendResponse<Bytes>) {
        tokio::select! {
            _ = poll_fn(|cx| respond.poll_reset(cx)) => {}
            () = self.state.stopping.cancelled() => {}
        }
    }
}

/// The place of an open stream; given back when dropped.
struct Place<'a>(&'a AtomicU32);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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
