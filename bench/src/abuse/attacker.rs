//! What every attacker has: whom to attack, and from where; and what came of it.

use crate::reveille::Doors;
use anyhow::{Context, Result, ensure};
use rustls::ClientConfig;
use socket2::{Domain, Socket, Type};
use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A server that does not take a connection for so long takes none.
const CONNECTING: Duration = Duration::from_millis(200);

/// Whom they attack.
pub(crate) struct Target {
    pub(crate) sip: SocketAddrV4,
    pub(crate) admin: SocketAddr,
    pub(crate) doors: Doors,
    /// XMPP over TLS.
    pub(crate) xmpp: SocketAddr,
    /// Whoever speaks TLS trusts the server.
    pub(crate) tls: Arc<ClientConfig>,
    /// The number of a user who has a password and means ill.
    pub(crate) bad_user: u32,
    /// The number of one who is asleep, and called by that one.
    pub(crate) victim: u32,
    pub(crate) stop: AtomicBool,
}

/// What is attacked for as long as somebody says.
pub(crate) trait Stands {
    /// Whether the attack goes on.
    fn stands(&self) -> bool;
}

impl Stands for Target {
    fn stands(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

/// From here on this thread has what others leave of its processor: honest phones never wait for an attacker to be done there, only
/// for the server.
pub(super) fn goes_last() -> Result<()> {
    let thread = nix::unistd::gettid().to_string();
    let chrt = Command::new("chrt")
        .args(["--idle", "--pid", "0", &thread])
        .status()
        .context("running chrt, of util-linux")?;
    ensure!(chrt.success(), "chrt cannot make the attacker wait");
    Ok(())
}

/// What an attacker did and got.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(super) sent: u64,
    pub(super) sent_octets: u64,
    pub(super) got: u64,
    pub(super) got_octets: u64,
    /// Of a kind of attack that is answered over datagrams by more than it sends, nothing may be.
    pub(super) amplifies: bool,
}

impl Done {
    pub(super) fn sends(&mut self, octets: usize) {
        self.sent += 1;
        self.sent_octets += octets as u64;
    }

    pub(super) fn gets(&mut self, octets: usize) {
        self.got += 1;
        self.got_octets += octets as u64;
    }

    /// Octets that came back for each that was sent.
    pub(crate) fn times(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a ratio to look at")]
        let times = self.got_octets as f64 / self.sent_octets.max(1) as f64;
        times
    }

    /// Whether anything was done at all.
    pub(crate) fn has_begun(&self) -> bool {
        self.sent > 0
    }

    /// Whether somebody whose address was made up got more than twice what was sent, or more than one answer each.
    pub(crate) fn floods_others(&self) -> bool {
        self.amplifies && (self.times() > 2.0 || self.got > self.sent)
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, got, times) = (self.sent, self.got, self.times());
        write!(f, "{sent} sent, {got} came back")?;
        if self.sent_octets > 0 {
            write!(f, ", {times:.2} of the octets")?;
        }
        Ok(())
    }
}

/// The address of an attacker, of whom nobody else has one.
pub(super) fn address(number: u32) -> Ipv4Addr {
    let (high, low) = (number / 250, number % 250 + 1);
    let [.., high] = high.to_be_bytes();
    let [.., low] = low.to_be_bytes();
    Ipv4Addr::new(127, 100, high, low)
}

/// A connection from there.
pub(super) fn connect(from: Ipv4Addr, to: SocketAddr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&to.into(), CONNECTING)?;
    Ok(socket.into())
}
