//! How the HTTP APIs are served: so many connections, so many of one source, and a request that is not whole in time ends
//! its connection, as a SIP message does; so does an answer that is not taken. In plain or over TLS; HTTP/1.1, or HTTP/2 for who begins with
//! it.

mod taken;

use self::taken::{Answer, Waiting};
use crate::{
    admin_socket::OverSocket,
    doorkeeper::Doorkeeper,
    room::{Room, part_of_one},
};
use axum::{Router, extract::ConnectInfo, http::StatusCode, response::IntoResponse};
use domain::Refusal;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use net::Standing;
use push::together::{Together, patient};
use std::{
    convert::Infallible,
    future::pending,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener},
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// The head of a request must be whole within this time, over HTTP/2 that of the first one; a connection without a request is closed after
/// it.
const HEAD: Duration = Duration::from_secs(10);
/// A request must be read and answered within this time.
pub(crate) const WHOLE: Duration = Duration::from_secs(30);
/// How long connections may take to end once they are told to.
const FAREWELL: Duration = Duration::from_secs(2);
/// This part of the connections is not for strangers.
const PART_OF_KNOWN: usize = 4;
/// What peers may have of us over one connection.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// Requests over HTTP/2 that are answered at once.
    streams: u32,
    /// Whether who takes no answer is ended.
    must_take: bool,
}

/// Of servers, which have few connections and much to ask.
pub(crate) const SERVERS: Terms = Terms {
    streams: 500,
    must_take: true,
};

/// Of clients: what one connection may have us keep is this many answers. An edge answers one user no more at once, either.
pub(crate) const CLIENTS: Terms = Terms {
    streams: 8,
    must_take: true,
};

/// Of operators, who may look away from what they watch.
pub(crate) const OPERATORS: Terms = Terms {
    must_take: false,
    ..CLIENTS
};
/// Octets of one HTTP/2 connection, and of one request, that may lie unread.
const WINDOWS: (u32, u32) = (1 << 20, 1 << 16);
/// Longest list of header fields, in bytes, as HTTP/2 counts it.
const HEADERS: u32 = 16 * 1024;
/// HTTP/2: how often a quiet peer is asked whether it is there, and how long it may take to say so.
const ALIVE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(10));
/// Octets of answers that are made ready while those before them are taken, over HTTP/2 of each; a head over HTTP/1.1 is no longer, either.
const READY: usize = 64 * 1024;
/// How an HTTP/2 connection begins (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI ";
/// Octets of a connection with many requests under way that are read before those have their turn.
const SHARE: usize = 16 * 1024;
/// Pause when the system gives no more files.
const NO_FILES: Duration = Duration::from_millis(100);

/// What answers, on which terms, and when a connection is to end with what is under way.
type Serves = (Router, Terms, CancellationToken);

/// Our certificate, and where the work of handshakes is done.
pub(crate) type Tls = (net::TlsSource, net::Handshakes);

/// Serves until `stop`, over TLS where there is a certificate: at most `room` connections, some of which are not for strangers; one
/// more is closed at once. Then nobody is let in any more, and what is under way is answered; a little after `cut` all is cut off.
pub(crate) async fn serve(
    (listener, tls): (TcpListener, Option<Tls>),
    (router, terms): (Router, Terms),
    (room, keeper): (usize, Doorkeeper),
    (stop, cut): (impl Future<Output = ()>, impl Future<Output = ()>),
) {
    let mut connections = JoinSet::new();
    let places = Arc::new(Room::default());
    let shut = CancellationToken::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, from) = match accepted {
            // An IPv4 peer that comes to a listener of IPv6 is the same one.
            Ok((stream, from)) => (
                stream,
                SocketAddr::new(from.ip().to_canonical(), from.port()),
            ),
            Err(error) => {
                tracing::debug!(%error, "an API cannot accept a connection");
                tokio::time::sleep(NO_FILES).await;
                continue;
            }
        };
        let visitor = keeper.visitor(from.ip());
        // Whoever is on this host is an operator, or a proxy that speaks for many.
        let (all, of_one) = match visitor.standing {
            _ if from.ip().is_loopback() => (room, room),
            Standing::Known => (room, part_of_one(room)),
            Standing::Stranger => (room - room / PART_OF_KNOWN, part_of_one(room)),
            Standing::Banned => {
                refuse(&keeper, Refusal::Banned).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let (whose, most) = (visitor.source, (all, of_one));
        let place = match visitor.standing {
            Standing::Stranger if !from.ip().is_loopback() => {
                let is_known = |it| keeper.visitor(it).standing == Standing::Known;
                places.take_unproven(whose, most, is_known)
            }
            _ => places.take(whose, most),
        };
        let Some(mut place) = place else {
            refuse(&keeper, Refusal::Connections).await;
            continue;
        };
        let (tls, keeper) = (tls.clone(), keeper.clone());
        let serves = (router.clone(), terms, shut.clone());
        connections.spawn(async move {
            tokio::select! {
                () = accepted_from(from, stream, tls, serves, &keeper) => {}
                // By somebody who has proven nothing, for somebody else.
                () = place.is_lost() => keeper.refused(Refusal::Silent),
            }
        });
    }
    drop(listener);
    shut.cancel();
    let farewell = async {
        cut.await;
        tokio::time::sleep(FAREWELL).await;
    };
    // What is not over by then is cut off with the set.
    tokio::select! {
        () = async { while connections.join_next().await.is_some() {} } => {}
        () = farewell => {}
    }
}

