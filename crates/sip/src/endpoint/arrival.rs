//! Where a request really came from: written into its top Via, and followed by its responses (RFC 3261 §18.2,
//! RFC 3581 §4).

use std::net::IpAddr;

use super::Flow;
use crate::write::{push_ip, push_number};
use crate::{HeaderName, Message, Via};

/// The request with `received`, and `rport` if it was asked for, in its top Via (the very same if neither is needed),
/// and where its responses go: back over the connection; with datagrams to the source address, and to its port if
/// `rport` was asked for, else to that of sent-by.
pub(super) fn located(request: &Message, via: &Via<'_>, flow: Flow) -> (Message, Flow) {
    let source = flow.remote.ip().to_canonical();
    let stamped = stamped(via, source, flow.remote.port());
    let mut back = flow;
    if !flow.transport.is_reliable() && !stamped.rport {
        back.remote.set_port(via.port.unwrap_or(5060));
    }
    if !stamped.rport && !stamped.received && address(via.host) == Some(source) {
        return (request.clone(), back);
    }
    (
        request.with_first_value(HeaderName::Via, &stamped.text),
        back,
    )
}

struct Stamped {
    text: String,
    /// They were there before.
    rport: bool,
    received: bool,
}

/// The value with the address in `received`, and the port in `rport` if that was asked for.
fn stamped(via: &Via<'_>, source: IpAddr, port: u16) -> Stamped {
    /// `SIP/2.0/`, two ports, `;received=` and the longest address.
    const ADDED: usize = 80;
    let raw = via.params.raw().len();
    let mut text = String::with_capacity(via.transport.len() + via.host.len() + raw + ADDED);
    for part in ["SIP/2.0/", via.transport, " ", via.host] {
        text.push_str(part);
    }
    if let Some(port) = via.port {
        text.push(':');
        push_number(&mut text, port.into());
    }
    let (mut rport, mut received) = (false, false);
    for param in via.params.iter() {
        if param.name.eq_ignore_ascii_case("received") {
            received = true;
            continue;
        }
        text.push(';');
        text.push_str(param.name);
        if param.name.eq_ignore_ascii_case("rport") {
            rport = true;
            text.push('=');
            push_number(&mut text, port.into());
        } else if let Some(value) = param.value {
            text.push('=');
            text.push_str(value);
        }
    }
    text.push_str(";received=");
    push_ip(&mut text, source);
    Stamped {
        text,
        rport,
        received,
    }
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
            let top = request.top_via().unwrap();
            let (located, back) = located(&request, &top, flow);
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
            assert_eq!(super::located(&request, &top, stream).1, stream);
        }
    }
}
