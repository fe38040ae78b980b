//! One daemon: questions and answers over UDP. A question is repeated under the same cookie until it is answered, so what is
//! done twice is done once; an answer counts for the question whose cookie it has.

use super::{bencode::Value, ng::Refused};
use crate::{entropy::random, hex, mutex::locked};
use std::{
    collections::HashMap,
    fmt,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::UdpSocket,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// So many unanswered questions in a row, and nothing between them, and a daemon is down: what a user has it asked can be one.
const SILENT: u32 = 2;
/// Questions under way at once; one more fails.
const UNDER_WAY: usize = 10_000;
/// A question is repeated after this, then after twice that, and so on.
const REPEAT: Duration = Duration::from_millis(100);
/// Octets of an answer.
const LONGEST: usize = 65_535;

/// Who waits for an answer, by its cookie; nothing is told of one that cannot be read.
type Asked = Arc<Mutex<HashMap<Box<str>, oneshot::Sender<Option<Value>>>>>;

/// Why a question has no answer, or none that helps.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Failed {
    /// We cannot ask it, which says nothing of the daemon.
    Local(String),
    /// Nobody listens there, or no way leads there.
    Unreachable(String),
    /// It said nothing for this long.
    Unanswered(Duration),
    /// It does not do it, and says why.
    Refused(Refused),
}

impl Failed {
    /// In a word, as it is counted.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(_) | Self::Unanswered(_) => "unanswered",
            Self::Local(_) | Self::Refused(_) => "refused",
        }
    }

    fn sending(error: &io::Error) -> Self {
        let why = error.to_string();
        match error.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable => Self::Unreachable(why),
            _ => Self::Local(why),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(why) | Self::Unreachable(why) | Self::Refused(Refused(why)) => {
                f.write_str(why)
            }
            Self::Unanswered(patience) => {
                write!(f, "no answer within {} ms", patience.as_millis())
            }
        }
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// How a daemon is.
#[derive(Debug, Default)]
struct Health {
    /// Why it is given no offers, if it is not.
    down: Option<String>,
    /// Questions that were not answered since one was.
    silent: u32,
    /// An offer was not answered, and none after it was; the pongs of one that hangs do not change that.
    offers_fail: Option<String>,
}

/// See above.
pub(super) struct Daemon {
    at: SocketAddr,
    socket: Arc<UdpSocket>,
    asked: Asked,
    prefix: String,
    cookies: AtomicU64,
    health: Mutex<Health>,
    reader: JoinHandle<()>,
}

/// Forgets a question, however its asking ends.
struct Question<'a>(&'a Asked, &'a str);

impl Drop for Question<'_> {
    fn drop(&mut self) {
        locked(self.0).remove(self.1);
    }
}

