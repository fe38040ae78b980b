//! A session without a connection as octets, for the store: all that its client believes to be so when it is back.

use crate::{
    letters,
    management::{Kept, Kind, Management, Written},
    session::{Follows, Session, There, Way},
    settings::Settings,
};
use bytes::Bytes;
use domain::{
    Address, KeptSession, MessageId, Now, Timestamp,
    presence::{Resource, Show},
};
use std::time::Duration;
use xmpp::{StreamId, jid::Jid, stream::Framing, xml::document};

/// Of what is written here. Before, it was not told how much of what was sent the client can have got.
const VERSION: u8 = 2;
const BEFORE: u8 = 1;
/// The stream of a session that has none.
const NONE: StreamId = StreamId(u64::MAX);

const FRAMINGS: [Framing; 2] = [Framing::Tcp, Framing::WebSocket];
const WAYS: [Way; 5] = [
    Way::Closed,
    Way::Open,
    Way::Doubted,
    Way::Closing,
    Way::Inherited,
];
const SHOWS: [Show; 5] = [
    Show::Chat,
    Show::Available,
    Show::Away,
    Show::ExtendedAway,
    Show::DoNotDisturb,
];

/// A session as it was kept.
pub(crate) struct Restored {
    pub(crate) session: Session,
    /// Since when it has had no connection.
    pub(crate) since: Timestamp,
    /// When its user did something on its device last.
    pub(crate) used_at: Option<Timestamp>,
}

/// The octets of a session that can be resumed.
pub(crate) fn write(
    session: &Session,
    since: Timestamp,
    used_at: Option<Timestamp>,
) -> Option<Bytes> {
    let kept = session.management.kept()?;
    let mut to = Writer(vec![VERSION]);
    to.text(session.jid.as_str());
    to.maybe(session.client.as_deref());
    to.maybe(session.lang.as_deref());
    to.place(&FRAMINGS, &session.framing);
    to.place(&WAYS, &session.way);
    to.presence(session);
    let Follows {
        roster,
        blocks,
        carbons,
    } = session.follows;
    for flag in [roster, blocks, carbons, session.is_owed] {
        to.0.push(flag.into());
    }
    to.many(session.directed.iter(), |to, jid| to.text(jid.as_str()));
    to.many(session.own(), |to, (id, got)| {
        to.text(id.as_str());
        to.0.push((*got).into());
    });
    to.number(since.0);
    to.number(used_at.unwrap_or_default().0);
    to.text(&kept.id);
    to.number(kept.cap.as_secs());
    to.number(kept.handled.into());
    to.number(kept.acknowledged.into());
    to.many(kept.sent.iter(), Writer::written);
    to.number(kept.reached as u64);
    to.many(kept.held.iter(), Writer::written);
    Some(to.0.into())
}

