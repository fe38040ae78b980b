//! The attacks, each with the least that brings it about.

use super::messages::{Draft, status};
use anyhow::Result;
use std::{
    fmt,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Sources of a distributed attack.
const MANY: u32 = 1_000;
/// Connections that do nothing.
const IDLE: usize = 1_800;
/// HTTP requests that are half sent.
const HALF: usize = 1_000;
/// Between rounds of connections.
const PAUSE: Duration = Duration::from_millis(100);

/// Whom they attack.
pub(crate) struct Target {
    pub(crate) sip: SocketAddrV4,
    pub(crate) admin: SocketAddr,
    /// The number of a user who has a password and means ill.
    pub(crate) bad_user: u32,
}

/// An attack.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Target, &AtomicBool) -> Result<Done>,
}

/// What an attacker did and got.
#[derive(Debug, Default)]
pub(crate) struct Done {
    sent: u64,
    sent_octets: u64,
    got: u64,
    got_octets: u64,
}

impl Done {
    fn sends(&mut self, octets: usize) {
        self.sent += 1;
        self.sent_octets += octets as u64;
    }

    fn gets(&mut self, octets: usize) {
        self.got += 1;
        self.got_octets += octets as u64;
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sent,
            sent_octets,
            got,
            got_octets,
        } = self;
        #[expect(clippy::cast_precision_loss, reason = "a ratio to look at")]
        let times = *got_octets as f64 / (*sent_octets).max(1) as f64;
        write!(
            f,
            "{sent} sent, {got} came back, {times:.2} times the octets"
        )
    }
}

/// All of them, by the points of what was found.
pub(crate) const ATTACKS: [Attack; 9] = [
    Attack {
        name: "1 INVITEs over one TCP connection",
        run: invites_over_tcp,
    },
    Attack {
        name: "1 REGISTERs over UDP from one source",
        run: |target, stop| datagrams(target, stop, 1, "REGISTER"),
    },
    Attack {
        name: "1 REGISTERs over UDP from 1,000 sources",
        run: |target, stop| datagrams(target, stop, MANY, "REGISTER"),
    },
    Attack {
        name: "2 small INVITEs over UDP from one source",
        run: |target, stop| small(target, stop, 1),
    },
    Attack {
        name: "2 small INVITEs over UDP from 1,000 sources",
        run: |target, stop| small(target, stop, MANY),
    },
    Attack {
        name: "3 passwords over UDP from one source",
        run: |target, stop| guesses(target, stop, 1),
    },
    Attack {
        name: "3 passwords over UDP from 1,000 sources",
        run: |target, stop| guesses(target, stop, MANY),
    },
    Attack {
        name: "4 one user calls another and gives up",
        run: one_user,
    },
    Attack {
        name: "5 idle connections and half-sent HTTP",
        run: |target, stop| Ok(connections(target, stop)),
    },
];

/// Sockets of addresses of loopback that nobody else has.
fn sources(server: SocketAddrV4, count: u32) -> Result<Vec<UdpSocket>> {
    let source = |number: u32| {
        let [.., high, low] = number.to_be_bytes();
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 100, high, low + 1), 0));
        let socket =
            socket.or_else(|_| UdpSocket::bind((Ipv4Addr::new(127, 101, high, low), 0)))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    (0..count)
        .map(|it| source(it % 250 + (it / 250) * 256))
        .collect()
}

/// Sends as fast as it can, from each source in turn; hears what comes back.
fn flood(
    target: &Target,
    stop: &AtomicBool,
    count: u32,
    mut text: impl FnMut(u64, SocketAddr) -> String,
) -> Result<Done> {
    let sources = sources(target.sip, count)?;
    let (mut done, mut buffer) = (Done::default(), [0; 4096]);
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        for source in &sources {
            number += 1;
            let text = text(number, source.local_addr()?);
            if source.send(text.as_bytes()).is_ok() {
                done.sends(text.len());
            }
            while let Ok(length) = source.recv(&mut buffer) {
                done.gets(length);
            }
        }
    }
    Ok(done)
}

fn draft(method: &'static str, number: u64, from: &str, at: SocketAddr) -> Draft {
    Draft {
        method,
        transport: "UDP",
        from: from.to_owned(),
        to: "u0".to_owned(),
        id: format!("x{number}"),
        at,
    }
}

fn datagrams(target: &Target, stop: &AtomicBool, count: u32, method: &'static str) -> Result<Done> {
    flood(target, stop, count, |number, at| {
        draft(method, number, "u0", at).text(0, "")
    })
}

fn small(target: &Target, stop: &AtomicBool, count: u32) -> Result<Done> {
    flood(target, stop, count, |number, at| {
        format!(
            "INVITE sip:u0@localhost SIP/2.0\r\nv:SIP/2.0/UDP {at};branch=z9hG4bK{number}\r\nf:<sip:u1@localhost>;tag=1\r\n\
             t:<sip:u0@localhost>\r\ni:{number}\r\nCSeq:1 INVITE\r\n\r\n"
        )
    })
}

