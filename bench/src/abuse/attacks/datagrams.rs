//! Floods of datagrams.

use crate::abuse::attacker::{Done, Stands, Target, address};
use crate::abuse::messages::{Draft, status};
use anyhow::Result;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};

/// REGISTERs without credentials, as fast as it can.
pub(super) fn requests(target: &Target, count: u32) -> Result<Done> {
    flood(target, count, |number, at| {
        draft("REGISTER", number, at).text(0, "")
    })
}

/// INVITEs that are as small as they can be, which are hoped to be answered by much.
pub(super) fn small(target: &Target, count: u32) -> Result<Done> {
    flood(target, count, |number, at| {
        format!(
            "INVITE sip:u0@localhost SIP/2.0\r\nv:SIP/2.0/UDP {at};branch=z9hG4bK{number}\r\nf:<sip:u1@localhost>;tag=1\r\n\
             t:<sip:u0@localhost>\r\ni:{number}\r\nCSeq:1 INVITE\r\n\r\n"
        )
    })
}

/// Passwords for one user.
pub(super) fn guesses(target: &Target, count: u32) -> Result<Done> {
    let sources = sources(target.sip, count)?;
    let (mut done, mut buffer, mut number) = (Done::default(), [0; 4096], 0);
    while target.stands() {
        for source in &sources {
            number += 1;
            let draft = draft("REGISTER", number, source.local_addr()?);
            let text = draft.text(0, "");
            done.sends(text.len());
            // Whoever is not answered does not wait for it.
            let _ = source.send(text.as_bytes());
            while let Ok(length) = source.recv(&mut buffer) {
                done.gets(length);
                let challenge = &buffer[..length];
                let earlier = format!("x{}", number.saturating_sub(1));
                let asked = status(challenge, &draft.id).or(status(challenge, &earlier));
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

/// Sends as fast as it can, from each source in turn; hears what comes back.
fn flood(
    target: &Target,
    count: u32,
    mut text: impl FnMut(u64, SocketAddr) -> String,
) -> Result<Done> {
    let sources = sources(target.sip, count)?;
    let (mut done, mut buffer) = (Done::default(), [0; 4096]);
    done.amplifies = true;
    let mut number = 0;
    while target.stands() {
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

fn sources(server: SocketAddrV4, count: u32) -> Result<Vec<UdpSocket>> {
    let source = |number: u32| -> Result<_> {
        let socket = UdpSocket::bind((address(number), 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    (0..count).map(source).collect()
}

fn draft(method: &'static str, number: u64, at: SocketAddr) -> Draft {
    Draft {
        method,
        transport: "UDP",
        from: "u0".to_owned(),
        to: "u0".to_owned(),
        id: format!("x{number}"),
        at,
        wakeable: None,
    }
}
