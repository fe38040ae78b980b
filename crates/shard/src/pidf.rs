//! Presence between the words that the XMPP role keeps and the documents of phones (RFC 3863, with what people do from RFC 4480).
//! What is not understood of a document is passed over (RFC 3863 §4.2.3).

#[cfg(test)]
mod exercise;

use call::Documents;
use domain::{
    Address, date,
    presence::{News, Seen, Show, TELEPHONE},
    user::in_uri,
};
use hub::Stated;
use xmpp::xml::{Context, Element, Limits, document};

/// How phones say presence.
pub(crate) const DOCUMENTS: Documents = Documents { read, write };

const PIDF: &str = "urn:ietf:params:xml:ns:pidf";
const MODEL: &str = "urn:ietf:params:xml:ns:pidf:data-model";
const RPID: &str = "urn:ietf:params:xml:ns:pidf:rpid";

/// Octets of a document; a longer one is none.
const LARGEST: usize = 16_384;
/// Characters of a note; the rest is cut off.
const NOTE: usize = 256;

/// What people do (RFC 4480 §3.2), and what that means to others. The first that means the same is what we write.
const ACTIVITIES: [(&str, Show); 12] = [
    ("away", Show::Away),
    ("busy", Show::DoNotDisturb),
    ("vacation", Show::ExtendedAway),
    ("on-the-phone", Show::DoNotDisturb),
    ("appointment", Show::DoNotDisturb),
    ("meeting", Show::DoNotDisturb),
    ("presentation", Show::DoNotDisturb),
    ("meal", Show::Away),
    ("sleeping", Show::Away),
    ("in-transit", Show::Away),
    ("holiday", Show::ExtendedAway),
    ("permanent-absence", Show::ExtendedAway),
];

/// What a document says of whoever published it: they are there if one part of it says so, and do the first thing that is known.
fn read(octets: &[u8]) -> Option<Stated> {
    let limits = Limits {
        bytes: LARGEST,
        depth: 16,
        nodes: 512,
        ..Limits::default()
    };
    let presence = document(without_prolog(octets)?, &limits).ok()?;
    if !presence.is(PIDF, "presence") {
        return None;
    }
    let tuples = || presence.children().filter(|it| it.is(PIDF, "tuple"));
    let people = || presence.children().filter(|it| it.is(MODEL, "person"));
    let basic = |tuple: &Element| {
        Some(
            tuple
                .child(PIDF, "status")?
                .child(PIDF, "basic")?
                .text()
                .trim()
                == "open",
        )
    };
    let is_here = tuples().filter_map(basic).any(|open| open);
    let does = people().chain(tuples()).find_map(activity);
    let note = |it: &Element| {
        let note = it.children().find(|it| it.local() == "note")?;
        let text: String = note.text().trim().chars().take(NOTE).collect();
        Some(text).filter(|it| !it.is_empty())
    };
    let notes = people().chain([&presence]).chain(tuples());
    let show = does.unwrap_or_default();
    Some(Stated {
        is_here,
        show,
        payload: im::said(show, { notes }.find_map(note).as_deref()),
    })
}

/// The first activity of somebody that is known (RFC 4480 §3.2).
fn activity(of: &Element) -> Option<Show> {
    let all = of.children().filter(|it| it.is(RPID, "activities"));
    all.flat_map(Element::children).find_map(|it| {
        let row = ACTIVITIES.iter().find(|(name, _)| it.is(RPID, name));
        row.map(|(_, show)| *show)
    })
}

/// A document as it is behind what may stand before it.
fn without_prolog(octets: &[u8]) -> Option<&[u8]> {
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    let octets = octets.trim_ascii();
    if !octets.starts_with(b"<?xml") {
        return Some(octets);
    }
    let end = octets.windows(2).position(|it| it == b"?>")?;
    Some(octets[end + 2..].trim_ascii())
}

/// The document that shows a user by what is seen of their clients: a tuple for each, and what the user does by the best of them.
fn write(user: &Address, seen: &[&News]) -> Vec<u8> {
    let mut presence = Element::new(PIDF, "presence")
        .with_attr("entity", format!("pres:{}", in_uri(user.as_str())));
    for news in seen {
        presence.push(tuple(user, Some(news)));
    }
    if seen.is_empty() {
        presence.push(tuple(user, None));
    }
    if let Some(does) = { seen }
        .iter()
        .max_by_key(|it| rank(it))
        .and_then(|it| does(it))
    {
        let does = Element::new(RPID, "activities").with_child(Element::new(RPID, does));
        let person = Element::new(MODEL, "person")
            .with_attr("id", "p")
            .with_child(does);
        presence.push(person);
    }
    let mut octets = b"<?xml version='1.0' encoding='UTF-8'?>\n".to_vec();
    presence.write(&mut octets, Context::DOCUMENT);
    octets
}

fn tuple(user: &Address, news: Option<&News>) -> Element {
    let id = news.map_or_else(
        || "none".to_owned(),
        |it| format!("r{:016x}", hash(&it.resource)),
    );
    let basic = if news.is_some() { "open" } else { "closed" };
    let basic = Element::new(PIDF, "basic").with_text(basic);
    let mut tuple = Element::new(PIDF, "tuple")
        .with_attr("id", id)
        .with_child(Element::new(PIDF, "status").with_child(basic))
        .with_child(
            Element::new(PIDF, "contact").with_text(&format!("sip:{}", in_uri(user.as_str()))),
        );
    if let Some(Seen::Here { payload, since, .. }) = news.map(|it| &it.seen) {
        if let Some(note) = im::status(payload) {
            let note: String = note.chars().take(NOTE).collect();
            tuple.push(Element::new(PIDF, "note").with_text(&note));
        }
        tuple.push(Element::new(PIDF, "timestamp").with_text(&date::iso8601(*since)));
    }
    tuple
}