fn invites_over_tcp(target: &Target, stop: &AtomicBool) -> Result<Done> {
    let connect = || -> Result<TcpStream> {
        let stream = TcpStream::connect(target.sip)?;
        stream.set_read_timeout(Some(Duration::from_millis(1)))?;
        Ok(stream)
    };
    let mut stream = connect()?;
    let (mut done, mut buffer, mut number) = (Done::default(), vec![0; 1 << 16], 0);
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let invite = Draft {
            transport: "TCP",
            ..draft("INVITE", number, "u0", stream.local_addr()?)
        };
        let text = invite.text(0, "");
        if stream.write_all(text.as_bytes()).is_err() {
            // Who does not read fast enough is cut off: it comes again.
            stream = connect()?;
            continue;
        }
        done.sends(text.len());
        if number % 64 == 0
            && let Ok(length) = stream.read(&mut buffer)
        {
            done.gets(length);
        }
    }
    Ok(done)
}

fn guesses(target: &Target, stop: &AtomicBool, count: u32) -> Result<Done> {
    let sources = sources(target.sip, count)?;
    let (mut done, mut buffer, mut number) = (Done::default(), [0; 4096], 0);
    while !stop.load(Ordering::Relaxed) {
        for source in &sources {
            number += 1;
            let draft = draft("REGISTER", number, "u0", source.local_addr()?);
            let text = draft.text(0, "");
            done.sends(text.len());
            // Whoever is not answered does not wait for it.
            let _ = source.send(text.as_bytes());
            while let Ok(length) = source.recv(&mut buffer) {
                done.gets(length);
                let challenge = &buffer[..length];
                let id = format!("x{}", number - 1);
                let asked = status(challenge, &draft.id).or(status(challenge, &id));
                let wrong = draft.credentials(challenge, "guess");
                if let (Some(401), Some(wrong)) = (asked, wrong) {
                    let text = draft.text(1, &wrong);
                    done.sends(text.len());
                    let _ = source.send(text.as_bytes());
                }
            }
        }
    }
    Ok(done)
}

/// With a password: calls one user as fast as it can, and gives each call up at once.
fn one_user(target: &Target, stop: &AtomicBool) -> Result<Done> {
    let source = UdpSocket::bind((Ipv4Addr::new(127, 100, 0, 1), 0))?;
    source.connect(target.sip)?;
    source.set_read_timeout(Some(Duration::from_millis(50)))?;
    let (at, from) = (source.local_addr()?, format!("u{}", target.bad_user));
    let (mut done, mut buffer, mut number) = (Done::default(), [0; 4096], 0);
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let invite = Draft {
            to: format!("u{}", target.bad_user - 1),
            ..draft("INVITE", number, &from, at)
        };
        source.send(invite.text(0, "").as_bytes())?;
        while let Ok(length) = source.recv(&mut buffer) {
            done.gets(length);
            let Some(signed) = status(&buffer[..length], &invite.id)
                .filter(|status| *status == 407)
                .and_then(|_| invite.signed(&buffer[..length]))
            else {
                continue;
            };
            let text = invite.text(1, &signed);
            source.send(text.as_bytes())?;
            done.sends(text.len());
            let cancel = Draft {
                method: "CANCEL",
                ..invite.clone()
            };
            source.send(cancel.text(2, "").as_bytes())?;
            break;
        }
    }
    Ok(done)
}

/// Opens connections and says nothing, or half of something; opens them again when they are closed.
fn connections(target: &Target, stop: &AtomicBool) -> Done {
    let mut done = Done::default();
    let mut idle: Vec<TcpStream> = Vec::new();
    let mut half: Vec<TcpStream> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for streams in [&mut idle, &mut half] {
            streams.retain(|stream| {
                let mut octet = [0];
                let waits = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
                stream.peek(&mut octet).is_err_and(waits)
            });
        }
        let more = |to: SocketAddr, said: &[u8], most: usize, streams: &mut Vec<TcpStream>| {
            let mut opened = 0;
            while streams.len() < most {
                let Ok(mut stream) = TcpStream::connect_timeout(&to, PAUSE) else {
                    break;
                };
                // It may be closed already.
                let _ = stream.write_all(said);
                if stream.set_nonblocking(true).is_err() {
                    break;
                }
                streams.push(stream);
                opened += 1;
            }
            opened
        };
        done.sent += more(target.sip.into(), b"", IDLE, &mut idle);
        done.sent += more(target.admin, b"GET / HTTP/1.1\r\nHost:", HALF, &mut half);
        std::thread::sleep(PAUSE);
    }
    done
}
