//! How a WebSocket begins: a request of HTTP and the answer to it (RFC 6455 §4.2). What else is asked for over HTTP is a
//! document that we have, or is refused; each connection carries one request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use super::Origins;

/// Octets of a request, cookies of browsers included. One that is longer is answered 431.
pub(crate) const MOST_OCTETS: usize = 8_192;

/// Fields of a request; with more it is answered 431.
const MOST_FIELDS: usize = 64;

/// RFC 6455 §1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The version of the protocol (RFC 6455 §4.1).
const VERSION: &str = "13";

/// What is served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served<'a> {
    /// Where the WebSocket is.
    pub(crate) path: &'a str,
    /// What goes over it; its client must ask for that.
    pub(crate) protocol: &'static str,
    /// Which web pages may have it.
    pub(crate) origins: &'a Origins,
    /// What else can be had.
    pub(crate) documents: &'a [Document],
}

/// What anybody may read, from any web page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it is, as `/.well-known/host-meta`.
    pub path: &'static str,
    /// What it is.
    pub content_type: &'static str,
    /// What it says.
    pub body: String,
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// More is needed.
    NeedsMore,
    /// A WebSocket begins behind this answer, whose client is said by proxies to be one of these.
    Agreed(Vec<u8>, Vec<String>),
    /// This is the answer.
    Answered(Vec<u8>),
    /// This says why there is none.
    Refused(Refusal),
}

/// Why there is no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: &'static str,
    /// Fields of the answer beside the usual ones.
    fields: &'static str,
    text: &'static str,
}

const fn refusal(status: &'static str, text: &'static str) -> Refusal {
    Refusal {
        status,
        fields: "",
        text,
    }
}

const NO_REQUEST: Refusal = refusal("400 Bad Request", "this is no request of HTTP/1.1");
const TOO_LONG: Refusal = refusal(
    "431 Request Header Fields Too Large",
    "the request is too long",
);
const BEHIND: Refusal = refusal("400 Bad Request", "nothing may follow the request yet");
const NO_HOST: Refusal = refusal("400 Bad Request", "one Host is needed");
const NOT_FOUND: Refusal = refusal("404 Not Found", "there is nothing here");
const NO_GET: Refusal = Refusal {
    fields: "Allow: GET, HEAD\r\n",
    ..refusal("405 Method Not Allowed", "only GET and HEAD are known here")
};
const NO_UPGRADE: Refusal = Refusal {
    fields: "Upgrade: websocket\r\n",
    ..refusal(
        "426 Upgrade Required",
        "this is where a WebSocket begins, and nothing else",
    )
};
const OTHER_VERSION: Refusal = Refusal {
    fields: "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    ..refusal("426 Upgrade Required", "version 13 is spoken here")
};
const NO_KEY: Refusal = refusal(
    "400 Bad Request",
    "Sec-WebSocket-Key is to be sixteen octets in base64",
);
const OTHER_ORIGIN: Refusal = refusal(
    "403 Forbidden",
    "pages of this origin may not connect: its operator can name it in im.websocket_origins",
);
const NO_PROTOCOL: Refusal = refusal(
    "400 Bad Request",
    "Sec-WebSocket-Protocol does not name what is spoken here",
);
/// For who connects in the clear and is no proxy.
pub(crate) const NEEDS_TLS: Refusal = refusal(
    "403 Forbidden",
    "only a proxy that ends TLS connects here, and must be named in im.websocket_proxies",
);
/// For who is banned.
pub(crate) const BANNED: Refusal = refusal("403 Forbidden", "this address is banned for some time");
/// For whose source has too many connections.
pub(crate) const TOO_MANY: Refusal = refusal(
    "503 Service Unavailable",
    "too many connections from this address",
);

impl Refusal {
    /// The answer.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let Self {
            status,
            fields,
            text,
        } = self;
        format!(
            "HTTP/1.1 {status}\r\n{fields}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{text}\n",
            text.len() + 1
        )
        .into_bytes()
    }
}