/// One more was not taken. There may be thousands behind it, and what others wait for is not to wait behind them all.
async fn refuse(keeper: &Doorkeeper, why: Refusal) {
    keeper.refused(why);
    tokio::task::yield_now().await;
}

/// The same at a Unix socket, whose file says who comes in.
pub(crate) async fn serve_local(
    listener: UnixListener,
    router: Router,
    (room, keeper): (usize, Doorkeeper),
    stop: impl Future<Output = ()>,
) {
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) if connections.len() < room => {
                let serves = (router.clone(), OPERATORS, CancellationToken::new());
                let keeper = keeper.clone();
                connections.spawn(async move {
                    connection((stream, false), OverSocket, serves, &keeper).await;
                });
            }
            Ok(_) => keeper.refused(Refusal::Connections),
            Err(error) => {
                tracing::debug!(%error, "the admin socket cannot accept a connection");
                tokio::time::sleep(NO_FILES).await;
            }
        }
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    // What is not over by then is cut off with the set.
    let _ = timeout(FAREWELL, ended).await;
}

/// Serves HTTP/1.1 over a connection that was accepted elsewhere, from there.
pub(crate) async fn carried<S>(stream: S, from: SocketAddr, router: Router, keeper: &Doorkeeper)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _opened = keeper.opened("tls");
    let serves = (router, CLIENTS, CancellationToken::new());
    connection((stream, false), ConnectInfo(from), serves, keeper).await;
}

/// Finds out what is spoken, and serves it. All that this needs is in places of its own: who says nothing costs next to nothing, since
/// thousands may do so.
async fn accepted_from(
    from: SocketAddr,
    stream: TcpStream,
    tls: Option<Tls>,
    serves: Serves,
    keeper: &Doorkeeper,
) {
    let _opened = keeper.opened(if tls.is_some() { "tls" } else { "tcp" });
    // Answers are written at once: what is small must not wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let by = Instant::now() + HEAD;
    if let Some((tls, handshakes)) = tls {
        let who = || keeper.visitor(from.ip());
        let Ok(Ok(turn)) = timeout_at(by, handshakes.turn(who, &stream)).await else {
            return keeper.refused(Refusal::Silent);
        };
        Box::pin(in_tls(from, (stream, turn), (tls, by), serves, keeper)).await;
    } else {
        let Ok(Ok(is_http2)) = timeout_at(by, begins_with_http2(&stream)).await else {
            return keeper.refused(Refusal::Silent);
        };
        let served = connection((stream, is_http2), ConnectInfo(from), serves, keeper);
        Box::pin(served).await;
    }
}

/// Begins TLS, which must be there by then, and serves what is spoken in it.
async fn in_tls(
    from: SocketAddr,
    (stream, turn): (TcpStream, net::Turn),
    (tls, by): (net::TlsSource, Instant),
    serves: Serves,
    keeper: &Doorkeeper,
) {
    let mut config = (*tls.current()).clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // In a place of its own, which is given back after it.
    let begins = Box::pin(turn.begin(Arc::new(config), stream));
    match timeout_at(by, begins).await {
        Ok(Ok((stream, begun))) => {
            // For who speaks HTTP there are few places.
            drop(begun);
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            connection((stream, is_http2), ConnectInfo(from), serves, keeper).await;
        }
        Ok(Err(error)) => {
            keeper.refused(Refusal::Silent);
            tracing::debug!(%from, %error, "no TLS with an API");
        }
        Err(_) => keeper.refused(Refusal::Silent),
    }
}

/// Looks at what comes first, and leaves it where it is.
async fn begins_with_http2(stream: &TcpStream) -> io::Result<bool> {
    net::peek_first::<{ PREFACE.len() }, _>(stream, is_http2).await
}

