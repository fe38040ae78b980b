//! A small SIP client of our own, for what no peer can be made to say: bursts, odd requests, raw bytes. It is
//! written apart from Reveille's own SIP core on purpose, so that both cannot be wrong in the same way.

use std::collections::{HashSet, VecDeque};
use std::fmt::{self, Write as _};
use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::digest;

/// What carries SIP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// UDP
    Udp,
    /// TCP
    Tcp,
    /// TLS over TCP; [`SipClient`] itself does not speak it.
    Tls,
}

impl fmt::Display for Transport {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        })
    }
}

/// How long to wait for a final answer; RFC 3261's timer F is 32 s, nothing here takes that long.
const ANSWER: Duration = Duration::from_secs(10);

/// RFC 3261 §17.1.2.2: a request over UDP is sent again after T1, then ever less often.
const T1: Duration = Duration::from_millis(500);

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The message as it came.
    pub text: String,
}

/// A request that came in; `MESSAGE`s are answered 200 by the client itself.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The method.
    pub method: String,
    /// The message as it came.
    pub text: String,
}

impl Response {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.text, name)
    }
}

impl Incoming {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.text, name)
    }

    /// The body.
    pub fn body(&self) -> &str {
        self.text
            .split_once("\r\n\r\n")
            .map_or("", |(_, body)| body)
    }
}

fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    headers(message, name).next()
}

fn headers<'a>(message: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    message
        .split("\r\n")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(move |line| {
            let (found, value) = line.split_once(':')?;
            found
                .trim()
                .eq_ignore_ascii_case(name)
                .then(|| value.trim())
        })
}

/// The values of a header that may have several in one line: their commas are those outside of quotes and brackets.
fn list(values: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut bracketed) = (false, false);
    values
        .split(move |character| {
            match character {
                '"' => quoted = !quoted,
                '<' | '>' if !quoted => bracketed = character == '<',
                _ => {}
            }
            character == ',' && !quoted && !bracketed
        })
        .map(str::trim)
}

enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream, Vec<u8>),
}

/// One user's client, on one socket.
pub struct SipClient {
    user: String,
    password: String,
    server: SocketAddr,
    local: SocketAddr,
    socket: Socket,
    serial: u32,
    incoming: VecDeque<Incoming>,
    /// Branches of the requests that were seen, so that a retransmission is not taken for a second message.
    seen: HashSet<String>,
}

impl SipClient {
    /// A client over UDP.
    pub fn udp(user: &str, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.connect(server).expect("loopback");
        let local = socket.local_addr().expect("bound");
        Self::new(user, server, local, Socket::Udp(socket))
    }

    /// A client over a TCP connection of its own.
    pub fn tcp(user: &str, server: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        let local = socket.local_addr()?;
        Ok(Self::new(
            user,
            server,
            local,
            Socket::Tcp(socket, Vec::new()),
        ))
    }

    fn new(user: &str, server: SocketAddr, local: SocketAddr, socket: Socket) -> Self {
        Self {
            user: user.to_owned(),
            password: "wakeup".to_owned(),
            server,
            local,
            socket,
            serial: 0,
            incoming: VecDeque::new(),
            seen: HashSet::new(),
        }
    }