/// What [`write`] wrote; `None`: it was something else.
pub(crate) fn read(kept: &KeptSession, now: Now, settings: &Settings) -> Option<Restored> {
    let mut from = Reader(&kept.data);
    let version = from.octet()?;
    if !matches!(version, VERSION | BEFORE) {
        return None;
    }
    let jid = Jid::parse(from.text()?).ok()?;
    if settings.account(&jid)? != kept.user || jid.resource() != Some(&*kept.name) {
        return None;
    }
    let (client, lang) = (from.maybe()?, from.maybe()?);
    let framing = from.place(&FRAMINGS)?;
    let lang = lang.map(Into::into);
    let mut session = Session::new(&kept.user, jid, client, (NONE, framing), lang);
    session.way = from.place(&WAYS)?;
    from.presence(&mut session)?;
    session.follows = Follows {
        roster: from.flag()?,
        blocks: from.flag()?,
        carbons: from.flag()?,
    };
    session.is_owed = from.flag()?;
    session.directed = from.many(|from| Jid::parse(from.text()?).ok())?;
    for (id, got) in from.many(|from| Some((MessageId::from(from.text()?), from.flag()?)))? {
        session.expects(id, got);
    }
    let since = Timestamp(from.number()?);
    let used_at = Some(Timestamp(from.number()?)).filter(|it| it.0 > 0);
    let id = from.text()?.to_owned();
    let cap = Duration::from_secs(from.number()?);
    let handled = from.number()?.try_into().ok()?;
    let acknowledged = from.number()?.try_into().ok()?;
    let sent = from.many(Reader::written)?;
    let kept = Kept {
        id,
        cap,
        handled,
        acknowledged,
        reached: match version {
            BEFORE => sent.len(),
            _ => from.number()?.try_into().ok()?,
        },
        sent,
        held: from.many(Reader::written)?,
    };
    let rules = (settings.policy, settings.answering);
    session.management = Management::restored(now.instant, rules, kept);
    from.0.is_empty().then_some(Restored {
        session,
        since,
        used_at,
    })
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u64) {
        self.0.extend(number.to_be_bytes());
    }

    fn octets(&mut self, octets: &[u8]) {
        self.number(octets.len() as u64);
        self.0.extend(octets);
    }

    fn text(&mut self, text: &str) {
        self.octets(text.as_bytes());
    }

    fn maybe(&mut self, text: Option<&str>) {
        self.0.push(text.is_some().into());
        if let Some(text) = text {
            self.text(text);
        }
    }

    /// Where something stands among all that there are.
    fn place<T: PartialEq>(&mut self, all: &[T], one: &T) {
        let place = all.iter().position(|it| it == one).unwrap_or_default();
        self.number(place as u64);
    }

    fn many<T>(&mut self, all: impl ExactSizeIterator<Item = T>, one: impl Fn(&mut Self, T)) {
        self.number(all.len() as u64);
        all.for_each(|it| one(self, it));
    }

    fn presence(&mut self, session: &Session) {
        let said = session.said.as_deref().filter(|_| session.is_there());
        self.0.push(said.is_some().into());
        if let Some(said) = said {
            self.0.extend(said.priority.to_be_bytes());
            self.place(&SHOWS, &said.show);
            self.number(said.since.0);
            self.octets(&said.payload);
        }
    }

    fn written(&mut self, written: &Written) {
        let (number, about) = match &written.kind {
            Kind::Kept(id) => (0, id.as_str().as_bytes().into()),
            Kind::Presence(sender) => (1, sender.as_bytes().into()),
            Kind::State(sender) => (2, sender.as_bytes().into()),
            Kind::Question(head) => (3, head.to_octets(Framing::WebSocket.context())),
            Kind::Passing => (4, Vec::new()),
            Kind::Needed => (5, Vec::new()),
            Kind::Withdrawn(id) => (6, id.as_str().as_bytes().into()),
        };
        self.0.push(number);
        self.octets(&about);
        self.octets(&written.octets);
    }
}

struct Reader<'o>(&'o [u8]);

impl<'o> Reader<'o> {
    fn take(&mut self, length: usize) -> Option<&'o [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn octet(&mut self) -> Option<u8> {
        let [octet] = self.take(1)?.try_into().ok()?;
        Some(octet)
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.octet()? != 0)
    }

    fn number(&mut self) -> Option<u64> {
        let octets = self.take(8)?.try_into().ok()?;
        Some(u64::from_be_bytes(octets))
    }

    fn octets(&mut self) -> Option<&'o [u8]> {
        let length = self.number()?.try_into().ok()?;
        self.take(length)
    }

    fn text(&mut self) -> Option<&'o str> {
        std::str::from_utf8(self.octets()?).ok()
    }

    #[expect(
        clippy::option_option,
        reason = "it may be missing, and it may be cut off"
    )]
    fn maybe(&mut self) -> Option<Option<&'o str>> {
        Some(if self.flag()? {
            Some(self.text()?)
        } else {
            None
        })
    }

    fn place<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        all.get(usize::try_from(self.number()?).ok()?).copied()
    }

    fn many<T>(&mut self, one: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let many = self.number()?;
        (0..many).map(|_| one(self)).collect()
    }

    fn presence(&mut self, session: &mut Session) -> Option<()> {
        if !self.flag()? {
            return Some(());
        }
        let priority = i8::from_be_bytes([self.octet()?]);
        session.there = There::Yes(priority);
        session.said = Some(Box::new(Resource {
            name: session.jid.resource().unwrap_or_default().into(),
            priority,
            show: self.place(&SHOWS)?,
            since: Timestamp(self.number()?),
            payload: Bytes::copy_from_slice(self.octets()?),
            suspended: true,
        }));
        Some(())
    }

    fn written(&mut self) -> Option<Written> {
        let number = self.octet()?;
        let about = self.octets()?;
        let sender = || std::str::from_utf8(about).ok();
        let kind = match number {
            0 => Kind::Kept(MessageId::from(sender()?)),
            1 => Kind::Presence(sender()?.into()),
            2 => Kind::State(sender()?.into()),
            3 => Kind::Question(Box::new(document(about, &letters::OURS).ok()?)),
            4 => Kind::Passing,
            5 => Kind::Needed,
            6 => Kind::Withdrawn(MessageId::from(sender()?)),
            _ => return None,
        };
        let octets = Bytes::copy_from_slice(self.octets()?);
        Some(Written { octets, kind })
    }
}

