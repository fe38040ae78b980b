//! Messages between the stanzas that clients write and the records that the store keeps. What a client wrote is kept as it
//! wrote it, in the namespace of clients, with who it is from and our id (XEP-0359): what is delivered are these octets.

use crate::{phones, settings::Settings, vocabulary::Letter};
use bytes::Bytes;
use domain::{Address, Class, Message, MessageId, Timestamp};
use std::sync::Arc;
use xmpp::{
    jid::Jid,
    ns,
    stream::Framing,
    xml::{Context, Element, Limits, document},
};

/// The media type of a stanza as it is kept: ours alone.
pub const STANZA: &str = "application/vnd.reveille.stanza+xml";
/// Where a stanza stands as it is kept: in the namespace of clients, and nothing else is declared.
pub(crate) const KEPT: Context<'static> = Context {
    default: ns::CLIENT,
    stream: false,
};
/// What we kept was within limits when it came, whatever they were, and has grown by what we put on it.
pub(crate) const OURS: Limits = Limits {
    bytes: usize::MAX,
    header_bytes: 0,
    depth: usize::MAX,
    nodes: usize::MAX,
    attributes: usize::MAX,
    declarations: usize::MAX,
};
/// How a message ends that has something in it.
const END: &[u8] = b"</message>";
/// How it begins.
const BEGIN: &[u8] = b"<message";
/// What comes next where the namespace of clients is not in force already.
const DECLARED: &[u8] = b" xmlns='jabber:client'";

/// A letter as it is to be kept.
pub(crate) fn keep(letter: Letter, to: &Address, id: MessageId, at: Timestamp) -> Arc<Message> {
    let Letter {
        from,
        from_name,
        class,
        tracking,
        mut stanza,
        ..
    } = letter;
    // An id is by what a message is found again.
    if is_kept(class) {
        stamp(&mut stanza, to, &id);
    } else {
        unstamp(&mut stanza, to);
    }
    Arc::new(Message {
        id,
        tracking,
        from: from.bare_str().to_owned(),
        from_name,
        to: to.clone(),
        at,
        class,
        content_type: STANZA.to_owned(),
        body: stanza.to_octets(KEPT).into(),
        about: None,
    })
}

/// Gives a message our id.
fn stamp(stanza: &mut Element, by: &Address, id: &MessageId) {
    unstamp(stanza, by);
    let stamp = Element::new(ns::STANZA_ID, "stanza-id");
    let stamp = stamp.with_attr("by", by.as_str());
    stanza.push(stamp.with_attr("id", id.as_str()));
}

/// Ids in our name that others made up go (XEP-0359 §5).
pub(crate) fn unstamp(stanza: &mut Element, by: &Address) {
    let ours = |child: &Element| {
        child.is(ns::STANZA_ID, "stanza-id") && child.attr("by") == Some(by.as_str())
    };
    stanza.retain_children(|child| !ours(child));
}

/// A message as its writer may say it: ids in the name of their account (XEP-0359 §5), and when we had it in the name of one of our
/// domains (XEP-0203 §7), are not theirs to make up. A delay that they state in their own name stays, as does all else.
pub(crate) fn honest(stanza: &mut Element, writer: &Address, settings: &Settings) {
    unstamp(stanza, writer);
    let is_ours = |child: &Element| {
        let from = child.attr("from").unwrap_or_default();
        child.is(ns::DELAY, "delay") && (from.is_empty() || settings.is_ours(&from.to_lowercase()))
    };
    stanza.retain_children(|child| !is_ours(child));
}