/// Which of a user's clients says what the user does: that of the highest priority, of several the one that spoke last.
fn rank(news: &News) -> (i8, u64) {
    match &news.seen {
        Seen::Here {
            priority, since, ..
        } => (*priority, since.0),
        Seen::Gone { .. } => (i8::MIN, 0),
    }
}

fn does(news: &News) -> Option<&'static str> {
    let Seen::Here { show, payload, .. } = &news.seen else {
        return None;
    };
    // It did not say so itself: its user talks.
    if *show == Show::DoNotDisturb && *news.resource == *TELEPHONE && payload.is_empty() {
        return Some("on-the-phone");
    }
    let row = ACTIVITIES.iter().find(|(_, means)| means == show);
    row.map(|(name, _)| *name)
}

/// Names a client in a document: the same name each time, and not the client's own.
fn hash(name: &str) -> u64 {
    // FNV-1a.
    let add = |hash: u64, octet: u8| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;

    fn published(inside: &str) -> Option<Stated> {
        let text = format!(
            "<?xml version=\"1.0\"?>\n<presence xmlns=\"{PIDF}\" xmlns:dm=\"{MODEL}\" xmlns:r=\"{RPID}\" entity=\"sip:bob@h\">{inside}</presence>\n"
        );
        read(text.as_bytes())
    }

    fn tuple_that_is(basic: &str) -> String {
        format!("<tuple id=\"a\"><status><basic>{basic}</basic></status></tuple>")
    }

    #[test]
    fn what_a_phone_publishes_is_what_its_user_does() {
        let person = |does: &str| {
            format!("<dm:person id=\"p\"><r:activities>{does}</r:activities></dm:person>")
        };
        for (inside, is_here, show) in [
            (tuple_that_is("open"), true, Show::Available),
            (tuple_that_is("closed"), false, Show::Available),
            (
                tuple_that_is("closed") + &tuple_that_is(" open "),
                true,
                Show::Available,
            ),
            (String::new(), false, Show::Available),
            (
                tuple_that_is("open") + &person("<r:away/>"),
                true,
                Show::Away,
            ),
            (
                tuple_that_is("open") + &person("<r:unheard-of/><r:on-the-phone/>"),
                true,
                Show::DoNotDisturb,
            ),
            (
                tuple_that_is("open") + "<x xmlns='urn:x'><presence/></x>",
                true,
                Show::Available,
            ),
        ] {
            let stated = published(&inside).unwrap();
            assert_eq!((stated.is_here, stated.show), (is_here, show), "{inside}");
        }
        let noted = published(&(tuple_that_is("open") + "<note>at &lt;sea&gt;</note>")).unwrap();
        assert_eq!(im::status(&noted.payload).as_deref(), Some("at <sea>"));
    }

    #[test]
    fn what_is_no_document_says_nothing() {
        let deep = "<a>".repeat(1_000);
        let long = "x".repeat(LARGEST);
        for text in [
            "",
            "<?xml",
            "<presence/>",
            "<presence xmlns='urn:ietf:params:xml:ns:pidf'>",
            &deep,
            &long,
        ] {
            assert_eq!(
                read(text.as_bytes()),
                None,
                "{}",
                &text[..text.len().min(40)]
            );
        }
        let bomb = "<!DOCTYPE x [<!ENTITY a 'aaaa'>]><presence xmlns='urn:ietf:params:xml:ns:pidf'>&a;</presence>";
        assert_eq!(read(bomb.as_bytes()), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let bob = Address::new("bob", "localhost").unwrap();
        for (_, show) in ACTIVITIES
            .into_iter()
            .chain([("", Show::Available), ("", Show::Chat)])
        {
            let news = News {
                resource: "a <b>".into(),
                seen: Seen::Here {
                    priority: 0,
                    show,
                    on_behalf: false,
                    payload: im::said(show, Some("a & b")),
                    since: Timestamp(1_000),
                },
            };
            let text = String::from_utf8(write(&bob, &[&news])).unwrap();
            assert!(!text.contains("a <b>"), "{text}");
            let stated = read(text.as_bytes()).unwrap();
            let as_far = if show == Show::Chat {
                Show::Available
            } else {
                show
            };
            assert_eq!((stated.is_here, stated.show), (true, as_far), "{text}");
            assert_eq!(im::status(&stated.payload).as_deref(), Some("a & b"));
        }
        let other = Address::new("grüß;gott", "localhost").unwrap();
        let text = String::from_utf8(write(&other, &[])).unwrap();
        assert!(
            text.contains("sip:gr%C3%BC%C3%9F%3Bgott@localhost"),
            "{text}"
        );
        let long = News {
            resource: "x".into(),
            seen: Seen::Here {
                priority: 0,
                show: Show::Available,
                on_behalf: false,
                payload: im::said(Show::Available, Some(&"x".repeat(10_000))),
                since: Timestamp(0),
            },
        };
        assert!(write(&bob, &[&long]).len() < 1_000);
        let nobody = read(&write(&bob, &[])).unwrap();
        assert!(!nobody.is_here);
    }
}
