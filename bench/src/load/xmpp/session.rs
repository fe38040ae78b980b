//! A client: signs in, enables stream management (XEP-0198) and carbons (XEP-0280), is available, and acknowledges what it
//! is asked to; one that lost its connection goes on where it was.

use super::{
    elements::{Elements, attribute, text},
    scram::{self, Keys},
    token,
};
use crate::stream::Stream;
use crate::{load::DOMAIN, wire::number};
use anyhow::{Result, bail};
use std::time::Instant;

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams'>";
const BIND: &str = "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>phone</resource>\
     </bind></iq>";
/// A phone that resumes asks for it.
const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
const CARBONS: &str = "<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>";
const PRESENT: &str = "<presence/>";
const ASK: &[u8] = b"<r xmlns='urn:xmpp:sm:3'/>";

/// How a client gets in.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// By SCRAM-SHA-1, then binding: as all servers have it.
    Password,
    /// By SCRAM-SHA-1 within SASL2 and Bind 2 (XEP-0388, XEP-0386).
    PasswordAtOnce,
    /// By SASL2 and Bind 2, with the password, for a token that will do the next time (XEP-0388, XEP-0386, XEP-0484).
    PasswordForToken,
    /// To the session that it lost: by SCRAM-SHA-1, or with one message if it has a token.
    Back(Lost),
}

/// What a client keeps of a session whose connection is gone.
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    id: String,
    came: u32,
    left: u32,
    token: Option<String>,
}

/// A client.
pub(crate) struct Session {
    user: u32,
    stream: Stream,
    elements: Elements,
    way: Way,
    authenticated: bool,
    online: bool,
    /// The name of its session, if that can be resumed.
    id: Option<String>,
    /// What it may sign in with the next time.
    token: Option<String>,
    /// Stanzas that came since stream management is on; none before.
    came: Option<u32>,
    /// Stanzas that left since then.
    left: u32,
    /// When it began to connect.
    pub(crate) began: Instant,
}

/// What happened at a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    /// It has signed in, and the server knows that it is available.
    Online,
    /// A message with this number.
    Message(u32),
    /// The server has so many of its stanzas.
    Acknowledged(u32),
    /// Its order with this id was carried out.
    Done(String),
    /// Its stream has ended, as it had asked for.
    Ended,
}

impl Session {
    /// A client that has begun to connect.
    pub(crate) fn new(user: u32, began: Instant, way: Way, mut stream: Stream) -> Result<Self> {
        stream.say(HEADER.as_bytes())?;
        // What the server offers is known from the last time, so nothing is waited for (XEP-0305, XEP-0388 §2.1).
        match &way {
            Way::PasswordForToken => stream.say(token::first(user).as_bytes())?,
            Way::PasswordAtOnce => stream.say(token::by_scram(user).as_bytes())?,
            Way::Back(Lost {
                id,
                came,
                token: Some(token),
                ..
            }) => stream.say(token::again(user, token, id, *came).as_bytes())?,
            Way::Password | Way::Back(_) => {
                let first = scram::first(user);
                let auth = format!(
                    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>{first}</auth>"
                );
                stream.say(auth.as_bytes())?;
            }
        }
        Ok(Self {
            user,
            stream,
            elements: Elements::default(),
            way,
            authenticated: false,
            online: false,
            id: None,
            token: None,
            came: None,
            left: 0,
            began,
        })
    }

    /// What it keeps when its connection breaks.
    pub(crate) fn lost(&self) -> Option<Lost> {
        Some(Lost {
            id: self.id.clone()?,
            came: self.came?,
            left: self.left,
            token: self.token.clone(),
        })
    }