/// Answers what was read of a connection so far.
pub(crate) fn answer(octets: &[u8], served: &Served<'_>) -> Outcome {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let size = match request.parse(octets) {
        Ok(httparse::Status::Complete(size)) if size <= MOST_OCTETS => size,
        Ok(httparse::Status::Partial) if octets.len() < MOST_OCTETS => return Outcome::NeedsMore,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Outcome::Refused(TOO_LONG),
        Err(_) => return Outcome::Refused(NO_REQUEST),
    };
    let request = Request(&request);
    let agreed = request.check(served).and_then(|asked| match asked {
        // RFC 6455 §4.1: a client waits for the answer.
        Asked::WebSocket(_) if octets.len() > size => Err(BEHIND),
        asked => Ok(asked),
    });
    match agreed {
        Ok(Asked::WebSocket(key)) => {
            let forwarded = request.all("X-Forwarded-For");
            let forwarded = forwarded.map(str::to_owned).collect();
            Outcome::Agreed(agreement(key, served.protocol), forwarded)
        }
        Ok(Asked::Document(document)) => Outcome::Answered(request.document(document)),
        Err(refusal) => Outcome::Refused(refusal),
    }
}

/// What is asked for.
enum Asked<'a> {
    /// A WebSocket, with this key.
    WebSocket(&'a str),
    Document(&'a Document),
}

struct Request<'a>(&'a httparse::Request<'a, 'a>);

impl<'a> Request<'a> {
    fn check<'s: 'a>(&self, served: &Served<'s>) -> Result<Asked<'a>, Refusal> {
        if self.0.version != Some(1) {
            return Err(NO_REQUEST);
        }
        // RFC 6455 §4.2.1.
        self.one("Host").ok_or(NO_HOST)?;
        let target = self.0.path.unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        let mut documents = served.documents.iter();
        let document = documents.find(|document| document.path == path);
        if document.is_none() && path != served.path {
            return Err(NOT_FOUND);
        }
        let is_get = self.0.method == Some("GET");
        if !is_get && self.0.method != Some("HEAD") {
            return Err(NO_GET);
        }
        match document {
            Some(document) => Ok(Asked::Document(document)),
            None if is_get => self.websocket(served).map(Asked::WebSocket),
            None => Err(NO_UPGRADE),
        }
    }

    /// RFC 6455 §4.2.1. The key, if all is as it should be.
    fn websocket(&self, served: &Served<'_>) -> Result<&'a str, Refusal> {
        if !self.names("Upgrade", "websocket") || !self.names("Connection", "upgrade") {
            return Err(NO_UPGRADE);
        }
        if self.one("Sec-WebSocket-Version") != Some(VERSION) {
            return Err(OTHER_VERSION);
        }
        let is_key = |key: &&str| STANDARD.decode(key).is_ok_and(|octets| octets.len() == 16);
        let key = self.one("Sec-WebSocket-Key").filter(is_key).ok_or(NO_KEY)?;
        if !self.all("Origin").all(|it| served.origins.admit(it)) {
            return Err(OTHER_ORIGIN);
        }
        let mut protocols = self.all("Sec-WebSocket-Protocol");
        let is_ours = |list: &str| list.split(',').any(|it| it.trim() == served.protocol);
        if !protocols.any(is_ours) {
            return Err(NO_PROTOCOL);
        }
        Ok(key)
    }

    /// What fields of this name say; one that is no text says nothing.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
        let fields = self.0.headers.iter();
        fields
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| std::str::from_utf8(field.value).unwrap_or_default().trim())
    }

    /// What the only field of this name says.
    fn one(&self, name: &'static str) -> Option<&'a str> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }

    /// Whether a list says this, in whatever case.
    fn names(&self, field: &'static str, token: &str) -> bool {
        let mut tokens = self.all(field).flat_map(|list| list.split(','));
        tokens.any(|it| it.trim().eq_ignore_ascii_case(token))
    }

    fn document(&self, document: &Document) -> Vec<u8> {
        let head = self.0.method == Some("HEAD");
        let Document {
            content_type, body, ..
        } = document;
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nAccess-Control-Allow-Origin: *\r\n\
             Cache-Control: max-age=300\r\nConnection: close\r\n\r\n{}",
            body.len(),
            if head { "" } else { body }
        )
        .into_bytes()
    }
}

/// RFC 6455 §4.2.2.
fn agreement(key: &str, protocol: &str) -> Vec<u8> {
    // What the RFC asks for; nothing is kept secret by it.
    let text = format!("{key}{GUID}");
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\
         Sec-WebSocket-Protocol: {protocol}\r\n\r\n",
        STANDARD.encode(digest)
    )
    .into_bytes()
}

#[cfg(test)]
mod tests;
