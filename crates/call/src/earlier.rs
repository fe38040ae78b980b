//! What is behind a door that an earlier version kept. The store hands it on as a REGISTER that says the same (its schema
//! 1 knew no doors); the device's next registration replaces it.

use crate::settings::{Settings, literal};
use domain::Door;
use sip::{
    Flow, Limits, Message, Transport,
    registrar::{Binding, Registration},
};
use std::net::SocketAddr;

/// How such a value begins.
pub(crate) const REGISTER: &[u8] = b"REGISTER ";

/// The binding, and the flow of ours that leads to where it was registered from: by the Via.
pub(crate) fn read(door: &Door, settings: &Settings) -> Option<(Flow, Binding)> {
    let request = Message::parse(door.data.clone(), &Limits::default()).ok()?;
    let via = request.top_via().ok()?;
    let transport = Transport::from_via(via.transport)?;
    let port = via.port.unwrap_or(transport.default_port());
    let remote = SocketAddr::new(literal(via.host)?, port);
    let mut bound = settings.bound.iter();
    let leads_there = |(ours, local): &&(Transport, SocketAddr)| {
        *ours == transport && local.is_ipv4() == remote.is_ipv4()
    };
    let (_, local) = bound.find(leads_there)?;
    let flow = Flow {
        transport,
        local: *local,
        remote,
        id: 0,
    };
    let registration = Registration::parse(&request).ok()?;
    let contact = registration.contacts().first()?;
    let binding = Binding::new(contact, &registration, None, door.expires_at.0);
    Some((flow, binding))
}
