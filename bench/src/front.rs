//! The peer of an edge: a Kamailio that ends TLS in front of another one.

use crate::{
    certificate,
    kamailio::{self, Kamailio, Script, Wire, command},
    process::{Cores, Server},
    reveille::{Straight, free_tcp},
};
use anyhow::Result;
use std::{net::TcpStream, time::Duration};
use tempfile::TempDir;

/// Far more than it takes.
const START: Duration = Duration::from_secs(10);

/// How it hands on what a phone says.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Manner {
    /// `forward`, which keeps no state, or `t_relay`.
    pub(crate) relay: &'static str,
    /// To the inside.
    pub(crate) wire: Wire,
}

impl Manner {
    /// The word of the script, and the wire.
    pub(crate) const fn new(relay: &'static str, wire: Wire) -> Self {
        Self { relay, wire }
    }
}

/// Both of them.
pub(crate) struct Front {
    server: Server,
    outside: Straight,
    inside: Kamailio,
    _folder: TempDir,
}

impl Front {
    /// Starts one in front on the first cores, and the one inside on the others.
    pub(crate) fn start(manner: Manner, cores: Cores, within: Cores) -> Result<Self> {
        let inside = Kamailio::start(Script::Inside(manner.wire), within)?;
        let folder = TempDir::with_prefix("reveille-bench-")?;
        let tls = certificate::put_into(folder.path())?;
        let (outside, own) = (free_tcp()?, free_tcp()?);
        let script = include_str!("../kamailio/front.cfg")
            .replace("@TLS@", &kamailio::tls(folder.path()))
            .replace("@OUTSIDE@", &outside.to_string())
            .replace("@WITHIN@", &own.to_string())
            .replace("@WITHIN_PORT@", &own.port().to_string())
            .replace("@INSIDE@", &inside.sip().to_string())
            .replace("@WIRE@", manner.wire.name())
            .replace("@RELAY@", manner.relay);
        let file = folder.path().join("kamailio.cfg");
        std::fs::write(&file, script)?;
        let command = command(folder.path(), &file);
        let mut server = Server::start(&command, cores, &folder.path().join("kamailio.log"))?;
        server.wait_until(START, || TcpStream::connect(outside).is_ok())?;
        Ok(Self {
            server,
            outside: (outside, tls),
            inside,
            _folder: folder,
        })
    }

    /// Where phones find it.
    pub(crate) fn outside(&self) -> Straight {
        self.outside.clone()
    }

    /// The first process of the one in front.
    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The one behind it.
    pub(crate) fn inside(&self) -> &Kamailio {
        &self.inside
    }

    /// What it said: nothing, if all went well.
    pub(crate) fn words(&self) -> String {
        self.server.words()
    }
}