impl Daemon {
    /// The daemon at this address. Nothing is sent yet.
    pub(super) async fn at(at: SocketAddr) -> io::Result<Self> {
        let any: IpAddr = match at {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = Arc::new(UdpSocket::bind((any, 0)).await?);
        socket.connect(at).await?;
        let asked = Asked::default();
        Ok(Self {
            at,
            reader: tokio::spawn(read(socket.clone(), asked.clone())),
            socket,
            asked,
            prefix: hex::encode(&random::<8>()),
            cookies: AtomicU64::new(0),
            health: Mutex::default(),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.at
    }

    pub(super) fn is_up(&self) -> bool {
        locked(&self.health).down.is_none()
    }

    /// It answers.
    pub(super) fn is_there(&self) {
        let before = locked(&self.health).down.take();
        if before.is_some() {
            tracing::info!(at = %self.at, "rtpengine answers again");
        }
    }

    /// It does not answer: no offer is given to it until it does.
    pub(super) fn is_down(&self, why: &str) {
        let before = locked(&self.health).down.replace(why.to_owned());
        if before.is_none() {
            tracing::warn!(at = %self.at, why, "rtpengine does not answer");
        }
    }

    /// What is wrong with it: it is down, or it answers, but not offers.
    pub(super) fn trouble(&self) -> Option<String> {
        let health = locked(&self.health);
        let offers = || {
            let why = health.offers_fail.as_ref()?;
            Some(format!("it does not answer offers: {why}"))
        };
        health.down.clone().or_else(offers)
    }

    /// Has it do something, and learns from that how it is.
    pub(super) async fn ask(&self, command: &Value, patience: Duration) -> Result<Value, Failed> {
        let answer = self.question(command, patience).await;
        self.shows(&answer);
        answer
    }

    /// Has it forget something. What it says of that grows with what it is about, and may be longer than a datagram can be: silence
    /// says nothing of how it is.
    pub(super) async fn forget(&self, command: &Value, patience: Duration) {
        let answer = self.question(command, patience).await;
        if !matches!(answer, Err(Failed::Unanswered(_))) {
            self.shows(&answer);
        }
    }

    /// How it is, by what it has answered: anything at all is a sign of life.
    fn shows(&self, answer: &Result<Value, Failed>) {
        let is_down = {
            let mut health = locked(&self.health);
            health.silent = match answer {
                Ok(_) | Err(Failed::Refused(_)) => 0,
                Err(Failed::Unanswered(_)) => health.silent.saturating_add(1),
                Err(Failed::Local(_) | Failed::Unreachable(_)) => health.silent,
            };
            match answer {
                Err(Failed::Unanswered(_)) => health.silent >= SILENT,
                Err(Failed::Unreachable(_)) => true,
                _ => false,
            }
        };
        if let Err(error) = answer
            && is_down
        {
            self.is_down(&error.to_string());
        }
    }

    /// Has it take an offer: whoever answers pings may still not answer these.
    pub(super) async fn offer(&self, command: &Value, patience: Duration) -> Result<Value, Failed> {
        let answer = self.ask(command, patience).await;
        match &answer {
            Ok(_) => locked(&self.health).offers_fail = None,
            Err(error @ Failed::Unanswered(_)) => {
                locked(&self.health).offers_fail = Some(error.to_string());
            }
            // That is over with the next pong, or is none of the daemon's.
            Err(_) => {}
        }
        answer
    }

    /// Asks, and asks again until it is answered or that has lasted too long.
    async fn question(&self, command: &Value, patience: Duration) -> Result<Value, Failed> {
        let number = self.cookies.fetch_add(1, Ordering::Relaxed);
        let cookie = format!("{}{number:x}", self.prefix);
        let (reply, mut answer) = oneshot::channel();
        {
            let mut asked = locked(&self.asked);
            if asked.len() >= UNDER_WAY {
                return Err(Failed::Local("too much is asked of it".to_owned()));
            }
            asked.insert(cookie.as_str().into(), reply);
        }
        let _question = Question(&self.asked, &cookie);
        let mut datagram = format!("{cookie} ").into_bytes();
        command.write(&mut datagram);
        let end = Instant::now() + patience;
        let mut pause = REPEAT;
        loop {
            // The first error may be that of an earlier datagram.
            if self.socket.send(&datagram).await.is_err()
                && let Err(error) = self.socket.send(&datagram).await
            {
                return Err(Failed::sending(&error));
            }
            let now = Instant::now();
            match timeout_at(end.min(now + pause), &mut answer).await {
                Ok(Ok(answered)) => {
                    let refused = || Refused("its answer cannot be read".to_owned());
                    return answered.ok_or_else(|| refused().into());
                }
                Ok(Err(_)) => {
                    return Err(Failed::Unreachable("its port is closed".to_owned()));
                }
                Err(_) if Instant::now() >= end => {
                    return Err(Failed::Unanswered(patience));
                }
                Err(_) => pause *= 2,
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Hands out answers. When nobody listens at the port, all who wait hear of it.
async fn read(socket: Arc<UdpSocket>, asked: Asked) {
    let mut buffer = vec![0; LONGEST];
    loop {
        let Ok(length) = socket.recv(&mut buffer).await else {
            locked(&asked).clear();
            // The next error is for what is asked after this.
            tokio::task::yield_now().await;
            continue;
        };
        let answer = &buffer[..length];
        let Some(blank) = answer.iter().position(|octet| *octet == b' ') else {
            continue;
        };
        let cookie = std::str::from_utf8(&answer[..blank]).unwrap_or_default();
        let waiting = locked(&asked).remove(cookie);
        if let Some(waiting) = waiting {
            // Whoever asked may have gone.
            let _ = waiting.send(Value::read(&answer[blank + 1..]));
        }
    }
}
