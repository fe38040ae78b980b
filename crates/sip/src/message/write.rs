//! Numbers and addresses as text: they stand in each message, so they are written without the machinery of `fmt`.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// Writes a number.
pub(crate) fn push_number(text: &mut String, number: u32) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(char::from(b"0123456789"[number as usize % 10]));
}

/// Writes an IP address, without brackets.
pub(crate) fn push_ip(text: &mut String, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            for (place, octet) in ip.octets().into_iter().enumerate() {
                text.push_str(if place > 0 { "." } else { "" });
                push_number(text, octet.into());
            }
        }
        // Writing to a String cannot fail.
        IpAddr::V6(ip) => drop(write!(text, "{ip}")),
    }
}

/// Writes `host:port`, as in a URI and in Via (RFC 3261 §25.1 `hostport`).
pub fn push_address(text: &mut String, address: SocketAddr) {
    match address {
        SocketAddr::V4(_) => {
            push_ip(text, address.ip());
            text.push(':');
            push_number(text, address.port().into());
        }
        SocketAddr::V6(address) => drop(write!(text, "[{}]:{}", address.ip(), address.port())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_displayed() {
        for address in [
            "0.0.0.0:0",
            "127.0.0.1:5060",
            "192.0.2.255:65535",
            "[2001:db8::9]:5061",
        ] {
            let address: SocketAddr = address.parse().unwrap();
            let mut text = String::new();
            push_address(&mut text, address);
            assert_eq!(text, address.to_string());
        }
        let mut text = String::new();
        push_number(&mut text, u32::MAX);
        assert_eq!(text, u32::MAX.to_string());
    }
}
