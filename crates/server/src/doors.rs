//! Where the HTTP APIs are served, and which of them where.

use crate::{
    admin_socket::AdminSocket,
    api::not_found,
    config::Config,
    doorkeeper::Doorkeeper,
    http::{self, CLIENTS, OPERATORS, SERVERS},
    upkeep::until,
};
use anyhow::{Context, Result};
use axum::Router;
use std::net::SocketAddr;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
    task::JoinHandle,
};

/// Listeners that are open; nothing is served yet.
pub(crate) struct Doors {
    admin: Vec<TcpListener>,
    device: Vec<TcpListener>,
    device_tls: Vec<TcpListener>,
    health: Vec<TcpListener>,
    push: Vec<TcpListener>,
    push_tls: Vec<TcpListener>,
    socket: Option<(AdminSocket, UnixListener)>,
}

/// Where they are.
pub(crate) struct Where {
    pub(crate) admin: Vec<SocketAddr>,
    pub(crate) device: Vec<SocketAddr>,
    pub(crate) device_tls: Vec<SocketAddr>,
    pub(crate) health: Vec<SocketAddr>,
    pub(crate) push: Vec<SocketAddr>,
    pub(crate) push_tls: Vec<SocketAddr>,
}

/// What is behind them. What this process does not do is empty.
#[derive(Default)]
pub(crate) struct Behind {
    pub(crate) admin: Router,
    pub(crate) device: Router,
    pub(crate) health: Router,
    pub(crate) push: Router,
}

impl Doors {
    /// Opens those of our roles.
    pub(crate) fn open(config: &Config) -> Result<Self> {
        let listen = &config.listen;
        let of_role = |role: &str, addresses: &[SocketAddr]| {
            let mut addresses = addresses.to_vec();
            if !config.has_role(role) {
                addresses.clear();
            }
            addresses
        };
        let device = of_role("call", &listen.device.0);
        let device_tls = if config.has_role("edge") {
            listen.device_tls.0.clone()
        } else {
            of_role("call", &listen.device_tls.0)
        };
        let push = of_role("push", &listen.push.0);
        let push_tls = of_role("push", &listen.push_tls.0);
        Ok(Self {
            admin: listeners(&listen.admin.0, "listen.admin")?,
            device: listeners(&device, "listen.device")?,
            device_tls: listeners(&device_tls, "listen.device_tls")?,
            health: listeners(&listen.health.0, "listen.health")?,
            push: listeners(&push, "listen.push")?,
            push_tls: listeners(&push_tls, "listen.push_tls")?,
            socket: AdminSocket::open(listen)?,
        })
    }

    pub(crate) fn addresses(&self) -> Where {
        let of = |listeners: &[TcpListener]| {
            let addresses = listeners.iter().map(TcpListener::local_addr);
            addresses.filter_map(std::io::Result::ok).collect()
        };
        Where {
            admin: of(&self.admin),
            device: of(&self.device),
            device_tls: of(&self.device_tls),
            health: of(&self.health),
            push: of(&self.push),
            push_tls: of(&self.push_tls),
        }
    }

    /// Serves until we stop; where clients come in TLS until they are to come no more, which is earlier where they are sent away
    /// first: what they have asked by then is answered, and when all is, nobody holds on to `shut` any more. Admin and device API share a listener unless the device API has some of its own.
    pub(crate) fn serve(
        self,
        behind: Behind,
        tls: Option<&http::Tls>,
        (room, keeper): (usize, &Doorkeeper),
        [stopped, shut]: [&watch::Receiver<bool>; 2],
    ) -> (Vec<JoinHandle<()>>, Option<AdminSocket>) {
        let mut tasks = Vec::new();
        let mut socket = None;
        if let Some((file, listener)) = self.socket {
            let router = behind.admin.clone().fallback(not_found);
            let stop = until(stopped.clone());
            let serving = http::serve_local(listener, router, (room, keeper.clone()), stop);
            tasks.push(tokio::spawn(serving));
            socket = Some(file);
        }
        let admin = if self.device.is_empty() && self.device_tls.is_empty() {
            behind.admin.merge(behind.device.clone())
        } else {
            behind.admin
        };
        let device = behind.device.fallback(not_found);
        let push = (behind.push, SERVERS);
        for (listeners, tls, behind, ends) in [
            (
                self.admin,
                None,
                (admin.fallback(not_found), OPERATORS),
                stopped,
            ),
            (self.device, None, (device.clone(), CLIENTS), stopped),
            (self.device_tls, tls, (device, CLIENTS), shut),
            (self.health, None, (behind.health, OPERATORS), stopped),
            (self.push, None, push.clone(), stopped),
            (self.push_tls, tls, push, stopped),
        ] {
            for listener in listeners {
                let end = (until(ends.clone()), until(stopped.clone()));
                let at = (listener, tls.cloned());
                let serving = http::serve(at, behind.clone(), (room, keeper.clone()), end);
                let held = ends.clone();
                tasks.push(tokio::spawn(async move {
                    serving.await;
                    // Whoever sent clients away sees by this that all are answered.
                    drop(held);
                }));
            }
        }
        (tasks, socket)
    }
}

fn listeners(addresses: &[SocketAddr], key: &str) -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = net::listen(*address, addresses).with_context(|| {
            format!("cannot listen at {address}: end what listens there, or move {key} (REVEILLE_{}=127.0.0.1:PORT)", key.replace('.', "__").to_uppercase())
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn every_ipv6_address_alone_is_every_ipv4_address_too_and_beside_those_it_is_not() {
        let ipv6 = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let ipv4 = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let Ok(alone) = listeners(&[ipv6(0)], "listen.health") else {
            // A host without IPv6.
            return;
        };
        let port = alone[0].local_addr().unwrap().port();
        assert!(
            TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .is_ok()
        );
        drop(alone);
        for both in [[ipv6(port), ipv4(port)], [ipv4(port), ipv6(port)]] {
            assert_eq!(listeners(&both, "listen.health").unwrap().len(), 2);
        }
    }
}
