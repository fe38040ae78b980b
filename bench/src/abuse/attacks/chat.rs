//! The door of XMPP.

use super::connections;
use crate::abuse::attacker::{Done, Stands, Target, address, connect};
use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};
use std::{
    io::{Read, Write},
    time::Duration,
};

/// How a stream begins.
const HEADER: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";
/// Streams that go no further.
const HALF_OPEN: usize = 1_800;
/// Nothing is waited for any longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Streams that begin, and go no further.
pub(super) fn half_open(target: &Target) -> Done {
    let to = target.doors.xmpp_tcp;
    connections::held(target, to, (HEADER.as_bytes(), HALF_OPEN), 1)
}

/// Passwords for one user, three at a connection, as many as one takes.
pub(super) fn guesses(target: &Target) -> Done {
    let mut done = Done::default();
    let said = STANDARD.encode(format!("\0u0\0{}", "guess"));
    let auth =
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{said}</auth>");
    while target.stands() {
        // A source that is banned gets no connection, and comes again.
        if guess(target, &auth, &mut done).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    done
}

fn guess(target: &Target, auth: &str, done: &mut Done) -> Result<()> {
    let socket = connect(address(0), target.xmpp)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from(crate::load::DOMAIN)?;
    let tls = ClientConnection::new(target.tls.clone(), name)?;
    let mut stream = StreamOwned::new(tls, socket);
    stream.write_all(HEADER.as_bytes())?;
    hear(&mut stream, "</stream:features>", done)?;
    for _ in 0..3 {
        stream.write_all(auth.as_bytes())?;
        done.sends(auth.len());
        hear(&mut stream, "</failure>", done)?;
    }
    Ok(())
}

/// Reads to this.
fn hear(stream: &mut impl Read, end: &str, done: &mut Done) -> Result<()> {
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut buffer)?;
        (length > 0).then_some(()).context("the stream is closed")?;
        done.gets(length);
        heard.extend_from_slice(&buffer[..length]);
        if memchr::memmem::find(&heard, end.as_bytes()).is_some() {
            return Ok(());
        }
    }
}
