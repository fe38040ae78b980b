//! As much of an HTTP client as it takes to add many users quickly: requests one after the other over a connection that
//! stays.

use anyhow::{Context, Result};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

/// Longest answer that is taken.
const LONGEST: usize = 1 << 20;

/// A connection to a server.
pub(crate) struct Client {
    answers: BufReader<TcpStream>,
    requests: TcpStream,
}

/// An answer.
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(to: SocketAddr) -> Result<Self> {
        let requests = TcpStream::connect(to)?;
        requests.set_nodelay(true)?;
        Ok(Self {
            answers: BufReader::new(requests.try_clone()?),
            requests,
        })
    }

    /// Asks, with a JSON document and a bearer token, if there is one, and waits for the answer.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: &str,
    ) -> Result<Answer> {
        let token = match token {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{token}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.requests.write_all(request.as_bytes())?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("no HTTP answer: {line:?}"))?;
        let mut length = 0;
        loop {
            line.clear();
            self.answers.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().context("Content-Length")?;
            }
        }
        anyhow::ensure!(length <= LONGEST, "an answer of {length} bytes");
        let mut body = vec![0; length];
        self.answers.read_exact(&mut body)?;
        Ok(Answer { status, body })
    }
}

/// Whether a GET is answered 200.
pub(crate) fn is_ok(at: SocketAddr, path: &str) -> bool {
    let asked = Client::connect(at).and_then(|mut client| client.ask("GET", path, "", ""));
    asked.is_ok_and(|answer| answer.status == 200)
}
