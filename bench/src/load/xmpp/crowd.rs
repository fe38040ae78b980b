//! Many clients, waited for at once.

use super::{
    scram::Keys,
    session::{Lost, Seen, Session, Way},
};
use crate::load::{DOMAIN, PATIENCE};
use crate::stream::Stream;
use anyhow::{Context, Result, bail};
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    resource::{Resource, getrlimit, setrlimit},
};
use rustls::{ClientConfig, client::Resumption};
use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

/// Clients that sign in at once.
const SIGNING_IN: u32 = 16;
/// Tickets of TLS are the server's, not a user's, so a few do for all.
const TICKETS: usize = 64;
/// Addresses that clients have together.
const HOMES: u8 = 64;
/// Files beside connections.
const OTHER_FILES: u64 = 200;

/// Where a server is, how it is trusted, and its process.
pub(crate) type Server = (SocketAddr, Arc<ClientConfig>, u32);

/// Clients of one server.
pub(crate) struct Crowd {
    epoll: Epoll,
    server: Server,
    /// How those get in who have not been there.
    first: Way,
    sessions: HashMap<u32, Session>,
    /// Those whose connection is gone.
    lost: HashMap<u32, Lost>,
    keys: Keys,
    events: Vec<EpollEvent>,
}

/// Where a user's client connects from: no server gives all of its room to one address.
fn home(user: u32) -> Ipv4Addr {
    let [.., low] = user.to_be_bytes();
    Ipv4Addr::new(127, 0, 1, low % HOMES + 1)
}

impl Crowd {
    /// Nobody yet.
    pub(crate) fn new(server: Server) -> Result<Self> {
        Ok(Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            server,
            first: Way::Password,
            sessions: HashMap::new(),
            lost: HashMap::new(),
            keys: Keys::default(),
            events: vec![EpollEvent::empty(); 256],
        })
    }

    /// Nobody yet; they sign in by SASL2 at a server that has it.
    pub(crate) fn who_come(server: Server, has_sasl2: bool) -> Result<Self> {
        let mut crowd = Self::new(server)?;
        if has_sasl2 {
            crowd.first = Way::PasswordAtOnce;
        }
        Ok(crowd)
    }

    /// Nobody yet; they will keep tickets of TLS, and tokens of a server that has them.
    pub(crate) fn who_come_back(mut server: Server, has_tokens: bool) -> Result<Self> {
        let mut config = (*server.1).clone();
        config.resumption = Resumption::in_memory_sessions(TICKETS);
        server.1 = Arc::new(config);
        let mut crowd = Self::new(server)?;
        if has_tokens {
            crowd.first = Way::PasswordForToken;
        }
        Ok(crowd)
    }

    /// Lets this process, and every server that it starts from now on, have so many connections.
    pub(crate) fn make_room(connections: u32) -> Result<()> {
        let needed = u64::from(connections) + OTHER_FILES;
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        if soft < needed {
            setrlimit(Resource::RLIMIT_NOFILE, needed, hard.max(needed))
                .with_context(|| format!("{needed} open files: raise the limit, or be root"))?;
        }
        Ok(())
    }

    /// Has these users sign in, a few at once, until all are available.
    pub(crate) fn sign_in(&mut self, users: impl Iterator<Item = u32>) -> Result<()> {
        let (mut waiting, mut users) = (0, users.peekable());
        while waiting > 0 || users.peek().is_some() {
            while waiting < SIGNING_IN
                && let Some(user) = users.next()
            {
                self.connect(user)?;
                waiting += 1;
            }
            self.turn(|_, seen| {
                if seen == Seen::Online {
                    waiting -= 1;
                }
            })?;
        }
        Ok(())
    }

    /// Begins to connect one: to the session that it lost, if it did.
    pub(crate) fn connect(&mut self, user: u32) -> Result<()> {
        let lost = self.lost.remove(&user);
        let way = lost.map_or_else(|| self.first.clone(), Way::Back);
        let began = Instant::now();
        let (address, config, _) = &self.server;
        let stream = Stream::connect(home(user), *address, config, DOMAIN)?;
        let session = Session::new(user, began, way, stream)?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(user));
        self.epoll.add(session.stream().socket(), event)?;
        self.sessions.insert(user, session);
        Ok(())
    }

    /// One signs out, and its connection is closed.
    pub(crate) fn sign_out(&mut self, user: u32) -> Result<()> {
        self.session(user)?.leave()?;
        let mut ended = false;
        while !ended {
            self.turn(|who, seen| ended |= who == user && seen == Seen::Ended)?;
        }
        self.sessions.remove(&user);
        Ok(())
    }

    /// The connection of one is gone without a word.
    pub(crate) fn lose(&mut self, user: u32) -> Result<()> {
        let session = self.sessions.remove(&user);
        let lost = session.as_ref().and_then(Session::lost);
        let lost = lost.with_context(|| format!("u{user} has no session that can be resumed"))?;
        self.lost.insert(user, lost);
        Ok(())
    }

    /// One of them.
    pub(crate) fn session(&mut self, user: u32) -> Result<&mut Session> {
        let session = self.sessions.get_mut(&user);
        session.with_context(|| format!("u{user} is not there"))
    }

    /// Waits until something comes, and says what was seen.
    pub(crate) fn turn(&mut self, see: impl FnMut(u32, Seen)) -> Result<()> {
        if !self.turn_within(PATIENCE, see)? {
            bail!("nothing came for {PATIENCE:?}: something was lost, or the server hangs");
        }
        Ok(())
    }

    /// The same, but waits no longer than this; says whether something came.
    pub(crate) fn turn_within(
        &mut self,
        patience: Duration,
        mut see: impl FnMut(u32, Seen),
    ) -> Result<bool> {
        let patience = EpollTimeout::try_from(patience)?;
        let count = self.epoll.wait(&mut self.events, patience)?;
        for event in &self.events[..count] {
            let user = u32::try_from(event.data())?;
            let Some(session) = self.sessions.get_mut(&user) else {
                continue;
            };
            session
                .take(&mut self.keys, |seen| see(user, seen))
                .with_context(|| format!("u{user}, {}", session.state()))?;
        }
        Ok(count > 0)
    }

    /// Goes on answering for so long.
    pub(crate) fn idle(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while let left = until.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            let patience = EpollTimeout::try_from(left.max(Duration::from_millis(1)))?;
            if self.epoll.wait(&mut self.events, patience)? > 0 {
                self.turn(|_, _| {})?;
            }
        }
        Ok(())
    }
}
