//! The user part of our Record-Route: which two ends a dialog joins, sealed with a key of ours (RFC 5626 §5.2), so that
//! a request inside the dialog finds a phone behind its connection, and nobody can make up a way to another one. An end
//! is named by its user and device where they are known, so that a phone which moved is found.

use crate::{
    flows::{self, take},
    seal::SealKey,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use domain::{Address, DeviceId, Timestamp, TrackingId};
use sha2::{Digest, Sha256};
use sip::{Flow, steer};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// Octets of the seal kept: 80 bits.
const SEAL: usize = 10;
/// Most characters of a token.
const LONGEST: usize = 1024;
/// How long a token opens; no call lasts longer.
const LIFETIME: Duration = Duration::from_hours(24);

/// Makes and opens tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    key: SealKey,
    shard: u8,
}

/// A dialog, by its Call-ID.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct DialogId([u8; 16]);

impl DialogId {
    /// The dialog with this Call-ID.
    pub(crate) fn of(call_id: &str) -> Self {
        Self(hashed(call_id))
    }

    /// For those to whom it is only a name.
    pub(crate) fn octets(self) -> [u8; 16] {
        self.0
    }
}

/// A side of a dialog, by its tag.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Mark([u8; 4]);

impl Mark {
    /// Of the side with this tag.
    pub(crate) fn of(tag: &str) -> Self {
        Self(hashed(tag))
    }
}

fn hashed<const N: usize>(text: &str) -> [u8; N] {
    let digest = Sha256::digest(text.as_bytes());
    std::array::from_fn(|at| digest.get(at).copied().unwrap_or_default())
}

/// One end of a dialog.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct End {
    /// The flow over which it was reached when the dialog began.
    pub(crate) flow: Flow,
    /// The user, if it is one of ours.
    pub(crate) user: Option<Address>,
    /// The user's device, if it is known which.
    pub(crate) device: Option<DeviceId>,
}

/// The two ends of a dialog.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ends {
    /// Who began the dialog.
    pub(crate) initiator: Mark,
    /// Where its first request came from.
    pub(crate) caller: End,
    /// Where it went.
    pub(crate) callee: End,
    /// The story of the call, if it is one.
    pub(crate) tracking: Option<TrackingId>,
}

impl Ends {
    /// The end of the side that is known by `from`, and the other one.
    pub(crate) fn seen_from(self, from: Mark) -> (End, End) {
        if from == self.initiator {
            (self.caller, self.callee)
        } else {
            (self.callee, self.caller)
        }
    }
}

impl Tokens {
    /// With a key derived from this secret, which may serve other ends as well; tokens of another one do not open.
    /// Dialogs outlive us, so the secret should.
    pub(crate) fn new(secret: &[u8], shard: u8) -> Self {
        Self {
            key: SealKey::new("record-route", secret),
            shard,
        }
    }

    /// The token of this dialog between these ends.
    pub(crate) fn seal(&self, ends: &Ends, dialog: DialogId, now: Timestamp) -> String {
        let mut bytes = Vec::with_capacity(192);
        bytes.extend_from_slice(&now.0.to_be_bytes());
        bytes.extend_from_slice(&ends.initiator.0);
        for end in [&ends.caller, &ends.callee] {
            flows::write(&mut bytes, &end.flow);
            let user = end.user.as_ref().map_or("", Address::as_str);
            let device = end.device.as_ref().map_or("", DeviceId::as_str);
            flows::write_text(&mut bytes, user);
            flows::write_text(&mut bytes, device);
        }
        let tracking = ends.tracking.as_ref().map_or("", TrackingId::as_str);
        flows::write_text(&mut bytes, tracking);
        let seal = self.sign(&bytes, dialog);
        bytes.extend_from_slice(&seal);
        let text = BASE64.encode(&bytes);
        format!("{:02x}{}{text}", self.shard, steer::TOKEN_DOT)
    }

