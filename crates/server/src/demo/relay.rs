//! A stretch of network between a phone and the server that can be cut: the phone is in a lift.

use anyhow::{Context, Result};
use std::net::SocketAddr;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Listens like the server, and passes on every octet both ways. Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    passes: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Relay {
    /// A way to `server` on a port of its own.
    pub(super) async fn to(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a relay")?;
        let address = listener.local_addr()?;
        let (passes, pass) = watch::channel(true);
        let task = tokio::spawn(run(listener, server, pass));
        Ok(Self {
            address,
            passes,
            task,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections made from now on hear nothing, until [`Relay::mend`].
    pub(super) fn cut(&self) {
        self.passes.send_replace(false);
    }

    pub(super) fn mend(&self) {
        self.passes.send_replace(true);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection after the other: a phone has one at a time.
async fn run(listener: TcpListener, server: SocketAddr, mut pass: watch::Receiver<bool>) {
    while let Ok((mut phone, _)) = listener.accept().await {
        if pass.wait_for(|passes| *passes).await.is_err() {
            return;
        }
        if let Ok(mut server) = TcpStream::connect(server).await {
            // However it ends, the phone makes another one.
            let _ = copy_bidirectional(&mut phone, &mut server).await;
        }
    }
}
