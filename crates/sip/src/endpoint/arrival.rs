//! Where a request really came from: written into its top Via, and followed by its responses (RFC 3261 §18.2,
//! RFC 3581 §4).

use std::fmt::Write;
use std::net::IpAddr;

use super::types::Flow;
use crate::{Edit, HeaderName, Message, Via};

/// The request with `received`, and `rport` if it was asked for, in its top Via (the very same if neither is needed),
/// and where its responses go: back over the connection; with datagrams to the source address, and to its port if
/// `rport` was asked for, else to that of sent-by.
pub(super) fn located(request: &Message, flow: Flow) -> (Message, Flow) {
    let Ok(via) = request.top_via() else {
        return (request.clone(), flow);
    };
    let asked = via.rport().is_some();
    let mut back = flow;
    if !flow.transport.is_reliable() && !asked {
        back.remote.set_port(via.port.unwrap_or(5060));
    }
    let source = flow.remote.ip().to_canonical();
    if !asked && via.received().is_none() && address(via.host) == Some(source) {
        return (request.clone(), back);
    }
    let via = stamp(&via, source, flow.remote.port());
    let edit = Edit::new(request).replace_first_value(HeaderName::Via, via);
    (edit.finish(), back)
}

fn stamp(via: &Via<'_>, source: IpAddr, port: u16) -> String {
    let mut text = format!("SIP/2.0/{} {}", via.transport, via.host);
    // Writing to a String cannot fail.
    if let Some(port) = via.port {
        let _ = write!(text, ":{port}");
    }
    for param in via.params.iter() {
        let name = param.name;
        let _ = match param.value {
            _ if name.eq_ignore_ascii_case("received") => Ok(()),
            _ if name.eq_ignore_ascii_case("rport") => write!(text, ";rport={port}"),
            Some(value) => write!(text, ";{name}={value}"),
            None => write!(text, ";{name}"),
        };
    }
    let _ = write!(text, ";received={source}");
    text
}

fn address(host: &str) -> Option<IpAddr> {
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}