    /// The seal of what a token says, good for one dialog.
    fn sign(&self, bytes: &[u8], dialog: DialogId) -> [u8; SEAL] {
        let whole = self.key.seal(&[bytes, &dialog.0]);
        std::array::from_fn(|at| whole[at])
    }

    /// The ends, if the token is ours, of this dialog, and not too old.
    pub(crate) fn open(&self, token: &str, dialog: DialogId, now: Timestamp) -> Option<Ends> {
        let (_, text) = steer::split_token(token).filter(|_| token.len() <= LONGEST)?;
        let bytes = BASE64.decode(text).ok()?;
        let (ends, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL)?)?;
        let ours = bool::from(self.sign(ends, dialog).ct_eq(seal));
        let mut rest = Some(ends).filter(|_| ours)?;
        let made = Timestamp(u64::from_be_bytes(take(&mut rest)?));
        if now.since(made) > LIFETIME {
            return None;
        }
        Some(Ends {
            initiator: Mark(take(&mut rest)?),
            caller: read_end(&mut rest)?,
            callee: read_end(&mut rest)?,
            // Earlier versions did not write it, and calls outlive them.
            tracking: flows::read_text(&mut rest)
                .filter(|it| !it.is_empty())
                .map(TrackingId::from),
        })
    }
}

fn read_end(bytes: &mut &[u8]) -> Option<End> {
    let flow = flows::read(bytes)?;
    let user = flows::read_text(bytes)?.parse().ok();
    let device = Some(flows::read_text(bytes)?).filter(|device| !device.is_empty());
    Some(End {
        flow,
        user,
        device: device.map(DeviceId::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip::Transport;

    fn end(remote: &str, id: u64) -> End {
        End {
            flow: Flow {
                transport: Transport::Tcp,
                local: "127.0.0.1:5060".parse().unwrap(),
                remote: remote.parse().unwrap(),
                id,
            },
            user: None,
            device: None,
        }
    }

    fn ends() -> Ends {
        Ends {
            initiator: Mark::of("callers tag"),
            caller: end("[2001:db8::1]:40000", 7),
            callee: End {
                user: Address::new("bob", "localhost").ok(),
                device: Some("bob-1".into()),
                ..end("127.0.0.1:50000", u64::MAX)
            },
            tracking: Some("018c0a1b2c3d4e5f60718293".into()),
        }
    }

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn dialog() -> DialogId {
        DialogId::of("call@example.org")
    }

    #[test]
    fn a_token_opens_to_what_was_sealed_and_names_its_shard() {
        let tokens = Tokens::new(b"key", 3);
        let token = tokens.seal(&ends(), dialog(), NOW);
        assert_eq!(tokens.open(&token, dialog(), NOW), Some(ends()));
        assert_eq!(steer::token_shard(&token), Some(3));
    }

    #[test]
    fn a_token_is_good_for_its_dialog_and_for_its_time() {
        let tokens = Tokens::new(b"key", 0);
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
        let tokens = Tokens::new(b"key", 0);
        let token = tokens.seal(&ends(), dialog(), NOW);
        for at in steer::SHARD_DIGITS + 1..token.len() - 1 {
            let mut changed = token.clone();
            let digit = if &token[at..=at] == "A" { "B" } else { "A" };
            changed.replace_range(at..=at, digit);
            assert_eq!(tokens.open(&changed, dialog(), NOW), None);
        }
        for made_up in ["", "0", "00.", "00.zz", &token[5..], &"0".repeat(3000), "é"] {
            assert_eq!(tokens.open(made_up, dialog(), NOW), None);
        }
        assert_eq!(Tokens::new(b"other", 0).open(&token, dialog(), NOW), None);
    }

    #[test]
    fn a_request_goes_to_the_other_end_wherever_it_comes_from() {
        let (caller, callee) = (ends().caller, ends().callee);
        let there = ends().seen_from(Mark::of("callers tag"));
        assert_eq!(there, (caller.clone(), callee.clone()));
        let back = ends().seen_from(Mark::of("another tag"));
        assert_eq!(back, (callee, caller));
    }
}
