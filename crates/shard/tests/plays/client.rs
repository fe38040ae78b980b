//! A client, and the server's side of its stream up to the shard: as the task of a connection does it.

use crate::{
    script::elements,
    users::{DOMAIN, bearer},
    world::World,
};
use domain::Slice;
use hub::NotDone;
use shard::Input;
use std::{collections::VecDeque, net::SocketAddr, sync::Arc};
use xmpp::{
    StreamId, ns,
    stream::{Domains, Framing, Greeter, Then},
    xml::{Context, Element, Item, Limits, Reader, StreamError, document},
};

/// See above.
pub(crate) struct Client {
    stream: StreamId,
    framing: Framing,
    /// Whose the stream is, once the client has begun to sign in.
    shard: Option<usize>,
    /// Greets it until it has signed in.
    greeter: Option<Greeter>,
    /// What the server reads of it.
    heard: Reader,
    /// What it reads of the server.
    reads: Reader,
    /// What it got and no play has named.
    pub(crate) inbox: VecDeque<Element>,
    /// The way to it is broken, and nobody has noticed.
    pub(crate) deaf: bool,
    /// The server has closed the stream, and its connection.
    pub(crate) closed: (bool, bool),
}

impl Client {
    fn new(stream: StreamId, framing: Framing) -> Self {
        let mut greeter = Greeter::new(framing, Domains::new(DOMAIN, &[]).unwrap());
        greeter.secured(Arc::new(xmpp::stream::Offer {
            invitations: true,
            ..im::offer(&[], true)
        }));
        Self {
            stream,
            framing,
            shard: None,
            greeter: Some(greeter),
            heard: Reader::new(Limits::default()),
            reads: Reader::new(Limits::default()),
            inbox: VecDeque::new(),
            deaf: false,
            closed: (false, false),
        }
    }

    /// A component that has shown its secret.
    fn component(stream: StreamId, shard: usize) -> Self {
        let mut component = Self {
            shard: Some(shard),
            greeter: None,
            ..Self::new(stream, Framing::Component)
        };
        let header = format!(
            "<stream:stream xmlns='{}' xmlns:stream='{}'>",
            ns::CLIENT,
            ns::STREAM
        );
        component
            .heard
            .push(header.replace(ns::CLIENT, ns::COMPONENT).as_bytes());
        component.heard.next().unwrap();
        // What it reads is in the namespace of its stream; plays name it as clients do.
        component.reads.push(header.as_bytes());
        component
    }

    /// The server writes to it.
    fn gets(&mut self, octets: &[u8]) {
        if self.deaf {
            return;
        }
        if self.framing == Framing::WebSocket {
            return self.takes(item(octets).unwrap());
        }
        self.reads.push(octets);
        while let Some(item) = self.reads.next().unwrap() {
            self.takes(item);
        }
    }

    fn takes(&mut self, item: Item) {
        match item {
            Item::Element(element) => {
                if element.is(ns::SASL, "success") {
                    self.reads.restart();
                }
                self.inbox.push_back(element);
            }
            Item::Close => self.closed.0 = true,
            Item::Open(_) | Item::KeepAlive => {}
        }
    }
}

impl World {
    /// A connection is there.
    pub(crate) fn arrives(&mut self, name: &str) {
        self.streams += 1;
        let client = Client::new(StreamId(self.streams), self.framing);
        let before = self.clients.insert(name.to_owned(), client);
        assert!(before.is_none(), "{name} is there already");
    }

    /// A component connects and shows its secret, and hears that it was the right one. `push.app#2` is the same once more.
    pub(crate) fn component_connects(&mut self, name: &str) -> Result<(), String> {
        self.streams += 1;
        let stream = StreamId(self.streams);
        let domain = name.split('#').next().unwrap_or_default();
        let shard = Slice::of_name(domain).shard(self.shards.len());
        let client = Client::component(stream, shard);
        let before = self.clients.insert(name.to_owned(), client);
        assert!(before.is_none(), "{name} is there already");
        let connects = im::Input::Component(stream, domain.into());
        self.inputs.push_back((shard, Input::Im(connects)));
        self.settle();
        match self.client(name)?.inbox.pop_front() {
            Some(first) if first.is(ns::CLIENT, "handshake") => Ok(()),
            other => Err(format!("but {other:?}")),
        }
    }

    /// A client writes this.
    pub(crate) fn writes(&mut self, name: &str, text: &str) -> Result<(), String> {
        if self.client(name)?.framing == Framing::WebSocket {
            for message in messages(text)? {
                let item = item(&message).map_err(|it| it.to_string())?;
                self.hears(name, item)?;
                self.settle();
            }
            return Ok(());
        }
        self.client(name)?.heard.push(text.as_bytes());
        while let Some(item) = self
            .client(name)?
            .heard
            .next()
            .map_err(|it| it.to_string())?
        {
            self.hears(name, item)?;
            self.settle();
        }
        Ok(())
    }

    fn hears(&mut self, name: &str, mut item: Item) -> Result<(), String> {
        if let Item::Element(element) = &mut item {
            element.rescope(ns::COMPONENT, ns::CLIENT);
        }
        let shards = self.shards.len();
        let link = link(self.framing);
        let client = self.client(name)?;
        let stream = client.stream;
        let begins = matches!(&item, Item::Element(it)
            if it.is(ns::SASL, "auth") || it.is(ns::SASL2, "authenticate"));
        let input = match (client.shard, &mut client.greeter) {
            (_, Some(greeter)) if begins || client.shard.is_none() => {
                let (answer, then) = greeter.handle(item, "id");
                answer.pieces().iter().for_each(|it| client.gets(it));
                let Then::Greeted(greeted) = then else {
                    return Ok(());
                };
                let of = |user| Slice::of(&user).shard(shards);
                let shard = im::steer(&greeted, bearer).map_or(0, of);
                let before = client.shard.replace(shard).filter(|it| *it != shard);
                if let Some(before) = before {
                    let gone = Input::Im(im::Input::Gone(stream));
                    self.inputs.push_back((before, gone));
                }
                im::Input::Greeted(stream, greeted, Box::new(link))
            }
            _ => im::Input::Read(stream, item),
        };
        let shard = self.client(name)?.shard.unwrap_or(0);
        self.inputs.push_back((shard, Input::Im(input)));
        Ok(())
    }

