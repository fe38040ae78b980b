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

use crate::{PASSWORD, Reveille, SOON, Tls, xml};

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
        let mut client = Self::connect(server.xmpp(start)).expect("a connection");
        if start == Tls::Starttls {
            client.open();
            client.send(STARTTLS);
            client.expect("<proceed");
        }
        client.secure(&server.lab().ca());
        client.open();
        client
    }

    /// A client of a `--dev` user that has signed in, and has said nothing else yet.
    pub fn signed_in(server: &Reveille, user: &str, resource: &str) -> Self {
        let mut client = Self::in_tls(server, Tls::Direct);
        client.authenticate(user);
        client.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource>\
             </bind></iq>"
        ));
        let bound = client.expect("id='bind'");
        let jid = format!("{user}@localhost/{resource}");
        assert_eq!(xml::text(&bound, "jid"), Some(jid), "{bound}");
        client
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

    /// Opens a stream, and returns what the server offers.
    pub fn open(&mut self) -> String {
        self.send(HEADER);
        self.expect("<stream:stream");
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
        self.send_raw(text.as_bytes())
            .unwrap_or_else(|error| panic!("cannot send {text:?}: {error}"));
    }

    /// Sends these octets as they are.
    pub fn send_raw(&mut self, octets: &[u8]) -> io::Result<()> {
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
        let mut buffer = [0; 16_384];
        loop {
            if let Some(item) = xml::take_item(&mut self.pending) {
                return Heard::Item(item);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Heard::Nothing;
            }
            if self.socket.tcp().set_read_timeout(Some(left)).is_err() {
                return Heard::Gone;
            }
            let read = match &mut self.socket {
                Socket::Clear(tcp) => tcp.read(&mut buffer),
                Socket::Tls(tls) => tls.read(&mut buffer),
            };
            match read {
                Ok(0) => return Heard::Gone,
                Ok(length) => self.pending.extend_from_slice(&buffer[..length]),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::Interrupted => {}
                    _ => return Heard::Gone,
                },
            }
        }
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
        assert_eq!(end, "</stream:stream>", "{items:#?}");
        let condition = error.strip_prefix("<stream:error><");
        let condition = condition.and_then(|inner| inner.split([' ', '/', '>']).next());
        condition
            .unwrap_or_else(|| panic!("no stream error: {items:#?}"))
            .to_owned()
    }
}
