//! The components that are connected (XEP-0114), by what they are found by.

use crate::settings::Settings;
use domain::quota::Allowance;
use domain::{Address, IdMap, Now, quota::Quota};
use xmpp::{StreamId, jid::Jid};

/// Messages of one component of which it is not settled yet what becomes of them; one more is answered `resource-constraint`.
const UNDER_WAY: usize = 1_024;

/// Who wrote a letter, and hears what became of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Writer {
    /// A user of ours.
    User(Address),
    /// Somebody of this component's.
    Component(Box<str>),
}

impl Writer {
    /// By the address that a letter is from.
    pub(crate) fn of(from: &Jid, settings: &Settings) -> Option<Self> {
        let user = settings.account(from).map(Self::User);
        user.or_else(|| {
            settings
                .component(from.domain())
                .map(|it| Self::Component(it.into()))
        })
    }
}

/// A component that is connected.
#[derive(Debug)]
struct Connected {
    stream: StreamId,
    under_way: usize,
    begun: Quota<()>,
}

/// The components that are connected, and this shard's.
#[derive(Debug, Default)]
pub(crate) struct Components {
    all: IdMap<Box<str>, Connected>,
    streams: IdMap<StreamId, Box<str>>,
}

impl Components {
    /// Whether it is a component's stream.
    pub(crate) fn has(&self, stream: StreamId) -> bool {
        self.streams.contains_key(&stream)
    }

    /// A stream is over. Says of which component it was the stream.
    pub(crate) fn gone(&mut self, stream: StreamId) -> Option<Box<str>> {
        let domain = self.streams.remove(&stream)?;
        self.all.remove(&domain);
        Some(domain)
    }

    /// It is settled what becomes of a message of this component's.
    pub(crate) fn is_answered(&mut self, domain: &str) {
        if let Some(component) = self.all.get_mut(domain) {
            // It may be another connection than the one that sent it.
            component.under_way = component.under_way.saturating_sub(1);
        }
    }

    /// Which component has this stream.
    pub(crate) fn domain_of(&self, stream: StreamId) -> Option<&str> {
        self.streams.get(&stream).map(|it| &**it)
    }

    /// The stream of a component, if it is connected.
    pub(crate) fn stream_of(&self, domain: &str) -> Option<StreamId> {
        self.all.get(domain).map(|it| it.stream)
    }

    /// A component is connected by this stream, and may begin so many stanzas a minute.
    pub(crate) fn insert(&mut self, stream: StreamId, domain: Box<str>, a_minute: u32) {
        let connected = Connected {
            stream,
            under_way: 0,
            begun: Quota::new(Allowance {
                at_once: u32::MAX,
                a_minute,
            }),
        };
        self.streams.insert(stream, domain.clone());
        self.all.insert(domain, connected);
    }

    /// A component begins something. `Err`: it may not; for the first time in a minute, if so.
    pub(crate) fn begins(&mut self, now: Now, domain: &str) -> Result<(), bool> {
        let component = self.all.get_mut(domain).ok_or(false)?;
        let taken = component.begun.pass(now.instant, &());
        taken.map_err(|exceeded| exceeded.first)
    }

    /// A message of a component's is under way from now on, if there is room for it.
    pub(crate) fn asks(&mut self, domain: &str) -> bool {
        let component = self.all.get_mut(domain);
        let component = component.filter(|it| it.under_way < UNDER_WAY);
        component.map(|it| it.under_way += 1).is_some()
    }
}