    /// A connection is lost without a word.
    pub(crate) fn lost(&mut self, name: &str) -> Result<(), String> {
        let client = self.client(name)?;
        let gone = im::Input::Gone(client.stream);
        if let Some(shard) = client.shard {
            self.inputs.push_back((shard, Input::Im(gone)));
            self.settle();
        }
        Ok(())
    }

    /// What the XMPP role wants done.
    pub(crate) fn im(&mut self, shard: usize, output: im::Output) {
        match output {
            im::Output::Write(stream, octets) => {
                if let Some(client) = self.of_stream(stream) {
                    assert!(!client.closed.1, "written to a connection that is closed");
                    client.gets(&octets);
                }
            }
            im::Output::SignedIn(stream, anew) => {
                if let Some(client) = self.of_stream(stream) {
                    client.greeter = None;
                    if anew {
                        client.heard.restart();
                    }
                }
            }
            im::Output::End(stream) => {
                if let Some(client) = self.of_stream(stream) {
                    client.closed.1 = true;
                    let gone = im::Input::Gone(stream);
                    self.inputs.push_back((shard, Input::Im(gone)));
                }
            }
            im::Output::Post(user, post) => {
                let owner = self.shard_of(&user);
                let posted = Input::Im(im::Input::Posted(user, post));
                match &mut self.apart {
                    Some(said) => said.push((owner, posted)),
                    None => self.inputs.push_back((owner, posted)),
                }
            }
            im::Output::Component(domain, post) => {
                let owner = Slice::of_name(&domain).shard(self.shards.len());
                let posted = Input::Im(im::Input::ForComponent(domain, post));
                match &mut self.apart {
                    Some(said) => said.push((owner, posted)),
                    None => self.inputs.push_back((owner, posted)),
                }
            }
            im::Output::Read(ticket, user, query) => {
                let page = self.page(&user, &query).ok_or(NotDone::Missing);
                let read = Input::Im(im::Input::Page(ticket, page));
                match &mut self.held {
                    Some(held) => held.push((shard, read)),
                    None => self.inputs.push_back((shard, read)),
                }
            }
            im::Output::ReadCard(ticket, user) => {
                let card = self.store.kept.cards.get(&user).cloned();
                let read = im::Input::Card(ticket, Ok(card));
                self.inputs.push_back((shard, Input::Im(read)));
            }
            im::Output::ReadTokens(ticket, user, client) => {
                let kept = self.store.kept.sign_in_tokens.get(&(user, client));
                let data = kept.map(|it| it.data.clone()).filter(|it| !it.is_empty());
                let read = im::Input::Tokens(ticket, Ok(data));
                self.inputs.push_back((shard, Input::Im(read)));
            }
            im::Output::Account(ticket, order) => self.about_account(shard, ticket, *order),
            im::Output::Published(app, channel, outcome) => {
                let it = (app.to_string(), channel, outcome.name());
                self.clouds.published.push(it);
            }
            im::Output::Hub(input) => panic!("{input:?}"),
            im::Output::Refused(why) => panic!("{why:?}"),
            im::Output::Note(_) => unreachable!("the shard says it"),
        }
    }

    /// A client by its name in the play.
    pub(crate) fn client(&mut self, name: &str) -> Result<&mut Client, String> {
        let client = self.clients.get_mut(name);
        client.ok_or_else(|| format!("{name} is not there"))
    }

    fn of_stream(&mut self, stream: StreamId) -> Option<&mut Client> {
        self.clients.values_mut().find(|it| it.stream == stream)
    }
}

/// What is written to a stream, as messages of a WebSocket.
fn messages(text: &str) -> Result<Vec<Vec<u8>>, String> {
    if let Some((_, header)) = text.split_once("<stream:stream") {
        let value = |name: &str| {
            let (_, rest) = header.split_once(&format!(" {name}='"))?;
            Some(rest.split_once('\'')?.0)
        };
        let mut open = Element::new(ns::FRAMING, "open")
            .with_attr("to", DOMAIN)
            .with_attr("version", "1.0");
        if let Some(lang) = value("xml:lang") {
            open.set_lang(lang);
        }
        if let Some(from) = value("from") {
            open.set_attr("from", from);
        }
        return Ok(vec![open.to_octets(Context::DOCUMENT)]);
    }
    if text == "</stream:stream>" {
        return Ok(vec![Framing::WebSocket.close().to_vec()]);
    }
    let elements = elements(text)?.into_iter();
    Ok(elements.map(|it| it.to_octets(Context::DOCUMENT)).collect())
}

/// What a message of a WebSocket is.
fn item(message: &[u8]) -> Result<Item, StreamError> {
    Ok(Framing::item(document(message, &Limits::default())?))
}

fn link(framing: Framing) -> im::Link {
    im::Link {
        edge: None,
        remote: SocketAddr::from(([10, 0, 0, 20], 40_000)),
        framing,
        exporter: None,
        end_point: None,
    }
}