/// The octets of a message for a client; `late`: it comes later than it was written (XEP-0203).
pub(crate) fn octets(message: &Message, framing: Framing, late: bool) -> Bytes {
    let delay = late.then(|| delay(&message.to, message.at));
    if message.content_type != STANZA {
        let mut stanza = of_phone(message);
        if let Some(delay) = delay {
            stanza.push(delay);
        }
        return stanza.to_octets(framing.context()).into();
    }
    if framing == Framing::Tcp && delay.is_none() {
        return message.body.clone();
    }
    let Some(rest) = message.body.strip_prefix(BEGIN) else {
        return message.body.clone();
    };
    let mut octets = Vec::with_capacity(message.body.len() + 128);
    octets.extend_from_slice(BEGIN);
    if framing == Framing::WebSocket {
        octets.extend_from_slice(DECLARED);
    }
    // What can be late was kept, and has something in it: our id.
    match rest.strip_suffix(END).zip(delay) {
        Some((inner, delay)) => {
            octets.extend_from_slice(inner);
            delay.write(&mut octets, KEPT);
            octets.extend_from_slice(END);
        }
        None => octets.extend_from_slice(rest),
    }
    octets.into()
}

/// When a message was written (XEP-0203), by us.
pub(crate) fn delay(by: &Address, at: Timestamp) -> Element {
    Element::new(ns::DELAY, "delay")
        .with_attr("from", by.domain())
        .with_attr("stamp", domain::date::iso8601(at))
}

/// A message as it is in the archive of a user who wrote or got it: as its writer wrote it, with its id there (XEP-0313 §3.4). `None`:
/// it has nothing that can be said in a stanza.
pub(crate) fn archived(message: &Message, of: &Address) -> Option<Element> {
    let mut stanza = if message.content_type == STANZA {
        stanza(message)?
    } else {
        phones::read(message)?;
        of_phone(message)
    };
    unstamp(&mut stanza, &message.to);
    stamp(&mut stanza, of, &message.id);
    Some(stanza)
}

/// Whether a client wrote a message, or it is addressed to it.
pub(crate) fn is_with(message: &Message, client: &Jid) -> bool {
    if message.content_type != STANZA {
        return false;
    }
    let Some(stanza) = stanza(message) else {
        return false;
    };
    let is_it = |name| {
        let jid = stanza.attr(name).and_then(|jid| Jid::parse(jid).ok());
        jid.is_some_and(|jid| jid == *client)
    };
    is_it("from") || is_it("to")
}

/// What a phone wrote, as a stanza; one that cannot be said in a stanza is empty.
fn of_phone(message: &Message) -> Element {
    let said = phones::read(message);
    let id = said.as_ref().and_then(|it| it.id.as_deref());
    let id = id.map(|id| [phones::PHONES_ID, id].concat());
    let mut stanza = Element::new(ns::CLIENT, "message")
        .with_attr("from", &*message.from)
        .with_attr("to", message.to.as_str())
        .with_attr("id", id.unwrap_or_else(|| message.id.as_str().to_owned()))
        .with_attr("type", "chat");
    let about = message.about.as_deref();
    if let Some(lang) = about.and_then(|it| it.lang.as_deref()) {
        stanza.set_lang(lang);
    }
    let subject = said.as_ref().and_then(|it| it.subject.as_deref());
    let subject = subject.or(about.and_then(|it| it.subject.as_deref()));
    if let Some(subject) = subject.filter(|it| !it.is_empty()) {
        stanza.push(Element::new(ns::CLIENT, "subject").with_text(subject));
    }
    if let Some(said) = said {
        if let Some(text) = said.text {
            stanza.push(Element::new(ns::CLIENT, "body").with_text(&text));
        }
        said.payloads.into_iter().for_each(|it| stanza.push(it));
    }
    if is_kept(message.class) {
        stamp(&mut stanza, &message.to, &message.id);
    }
    stanza
}

/// Whether a message can be said in a stanza.
pub fn is_sayable(message: &Message) -> bool {
    message.content_type == STANZA || phones::read(message).is_some()
}

/// The text of a message that was kept, if it has one: for roles that know no stanzas, and for notifications.
pub fn text(message: &Message) -> Option<String> {
    if message.content_type != STANZA {
        return phones::read(message)?.text;
    }
    let stanza = stanza(message)?;
    let body = stanza.child(ns::CLIENT, "body")?;
    Some(body.text().into_owned())
}

/// A message as the stanza that it was, if it was one.
pub(crate) fn stanza(message: &Message) -> Option<Element> {
    let kept = message.body.strip_prefix(BEGIN)?;
    let octets = [BEGIN, DECLARED, kept].concat();
    document(&octets, &OURS).ok()
}

