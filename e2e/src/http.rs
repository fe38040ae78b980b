//! As much of an HTTP client as the lab's control API and the health endpoints need.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

/// One request on a connection of its own. The error is the connection's: nobody listens yet, or no longer.
pub fn http(
    server: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> io::Result<Answer> {
    http_as(server, method, path, "", body)
}

/// The same with a bearer token, if there is one.
pub fn http_as(
    server: SocketAddr,
    method: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> io::Result<Answer> {
    ask(server, method, path, (token, body), Duration::from_secs(10))
}

/// One request in TLS by `curl`, which trusts this CA and asks for `localhost`.
pub fn https_as(
    (server, ca): (SocketAddr, &Path),
    method: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> Answer {
    let port = server.port();
    let mut curl = Command::new("curl");
    curl.args([
        "-sS",
        "--http1.1",
        "-X",
        method,
        "-w",
        "\n%{http_code}",
        "--cacert",
    ]);
    curl.arg(ca);
    curl.args(["--resolve", &format!("localhost:{port}:{}", server.ip())]);
    if !token.is_empty() {
        curl.args(["-H", &format!("Authorization: Bearer {token}")]);
    }
    if let Some(body) = body {
        curl.args([
            "-H",
            "Content-Type: application/json",
            "-d",
            &body.to_string(),
        ]);
    }
    curl.arg(format!("https://localhost:{port}{path}"));
    let output = curl.output();
    let output = output.expect("curl: `cargo xtask test --only peers` installs it");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{method} {path}: {said}{errors}");
    let (body, status) = said
        .rsplit_once('\n')
        .expect("the status is in the last line");
    Answer {
        status: status.parse().expect("a status"),
        body: body.to_owned(),
    }
}

/// The same, of somebody who may take longer.
pub(crate) fn http_within(
    server: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Value>,
    within: Duration,
) -> io::Result<Answer> {
    ask(server, method, path, ("", body), within)
}

fn ask(
    server: SocketAddr,
    method: &str,
    path: &str,
    (token, body): (&str, Option<&Value>),
    within: Duration,
) -> io::Result<Answer> {
    let bearer = match token {
        "" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(within))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         {bearer}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut raw = Vec::new();
    let mut buffer = [0; 16_384];
    while !is_whole(&raw) {
        match stream.read(&mut buffer)? {
            0 => break,
            length => raw.extend_from_slice(&buffer[..length]),
        }
    }
    parse(&String::from_utf8_lossy(&raw)).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{method} {path}: not an HTTP answer"),
        )
    })
}

/// Whether there is as much of an answer as it says itself: not everybody closes the connection behind it.
fn is_whole(raw: &[u8]) -> bool {
    let Some(end) = raw.windows(4).position(|it| it == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&raw[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse::<usize>().ok());
    length.is_some_and(|length| raw.len() >= end + 4 + length)
}

fn parse(raw: &str) -> Option<Answer> {
    let (head, body) = raw.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head.lines().any(|line| {
        line.to_ascii_lowercase()
            .starts_with("transfer-encoding: chunked")
    });
    let body = if chunked {
        unchunk(body)?
    } else {
        body.to_owned()
    };
    Some(Answer { status, body })
}

fn unchunk(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(after.get(..size)?);
        rest = after.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_and_a_chunked_body_read_the_same() {
        let plain = parse("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}").expect("plain");
        let chunked =
            parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n")
                .expect("chunked");
        assert_eq!(plain.status, 200);
        assert_eq!(plain.body, chunked.body);
    }

    #[test]
    fn half_an_answer_is_none() {
        assert!(parse("HTTP/1.1 200 OK\r\nContent-").is_none());
    }
}