    /// Uses another password than that of the `--dev` users.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        password.clone_into(&mut self.password);
        self
    }

    /// This client's own Contact URI, with these URI parameters (`;pn-provider=…`).
    pub fn contact(&self, uri_params: &str) -> String {
        let transport = match self.socket {
            Socket::Udp(_) => "udp",
            Socket::Tcp(..) => "tcp",
        };
        format!(
            "<sip:{}@{};transport={transport}{uri_params}>",
            self.user, self.local
        )
    }

    /// Registers this client's socket, with these URI parameters in its Contact.
    pub fn register(&mut self, uri_params: &str) -> Response {
        let contact = self.contact(uri_params);
        self.register_contact(&contact)
            .unwrap_or_else(|| panic!("no answer to a REGISTER of {contact}"))
    }

    /// Registers any Contact; `None` when no answer came.
    pub fn register_contact(&mut self, contact: &str) -> Option<Response> {
        let to = format!("sip:{}@localhost", self.user);
        self.try_request(
            "REGISTER",
            "sip:localhost",
            &to,
            &[("Contact", contact), ("Expires", "600")],
            "",
        )
    }

    /// The Contacts that the registrar has for this user.
    pub fn bindings(&mut self) -> Vec<String> {
        let to = format!("sip:{}@localhost", self.user);
        let answer = self.request("REGISTER", "sip:localhost", &to, &[], "");
        assert_eq!(answer.status, 200, "{}", answer.text);
        headers(&answer.text, "Contact")
            .flat_map(list)
            .map(str::to_owned)
            .collect()
    }

    /// Sends a text to a user of the domain; `None` when no answer came.
    pub fn message(&mut self, to: &str, text: &str) -> Option<Response> {
        let uri = format!("sip:{to}@localhost");
        self.try_request(
            "MESSAGE",
            &uri,
            &uri,
            &[("Content-Type", "text/plain")],
            text,
        )
    }

    /// A request that must be answered.
    pub fn request(
        &mut self,
        method: &str,
        uri: &str,
        to: &str,
        extra: &[(&str, &str)],
        body: &str,
    ) -> Response {
        self.try_request(method, uri, to, extra, body)
            .unwrap_or_else(|| panic!("no final answer to {method} {uri} from {}", self.server))
    }

    /// Sends a request, with credentials when it is challenged, and waits for the final answer.
    pub fn try_request(
        &mut self,
        method: &str,
        uri: &str,
        to: &str,
        extra: &[(&str, &str)],
        body: &str,
    ) -> Option<Response> {
        self.serial += 1;
        let call = format!(
            "e2e-{}-{}-{}",
            self.local.port(),
            std::process::id(),
            self.serial
        );
        let first = self.attempt(method, uri, to, extra, body, &call, 1, None)?;
        let (challenge, answer) = match first.status {
            401 => ("WWW-Authenticate", "Authorization"),
            407 => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => return Some(first),
        };
        let credentials = headers(&first.text, challenge)
            .find_map(|challenge| {
                digest::answer(challenge, &self.user, &self.password, method, uri)
            })
            .unwrap_or_else(|| panic!("no challenge that we can answer: {}", first.text));
        self.attempt(
            method,
            uri,
            to,
            extra,
            body,
            &call,
            2,
            Some((answer, &credentials)),
        )
    }

    /// Credentials for one request, for somebody else to send: their nonce is used nowhere else.
    pub fn credentials(&mut self, method: &str, uri: &str) -> String {
        self.serial += 1;
        let call = format!(
            "e2e-{}-{}-{}",
            self.local.port(),
            std::process::id(),
            self.serial
        );
        let challenged = self
            .attempt("MESSAGE", uri, uri, &[], "", &call, 1, None)
            .expect("an answer");
        headers(&challenged.text, "Proxy-Authenticate")
            .chain(headers(&challenged.text, "WWW-Authenticate"))
            .find_map(|challenge| {
                digest::answer(challenge, &self.user, &self.password, method, uri)
            })
            .unwrap_or_else(|| panic!("no challenge that we can answer: {}", challenged.text))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call site twice; a struct would say no more"
    )]
    fn attempt(
        &mut self,
        method: &str,
        uri: &str,
        to: &str,
        extra: &[(&str, &str)],
        body: &str,
        call: &str,
        sequence: u32,
        credentials: Option<(&str, &str)>,
    ) -> Option<Response> {
        let mut lines = String::new();
        for (name, value) in extra.iter().copied().chain(credentials) {
            let _ = write!(lines, "{name}: {value}\r\n");
        }
        let branch = format!("z9hG4bK-{call}-{sequence}");
        let transport = if matches!(self.socket, Socket::Udp(_)) {
            "UDP"
        } else {
            "TCP"
        };
        let message = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {local};branch={branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@localhost>;tag=t{serial}\r\nTo: <{to}>\r\nCall-ID: {call}\r\n\
             CSeq: {sequence} {method}\r\n{lines}Content-Length: {length}\r\n\r\n{body}",
            local = self.local,
            user = self.user,
            serial = self.serial,
            length = body.len(),
        );
        self.final_answer(&message, &branch)
    }

    fn final_answer(&mut self, message: &str, branch: &str) -> Option<Response> {
        let deadline = Instant::now() + ANSWER;
        let mut pause = T1;
        self.send_raw(message.as_bytes()).ok()?;
        let mut again = Instant::now() + pause;
        loop {
            let now = Instant::now();
            if now >= deadline {
                return None;
            }
            if now >= again && matches!(self.socket, Socket::Udp(_)) {
                self.send_raw(message.as_bytes()).ok()?;
                pause *= 2;
                again = now + pause;
            }
            let Ok(received) = self.receive(Duration::from_millis(100)) else {
                return None;
            };
            let Some(text) = received else { continue };
            if let Some(response) = self.sort(text) {
                let ours = response
                    .header("Via")
                    .is_some_and(|via| via.contains(branch));
                if ours && response.status >= 200 {
                    return Some(response);
                }
            }
        }
    }

    /// Waits for a response to whatever was sent by [`Self::send_raw`].
    pub fn wait_response(&mut self, within: Duration) -> Option<Response> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some(text) = self.receive(Duration::from_millis(50)).ok()?
                && let Some(response) = self.sort(text)
            {
                return Some(response);
            }
        }
        None
    }

    /// Waits for a request to us, past those that were returned before.
    pub fn wait_incoming(&mut self, within: Duration) -> Option<Incoming> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(request) = self.incoming.pop_front() {
                return Some(request);
            }
            if Instant::now() >= deadline {
                return None;
            }
            if let Some(text) = self.receive(Duration::from_millis(50)).ok()? {
                self.sort(text);
            }
        }
    }

    /// Returns a response; puts a new request aside, after a 200 to a MESSAGE.
    fn sort(&mut self, text: String) -> Option<Response> {
        if let Some(rest) = text.strip_prefix("SIP/2.0 ") {
            let status = rest.get(..3)?.parse().ok()?;
            return Some(Response { status, text });
        }
        let method = text.split(' ').next()?.to_owned();
        let request = Incoming { method, text };
        if request.method == "MESSAGE" {
            self.reply(&request, "200 OK");
        }
        let branch = request.header("Via").unwrap_or_default().to_owned();
        if self.seen.insert(branch) {
            self.incoming.push_back(request);
        }
        None
    }

    /// Answers a request to us.
    pub fn reply(&mut self, request: &Incoming, status: &str) {
        let mut response = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for value in headers(&request.text, name) {
                let tag = if name == "To" && !value.contains(";tag=") {
                    ";tag=answerer"
                } else {
                    ""
                };
                let _ = write!(response, "{name}: {value}{tag}\r\n");
            }
        }
        response += "Content-Length: 0\r\n\r\n";
        // A server that is gone by now is the test's affair.
        let _ = self.send_raw(response.as_bytes());
    }

    /// Sends these bytes as they are: one datagram, or so much of the stream.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.socket {
            Socket::Udp(socket) => socket.send(bytes).map(drop),
            Socket::Tcp(socket, _) => socket.write_all(bytes),
        }
    }

    /// The next whole message, or none in time. The error is a closed connection, or a dead server's port.
    fn receive(&mut self, within: Duration) -> io::Result<Option<String>> {
        let nothing_yet = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
            )
        };
        let mut buffer = vec![0; 65_535];
        match &mut self.socket {
            Socket::Udp(socket) => {
                socket.set_read_timeout(Some(within))?;
                match socket.recv(&mut buffer) {
                    Ok(length) => Ok(Some(
                        String::from_utf8_lossy(&buffer[..length]).into_owned(),
                    )),
                    Err(error) if nothing_yet(&error) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            Socket::Tcp(socket, pending) => {
                if let Some(message) = take_frame(pending) {
                    return Ok(Some(message));
                }
                socket.set_read_timeout(Some(within))?;
                match socket.read(&mut buffer) {
                    Ok(0) => Err(io::ErrorKind::ConnectionAborted.into()),
                    Ok(length) => {
                        pending.extend_from_slice(&buffer[..length]);
                        Ok(take_frame(pending))
                    }
                    Err(error) if nothing_yet(&error) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

/// Cuts one message off a stream (RFC 3261 §18.3).
fn take_frame(pending: &mut Vec<u8>) -> Option<String> {
    let blank = pending
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    pending.drain(..blank);
    let head = pending
        .windows(4)
        .position(|window| window == b"\r\n\r\n")?
        + 4;
    let text = String::from_utf8_lossy(&pending[..head]).into_owned();
    let body: usize = header(&text, "Content-Length")
        .and_then(|value| value.parse().ok())
        .unwrap_or(0);
    if pending.len() < head + body {
        return None;
    }
    let message = pending.drain(..head + body).collect::<Vec<_>>();
    Some(String::from_utf8_lossy(&message).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_contacts_is_cut_only_between_them() {
        let contacts =
            "<sip:a@h;x=\"1,2\">;q=1, \"B, b\" <sip:b,c@h>;+sip.instance=\"<urn:uuid:1>\"";
        let cut: Vec<_> = list(contacts).collect();
        assert_eq!(
            cut,
            [
                "<sip:a@h;x=\"1,2\">;q=1",
                "\"B, b\" <sip:b,c@h>;+sip.instance=\"<urn:uuid:1>\""
            ]
        );
    }

    #[test]
    fn a_stream_is_cut_into_messages() {
        let mut stream =
            b"\r\n\r\nSIP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabcSIP/2.0 4".to_vec();
        assert_eq!(
            take_frame(&mut stream).as_deref(),
            Some("SIP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabc")
        );
        assert_eq!(take_frame(&mut stream), None);
        assert_eq!(stream, b"SIP/2.0 4");
    }
}