/// Whether a message is a typing notice or the like, whose writer hears nothing of it.
pub(crate) fn is_kept(class: Class) -> bool {
    class != Class::Transient
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::TrackingId;
    use xmpp::{jid::Jid, stanza::MessageType};

    fn alice() -> Address {
        Address::new("alice", "localhost").unwrap()
    }

    fn kept(stanza: &str) -> Arc<Message> {
        let letter = Letter {
            ticket: hub::Ticket(1),
            from: Jid::parse("bob@localhost/phone").unwrap(),
            from_name: "Bob".to_owned(),
            to: Jid::parse("alice@localhost").unwrap(),
            kind: MessageType::Chat,
            class: Class::Chat,
            tracking: TrackingId::from("t"),
            stanza: document(stanza.as_bytes(), &Limits::default()).unwrap(),
        };
        keep(letter, &alice(), MessageId::from("m1"), Timestamp(0))
    }

    const HELLO: &str = "<message xmlns='jabber:client' from='bob@localhost/phone' to='alice@localhost' x='1'>\
        <body>a &lt; b</body><e xmlns='urn:e' xmlns:p='urn:p' v='p:q'/></message>";

    #[test]
    fn a_message_is_delivered_as_it_was_written_and_with_our_id() {
        let message = kept(HELLO);
        let octets = octets(&message, Framing::Tcp, false);
        let text = String::from_utf8(octets.to_vec()).unwrap();
        for part in [
            "x='1'",
            "a &lt; b",
            "xmlns:p='urn:p'",
            "v='p:q'",
            "by='alice@localhost'",
            "id='m1'",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(super::text(&message).as_deref(), Some("a < b"));
    }

    #[test]
    fn an_id_that_somebody_made_up_in_our_name_goes() {
        let message = kept(
            "<message xmlns='jabber:client' from='bob@localhost/phone'><body>x</body>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='alice@localhost' id='false'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='bob@localhost' id='his'/></message>",
        );
        let text = String::from_utf8(message.body.to_vec()).unwrap();
        assert!(
            !text.contains("false") && text.contains("his") && text.contains("m1"),
            "{text}"
        );
    }

    #[test]
    fn a_message_stands_by_itself_over_a_web_socket_and_says_when_it_was_written_if_it_is_late() {
        let message = kept(HELLO);
        for (framing, late) in [
            (Framing::WebSocket, false),
            (Framing::WebSocket, true),
            (Framing::Tcp, true),
        ] {
            let mut octets = octets(&message, framing, late).to_vec();
            if framing == Framing::Tcp {
                octets = [BEGIN, DECLARED, &octets[BEGIN.len()..]].concat();
            }
            let element = document(&octets, &Limits::default()).unwrap();
            assert!(element.is(ns::CLIENT, "message"));
            let stamp = element
                .child(ns::DELAY, "delay")
                .and_then(|delay| delay.attr("stamp"));
            assert_eq!(stamp, late.then_some("1970-01-01T00:00:00.000Z"));
        }
    }

    #[test]
    fn a_message_as_large_as_may_be_is_read_again() {
        let body = "x".repeat(Limits::default().bytes - 100);
        let message = kept(&format!(
            "<message xmlns='jabber:client'><body>{body}</body></message>"
        ));
        assert!(message.body.len() > Limits::default().bytes - 50);
        assert_eq!(super::text(&message), Some(body));
    }

    #[test]
    fn a_text_of_another_role_is_a_chat_message() {
        let mut message = (*kept(HELLO)).clone();
        message.content_type = "text/plain;charset=UTF-8".to_owned();
        message.body = Bytes::from_static("Grüße & mehr".as_bytes());
        let octets = octets(&message, Framing::WebSocket, false);
        let element = document(&octets, &Limits::default()).unwrap();
        assert_eq!(element.attr("from"), Some("bob@localhost"));
        assert_eq!(
            element.child(ns::CLIENT, "body").unwrap().text(),
            "Grüße & mehr"
        );
    }
}
