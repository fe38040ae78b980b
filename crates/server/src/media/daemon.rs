//! One daemon: questions and answers over UDP. A question is repeated under the same cookie until it is answered, so what is
//! done twice is done once; an answer counts for the question whose cookie it has.

use super::bencode::Value;
use crate::{entropy::random, hex};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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

/// Questions under way at once; one more fails.
const UNDER_WAY: usize = 10_000;
/// A question is repeated after this, then after twice that, and so on.
const REPEAT: Duration = Duration::from_millis(100);
/// Octets of an answer.
const LONGEST: usize = 65_535;

/// Who waits for an answer, by its cookie.
type Asked = Arc<Mutex<HashMap<Box<str>, oneshot::Sender<Value>>>>;

/// See above.
pub(super) struct Daemon {
    at: SocketAddr,
    socket: Arc<UdpSocket>,
    asked: Asked,
    prefix: String,
    cookies: AtomicU64,
    /// Why it does not answer, if it does not.
    down: Mutex<Option<String>>,
    reader: JoinHandle<()>,
}

/// Forgets a question, however its asking ends.
struct Question<'a>(&'a Asked, &'a str);

impl Drop for Question<'_> {
    fn drop(&mut self) {
        locked(self.0).remove(self.1);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Daemon {
    /// The daemon at this address. Nothing is sent yet.
    pub(super) async fn at(at: SocketAddr) -> std::io::Result<Self> {
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
            down: Mutex::default(),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.at
    }

    pub(super) fn is_up(&self) -> bool {
        locked(&self.down).is_none()
    }

    /// It answers.
    pub(super) fn is_there(&self) {
        if locked(&self.down).take().is_some() {
            tracing::info!(at = %self.at, "rtpengine answers again");
        }
    }

    /// It does not answer: no call is given to it until it does.
    pub(super) fn is_down(&self, why: &str) {
        let before = locked(&self.down).replace(why.to_owned());
        if before.is_none() {
            tracing::warn!(at = %self.at, why, "rtpengine does not answer");
        }
    }

    pub(super) fn why_down(&self) -> Option<String> {
        locked(&self.down).clone()
    }

    /// Asks, and asks again until it is answered or that has lasted too long.
    pub(super) async fn ask(&self, command: &Value, patience: Duration) -> Result<Value, String> {
        let number = self.cookies.fetch_add(1, Ordering::Relaxed);
        let cookie = format!("{}{number:x}", self.prefix);
        let (reply, mut answer) = oneshot::channel();
        {
            let mut asked = locked(&self.asked);
            if asked.len() >= UNDER_WAY {
                return Err("too much is asked of it".to_owned());
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
                return Err(error.to_string());
            }
            let now = Instant::now();
            match timeout_at(end.min(now + pause), &mut answer).await {
                Ok(answered) => return answered.map_err(|_| "its port is closed".to_owned()),
                Err(_) if Instant::now() >= end => {
                    return Err(format!("no answer within {} ms", patience.as_millis()));
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
        let value = Value::read(&answer[blank + 1..]);
        let waiting = value.and_then(|value| Some((locked(&asked).remove(cookie)?, value)));
        if let Some((waiting, value)) = waiting {
            // Whoever asked may have gone.
            let _ = waiting.send(value);
        }
    }
}
