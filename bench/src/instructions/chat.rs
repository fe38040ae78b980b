//! A message from one client of XMPP to another, as it is read from the one stream and written to the other.

use super::{Path, world::World};
use anyhow::{Context, Result};
use xmpp::{
    StreamId,
    stream::{Framing, Greeter, Then},
    xml::{Item, Limits, Reader},
};

const ALICE: StreamId = StreamId(1);
const BOB: StreamId = StreamId(2);
const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
     to='example.org' version='1.0'>";

pub(super) fn prepare(runs: usize) -> Result<Path> {
    let mut world = World::new()?;
    let mut alice = sign_in(&mut world, ALICE, "AGFsaWNlAHNlY3JldA==")?;
    sign_in(&mut world, BOB, "AGJvYgBzZWNyZXQ=")?;
    let messages: Vec<String> = (0..runs).map(message).collect();
    Ok(Box::new(move |run| {
        alice.push(messages[run].as_bytes());
        let item = alice.next()?.context("a message is an element")?;
        world.says(ALICE, item);
        let written = world.written(BOB);
        anyhow::ensure!(written.contains("Wherefore"), "not delivered: {written}");
        Ok(())
    }))
}

fn message(number: usize) -> String {
    format!(
        "<message to='bob@example.org' type='chat' id='m{number}' xml:lang='en'><body>Wherefore art thou, number {number}?</body>\
         <request xmlns='urn:xmpp:receipts'/><active xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )
}

/// Signs in by PLAIN, and is available.
fn sign_in(world: &mut World, stream: StreamId, password: &str) -> Result<Reader> {
    let mut reader = Reader::new(Limits::default());
    let mut greeter = Greeter::new(Framing::Tcp, world.domains.clone());
    greeter.secured(std::sync::Arc::default());
    let auth = format!(
        "{HEADER}<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{password}</auth>"
    );
    reader.push(auth.as_bytes());
    while let Some(item) = reader.next()? {
        if let (_, Then::Greeted(greeted)) = greeter.handle(item, "s") {
            world.greeted(stream, greeted);
        }
    }
    reader.restart();
    for text in [
        HEADER,
        "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>",
        "<presence/>",
    ] {
        reader.push(text.as_bytes());
        let item: Item = reader.next()?.context("it is whole")?;
        world.says(stream, item);
    }
    let written = world.written(stream);
    anyhow::ensure!(written.contains("/r</jid>"), "not signed in: {written}");
    Ok(reader)
}
