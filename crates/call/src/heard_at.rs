//! Where a peer hears us: over the connection that it opened; over UDP at the address that its datagram came from, or
//! else where it says, if it shows that no address translator lies between.

use sip::{Flow, Message, Transport, Uri};
use std::net::IpAddr;

/// Default port of SIP over UDP (RFC 3261 §19.1.2).
const SIP: u16 = 5060;

/// The flow by which requests reach the sender of `request`, which gave this contact URI.
///
/// Behind a NAT a phone hears only at the address that its datagrams come from, whatever its Contact says. A phone
/// that stands behind none may listen at another port than it sends from, as many desk phones do: its Contact counts
/// (RFC 3261 §12.1.1, §16.6), for a port of the same host. Nobody makes us send to another host.
pub(crate) fn heard_at(flow: Flow, request: &Message, contact: &Uri<'_>) -> Flow {
    if flow.transport != Transport::Udp {
        return flow;
    }
    let port = contact.port.unwrap_or(SIP);
    let elsewhere = port != flow.remote.port()
        && !contact.is_secure()
        && ip(contact.host) == Some(flow.remote.ip().to_canonical())
        && contact
            .param("transport")
            .is_none_or(|named| named.eq_ignore_ascii_case("udp"));
    let mut heard = flow;
    if elsewhere && !translated(flow, request) {
        heard.remote.set_port(port);
    }
    heard
}

/// Whether the request passed a NAT, by its own account of where it was sent from, or a proxy, of which the Contact says
/// nothing. A sender that asks for answers to its source port (RFC 3581 §3) while it names another is behind a NAT; one
/// that does not ask has said by its Via where it listens (RFC 3261 §18.2.2).
fn translated(flow: Flow, request: &Message) -> bool {
    let mut vias = request.vias();
    let (Some(Ok(via)), None) = (vias.next(), vias.next()) else {
        return true;
    };
    let port = via.port.unwrap_or(SIP);
    ip(via.host) != Some(flow.remote.ip().to_canonical())
        || via.rport().is_some() && port != flow.remote.port()
}

fn ip(host: &str) -> Option<IpAddr> {
    let ip: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where requests go to a peer that sent from 192.0.2.7:40000 with this Via and this Contact.
    fn heard(transport: Transport, via: &str, contact: &str) -> String {
        let flow = Flow {
            transport,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "192.0.2.7:40000".parse().unwrap(),
            id: 0,
        };
        let request = format!(
            "REGISTER sip:localhost SIP/2.0\r\nVia: {via}\r\nFrom: <sip:bob@localhost>;tag=1\r\n\
             To: <sip:bob@localhost>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n\r\n"
        );
        let request = Message::parse(request.into(), &sip::Limits::default()).unwrap();
        let contact = Uri::parse(contact).unwrap();
        heard_at(flow, &request, &contact).remote.to_string()
    }

    #[test]
    fn a_phone_that_is_not_translated_hears_at_its_contact() {
        for via in [
            "SIP/2.0/UDP 192.0.2.7:40000;branch=z9hG4bK1;rport=40000;received=192.0.2.7",
            "SIP/2.0/UDP 192.0.2.7:40000;branch=z9hG4bK1",
            // It sends from another port than it listens at, and says so.
            "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1",
        ] {
            for (contact, where_it_goes) in [
                ("sip:bob@192.0.2.7:5070", "192.0.2.7:5070"),
                ("sip:bob@192.0.2.7;transport=UDP", "192.0.2.7:5060"),
            ] {
                assert_eq!(heard(Transport::Udp, via, contact), where_it_goes, "{via}");
            }
        }
    }

    #[test]
    fn a_phone_behind_a_nat_or_a_proxy_hears_where_its_datagrams_come_from() {
        for via in [
            "SIP/2.0/UDP 10.0.0.7:5070;branch=z9hG4bK1;rport=40000;received=192.0.2.7",
            "SIP/2.0/UDP 10.0.0.7:5070;branch=z9hG4bK1;received=192.0.2.7",
            "SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK1;rport=40000;received=192.0.2.7",
            "SIP/2.0/UDP phone.example.org;branch=z9hG4bK1;received=192.0.2.7",
            "SIP/2.0/UDP 192.0.2.7:40000;branch=z9hG4bK1, SIP/2.0/UDP 10.0.0.7:5070;branch=z9hG4bK2",
        ] {
            let to = heard(Transport::Udp, via, "sip:bob@192.0.2.7:5070");
            assert_eq!(to, "192.0.2.7:40000", "{via}");
        }
    }

    #[test]
    fn nobody_is_sent_what_another_host_asked_for() {
        let via = "SIP/2.0/UDP 192.0.2.7:40000;branch=z9hG4bK1";
        for contact in [
            "sip:bob@192.0.2.66:5060",
            "sip:bob@victim.example.org",
            "sip:bob@192.0.2.7:5061;transport=tcp",
            "sips:bob@192.0.2.7:5061",
            "tel:+15550100",
        ] {
            assert_eq!(heard(Transport::Udp, via, contact), "192.0.2.7:40000");
        }
        let over_tcp = heard(Transport::Tcp, via, "sip:bob@192.0.2.7:5070");
        assert_eq!(over_tcp, "192.0.2.7:40000");
    }
}
