//! A stream that was greeted here, and is served by a server behind us: what its client says, as that server is told, and what the
//! server says, as the client is told. Between us it is always one document (RFC 6120 §4.2), however the client frames it.

use super::Framing;
use super::opening::Opened;
use crate::ns;
use crate::xml::{Context, Element, Header, Item, Limits, Reader, StreamError};

/// Octets of an element that the server may say to a client whose every message we must know the end of. It says nothing that
/// is so long.
const LONGEST: usize = 1 << 22;

/// What the server says, made into what the client is told.
#[derive(Debug)]
pub struct Relay {
    framing: Framing,
    /// Reads what the server says; nothing where it goes on as it is.
    reader: Option<Reader>,
    /// The server has answered the header that we sent with features of its own, which the client has had from us.
    is_greeted: bool,
    signed_in: bool,
}

/// What is to be done of what the server has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Write this: a whole element, or octets of a stream that goes on as it is.
    Say(Vec<u8>),
    /// The client is asked for more before it has signed in (RFC 6120 §6.4.3). What it is asked follows.
    Asked,
    /// The client has signed in; with `restart`, its stream begins again (RFC 6120 §6.4.6). To be known before what follows is
    /// written.
    SignedIn {
        /// See above.
        restart: bool,
    },
}

impl Relay {
    /// For a client that was greeted, and frames its stream like this.
    pub fn new(framing: Framing) -> Self {
        // What a client wrote was within its limits, and has grown since: by who it is from, by what it stands in, and by what the
        // header declares.
        let limits = Limits {
            bytes: LONGEST,
            depth: usize::MAX,
            nodes: usize::MAX,
            attributes: usize::MAX,
            declarations: usize::MAX,
            ..Limits::default()
        };
        Self {
            framing,
            reader: Some(Reader::new(limits)),
            is_greeted: false,
            signed_in: false,
        }
    }

    /// Takes octets of the server, and adds what is to be done of them to `heard`.
    ///
    /// # Errors
    /// They are no stream from there on; what was whole before is to be done.
    pub fn heard(&mut self, octets: &[u8], heard: &mut Vec<Heard>) -> Result<(), StreamError> {
        let Some(reader) = &mut self.reader else {
            heard.push(Heard::Say(octets.to_vec()));
            return Ok(());
        };
        reader.push(octets);
        while let Some(reader) = &mut self.reader
            && let Some(item) = reader.next()?
        {
            self.item(item, heard);
            if self.signed_in && self.framing == Framing::Tcp {
                // All that follows is the client's as it is.
                let left = self.reader.take().map_or(0, |reader| reader.pending());
                if left > 0 {
                    heard.push(Heard::Say(octets[octets.len() - left..].to_vec()));
                }
            }
        }
        Ok(())
    }

    fn item(&mut self, item: Item, heard: &mut Vec<Heard>) {
        match item {
            // The client has had ours.
            Item::Open(_) if !self.is_greeted => {}
            Item::Open(header) => heard.push(Heard::Say(self.open(&header))),
            Item::Element(element) if self.is_greeting(&element) => self.is_greeted = true,
            Item::Element(element) => {
                let is_of_sasl = [ns::SASL, ns::SASL2].contains(&element.namespace());
                if !self.signed_in && is_of_sasl && element.local() == "challenge" {
                    heard.push(Heard::Asked);
                }
                let restart = element.is(ns::SASL, "success");
                if !self.signed_in && (restart || element.is(ns::SASL2, "success")) {
                    self.signed_in = true;
                    heard.push(Heard::SignedIn { restart });
                    if let Some(reader) = self.reader.as_mut().filter(|_| restart) {
                        reader.restart();
                    }
                }
                heard.push(Heard::Say(element.to_octets(self.framing.context())));
            }
            Item::KeepAlive => {}
            Item::Close => heard.push(Heard::Say(self.framing.close().to_vec())),
        }
    }

    fn is_greeting(&self, element: &Element) -> bool {
        !self.is_greeted && element.is(ns::STREAM, "features")
    }

    /// The server's header of a stream that begins again, as a message of its own (RFC 7395 §3.4).
    fn open(&self, header: &Header) -> Vec<u8> {
        let mut open = Element::new(ns::FRAMING, "open");
        for (name, value) in [
            ("from", header.from()),
            ("id", header.id()),
            ("to", header.to()),
            ("version", header.element().attr("version")),
        ] {
            if let Some(value) = value {
                open.set_attr(name, value);
            }
        }
        if let Some(lang) = header.lang() {
            open.set_lang(lang);
        }
        open.to_octets(self.framing.context())
    }
}

impl Opened {
    /// The header in which a client says this, in a stream that is one document.
    pub fn said(&self) -> Vec<u8> {
        let from = self.from.as_ref().map(crate::jid::Jid::as_str);
        header(Some(self.to.as_str()), from, self.lang.as_deref())
    }
}

impl Header {
    /// What a client's header says, in a stream that is one document.
    pub fn said(&self) -> Vec<u8> {
        header(self.to(), self.from(), self.lang())
    }
}

fn header(to: Option<&str>, from: Option<&str>, lang: Option<&str>) -> Vec<u8> {
    let mut header = Element::prefixed("stream", ns::STREAM, "stream");
    for (name, value) in [("to", to), ("from", from), ("version", Some("1.0"))] {
        if let Some(value) = value {
            header.set_attr(name, value);
        }
    }
    if let Some(lang) = lang {
        header.set_lang(lang);
    }
    header.declare("", ns::CLIENT);
    Framing::open_tag(&header)
}

