//! The one place where names become addresses. (What RFC 3263 makes of NAPTR and SRV records is not done.)

use std::io;
use std::net::{IpAddr, SocketAddr};

/// The addresses of a host, which may be an IP literal (an IPv6 one in brackets or not), in the order of preference of
/// the system; never none.
///
/// # Errors
/// There is no such name, or nobody to ask.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
    if found.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_literal_is_itself_and_a_name_is_looked_up() {
        for (host, expected) in [
            ("192.0.2.1", "192.0.2.1:5060"),
            ("2001:db8::1", "[2001:db8::1]:5060"),
            ("[2001:db8::1]", "[2001:db8::1]:5060"),
        ] {
            let found = resolve(host, 5060).await.unwrap();
            assert_eq!(found, [expected.parse().unwrap()]);
        }
        let local = resolve("localhost", 5060).await.unwrap();
        assert!(local.iter().all(|address| address.ip().is_loopback()));
        assert!(resolve("[nonsense]", 5060).await.is_err());
    }
}
