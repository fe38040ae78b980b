//! Asks the system's resolver for service records (RFC 2782), for which the system has no call: one question by datagram, and
//! what of its answer is needed (RFC 1035 §4). Addresses are asked for as everywhere, by the system.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{net::UdpSocket, time::timeout};

/// Where the system has its resolvers (resolv.conf(5)).
const RESOLV_CONF: &str = "/etc/resolv.conf";
const PORT: u16 = 53;
/// One resolver may take so long, and is asked twice.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest answer by datagram.
const ANSWER: usize = 4_096;
/// Names of an answer point to one another: so often, and no more.
const JUMPS: usize = 32;
/// Longest name, in octets (RFC 1035 §2.3.4).
const NAME: usize = 255;

const SRV: u16 = 33;
const INTERNET: u16 = 1;
/// There is no such name (RFC 1035 §4.1.1).
const NO_SUCH_NAME: u8 = 3;

/// A service record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Service {
    pub(crate) target: String,
    pub(crate) port: u16,
}

/// Whom to ask.
#[derive(Clone, Debug)]
pub(crate) struct Resolver(Vec<SocketAddr>);

impl Resolver {
    /// Those of the system.
    pub(crate) fn of_system() -> Self {
        let text = std::fs::read_to_string(RESOLV_CONF).unwrap_or_default();
        Self(servers(&text))
    }

    #[cfg(test)]
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self(vec![address])
    }

    /// The service records of a name; none if there are none.
    ///
    /// # Errors
    /// No resolver answers, or it says that it failed.
    pub(super) async fn services(&self, name: &str) -> io::Result<Vec<Service>> {
        let none = || io::Error::other(format!("{RESOLV_CONF} names no resolver"));
        let mut failed = None;
        for server in self.0.iter().chain(&self.0) {
            match ask(*server, name).await {
                Ok(found) => return Ok(found),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(none))
    }
}

fn servers(resolv_conf: &str) -> Vec<SocketAddr> {
    let lines = resolv_conf.lines();
    let named = lines.filter_map(|line| line.trim().strip_prefix("nameserver"));
    // A scope is good for link-local addresses alone, which need the system's own way.
    let parsed = named.filter_map(|it| it.trim().parse::<IpAddr>().ok());
    parsed.map(|ip| SocketAddr::new(ip, PORT)).take(3).collect()
}

async fn ask(server: SocketAddr, name: &str) -> io::Result<Vec<Service>> {
    let id = u16::from_be_bytes(crate::entropy::random());
    let question = question(id, name).ok_or_else(|| io::Error::other("no name for DNS"))?;
    let local: IpAddr = match server {
        SocketAddr::V4(_) => [0, 0, 0, 0].into(),
        SocketAddr::V6(_) => [0_u16; 8].into(),
    };
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question).await?;
    let mut octets = vec![0; ANSWER];
    let heard = async {
        loop {
            let length = socket.recv(&mut octets).await?;
            if let Some(answer) = read(&octets[..length], id) {
                return answer;
            }
        }
    };
    let no_answer = |_| io::Error::other(format!("the resolver {server} does not answer"));
    timeout(PATIENCE, heard).await.map_err(no_answer)?
}

fn question(id: u16, name: &str) -> Option<Vec<u8>> {
    // Recursion is wanted; one question.
    const HEAD: [u8; 10] = [1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let mut octets = id.to_be_bytes().to_vec();
    octets.extend(HEAD);
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok();
        let length = length.filter(|it| (1..64).contains(it) && label.is_ascii())?;
        octets.push(length);
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets.extend(SRV.to_be_bytes());
    octets.extend(INTERNET.to_be_bytes());
    (octets.len() <= 12 + NAME + 4).then_some(octets)
}

/// What an answer says; `None`: it is no answer to this question.
fn read(octets: &[u8], id: u16) -> Option<io::Result<Vec<Service>>> {
    let number = |at: usize| Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?));
    let is_answer = octets.get(2)? & 0x80 != 0;
    if number(0)? != id || !is_answer {
        return None;
    }
    match octets.get(3)? & 0x0f {
        0 => Some(
            records(octets).ok_or_else(|| io::Error::other("the resolver's answer cannot be read")),
        ),
        NO_SUCH_NAME => Some(Ok(Vec::new())),
        code => Some(Err(io::Error::other(format!(
            "the resolver says that it failed (code {code})"
        )))),
    }
}

fn records(octets: &[u8]) -> Option<Vec<Service>> {
    let number = |at: usize| Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?));
    let (questions, answers) = (number(4)?, number(6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = name(octets, at)?.1 + 4;
    }
    let mut found = Vec::new();
    for _ in 0..answers {
        let head = name(octets, at)?.1;
        let data = head + 10;
        if (number(head)?, number(head + 2)?) == (SRV, INTERNET) {
            // Priority and weight come first.
            let (target, _) = name(octets, data + 6)?;
            let port = number(data + 4)?;
            found.push(Service { target, port });
        }
        at = data + usize::from(number(head + 8)?);
    }
    Some(found)
}

/// The name that stands there, and where what follows it begins.
fn name(octets: &[u8], mut at: usize) -> Option<(String, usize)> {
    let (mut name, mut end) = (String::new(), None);
    for _ in 0..JUMPS {
        loop {
            let length = usize::from(*octets.get(at)?);
            at += 1;
            match length {
                0 => return Some((name, end.unwrap_or(at))),
                1..64 => {
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.push_str(&String::from_utf8_lossy(octets.get(at..at + length)?));
                    at += length;
                    if name.len() > 4 * NAME {
                        return None;
                    }
                }
                0xc0.. => {
                    let low = usize::from(*octets.get(at)?);
                    end.get_or_insert(at + 1);
                    at = (length & 0x3f) << 8 | low;
                    break;
                }
                _ => return None,
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_read_from_the_systems_file() {
        let text = "# a comment\nsearch example.org\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver ::1\n";
        let expected: Vec<SocketAddr> = ["192.0.2.53:53", "[::1]:53"]
            .map(|it| it.parse().unwrap())
            .into();
        assert_eq!(servers(text), expected);
    }

    #[test]
    fn what_is_no_answer_and_what_cannot_be_read_is_neither_believed_nor_a_harm() {
        let asked = question(7, "_sip._tcp.example.org").unwrap();
        assert!(read(&asked, 7).is_none(), "a question");
        let mut answer = asked.clone();
        answer[2] |= 0x80;
        assert!(read(&answer, 8).is_none(), "of another question");
        assert_eq!(read(&answer, 7).unwrap().unwrap(), []);
        answer[7] = 1;
        assert!(read(&answer, 7).unwrap().is_err(), "cut off");
        // A name that points to itself.
        answer.extend([0xc0, u8::try_from(answer.len()).unwrap()]);
        assert!(read(&answer, 7).unwrap().is_err());
        for length in 0..answer.len() {
            let _ = read(&answer[..length], 7);
        }
        assert!(question(1, &"a.".repeat(200)).is_none());
        assert!(question(1, "a..b").is_none());
    }
}
