//! The user part of our Record-Route: which two flows a dialog joins, sealed with a key of ours (RFC 5626 §5.2), so
//! that a request inside the dialog finds a phone behind its connection, and nobody can make up a way to another one.

use crate::{hex, secret};
use domain::Timestamp;
use ring::{digest, hmac};
use sip::{Flow, Transport};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// Bytes of the seal kept: 80 bits.
const SEAL: usize = 10;
/// Most digits of a token.
const LONGEST: usize = 256;
/// How long a token opens; no call lasts longer.
const LIFETIME: Duration = Duration::from_hours(24);

/// Makes and opens tokens.
#[derive(Debug)]
pub(super) struct FlowTokens {
    key: hmac::Key,
}

/// A dialog, by its Call-ID.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) struct DialogId([u8; 16]);

impl DialogId {
    /// The dialog with this Call-ID.
    pub(super) fn of(call_id: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, call_id.as_bytes());
        Self(std::array::from_fn(|at| digest.as_ref()[at]))
    }
}

/// A side of a dialog, by its tag.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) struct Mark([u8; 4]);

/// The two ends of a dialog.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) struct Ends {
    /// Who began the dialog.
    pub(super) initiator: Mark,
    /// Where its first request came from.
    pub(super) caller: Flow,
    /// Where it went.
    pub(super) callee: Flow,
}

impl Ends {
    /// The other end, for a request of the side that is known by `from`.
    pub(super) fn across(&self, from: Mark) -> Flow {
        if from == self.initiator {
            self.callee
        } else {
            self.caller
        }
    }
}

impl Mark {
    /// Of the side with this tag.
    pub(super) fn of(tag: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, tag.as_bytes());
        Self(std::array::from_fn(|at| digest.as_ref()[at]))
    }
}

impl FlowTokens {
    /// With a key derived from this secret, which may serve other ends as well; tokens of another one do not open.
    /// Dialogs outlive us, so the secret should.
    pub(super) fn new(secret: &[u8]) -> Self {
        Self {
            key: secret::key_for("record-route", secret),
        }
    }

    /// The token of this dialog between these flows.
    pub(super) fn seal(&self, ends: &Ends, dialog: DialogId, now: Timestamp) -> String {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&now.0.to_be_bytes());
        bytes.extend_from_slice(&ends.initiator.0);
        write_flow(&mut bytes, &ends.caller);
        write_flow(&mut bytes, &ends.callee);
        let seal = self.sign(&bytes, dialog);
        bytes.extend_from_slice(&seal);
        hex::encode(&bytes)
    }

    /// The seal of what a token says, good for one dialog.
    fn sign(&self, bytes: &[u8], dialog: DialogId) -> [u8; SEAL] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(bytes);
        context.update(&dialog.0);
        let whole = context.sign();
        std::array::from_fn(|at| whole.as_ref()[at])
    }

    /// The ends, if the token is ours, of this dialog, and not too old.
    pub(super) fn open(&self, token: &str, dialog: DialogId, now: Timestamp) -> Option<Ends> {
        let token = Some(token).filter(|token| token.len() <= LONGEST)?;
        let bytes = hex::decode(token)?;
        let (ends, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL)?)?;
        let ours = secret::same(&self.sign(ends, dialog), seal);
        let mut rest = Some(ends).filter(|_| ours)?;
        let made = Timestamp(u64::from_be_bytes(take(&mut rest)?));
        if now.since(made) > LIFETIME {
            return None;
        }
        Some(Ends {
            initiator: Mark(take(&mut rest)?),
            caller: read_flow(&mut rest)?,
            callee: read_flow(&mut rest)?,
        })
    }
}

const TRANSPORTS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

fn write_flow(bytes: &mut Vec<u8>, flow: &Flow) {
    bytes.push(
        TRANSPORTS
            .iter()
            .position(|transport| *transport == flow.transport)
            .map_or(0xff, |at| at.to_le_bytes()[0]),
    );
    write_address(bytes, flow.local);
    write_address(bytes, flow.remote);
    bytes.extend_from_slice(&flow.id.to_be_bytes());
}

fn write_address(bytes: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            bytes.push(4);
            bytes.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            bytes.push(6);
            bytes.extend_from_slice(&ip.octets());
        }
    }
    bytes.extend_from_slice(&address.port().to_be_bytes());
}

fn read_flow(bytes: &mut &[u8]) -> Option<Flow> {
    let transport = *TRANSPORTS.get(usize::from(take::<1>(bytes)?[0]))?;
    let (local, remote) = (read_address(bytes)?, read_address(bytes)?);
    Some(Flow {
        transport,
        local,
        remote,
        id: u64::from_be_bytes(take(bytes)?),
    })
}

fn read_address(bytes: &mut &[u8]) -> Option<SocketAddr> {
    let ip = match take::<1>(bytes)?[0] {
        4 => IpAddr::from(take::<4>(bytes)?),
        6 => IpAddr::from(take::<16>(bytes)?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(take(bytes)?)))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(remote: &str, id: u64) -> Flow {
        Flow {
            transport: Transport::Tcp,
            local: "127.0.0.1:5060".parse().unwrap(),
            remote: remote.parse().unwrap(),
            id,
        }
    }

    fn ends() -> Ends {
        Ends {
            initiator: Mark::of("callers tag"),
            caller: flow("[2001:db8::1]:40000", 7),
            callee: flow("127.0.0.1:50000", u64::MAX),
        }
    }

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn dialog() -> DialogId {
        DialogId::of("call@example.org")
    }

    #[test]
    fn a_token_opens_to_what_was_sealed() {
        let tokens = FlowTokens::new(b"key");
        let token = tokens.seal(&ends(), dialog(), NOW);
        assert_eq!(tokens.open(&token, dialog(), NOW), Some(ends()));
    }

    #[test]
    fn a_token_is_good_for_its_dialog_and_for_its_time() {
        let tokens = FlowTokens::new(b"key");
        let token = tokens.seal(&ends(), dialog(), NOW);
        let other = DialogId::of("another@example.org");
        assert_eq!(tokens.open(&token, other, NOW), None);
        let last = NOW.plus(LIFETIME);
        assert_eq!(tokens.open(&token, dialog(), last), Some(ends()));
        let late = last.plus(Duration::from_millis(1));
        assert_eq!(tokens.open(&token, dialog(), late), None);
    }

    #[test]
    fn a_token_that_was_changed_or_made_up_does_not_open() {
        let tokens = FlowTokens::new(b"key");
        let token = tokens.seal(&ends(), dialog(), NOW);
        for at in 0..token.len() {
            let mut changed = token.clone();
            let digit = if &token[at..=at] == "0" { "1" } else { "0" };
            changed.replace_range(at..=at, digit);
            assert_eq!(tokens.open(&changed, dialog(), NOW), None);
        }
        for made_up in ["", "0", "zz", "00", &token[2..], &"0".repeat(300), "é"] {
            assert_eq!(tokens.open(made_up, dialog(), NOW), None);
        }
        assert_eq!(FlowTokens::new(b"other").open(&token, dialog(), NOW), None);
    }

    #[test]
    fn a_request_goes_to_the_other_end_wherever_it_comes_from() {
        let ends = ends();
        assert_eq!(ends.across(Mark::of("callers tag")), ends.callee);
        assert_eq!(ends.across(Mark::of("another tag")), ends.caller);
    }
}