/// Whether HTTP/2 begins so; of a part of its preface there is no telling yet.
fn is_http2(first: &[u8]) -> Option<bool> {
    match PREFACE.strip_prefix(first) {
        Some([]) => Some(true),
        Some(_) => None,
        None => Some(false),
    }
}

/// Who speaks HTTP/2, and until when.
struct Asks {
    /// Notified by each request.
    asked: Arc<Notify>,
    shut: CancellationToken,
}

impl Asks {
    /// Serves it, until it ends or has asked for nothing in the time that there is for a first request, also while we stop. Of HTTP/1.1
    /// `header_read_timeout` says so. What `ends` does to a connection tells its peer what of its requests is not looked at, which it may
    /// send again elsewhere (RFC 9113 §6.8).
    async fn while_in_time<C: Future<Output = hyper::Result<()>>>(
        self,
        mut served: Pin<&mut C>,
        ends: impl Fn(Pin<&mut C>),
        keeper: &Doorkeeper,
    ) -> hyper::Result<()> {
        let mut is_silent = pin!(async {
            if timeout(HEAD, self.asked.notified()).await.is_ok() {
                pending::<()>().await;
            }
            keeper.refused(Refusal::Silent);
        });
        let stops = tokio::select! {
            biased;
            ended = served.as_mut() => return ended,
            () = self.shut.cancelled() => true,
            () = is_silent.as_mut() => false,
        };
        ends(served.as_mut());
        let last_word = async {
            if stops {
                is_silent.await;
            } else {
                sleep(FAREWELL).await;
            }
        };
        tokio::select! {
            biased;
            ended = served => ended,
            () = last_word => Ok(()),
        }
    }
}

/// Serves one, over HTTP/2 or not; `from` goes with each request.
async fn connection<S, F>(
    (stream, is_http2): (S, bool),
    from: F,
    (router, terms, shut): Serves,
    keeper: &Doorkeeper,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let router = TowerToHyperService::new(router);
    let waiting = Waiting::default();
    let stream = waiting.over(stream);
    let answers = waiting.clone();
    let also = from.clone();
    let asked = Arc::new(Notify::new());
    let asks = asked.clone();
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        asks.notify_one();
        request.extensions_mut().insert(also.clone());
        let answer = router.call(request);
        let answers = answers.clone();
        async move {
            let answer = match timeout(WHOLE, answer).await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
            };
            Ok::<_, Infallible>(answer.map(|body| answers.answer(body)))
        }
    });
    let served = async {
        if is_http2 {
            over_http2(stream, service, terms.streams, Asks { asked, shut }, keeper).await
        } else {
            over_http1(stream, service, shut).await
        }
    };
    let served = tokio::select! {
        biased;
        served = served => served,
        () = waiting.too_long(), if terms.must_take => return keeper.refused(Refusal::Silent),
    };
    if let Err(error) = served {
        if error.is_timeout() {
            keeper.refused(Refusal::Silent);
        }
        tracing::debug!(?from, %error, "a connection of an API ended");
    }
}

