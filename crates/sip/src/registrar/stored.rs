//! A binding as one binary value: an octet for the version, numbers of fixed width (least octet first), where each text
//! stands, and the texts. Lengths are in groups of seven bits. What is read back may be anything: it is checked in whole.

use std::num::NonZeroU32;

use super::Binding;
use super::binding::{FIELDS, Part, Texts};

/// First octet of every value.
const VERSION: u8 = 2;

impl Binding {
    /// Writes it at the end of `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Texts { text, parts } = &self.texts;
        out.reserve(text.len() + 4 * FIELDS + 24);
        out.push(VERSION);
        out.extend_from_slice(&self.expires_at_ms.to_le_bytes());
        out.extend_from_slice(&self.cseq.to_le_bytes());
        out.extend_from_slice(&self.reg_id.map_or(0, NonZeroU32::get).to_le_bytes());
        out.extend_from_slice(&self.q.to_le_bytes());
        for part in parts {
            write_length(out, part.start);
            write_length(out, part.length);
        }
        out.extend_from_slice(text.as_bytes());
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` if it is anything else.
    pub fn decode(value: &[u8]) -> Option<Self> {
        let mut rest = value;
        let [VERSION] = take(&mut rest)? else {
            return None;
        };
        let expires_at_ms = u64::from_le_bytes(take(&mut rest)?);
        let cseq = u32::from_le_bytes(take(&mut rest)?);
        let reg_id = NonZeroU32::new(u32::from_le_bytes(take(&mut rest)?));
        let q = u16::from_le_bytes(take(&mut rest)?);
        let mut parts = [Part::default(); FIELDS];
        for part in &mut parts {
            part.start = read_length(&mut rest)?;
            part.length = read_length(&mut rest)?;
        }
        let texts = Texts {
            text: std::str::from_utf8(rest).ok()?.into(),
            parts,
        };
        let ends = parts
            .iter()
            .map(|part| usize::from(part.start) + usize::from(part.length));
        let whole = ends.max() == Some(rest.len())
            && parts
                .iter()
                .all(|part| texts.get(*part).len() == usize::from(part.length));
        (whole && q <= 1000).then_some(Self {
            texts,
            reg_id,
            q,
            expires_at_ms,
            cseq,
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

/// Seven bits an octet, the lowest first; the highest bit says that more follow.
fn write_length(out: &mut Vec<u8>, mut length: u16) {
    loop {
        let [low, ..] = length.to_le_bytes();
        length >>= 7;
        if length == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

fn read_length(rest: &mut &[u8]) -> Option<u16> {
    let mut length = 0_u32;
    for shift in [0, 7, 14] {
        let [octet] = take(rest)?;
        length |= u32::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return u16::try_from(length).ok();
        }
    }
    None
}
