//! A small XMPP client of our own, for what no real client can be made to say. It is written apart from Reveille's own
//! XMPP on purpose, so that both cannot be wrong in the same way: it knows as much of XML as the server's answers need.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::{PASSWORD, Reveille, SOON, Tls, websocket, xml};

/// The header of a stream to `localhost` (RFC 6120 §4.7).
pub const HEADER: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                          xmlns:stream='http://etherx.jabber.org/streams'>";

/// Asks for TLS (RFC 6120 §5.4.2.1).
pub const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

enum Socket {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Clear(tcp) => tcp,
            Self::Tls(tls) => &tls.sock,
        }
    }
}

/// What comes over a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Heard {
    /// A header, an element of the first level, or the end of the stream, as it came.
    Item(String),
    /// Nothing in time.
    Nothing,
    /// The connection is closed.
    Gone,
}

/// One client, on one connection.
pub struct XmppClient {
    socket: Socket,
    pending: Vec<u8>,
    asked: u32,
    /// Messages of a WebSocket are said and heard.
    framed: bool,
    /// With what the server has closed the WebSocket.
    closed: Option<u16>,
}

impl XmppClient {
    /// A connection, over which nothing has been said.
    pub fn connect(server: SocketAddr) -> io::Result<Self> {
        let tcp = TcpStream::connect(server)?;
        tcp.set_nodelay(true)?;
        Ok(Self {
            socket: Socket::Clear(tcp),
            pending: Vec::new(),
            asked: 0,
            framed: false,
            closed: None,
        })
    }

    /// A stream in the clear that wants nothing but TLS.
    pub fn in_the_clear(server: &Reveille) -> Self {
        let mut client = Self::connect(server.xmpp(Tls::Starttls)).expect("a connection");
        client.open();
        client
    }

    /// A stream in TLS, by a client that has not signed in.
    pub fn in_tls(server: &Reveille, start: Tls) -> Self {
        Self::offered(server, start).0
    }

    /// The same, with what it is offered.
    pub fn offered(server: &Reveille, start: Tls) -> (Self, String) {
        Self::offered_at(server.xmpp(start), start, &server.lab().ca())
    }

    /// The same at this address, whose certificate is by this CA.
    pub fn offered_at(address: SocketAddr, start: Tls, ca: &str) -> (Self, String) {
        let mut client = Self::connect(address).expect("a connection");
        if start == Tls::Starttls {
            client.open();
            client.send(STARTTLS);
            client.expect("<proceed");
        }
        client.secure(ca);
        if start == Tls::WebSocket {
            client.begin_websocket();
        }
        let features = client.open();
        (client, features)
    }

    /// A client of a `--dev` user that has signed in, and has said nothing else yet.
    pub fn signed_in(server: &Reveille, user: &str, resource: &str) -> Self {
        let mut client = Self::in_tls(server, Tls::Direct);
        client.authenticate(user);
        client.bind(user, resource);
        client
    }

    /// The same over a WebSocket.
    pub fn signed_in_by_websocket(server: &Reveille, user: &str, resource: &str) -> Self {
        let mut client = Self::in_tls(server, Tls::WebSocket);
        client.authenticate(user);
        client.bind(user, resource);
        client
    }

    /// A connection in TLS to where a WebSocket begins, over which nothing has been said.
    pub fn at_websocket(server: &Reveille) -> Self {
        let mut client = Self::connect(server.xmpp(Tls::WebSocket)).expect("a connection");
        client.secure(&server.lab().ca());
        client
    }

    /// Begins a WebSocket on this connection (RFC 6455 §4.1).
    pub fn begin_websocket(&mut self) {
        self.begins_websocket(&websocket::handshake());
    }

    /// The same as a proxy does it, for a client at this address.
    pub fn begin_websocket_for(&mut self, client: &str) {
        self.begins_websocket(&handshake_for(client));
    }

    /// The same, which is not granted: the head of the answer.
    pub fn websocket_is_refused_for(&mut self, client: &str) -> String {
        self.send(&handshake_for(client));
        self.http_head()
    }

