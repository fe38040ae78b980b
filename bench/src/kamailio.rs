//! The peer: Kamailio from its Debian package, with a script as lean as the row allows.

use crate::{
    certificate,
    debian::Packages,
    process::{Cores, Server},
    reveille::{Straight, free_both},
};
use anyhow::{Context, Result};
use std::{
    net::{SocketAddr, SocketAddrV4, UdpSocket},
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

/// The program, and the modules that the scripts load.
pub(crate) const PACKAGES: Packages = Packages {
    program: "Kamailio",
    names: &[
        "kamailio",
        "kamailio-extra-modules",
        "kamailio-utils-modules",
        "kamailio-tls-modules",
    ],
    sign: "command -v kamailio && cd /usr/lib/*/kamailio/modules && ls http_client.so tls.so",
    service: "kamailio",
};
/// Far more than it takes.
const START: Duration = Duration::from_secs(10);

/// What all scripts have in common, with a gap for what differs.
const COMMON: &str = include_str!("../kamailio/common.cfg");

/// Between a Kamailio in front and the one inside.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Wire {
    /// In the clear.
    Tcp,
    /// Encrypted, as a tunnel is.
    Tls,
}

impl Wire {
    /// As a script calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// How both of them end TLS, with a gap for the folder of the certificate.
const TLS: &str = include_str!("../kamailio/tls.cfg");

/// What the script does with a call.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Script {
    /// It goes to the callee's contact.
    Relay,
    /// The same, for users who call each other through another Kamailio in front, which speaks this wire, and sign their INVITEs.
    Inside(Wire),
    /// It waits for the callee, who is pushed by a request to this sink, and goes to each contact that registers.
    Wake(SocketAddr),
}

impl Script {
    fn text(self, listen: SocketAddrV4, folder: &Path) -> String {
        let row = match self {
            Self::Relay => include_str!("../kamailio/relay.cfg").to_owned(),
            Self::Inside(_) => include_str!("../kamailio/inside.cfg").to_owned(),
            Self::Wake(sink) => {
                include_str!("../kamailio/wake.cfg").replace("@SINK@", &sink.to_string())
            }
        };
        let wires = match self {
            Self::Inside(wire) => {
                let wires = format!(
                    "tcp_children=1\nlisten=udp:{listen}\nlisten={}:{listen}",
                    wire.name()
                );
                match wire {
                    Wire::Tcp => wires,
                    Wire::Tls => format!("{wires}\n{}", tls(folder)),
                }
            }
            _ => format!("disable_tcp=yes\nlisten=udp:{listen}"),
        };
        COMMON.replace("@WIRES@", &wires).replace("@ROW@", &row)
    }
}

/// [`TLS`], with the certificate in this folder.
pub(crate) fn tls(folder: &Path) -> String {
    TLS.replace("@FOLDER@", &folder.to_string_lossy())
}

/// It in the foreground, with the fast allocator for shared and for private memory: Debian's default is slower.
pub(crate) fn command(folder: &Path, script: &Path) -> Command {
    let mut command = Command::new("kamailio");
    command.args([
        "-DD", "-E", "-x", "fm", "-X", "fm", "-m", "2048", "-M", "32",
    ]);
    command.arg("-f").arg(script).arg("-Y").arg(folder);
    command
}

/// A running Kamailio.
pub(crate) struct Kamailio {
    server: Server,
    sip: SocketAddrV4,
    /// For who speaks TLS to it.
    tls: Option<Arc<rustls::ClientConfig>>,
    _folder: TempDir,
}

impl Kamailio {
    /// Starts one on this core, and waits until it answers.
    pub(crate) fn start(script: Script, cores: Cores) -> Result<Self> {
        let folder = TempDir::with_prefix("reveille-bench-")?;
        let sip = free_both()?;
        let file = folder.path().join("kamailio.cfg");
        let is_tls = matches!(script, Script::Inside(Wire::Tls));
        let tls = is_tls.then(|| certificate::put_into(folder.path()));
        let tls = tls.transpose()?;
        std::fs::write(&file, script.text(sip, folder.path()))?;
        let command = command(folder.path(), &file);
        let mut server = Server::start(&command, cores, &folder.path().join("kamailio.log"))?;
        server.wait_until(START, || answers(sip))?;
        Ok(Self {
            server,
            sip,
            tls,
            _folder: folder,
        })
    }

    /// Where it listens for SIP.
    pub(crate) fn sip(&self) -> SocketAddrV4 {
        self.sip
    }

    /// Where phones find it that speak TLS to it.
    pub(crate) fn straight(&self) -> Result<Straight> {
        let tls = self.tls.clone().context("it ends TLS")?;
        Ok((self.sip.into(), tls))
    }

    /// Its first process, of which the workers are children.
    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// What it said: nothing, if all went well.
    pub(crate) fn words(&self) -> String {
        self.server.words()
    }
}

/// Whether a request for nobody is answered.
fn answers(sip: SocketAddrV4) -> bool {
    let asked = || -> std::io::Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let port = socket.local_addr()?.port();
        let ping = format!(
            "OPTIONS sip:{sip} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKping\r\nMax-Forwards: 70\r\n\
             From: <sip:ping@localhost>;tag=1\r\nTo: <sip:{sip}>\r\nCall-ID: ping\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        socket.send_to(ping.as_bytes(), sip)?;
        socket.recv(&mut [0; 2048]).map(drop)
    };
    asked().is_ok()
}

/// Its version, as it says.
pub(crate) fn version() -> String {
    let Ok(output) = Command::new("kamailio").arg("-v").output() else {
        return "kamailio not installed".to_owned();
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().next().unwrap_or_default();
    line.trim_start_matches("version: ").trim().to_owned()
}
