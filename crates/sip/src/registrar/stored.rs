//! A binding as one binary value: an octet for the version, numbers of fixed width (least octet first), and the texts,
//! each behind its length in groups of seven bits. What is read back may be anything: it is checked in whole.

use std::num::NonZeroU32;

use super::Binding;
use super::binding::{FIELDS, Texts};

/// First octet of every value.
const VERSION: u8 = 1;

impl Binding {
    /// Writes it at the end of `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.text.len() + 2 * FIELDS + 24);
        out.push(VERSION);
        out.extend_from_slice(&self.expires_at_ms.to_le_bytes());
        out.extend_from_slice(&self.cseq.to_le_bytes());
        out.extend_from_slice(&self.reg_id.map_or(0, NonZeroU32::get).to_le_bytes());
        out.extend_from_slice(&self.q.to_le_bytes());
        let mut start = 0;
        for end in self.ends {
            write_length(out, end - start);
            out.extend_from_slice(&self.text.as_bytes()[start as usize..end as usize]);
            start = end;
        }
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
        let mut texts = Texts::with_capacity(rest.len());
        for _ in 0..FIELDS {
            let length = read_length(&mut rest)?;
            let (text, after) = rest.split_at_checked(length as usize)?;
            texts.push(std::str::from_utf8(text).ok()?);
            rest = after;
        }
        (rest.is_empty() && q <= 1000).then(|| Self {
            text: texts.text.into(),
            ends: texts.ends,
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
fn write_length(out: &mut Vec<u8>, mut length: u32) {
    loop {
        let [low, ..] = length.to_le_bytes();
        length >>= 7;
        if length == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

fn read_length(rest: &mut &[u8]) -> Option<u32> {
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let [octet] = take(rest)?;
        length |= u32::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}