    fn begins_websocket(&mut self, request: &str) {
        self.send(request);
        let answer = self.http_head();
        assert!(
            answer.starts_with("HTTP/1.1 101 ") && answer.contains(websocket::ACCEPTED),
            "{answer}"
        );
        self.framed = true;
    }

    /// The head of an answer of HTTP.
    pub fn http_head(&mut self) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let end = self.pending.windows(4).position(|it| it == b"\r\n\r\n");
            if let Some(end) = end {
                let head: Vec<u8> = self.pending.drain(..end + 4).collect();
                return String::from_utf8_lossy(&head).into_owned();
            }
            let more = self.read_more(deadline);
            assert_eq!(more, Ok(()), "no answer but {:?}", self.pending);
        }
    }

    /// The code with which the server has closed the WebSocket, once the connection is closed.
    pub fn close_code(&self) -> Option<u16> {
        self.closed
    }

    /// Asks for this address, and gets it.
    pub fn bind(&mut self, user: &str, resource: &str) {
        self.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource>\
             </bind></iq>"
        ));
        let bound = self.expect("id='bind'");
        let jid = format!("{user}@localhost/{resource}");
        assert_eq!(xml::text(&bound, "jid"), Some(jid), "{bound}");
    }

    /// The same, once the server has taken in that it is there.
    pub fn available(server: &Reveille, user: &str, resource: &str) -> Self {
        let mut client = Self::signed_in(server, user, resource);
        client.send("<presence/>");
        client.expect("<presence");
        client
    }

    /// Goes on in TLS; the certificate must be that of `localhost`, by this CA.
    pub fn secure(&mut self, ca: &str) {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(ca.as_bytes()).expect("a certificate");
        roots.add(ca).expect("a CA");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
        let tcp = self.socket.tcp().try_clone().expect("a socket");
        self.pending.clear();
        self.socket = Socket::Tls(Box::new(StreamOwned::new(connection, tcp)));
    }

    /// The certificate that the server has shown, as DER.
    pub fn certificate(&self) -> Vec<u8> {
        let shown = self.tls().peer_certificates().and_then(<[_]>::first);
        shown.expect("a certificate").to_vec()
    }

    /// Its end of TLS.
    pub(crate) fn tls(&self) -> &ClientConnection {
        let Socket::Tls(tls) = &self.socket else {
            panic!("there is no TLS");
        };
        &tls.conn
    }

    /// Opens a stream, and returns what the server offers.
    pub fn open(&mut self) -> String {
        let (header, answer) = if self.framed {
            (websocket::OPEN, "<open")
        } else {
            (HEADER, "<stream:stream")
        };
        self.send(header);
        self.expect(answer);
        self.expect("<stream:features")
    }

    /// Signs a `--dev` user in by PLAIN, and opens the stream behind it.
    pub fn authenticate(&mut self, user: &str) {
        let plain = STANDARD.encode(format!("\0{user}\0{PASSWORD}"));
        self.send(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"
        ));
        self.expect("<success");
        self.open();
    }

    /// Says something that must get out.
    pub fn send(&mut self, text: &str) {
        let sent = if self.framed {
            self.send_raw(websocket::as_message(text).as_bytes())
        } else {
            self.send_raw(text.as_bytes())
        };
        sent.unwrap_or_else(|error| panic!("cannot send {text:?}: {error}"));
    }

    /// Sends these octets as they are; over a WebSocket, as a message.
    pub fn send_raw(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.framed {
            self.send_octets(&websocket::frame(websocket::TEXT, octets))
        } else {
            self.send_octets(octets)
        }
    }

    /// Sends these octets, be they a message or not.
    pub fn send_octets(&mut self, octets: &[u8]) -> io::Result<()> {
        self.socket.tcp().set_write_timeout(Some(SOON))?;
        match &mut self.socket {
            Socket::Clear(tcp) => tcp.write_all(octets),
            Socket::Tls(tls) => {
                tls.write_all(octets)?;
                tls.flush()
            }
        }
    }

    /// Says that nothing more will come, in TCP's words; it still listens.
    pub fn half_close(&mut self) {
        let _ = self.socket.tcp().shutdown(std::net::Shutdown::Write);
    }

    /// What comes next.
    pub fn next(&mut self, within: Duration) -> Heard {
        let deadline = Instant::now() + within;
        loop {
            if let Some(item) = self.take_item() {
                return Heard::Item(item);
            }
            if let Err(heard) = self.read_more(deadline) {
                return heard;
            }
        }
    }

    /// What was received and not taken yet.
    fn take_item(&mut self) -> Option<String> {
        if !self.framed {
            return xml::take_item(&mut self.pending);
        }
        while let Some((first, payload)) = websocket::take_frame(&mut self.pending) {
            match first {
                websocket::TEXT => return Some(String::from_utf8(payload).expect("text")),
                websocket::CLOSES => {
                    let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    self.closed = code;
                }
                _ => {}
            }
        }
        None
    }

    /// Waits for octets, once.
    fn read_more(&mut self, deadline: Instant) -> Result<(), Heard> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Heard::Nothing);
        }
        if self.socket.tcp().set_read_timeout(Some(left)).is_err() {
            return Err(Heard::Gone);
        }
        let mut buffer = [0; 16_384];
        let read = match &mut self.socket {
            Socket::Clear(tcp) => tcp.read(&mut buffer),
            Socket::Tls(tls) => tls.read(&mut buffer),
        };
        match read {
            Ok(0) => return Err(Heard::Gone),
            Ok(length) => self.pending.extend_from_slice(&buffer[..length]),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted => {}
                _ => return Err(Heard::Gone),
            },
        }
        Ok(())
    }

    /// Waits for an item that contains this; those before it are passed over.
    pub fn expect(&mut self, needle: &str) -> String {
        let deadline = Instant::now() + SOON;
        let mut passed = Vec::new();
        loop {
            match self.next(deadline.saturating_duration_since(Instant::now())) {
                Heard::Item(item) if item.contains(needle) => return item,
                Heard::Item(item) => passed.push(item),
                other => panic!("no {needle:?} but {other:?}; before that {passed:#?}"),
            }
        }
    }

    /// Asks the server whether it is there, and waits for the answer. Returns what came before it.
    pub fn ping(&mut self) -> Vec<String> {
        self.asked += 1;
        let id = format!("ping-{}", self.asked);
        self.send(&format!(
            "<iq type='get' id='{id}' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>"
        ));
        let deadline = Instant::now() + SOON;
        let mut before = Vec::new();
        loop {
            match self.next(deadline.saturating_duration_since(Instant::now())) {
                Heard::Item(item) if xml::attribute(&item, "id") == Some(&id) => return before,
                Heard::Item(item) => before.push(item),
                other => panic!("no answer to a ping but {other:?}; before that {before:#?}"),
            }
        }
    }

    /// All that comes until the server closes the connection, which it must do.
    pub fn rest(&mut self, within: Duration) -> Vec<String> {
        let deadline = Instant::now() + within;
        let mut items = Vec::new();
        loop {
            match self.next(deadline.saturating_duration_since(Instant::now())) {
                Heard::Item(item) => items.push(item),
                Heard::Gone => return items,
                Heard::Nothing => panic!("the connection stays open; it brought {items:#?}"),
            }
        }
    }

    /// The condition with which the server ends the stream: there must be one, then the end of the stream, and then that
    /// of the connection (RFC 6120 §4.9.1.1).
    pub fn stream_error(&mut self, within: Duration) -> String {
        let items = self.rest(within);
        let [.., error, end] = &items[..] else {
            panic!("no stream error: {items:#?}");
        };
        let (begin, close) = if self.framed {
            (
                "<stream:error xmlns:stream='http://etherx.jabber.org/streams'><",
                "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
            )
        } else {
            ("<stream:error><", "</stream:stream>")
        };
        assert_eq!(end, close, "{items:#?}");
        let condition = error.strip_prefix(begin);
        let condition = condition.and_then(|inner| inner.split([' ', '/', '>']).next());
        condition
            .unwrap_or_else(|| panic!("no stream error: {items:#?}"))
            .to_owned()
    }
}

/// The request of a proxy that connects for a client at this address.
fn handshake_for(client: &str) -> String {
    let forwarded = format!("X-Forwarded-For: {client}\r\nHost:");
    websocket::handshake().replacen("Host:", &forwarded, 1)
}
