//! The addresses of this machine, and which of them the system would send from.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was read is believed for so long.
const BELIEVED: Duration = Duration::from_mins(1);

/// An address that is not among them may be new; but they are not read more often than this.
const READ_AT_MOST_EVERY: Duration = Duration::from_secs(5);

/// Routes remembered. One more makes all be forgotten.
const ROUTES: usize = 1_024;

/// The IP addresses of this machine's interfaces, read now and then. Clones share what was read.
#[derive(Clone, Debug, Default)]
pub struct LocalIps(Arc<Mutex<Read>>);

#[derive(Debug, Default)]
struct Read {
    at: Option<Instant>,
    addresses: HashSet<IpAddr>,
}

impl LocalIps {
    /// Is this an address of this machine?
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if ip.is_loopback() {
            return true;
        }
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = read.at.map(|at| at.elapsed());
        let known = read.addresses.contains(&ip);
        let believed = if known { BELIEVED } else { READ_AT_MOST_EVERY };
        if age.is_some_and(|age| age < believed) {
            return known;
        }
        *read = Read {
            at: Some(Instant::now()),
            addresses: interface_addresses(),
        };
        read.addresses.contains(&ip)
    }
}

#[cfg(unix)]
fn interface_addresses() -> HashSet<IpAddr> {
    let ip = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| Some(IpAddr::V6(address.as_sockaddr_in6()?.ip())))
    };
    match nix::ifaddrs::getifaddrs() {
        Ok(interfaces) => interfaces.filter_map(ip).collect(),
        Err(error) => {
            tracing::warn!(%error, "the addresses of this machine cannot be read");
            HashSet::new()
        }
    }
}

/// The address that the system sends from, by destination: asking it takes a socket.
#[derive(Debug, Default)]
pub(crate) struct Routes(Mutex<HashMap<IpAddr, (Instant, IpAddr)>>);

impl Routes {
    /// The source of datagrams to `remote`; `None` if there is no way to it.
    pub(crate) fn source(&self, remote: SocketAddr) -> Option<IpAddr> {
        let mut routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, source)) = routes.get(&remote.ip())
            && at.elapsed() < BELIEVED
        {
            return Some(*source);
        }
        let source = ask(remote).ok()?;
        if routes.len() >= ROUTES {
            routes.clear();
        }
        routes.insert(remote.ip(), (Instant::now(), source));
        Some(source)
    }
}

fn ask(remote: SocketAddr) -> std::io::Result<IpAddr> {
    let probe = UdpSocket::bind(unspecified(remote))?;
    probe.connect(remote)?;
    Ok(probe.local_addr()?.ip())
}

/// Any address of the family of this one.
pub(crate) fn unspecified(like: SocketAddr) -> SocketAddr {
    if like.is_ipv4() {
        SocketAddr::from(([0; 4], 0))
    } else {
        SocketAddr::from(([0; 16], 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_are_told_from_others() {
        let local = LocalIps::default();
        for (address, ours) in [
            ("127.0.0.1", true),
            ("127.1.2.3", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(local.contains(address.parse().unwrap()), ours, "{address}");
        }
        for ip in interface_addresses() {
            assert!(local.contains(ip), "{ip}");
        }
    }

    #[test]
    fn the_interfaces_are_read_once_for_many_look_ups() {
        let local = LocalIps::default();
        let read_at = || local.0.lock().unwrap().at;
        let addresses = || (1..=254).map(|last| IpAddr::from([192, 0, 2, last]));
        local.contains(IpAddr::from([192, 0, 2, 1]));
        let first = read_at();
        assert!(first.is_some());
        let ours = interface_addresses();
        assert!(addresses().chain(ours).all(|ip| {
            local.contains(ip);
            read_at() == first
        }));
    }

    #[test]
    fn the_route_to_ourselves_is_ourselves() {
        let routes = Routes::default();
        let remote: SocketAddr = "127.0.0.1:9".parse().unwrap();
        for _ in 0..2 {
            assert_eq!(routes.source(remote), Some(remote.ip()));
        }
    }
}