/// Names a session in the store.
pub(crate) fn name(session: &Session) -> (Address, String) {
    let name = session.jid.resource().unwrap_or_default().to_owned();
    (session.user.clone(), name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use xmpp::{ns, xml::Element};

    fn now() -> Now {
        let instant = Instant::now();
        Now {
            instant,
            wall: Timestamp(1_000_000),
        }
    }

    fn settings() -> Settings {
        Settings::new(&["localhost".to_owned()], [7; 32]).unwrap()
    }

    fn written(kind: Kind, octets: &'static str) -> Written {
        let octets = Bytes::from_static(octets.as_bytes());
        Written { octets, kind }
    }

    /// One that has of everything something.
    fn full() -> Session {
        let user = Address::new("bob", "localhost").unwrap();
        let jid = Jid::parse("bob@localhost/phone").unwrap();
        let lang = Some("de".into());
        let mut session = Session::new(&user, jid, None, (StreamId(7), Framing::WebSocket), lang);
        session.client = Some("installation".into());
        session.way = Way::Doubted;
        session.there = There::Yes(-3);
        session.said = Some(Box::new(Resource {
            name: "phone".into(),
            priority: -3,
            show: Show::DoNotDisturb,
            payload: Bytes::from_static(b"><status>x</status></presence>"),
            since: Timestamp(5),
            suspended: true,
        }));
        session.follows.blocks = true;
        (session.follows.carbons, session.is_owed) = (true, true);
        session.directed = vec![Jid::parse("alice@localhost/desk").unwrap()];
        session.expects(MessageId::from("m1"), true);
        session.expects(MessageId::from("m2"), false);
        let (settings, now) = (settings(), now().instant);
        let rules = (settings.policy, settings.answering);
        let cap = Duration::from_mins(1);
        session
            .management
            .enable(now, rules, Some(("name".to_owned(), cap)));
        let question = Element::new(ns::CLIENT, "iq").with_attr("id", "q");
        for sent in [
            written(Kind::Needed, "<iq id='1'/>"),
            written(Kind::Kept(MessageId::from("m2")), "<message/>"),
            written(Kind::Question(Box::new(question)), "<iq id='q'><x/></iq>"),
            written(Kind::Withdrawn(MessageId::from("m3")), "<message/>"),
            written(Kind::Passing, "<message type='headline'/>"),
        ] {
            session.management.give(now, sent);
        }
        session.management.acknowledged(now, 1).unwrap();
        let seq = session.management.arrived().unwrap().unwrap();
        session.management.settled(seq);
        session.management.suspend();
        let presence = Kind::Presence("alice@localhost/desk".into());
        session
            .management
            .give(now, written(presence, "<presence/>"));
        session
    }

    fn kept(data: Bytes) -> KeptSession {
        KeptSession {
            user: Address::new("bob", "localhost").unwrap(),
            name: "phone".to_owned(),
            until: Timestamp(9),
            data,
        }
    }

    #[test]
    fn a_session_is_read_as_it_was_written() {
        let octets = write(&full(), Timestamp(77), Some(Timestamp(66))).unwrap();
        let restored = read(&kept(octets.clone()), now(), &settings()).unwrap();
        assert_eq!(restored.since, Timestamp(77));
        assert_eq!(restored.used_at, Some(Timestamp(66)));
        let mut session = restored.session;
        assert_eq!(session.lang.as_deref(), Some("de"));
        assert_eq!((session.way, session.there), (Way::Doubted, There::Yes(-3)));
        let again = write(&session, Timestamp(77), Some(Timestamp(66)));
        assert_eq!(again, Some(octets));
        let goes_on = session.management.resume(now().instant, 2).unwrap();
        assert_eq!(goes_on.handled, 1);
        let had = goes_on.messages.iter().map(|it| it.id.as_str());
        assert!(had.eq(["m2"]));
        assert_eq!(
            goes_on.given.octets.len(),
            3,
            "two again, and one that waited"
        );
    }

    #[test]
    fn what_is_cut_off_or_is_another_s_is_not_read() {
        let octets = write(&full(), Timestamp(77), None).unwrap();
        for length in 0..octets.len() {
            let cut = kept(octets.slice(..length));
            assert!(read(&cut, now(), &settings()).is_none(), "{length}");
        }
        let mut other = kept(octets);
        other.name = "pad".to_owned();
        assert!(read(&other, now(), &settings()).is_none());
    }
}