/// An element of a client, in a stream that is one document.
pub fn said(element: &Element) -> Vec<u8> {
    element.to_octets(Context::CLIENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::Jid;

    const FIRST: &str = "<?xml version='1.0'?><stream:stream from='example.com' id='a' version='1.0' xmlns='jabber:client' \
                         xmlns:stream='http://etherx.jabber.org/streams'><stream:features><x/></stream:features>";
    const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    const SUCCESS2: &str = "<success xmlns='urn:xmpp:sasl:2'/>";

    /// All that comes of it, whatever it is cut into.
    fn heard(framing: Framing, said: &str, piece: usize) -> (String, Vec<bool>) {
        let mut relay = Relay::new(framing);
        let (mut text, mut restarts) = (String::new(), Vec::new());
        for piece in said.as_bytes().chunks(piece) {
            let mut heard = Vec::new();
            relay.heard(piece, &mut heard).unwrap();
            for heard in heard {
                match heard {
                    Heard::Say(octets) => {
                        if framing == Framing::WebSocket {
                            text.push('|');
                        }
                        text.push_str(&String::from_utf8(octets).unwrap());
                    }
                    Heard::Asked => text.push('?'),
                    Heard::SignedIn { restart } => restarts.push(restart),
                }
            }
        }
        (text, restarts)
    }

    #[test]
    fn what_the_server_says_first_the_client_has_had_and_the_rest_goes_on() {
        let challenge = "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>aGk=</challenge>";
        let anew = "<?xml version='1.0'?><stream:stream id='b' xmlns='jabber:client' \
                    xmlns:stream='http://etherx.jabber.org/streams'><stream:features/><iq  a = 'b' />";
        let said = [FIRST, challenge, SUCCESS, anew].concat();
        for piece in [1, 7, said.len()] {
            let (text, restarts) = heard(Framing::Tcp, &said, piece);
            // To the octet from where the client is in.
            let expected = ["?", challenge, SUCCESS, anew].concat();
            assert_eq!(text, expected, "{piece}");
            assert_eq!(restarts, [true]);
        }
        let said = [
            FIRST,
            SUCCESS2,
            "<stream:features/> <iq/>",
            "</stream:stream>",
        ]
        .concat();
        for piece in [1, 7, said.len()] {
            let (text, restarts) = heard(Framing::Tcp, &said, piece);
            let expected = [SUCCESS2, "<stream:features/> <iq/></stream:stream>"].concat();
            assert_eq!((text, restarts), (expected, vec![false]), "{piece}");
        }
    }

    #[test]
    fn over_a_websocket_each_element_is_a_message() {
        let anew = "<?xml version='1.0'?><stream:stream from='example.com' id='b' version='1.0' xmlns='jabber:client' \
                    xmlns:stream='http://etherx.jabber.org/streams'><stream:features/><iq/></stream:stream>";
        let said = [FIRST, SUCCESS, anew].concat();
        for piece in [1, 7, said.len()] {
            let (text, restarts) = heard(Framing::WebSocket, &said, piece);
            assert_eq!(restarts, [true]);
            let messages: Vec<_> = text.split('|').skip(1).collect();
            assert_eq!(
                messages,
                [
                    SUCCESS,
                    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='example.com' id='b' version='1.0'/>",
                    "<stream:features xmlns:stream='http://etherx.jabber.org/streams'/>",
                    "<iq xmlns='jabber:client'/>",
                    "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
                ]
            );
        }
    }

    #[test]
    fn what_is_no_stream_is_none_and_an_error_before_all_is_told() {
        let no_stream = Relay::new(Framing::Tcp).heard(b"SIP/2.0 200 OK", &mut Vec::new());
        assert!(no_stream.is_err());
        let refused = FIRST.split("<stream:features>").next().unwrap();
        let error = "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
        let (text, _) = heard(
            Framing::Tcp,
            &[refused, error, "</stream:stream>"].concat(),
            9,
        );
        assert_eq!(text, [error, "</stream:stream>"].concat());
    }

    #[test]
    fn what_has_grown_beyond_a_client_s_limits_goes_on() {
        let attributes = |name: &str, count| {
            let each: Vec<_> = (0..count).map(|it| format!("{name}{it}='a'")).collect();
            each.join(" ")
        };
        let most = Limits::default();
        let letter = [
            format!("<message {}/>", attributes("a", most.attributes + 1)),
            format!(
                "<message {}/>",
                attributes("xmlns:a", most.declarations + 1)
            ),
            ["<a>".repeat(most.depth + 1), "</a>".repeat(most.depth + 1)].concat(),
        ];
        for letter in letter {
            let said = [FIRST, SUCCESS2, &letter].concat();
            let (text, _) = heard(Framing::WebSocket, &said, said.len());
            assert_eq!(text.split('|').count(), 3, "{letter}");
        }
    }

    #[test]
    fn what_is_whole_before_an_error_is_told() {
        let mut relay = Relay::new(Framing::WebSocket);
        let mut heard = Vec::new();
        let said = [FIRST, SUCCESS2, "<iq/></nonsense>"].concat();
        assert!(relay.heard(said.as_bytes(), &mut heard).is_err());
        let iq = Heard::Say(b"<iq xmlns='jabber:client'/>".to_vec());
        assert_eq!(heard.last(), Some(&iq));
    }

    #[test]
    fn a_client_s_header_says_the_same() {
        let opened = Opened {
            to: Jid::parse("example.com").unwrap(),
            from: Some(Jid::parse("alice@example.com").unwrap()),
            lang: Some("de".to_owned()),
        };
        let mut reader = Reader::new(Limits::default());
        reader.push(&opened.said());
        let Ok(Some(Item::Open(read))) = reader.next() else {
            panic!("a header");
        };
        let domains = crate::stream::Domains::new("example.com", &[]).unwrap();
        let again = crate::stream::opening::read(&read, Framing::Tcp, &domains);
        assert_eq!(again, Ok(opened));
    }
}