async fn over_http2<S, A>(
    stream: S,
    answers: A,
    streams: u32,
    asks: Asks,
    keeper: &Doorkeeper,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Service<hyper::Request<Incoming>, Response = hyper::Response<Answer>, Error = Infallible>,
    A::Future: Send + 'static,
{
    let served = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .max_send_buf_size(READY)
        .initial_connection_window_size(WINDOWS.0)
        .initial_stream_window_size(WINDOWS.1)
        .max_header_list_size(HEADERS)
        .keep_alive_interval(ALIVE.0)
        .keep_alive_timeout(ALIVE.1)
        .serve_connection(TokioIo::new(Together::over(stream, SHARE)), answers);
    let mut served = pin!(served);
    let ends = http2::Connection::graceful_shutdown;
    patient(asks.while_in_time(served.as_mut(), ends, keeper)).await
}

async fn over_http1<S, A>(stream: S, answers: A, shut: CancellationToken) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Service<hyper::Request<Incoming>, Response = hyper::Response<Answer>, Error = Infallible>,
    A::Future: Send + 'static,
{
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(READY)
        .serve_connection(TokioIo::new(stream), answers);
    let mut served = pin!(served);
    tokio::select! {
        biased;
        ended = &mut served => ended,
        () = shut.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{taken::TAKEN, *};
    use crate::{config::Config, metrics::Metrics};
    use axum::routing::get;
    use hub::Guards;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        task::JoinHandle,
    };

    const STREAMS: u32 = CLIENTS.streams;

    async fn started(room: usize, metrics: &Arc<Metrics>) -> SocketAddr {
        let keeper =
            Doorkeeper::new(&Guards::default(), &Config::default(), metrics.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "here" }));
        tokio::spawn(serve(
            (listener, None),
            (router, CLIENTS),
            (room, keeper),
            (std::future::pending(), std::future::pending()),
        ));
        address
    }

    async fn all(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        // A reset is an end as well.
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    #[tokio::test]
    async fn one_connection_too_many_is_closed_and_a_place_is_given_back() {
        let metrics = Arc::default();
        let address = started(1, &metrics).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n")
            .await
            .unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        assert_eq!(all(&mut second).await, "");
        assert_eq!(metrics.refusals().total(Refusal::Connections), 1);
        first.write_all(b"\r\n").await.unwrap();
        assert!(all(&mut first).await.ends_with("here"));
        // The place is given back a moment after its connection has ended.
        for _ in 0..1000 {
            let mut third = TcpStream::connect(address).await.unwrap();
            let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            // It may be closed already.
            let _ = third.write_all(request).await;
            if all(&mut third).await.ends_with("here") {
                return;
            }
        }
        panic!("no place");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_when_nobody_is_let_in_any_more_is_answered_and_who_asks_nothing_goes()
     {
        let keeper = Doorkeeper::new(&Guards::default(), &Config::default(), Arc::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(tokio::sync::Notify::new());
        let tells = asked.clone();
        let slow = async move || {
            tells.notify_one();
            tokio::time::sleep(FAREWELL * 5).await;
            "late"
        };
        let router = Router::new().route("/", get(|| async { "here" }));
        let router = router.route("/slow", get(slow));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let ends = (async { drop(stopped.await) }, std::future::pending());
        let serving = serve(
            (listener, None),
            (router, CLIENTS),
            (10, keeper.unwrap()),
            ends,
        );
        let serving = tokio::spawn(serving);
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"here") {
            idle.read_buf(&mut heard).await.unwrap();
        }
        let mut busy = TcpStream::connect(address).await.unwrap();
        busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        asked.notified().await;
        let begun = Instant::now();
        stop.send(()).unwrap();
        assert_eq!(all(&mut idle).await, "");
        assert!(begun.elapsed() < FAREWELL);
        assert!(TcpStream::connect(address).await.is_err());
        assert!(all(&mut busy).await.ends_with("late"));
        serving.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_half_sent_ends_its_connection() {
        // Whole enough to be HTTP/1.1; what may become HTTP/2 yet; nothing.
        for sent in ["GET / HTTP/1.1\r\nHost:", "PR", ""] {
            half_sent(sent.as_bytes()).await;
        }
        // HTTP/2 that has only begun, and that asks for nothing.
        half_sent(&HTTP2[..10]).await;
        half_sent(HTTP2).await;
        half_sent(&[HTTP2, &HTTP2_REQUEST[..12]].concat()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_asked_over_http2_may_be_silent_then() {
        let address = started(10, &Arc::default()).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let said = [HTTP2, HTTP2_REQUEST].concat();
        client.write_all(&said).await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"here") {
            assert!(client.read_buf(&mut heard).await.unwrap() > 0);
        }
        let ends = timeout(HEAD * 3, all(&mut client)).await;
        assert!(ends.is_err(), "it was ended");
    }

    #[test]
    fn what_may_become_http2_is_no_other_before_it_differs() {
        for (first, expected) in [
            ("P", None),
            ("PRI", None),
            ("PRI ", Some(true)),
            ("PRO", Some(false)),
            ("POST", Some(false)),
            ("G", Some(false)),
        ] {
            assert_eq!(is_http2(first.as_bytes()), expected, "{first}");
        }
    }

    /// The preface, and settings that leave all as it is (RFC 9113 §3.4).
    const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

    /// `GET http://a/`, which is all that is asked (RFC 7541 A, RFC 9113 §6.2).
    const HTTP2_REQUEST: &[u8] = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a";

    async fn half_sent(sent: &[u8]) {
        let metrics = Arc::default();
        let address = started(10, &metrics).await;
        let mut half = TcpStream::connect(address).await.unwrap();
        half.write_all(sent).await.unwrap();
        let begun = Instant::now();
        all(&mut half).await;
        assert!(begun.elapsed() <= HEAD + FAREWELL);
        tokio::task::yield_now().await;
        assert_eq!(metrics.refusals().total(Refusal::Silent), 1);
    }

    /// Serves who is at the other end of the stream that is handed back, until it is over.
    fn over(router: Router, is_http2: bool) -> (DuplexStream, JoinHandle<()>) {
        let keeper = Doorkeeper::new(&Guards::default(), &Config::default(), Arc::default());
        let (theirs, ours) = duplex(1 << 10);
        let serves = (router, CLIENTS, CancellationToken::new());
        let served = async move {
            connection((ours, is_http2), (), serves, &keeper.unwrap()).await;
        };
        (theirs, tokio::spawn(served))
    }

    /// The same preface with a window for no octet of an answer.
    const HTTP2_WITHOUT_WINDOW: &[u8] =
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";

    #[tokio::test(start_paused = true)]
    async fn who_does_not_take_an_answer_is_ended() {
        let http2 = [HTTP2_WITHOUT_WINDOW, HTTP2_REQUEST].concat();
        let http1 = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
        for (asked, length, is_http2, reads) in [
            // It reads whatever comes, but opens no window.
            (http2.clone(), 1, true, true),
            (http2, 1, true, false),
            (http1, 1 << 20, false, false),
            // An answer without a body, as often as it may be asked for.
            (
                b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000),
                0,
                false,
                false,
            ),
        ] {
            let router = Router::new().route("/", get(move || async move { "a".repeat(length) }));
            let (client, served) = over(router, is_http2);
            let (mut heard, mut says) = tokio::io::split(client);
            let asks = async {
                // Not all of it is read when nothing of the answers is.
                let _ = says.write_all(&asked).await;
            };
            let hears = async {
                if reads {
                    let _ = heard.read_to_end(&mut Vec::new()).await;
                }
            };
            let is_over = async { tokio::join!(asks, hears, served).2 };
            let ended = timeout(TAKEN * 2 + FAREWELL, is_over).await;
            assert!(
                ended.is_ok_and(|it| it.is_ok()),
                "{is_http2} {length} {reads}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_an_answer_slowly_has_all_of_it() {
        const LENGTH: usize = 1 << 20;
        let router = Router::new().route("/", get(|| async { "a".repeat(LENGTH) }));
        let (mut client, served) = over(router, false);
        let asked = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        client.write_all(asked).await.unwrap();
        let (mut all, mut some, begun) = (0, [0; 1 << 10], Instant::now());
        loop {
            let octets = client.read(&mut some).await.unwrap();
            if octets == 0 {
                break;
            }
            all += octets;
            // 8 KiB in a second.
            sleep(Duration::from_millis(125)).await;
        }
        assert!(all > LENGTH, "{all}");
        assert!(begun.elapsed() > TAKEN * 4);
        served.await.unwrap();
    }

    #[tokio::test]
    async fn so_many_requests_of_one_connection_are_answered_at_once() {
        let under_way = Arc::new(AtomicU32::new(0));
        let (counts, done) = (under_way.clone(), Arc::new(Notify::new()));
        let all = done.clone();
        let slow = async move || {
            if counts.fetch_add(1, Ordering::Relaxed) + 1 == STREAMS {
                all.notify_one();
            }
            pending::<()>().await;
        };
        let (client, _served) = over(Router::new().route("/", get(slow)), true);
        let (mut heard, mut says) = tokio::io::split(client);
        let asks = async {
            says.write_all(HTTP2).await.unwrap();
            for one in 0..=u8::try_from(STREAMS).unwrap() {
                let mut request = HTTP2_REQUEST.to_vec();
                request[8] = 1 + 2 * one;
                says.write_all(&request).await.unwrap();
            }
        };
        // The last one is refused, and the others are not.
        let refused = [
            3,
            0,
            0,
            0,
            0,
            u8::try_from(STREAMS).unwrap() * 2 + 1,
            0,
            0,
            0,
            7,
        ];
        let hears = async {
            let mut octets = Vec::new();
            while !octets.windows(refused.len()).any(|it| it == refused) {
                assert!(heard.read_buf(&mut octets).await.unwrap() > 0);
            }
        };
        tokio::join!(asks, hears, done.notified());
        assert_eq!(under_way.load(Ordering::Relaxed), STREAMS);
    }

    /// What a connection costs over which nothing came: strangers may have thousands.
    #[tokio::test]
    async fn the_task_of_a_connection_over_which_nothing_came_is_small() {
        let keeper = Doorkeeper::new(&Guards::default(), &Config::default(), Arc::default());
        let keeper = keeper.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (chain, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
        let tls = net::TlsSource::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let handshakes = net::Handshakes::new(&net::Limits::default());
        let serves = (Router::new(), CLIENTS, CancellationToken::new());
        let stream = TcpStream::connect(at).await.unwrap();
        let accepted = accepted_from(at, stream, Some((tls, handshakes)), serves, &keeper);
        let size = size_of_val(&accepted);
        assert!(size <= 1 << 10, "{size}");
    }
}
