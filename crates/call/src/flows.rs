//! Flows as octets: how they stand in tokens and in the store.

use sip::{Flow, Transport};
use std::net::{IpAddr, SocketAddr};

/// Writes a flow.
pub(crate) fn write(bytes: &mut Vec<u8>, flow: &Flow) {
    let mut transports = Transport::all();
    let place = transports.position(|transport| transport == flow.transport);
    bytes.push(place.map_or(u8::MAX, |place| place.to_le_bytes()[0]));
    write_address(bytes, flow.local);
    write_address(bytes, flow.remote);
    bytes.extend_from_slice(&flow.id.to_be_bytes());
}

/// Reads a flow, and goes on behind it.
pub(crate) fn read(bytes: &mut &[u8]) -> Option<Flow> {
    let place = usize::from(take::<1>(bytes)?[0]);
    let transport = Transport::all().nth(place)?;
    let (local, remote) = (read_address(bytes)?, read_address(bytes)?);
    Some(Flow {
        transport,
        local,
        remote,
        id: u64::from_be_bytes(take(bytes)?),
    })
}

/// A few flows in the form in which they are kept, which takes a quarter of what they take otherwise: their number, and
/// each of them. Nothing at all if there is none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Flows(Box<[u8]>);

impl Flows {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Flow> {
        let mut rest = self.0.get(1..).unwrap_or_default();
        std::iter::from_fn(move || read(&mut rest))
    }

    /// Writes them behind what is there.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        match &*self.0 {
            [] => bytes.push(0),
            all => bytes.extend_from_slice(all),
        }
    }

    /// Reads what [`Flows::encode`] wrote, and goes on behind it.
    pub(crate) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let [count] = take(bytes)?;
        (0..count).map(|_| read(bytes)).collect()
    }
}

impl FromIterator<Flow> for Flows {
    /// Of more than 255 the rest is left out.
    fn from_iter<T: IntoIterator<Item = Flow>>(flows: T) -> Self {
        let mut bytes = Vec::new();
        for flow in flows.into_iter().take(usize::from(u8::MAX)) {
            if bytes.is_empty() {
                bytes.push(0);
            }
            bytes[0] += 1;
            write(&mut bytes, &flow);
        }
        Self(bytes.into())
    }
}

/// Takes so many octets.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

/// Writes a short text; a longer one is cut.
pub(crate) fn write_text(bytes: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    bytes.push(length);
    bytes.extend(text.bytes().take(usize::from(length)));
}

/// Reads a short text.
pub(crate) fn read_text<'b>(bytes: &mut &'b [u8]) -> Option<&'b str> {
    let length = usize::from(take::<1>(bytes)?[0]);
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
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

fn read_address(bytes: &mut &[u8]) -> Option<SocketAddr> {
    let ip = match take::<1>(bytes)?[0] {
        4 => IpAddr::from(take::<4>(bytes)?),
        6 => IpAddr::from(take::<16>(bytes)?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(take(bytes)?)))
}