    /// Its connection.
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// How far it is, for errors.
    pub(crate) fn state(&self) -> &'static str {
        match (self.online, self.authenticated) {
            (true, _) => "available",
            (_, true) => "signed in",
            _ => "signing in",
        }
    }

    /// Sends a stanza, asks whether it is there, and says how many left with it.
    pub(crate) fn send(&mut self, stanza: &[u8]) -> Result<u32> {
        self.stream.say(stanza)?;
        self.stream.say(ASK)?;
        self.stream.flush()?;
        self.left += 1;
        Ok(self.left)
    }

    /// Says that it leaves for good.
    pub(crate) fn leave(&mut self) -> Result<()> {
        self.stream
            .say(b"<presence type='unavailable'/></stream:stream>")?;
        self.stream.flush()
    }

    /// Takes what came, and does what a client does then.
    pub(crate) fn take(&mut self, keys: &mut Keys, mut see: impl FnMut(Seen)) -> Result<()> {
        let elements = &mut self.elements;
        self.stream.read(|octets| elements.push(octets))?;
        while let Some(element) = self.elements.next() {
            if let Some(seen) = self.element(element, keys)? {
                see(seen);
            }
        }
        self.elements.rest();
        self.stream.flush()
    }

    fn element(&mut self, at: std::ops::Range<usize>, keys: &mut Keys) -> Result<Option<Seen>> {
        let element = self.elements.octets(at).trim_ascii_start();
        let is = |name: &str| {
            let rest = element
                .strip_prefix(b"<")
                .and_then(|it| it.strip_prefix(name.as_bytes()));
            rest.is_some_and(|rest| matches!(rest.first(), Some(b' ' | b'/' | b'>')))
        };
        let mut seen = None;
        if is("message") {
            self.came = self.came.map(|came| came + 1);
            seen = message(element).map(Seen::Message);
        } else if is("r") {
            let came = self.came.unwrap_or_default();
            let answer = format!("<a xmlns='urn:xmpp:sm:3' h='{came}'/>");
            self.stream.say(answer.as_bytes())?;
        } else if is("a") {
            let h = attribute(element, "h").and_then(number).unwrap_or_default();
            seen = Some(Seen::Acknowledged(h));
            if !self.online && h >= self.left {
                self.online = true;
                seen = Some(Seen::Online);
            }
        } else if is("presence") {
            self.came = self.came.map(|came| came + 1);
        } else if is("iq") {
            self.came = self.came.map(|came| came + 1);
            let id = attribute(element, "id").unwrap_or_default();
            if id != b"bind" && attribute(element, "type") == Some(b"result") {
                seen = Some(Seen::Done(string(id)));
            }
        } else if is("enabled") {
            self.came = Some(0);
            self.id = attribute(element, "id").map(string);
        } else if is("resumed") {
            seen = Some(self.is_back());
        } else if is("stream:features") {
            // They are those of the last time.
        } else if is("challenge") {
            let challenge = text(element).unwrap_or_default();
            let answer = scram::answer(self.user, challenge, keys)?;
            let namespace = match self.way {
                Way::PasswordAtOnce => token::SASL2,
                _ => "urn:ietf:params:xml:ns:xmpp-sasl",
            };
            let response = format!("<response xmlns='{namespace}'>{answer}</response>");
            self.stream.say(response.as_bytes())?;
            if let Way::PasswordAtOnce = self.way {
                // It has its address when this is read.
                self.present(1)?;
            }
        } else if is("success") {
            self.authenticated = true;
            if attribute(element, "xmlns") == Some(token::SASL2.as_bytes()) {
                let granted = token::granted(element);
                seen = self.is_in(granted)?;
            } else {
                self.elements.restart();
                self.stream.say(HEADER.as_bytes())?;
                self.goes_on()?;
            }
        } else if element.starts_with(b"</stream:stream") {
            seen = Some(Seen::Ended);
        } else {
            let said = String::from_utf8_lossy(element);
            bail!("u{}@{DOMAIN} was told {said}", self.user);
        }
        Ok(seen)
    }

    /// It has signed in, and bound or resumed at once.
    fn is_in(&mut self, granted: token::Granted) -> Result<Option<Seen>> {
        (self.id, self.token) = (granted.session, granted.token);
        match self.way {
            Way::Back(_) if granted.is_resumed => Ok(Some(self.is_back())),
            Way::Back(_) => bail!("u{} could not go on where it was", self.user),
            Way::PasswordAtOnce => {
                self.came = Some(0);
                Ok(None)
            }
            _ => {
                self.came = Some(0);
                self.stream.say(CARBONS.as_bytes())?;
                self.present(2)?;
                Ok(None)
            }
        }
    }

    /// It has signed in by SASL, and its stream begins again. All that it wants it says now.
    fn goes_on(&mut self) -> Result<()> {
        if let Way::Back(Lost { id, came, .. }) = &self.way {
            let resume = format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='{came}'/>");
            return self.stream.say(resume.as_bytes());
        }
        for said in [BIND, ENABLE, CARBONS] {
            self.stream.say(said.as_bytes())?;
        }
        self.present(2)
    }

    /// It is there; with what it said before, so many stanzas have left.
    fn present(&mut self, left: u32) -> Result<()> {
        self.left = left;
        self.stream.say(PRESENT.as_bytes())?;
        self.stream.say(ASK)
    }

    fn is_back(&mut self) -> Seen {
        if let Way::Back(lost) = &self.way {
            (self.came, self.left) = (Some(lost.came), lost.left);
            self.id = Some(lost.id.clone());
            self.token = self.token.take().or_else(|| lost.token.clone());
        }
        self.online = true;
        Seen::Online
    }
}

fn string(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// The number of a message with a text.
fn message(element: &[u8]) -> Option<u32> {
    memchr::memmem::find(element, b"<body")?;
    number(attribute(element, "id")?.strip_prefix(b"m")?)
}
