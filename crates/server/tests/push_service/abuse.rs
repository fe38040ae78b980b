//! HTTP at its worst, at the door for tenants: the service goes on serving whoever behaves, and who does not is let go. Over HTTP/2 frame by
//! frame (RFC 9113 §4.1), since no client library lets anybody do this.

use crate::stage::Stage;
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

/// Streams that the service answers at once over one connection, as its SETTINGS say.
const STREAMS: u32 = 500;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// `POST /v1/notifications` in the words of HPACK's static table, with this behind it.
fn head(more: &[u8]) -> Vec<u8> {
    let path = b"/v1/notifications";
    let mut head = vec![0x83, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    head.extend_from_slice(path);
    head.extend_from_slice(&[0x01, 1, b'a']);
    head.extend_from_slice(more);
    head
}

/// The field that lets somebody in: for HPACK a literal behind a name of its static table, not indexed.
fn authorization(token: &str) -> Vec<u8> {
    let value = format!("Bearer {token}");
    let mut field = vec![0x0F, 23 - 0x0F];
    // A length of seven bits, or what is beyond that in one octet more.
    match u8::try_from(value.len()).unwrap() {
        length @ 0..127 => field.push(length),
        length => field.extend([127, length - 127]),
    }
    field.extend(value.bytes());
    field
}

/// A field that is not indexed, with a value of 120 octets.
fn field() -> Vec<u8> {
    let mut field = vec![0, 1, b'x', 120];
    field.resize(field.len() + 120, b'y');
    field
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// What came of an attack.
#[derive(Debug, Default)]
struct Heard {
    /// Error codes of streams that were reset, and how often each.
    resets: std::collections::BTreeMap<u32, usize>,
    /// Error codes of a GOAWAY.
    goaways: Vec<u32>,
    /// Streams that were answered.
    answers: usize,
}

/// A connection of HTTP/2 by somebody who means no good.
struct Attacker {
    stream: TcpStream,
    reader: thread::JoinHandle<Heard>,
}

impl Attacker {
    fn new(to: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(to).unwrap();
        let reading = stream.try_clone().unwrap();
        reading.set_read_timeout(Some(PATIENCE)).unwrap();
        let reader = thread::spawn(move || hear(reading));
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .unwrap();
        let mut attacker = Self { stream, reader };
        assert!(attacker.sends(&frame(SETTINGS, 0, 0, &[])));
        attacker
    }

    /// Whether the service still takes something.
    fn sends(&mut self, octets: &[u8]) -> bool {
        self.stream.write_all(octets).is_ok()
    }

    /// Has the service look at all that was sent, and hears what it says, to the end of the connection.
    fn end(mut self) -> Heard {
        self.sends(&frame(PING, 0, 0, &[7; 8]));
        self.reader.join().unwrap()
    }
}

/// All that comes, until the connection or the answer to a PING of ours ends it.
fn hear(mut stream: TcpStream) -> Heard {
    let mut heard = Heard::default();
    let mut head = [0; 9];
    loop {
        match stream.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing more is said"),
            Err(_) => return heard,
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        if stream.read_exact(&mut payload).is_err() {
            return heard;
        }
        let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        match head[3] {
            HEADERS => heard.answers += 1,
            RST_STREAM => *heard.resets.entry(code(0)).or_default() += 1,
            GOAWAY => heard.goaways.push(code(4)),
            PING if head[4] == ACK => return heard,
            _ => {}
        }
    }
}

/// While somebody attacks, who has the token of a tenant, and after it, every push of the tenant is accepted.
async fn serves_others<T: Send>(attack: impl FnOnce(SocketAddr, &str) -> T + Send) -> T {
    let stage = Stage::new().await;
    let to = stage.service.rest;
    let is_over = AtomicBool::new(false);
    let came = thread::scope(|scope| {
        let attacker = scope.spawn(|| {
            let came = attack(to, &stage.token);
            is_over.store(true, Ordering::Relaxed);
            came
        });
        let mut pushed = 0;
        while pushed < 10 || !(is_over.load(Ordering::Relaxed) || attacker.is_finished()) {
            stage.is_accepted(&pushed.to_string());
            pushed += 1;
        }
        attacker.join().unwrap()
    });
    stage.is_accepted("after");
    stage.end().await;
    came
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_end_end_their_own_connection() {
    let came = serves_others(|to, _| {
        // HTTP/1.1, a field that never ends.
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"POST /v1/notifications HTTP/1.1\r\nHost: a\r\n")
            .unwrap();
        let line = [b"X: ", &[b'y'; 1_000][..], b"\r\n"].concat();
        let sent = (0..10_000).take_while(|_| stream.write_all(&line).is_ok());
        let sent = sent.count();
        let mut said = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut said);
        // HTTP/2, ten times what its SETTINGS allow.
        let mut attacker = Attacker::new(to);
        let fields = field().repeat(1_300);
        let mut begin = true;
        for part in head(&fields).chunks(16_000) {
            let kind = if begin { HEADERS } else { CONTINUATION };
            attacker.sends(&frame(kind, 0, 1, part));
            begin = false;
        }
        attacker.sends(&frame(CONTINUATION, END_HEADERS, 1, &[]));
        (
            sent,
            String::from_utf8_lossy(&said).into_owned(),
            attacker.end(),
        )
    })
    .await;
    let (sent, said, heard) = came;
    assert!(sent < 10_000, "ten megabytes of header fields were taken");
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 431"),
        "{said}"
    );
    assert!(
        heard.answers == 1 || !heard.goaways.is_empty() || !heard.resets.is_empty(),
        "{heard:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_come_hold_up_nobody() {
    serves_others(|to, token| {
        let begun = format!(
            "POST /v1/notifications HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 1000\r\n\r\n{{"
        );
        let mut slow: Vec<_> = (0..200)
            .map(|_| {
                let mut stream = TcpStream::connect(to).unwrap();
                stream.write_all(begun.as_bytes()).unwrap();
                stream
            })
            .collect();
        // One octet after the other, of which none is the last.
        for octet in b"\"id\":\"" {
            for stream in &mut slow {
                stream.write_all(&[*octet]).unwrap();
            }
        }
        for stream in &slow {
            stream.set_nonblocking(true).unwrap();
            let waits = stream.peek(&mut [0]).map_err(|error| error.kind());
            assert_eq!(waits, Err(ErrorKind::WouldBlock), "it was answered");
        }
        // They stay while others push.
        slow
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_streams_than_there_may_be_are_refused_one_by_one() {
    let heard = serves_others(|to, token| {
        let mut attacker = Attacker::new(to);
        let head = head(&authorization(token));
        // Each with a body that does not come.
        for number in 0..2 * STREAMS {
            let stream = 2 * number + 1;
            if !attacker.sends(&frame(HEADERS, END_HEADERS, stream, &head)) {
                break;
            }
            attacker.sends(&frame(DATA, 0, stream, b"{"));
        }
        attacker.end()
    })
    .await;
    let refused = heard.resets.get(&REFUSED_STREAM).copied().unwrap_or(0);
    assert!(refused > 0 || !heard.goaways.is_empty(), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_taken_back_at_once_end_their_connection() {
    // CVE-2023-44487.
    let (sent, heard) = serves_others(|to, _| {
        let mut attacker = Attacker::new(to);
        let head = head(&[]);
        let mut sent = 0;
        let begun = Instant::now();
        while sent < 200_000 && begun.elapsed() < PATIENCE {
            let mut octets = Vec::new();
            for _ in 0..100 {
                let stream = 2 * sent + 1;
                octets.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &head));
                octets.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
                sent += 1;
            }
            if !attacker.sends(&octets) {
                break;
            }
        }
        (sent, attacker.end())
    })
    .await;
    assert!(heard.goaways.contains(&ENHANCE_YOUR_CALM), "{heard:?}");
    assert!(sent < 200_000, "all were taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_frames_without_end_ends_its_connection() {
    // CVE-2024-27316.
    let (sent, heard) = serves_others(|to, _| {
        let mut attacker = Attacker::new(to);
        attacker.sends(&frame(HEADERS, 0, 1, &head(&[])));
        let part = frame(CONTINUATION, 0, 1, &field());
        let sent = (0..100_000).take_while(|_| attacker.sends(&part)).count();
        (sent, attacker.end())
    })
    .await;
    assert!(sent < 100_000, "all were taken");
    // Told so, unless what it still wrote was answered by a reset first.
    assert!(
        heard.goaways.is_empty() || heard.goaways.contains(&ENHANCE_YOUR_CALM),
        "{heard:?}"
    );
}
