//! Who is behind a proxy. What a client says of that itself must not count: only what was added by proxies that are known.

use std::net::{IpAddr, SocketAddr};

/// Whose connection a proxy passes on, by the `X-Forwarded-For` of its request, which each proxy adds to at the end: the last
/// one that is no proxy of ours. Without any, it is whoever has connected.
pub fn client(connected: IpAddr, forwarded: &[&str], is_proxy: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut known = connected;
    let named = forwarded.iter().rev().flat_map(|list| list.rsplit(','));
    for name in named {
        if !is_proxy(known) {
            break;
        }
        match address(name.trim()) {
            Some(address) => known = address,
            None => break,
        }
    }
    known
}

/// An address, which may have a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let with_port = || text.parse().map(|it: SocketAddr| it.ip());
    bare.parse().or_else(|_| with_port()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_proxies_of_ours_are_believed() {
        let is_proxy = |ip: IpAddr| ip.is_loopback() || ip.to_string() == "10.0.0.1";
        let seen = |connected: &str, forwarded: &[&str]| {
            client(connected.parse().unwrap(), forwarded, is_proxy).to_string()
        };
        for (connected, forwarded, expected) in [
            ("127.0.0.1", &[][..], "127.0.0.1"),
            ("127.0.0.1", &["192.0.2.7"], "192.0.2.7"),
            ("127.0.0.1", &["192.0.2.7:4711"], "192.0.2.7"),
            ("::1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("::1", &["2001:db8::1"], "2001:db8::1"),
            // It says that it is somebody else, and the proxy adds who it is.
            ("127.0.0.1", &["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
            ("127.0.0.1", &["198.51.100.1", "192.0.2.7"], "192.0.2.7"),
            ("127.0.0.1", &["192.0.2.7, 10.0.0.1"], "192.0.2.7"),
            ("127.0.0.1", &["unknown"], "127.0.0.1"),
            ("192.0.2.7", &["198.51.100.1"], "192.0.2.7"),
        ] {
            assert_eq!(
                seen(connected, forwarded),
                expected,
                "{connected} {forwarded:?}"
            );
        }
    }
}
