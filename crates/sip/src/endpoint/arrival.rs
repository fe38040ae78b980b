//! Where a request really came from: written into its top Via, and followed by its responses (RFC 3261 §18.2,
//! RFC 3581 §4).

use std::fmt::Write;
use std::net::IpAddr;

use super::Flow;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::endpoint::Transport;

    #[test]
    fn source_is_written_where_it_is_asked_for_or_differs() {
        let table = [
            // Via, source, Via afterwards, port of the answer.
            (
                "192.0.2.9:5070;branch=1",
                "192.0.2.9:4000",
                "192.0.2.9:5070;branch=1",
                5070,
            ),
            (
                "192.0.2.9;branch=1",
                "[::ffff:192.0.2.9]:4000",
                "192.0.2.9;branch=1",
                5060,
            ),
            (
                "192.0.2.9;rport;branch=1",
                "192.0.2.9:4000",
                "192.0.2.9;rport=4000;branch=1;received=192.0.2.9",
                4000,
            ),
            (
                "192.0.2.9;received=6.6.6.6;rport=1",
                "192.0.2.9:4000",
                "192.0.2.9;rport=4000;received=192.0.2.9",
                4000,
            ),
            (
                "[2001:db8::9]:5070;x",
                "[2001:DB8::9]:4000",
                "[2001:db8::9]:5070;x",
                5070,
            ),
            (
                "[2001:db8::9]:5070;x=\"a;b\"",
                "[2001:db8::1]:4000",
                "[2001:db8::9]:5070;x=\"a;b\";received=2001:db8::1",
                5070,
            ),
            (
                "a.example;branch=1",
                "192.0.2.9:4000",
                "a.example;branch=1;received=192.0.2.9",
                5060,
            ),
        ];
        for (via, source, after, port) in table {
            let text =
                format!("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP {via}, SIP/2.0/UDP far\r\n\r\n");
            let request = Message::parse(text.into(), &Limits::default()).unwrap();
            let flow = Flow {
                transport: Transport::Udp,
                local: "192.0.2.1:5060".parse().unwrap(),
                remote: source.parse().unwrap(),
                id: 0,
            };
            let (located, back) = located(&request, flow);
            let expected = format!("SIP/2.0/UDP {after}, SIP/2.0/UDP far");
            assert_eq!(located.header_text(HeaderName::Via), Some(&expected[..]));
            assert_eq!(
                (back.remote.ip(), back.remote.port()),
                (flow.remote.ip(), port)
            );
            let stream = Flow {
                transport: Transport::Tcp,
                ..flow
            };
            assert_eq!(super::located(&request, stream).1, stream);
        }
    }
}
