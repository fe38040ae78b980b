//! The attacks, each with the least that brings it about.

mod chat;
mod connections;
mod datagrams;
mod user;

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

/// Sources of a distributed attack.
const MANY: u32 = 1_000;
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

impl Target {
    /// Whether the attack goes on.
    fn stands(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

/// An attack, and what the server is to say of it.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    run: fn(&Target) -> Result<Done>,
    /// The alarm that is raised.
    pub(crate) alarm: &'static str,
    /// What is counted: at least one of these reasons.
    pub(crate) reasons: &'static [&'static str],
}

/// What an attacker did and got.
#[derive(Debug, Default)]
pub(crate) struct Done {
    sent: u64,
    sent_octets: u64,
    got: u64,
    got_octets: u64,
    /// Of a kind of attack that is answered over datagrams by more than it sends, nothing may be.
    amplifies: bool,
}

impl Done {
    fn sends(&mut self, octets: usize) {
        self.sent += 1;
        self.sent_octets += octets as u64;
    }

    fn gets(&mut self, octets: usize) {
        self.got += 1;
        self.got_octets += octets as u64;
    }

    /// Octets that came back for each that was sent.
    pub(crate) fn times(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a ratio to look at")]
        let times = self.got_octets as f64 / self.sent_octets.max(1) as f64;
        times
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

const STRANGERS: (&str, &[&str]) = ("strangers_flood", &["challenged", "unanswered", "shed"]);
const GUESSES: (&str, &[&str]) = ("guessing", &["password", "waiting", "banned"]);
const SILENT: (&str, &[&str]) = ("silent_connections", &["silent"]);

const fn attack(
    name: &'static str,
    run: fn(&Target) -> Result<Done>,
    (alarm, reasons): (&'static str, &'static [&'static str]),
) -> Attack {
    Attack {
        name,
        run,
        alarm,
        reasons,
    }
}

/// All of them, by the points of what was found.
pub(crate) const ATTACKS: [Attack; 15] = [
    attack(
        "1 INVITEs without ACK, one TCP connection",
        connections::invites,
        STRANGERS,
    ),
    attack(
        "1 REGISTERs over UDP, one source",
        |target| datagrams::requests(target, 1),
        STRANGERS,
    ),
    attack(
        "1 REGISTERs over UDP, 1,000 sources",
        |target| datagrams::requests(target, MANY),
        STRANGERS,
    ),
    attack(
        "2 small INVITEs over UDP, one source",
        |target| datagrams::small(target, 1),
        STRANGERS,
    ),
    attack(
        "2 small INVITEs over UDP, 1,000 sources",
        |target| datagrams::small(target, MANY),
        STRANGERS,
    ),
    attack(
        "3 passwords over three TCP connections",
        connections::guesses,
        GUESSES,
    ),
    attack(
        "3 passwords over UDP, one source",
        |target| datagrams::guesses(target, 1),
        GUESSES,
    ),
    attack(
        "3 passwords over UDP, 1,000 sources",
        |target| datagrams::guesses(target, MANY),
        GUESSES,
    ),
    attack(
        "3 passwords over XMPP, three at a time",
        |target| Ok(chat::guesses(target)),
        GUESSES,
    ),
    attack(
        "4 one user calls another, and gives up",
        user::calls,
        ("user_floods", &["caller", "callee", "requests"]),
    ),
    attack(
        "5 idle connections, one source",
        |target| Ok(connections::idle(target)),
        ("limits_reached", &["connections"]),
    ),
    attack(
        "5 half-sent HTTP requests",
        |target| Ok(connections::half_sent(target)),
        SILENT,
    ),
    attack(
        "5 TLS handshakes, one source",
        |target| connections::handshakes(target, 1),
        SILENT,
    ),
    attack(
        "5 TLS handshakes, 250 sources",
        |target| connections::handshakes(target, 250),
        SILENT,
    ),
    attack(
        "5 half-open streams of XMPP",
        |target| Ok(chat::half_open(target)),
        ("limits_reached", &["connections"]),
    ),
];

impl Attack {
    /// Attacks until it is told to stop, with what the honest phones leave of their processor: they never wait for the attacker to
    /// be done there, only for the server.
    pub(crate) fn run(&self, target: &Target) -> Result<Done> {
        let thread = nix::unistd::gettid().to_string();
        let chrt = Command::new("chrt")
            .args(["--idle", "--pid", "0", &thread])
            .status()
            .context("running chrt, of util-linux")?;
        ensure!(chrt.success(), "chrt cannot make the attacker wait");
        (self.run)(target)
    }
}

/// The address of an attacker, of whom nobody else has one.
fn address(number: u32) -> Ipv4Addr {
    let (high, low) = (number / 250, number % 250 + 1);
    let [.., high] = high.to_be_bytes();
    let [.., low] = low.to_be_bytes();
    Ipv4Addr::new(127, 100, high, low)
}

/// A connection from there.
fn connect(from: Ipv4Addr, to: SocketAddr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&to.into(), CONNECTING)?;
    Ok(socket.into())
}
