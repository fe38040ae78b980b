//! Components (XEP-0114): servers beside us that have a domain of their own. One that is connected is the shard's that has its domain;
//! what is said to it goes there, and what it says goes from there to where it is addressed to. It speaks for everybody at its domain
//! and for nobody else. What it writes to users is kept as what users write is; what is written to it is kept nowhere.

use crate::{
    classify, enabled, ext,
    letters::is_kept,
    line::{Line, Waiting},
    management::head,
    vocabulary::{Letter, Output, Post, Revoked},
};
use domain::{Address, Now};
use xmpp::{
    StreamId,
    jid::Jid,
    ns,
    stanza::{IqType, Kind, MessageType, PresenceType, Stanza, StanzaCondition, Type},
    stream::Framing,
    xml::{Context, Element, Item, StreamCondition, StreamError},
};

/// Why the stream of a component ends.
type Wrong = (StreamCondition, &'static str);

impl Line {
    /// A component has shown its secret. Its earlier connection is over, which may be one that nobody has noticed to be dead.
    pub(crate) fn component_connects(&mut self, stream: StreamId, domain: Box<str>) {
        if let Some(before) = self.components.stream_of(&domain) {
            self.component_ends(before, Some((StreamCondition::Conflict, "connected again")));
        }
        tracing::info!(%domain, "a component is connected");
        let a_minute = self.settings.component_stanzas;
        self.components.insert(stream, domain, a_minute);
        self.out.push_back(Output::SignedIn(stream, false));
        // XEP-0114 §3.
        let handshake = Element::new(ns::CLIENT, "handshake");
        self.put(stream, handshake.to_octets(Context::CLIENT).into());
    }

    /// The stream of a component is over.
    fn component_ends(&mut self, stream: StreamId, why: Option<Wrong>) {
        if let Some(domain) = self.component_gone(stream) {
            let why = why.map(|(condition, text)| StreamError::new(condition, text));
            tracing::info!(%domain, ?why, "a component is sent away");
            let error = why.map(|it| it.element());
            self.shuts(stream, Framing::Component, error.as_ref());
        }
    }

    /// The connection of a component is gone. Says which component it was.
    pub(crate) fn component_gone(&mut self, stream: StreamId) -> Option<Box<str>> {
        let domain = self.components.gone(stream)?;
        self.publications_lost(&domain);
        Some(domain)
    }

    /// What a component says.
    pub(crate) fn component_says(&mut self, now: Now, stream: StreamId, item: Item) {
        let Some(domain) = self.components.domain_of(stream).map(Box::<str>::from) else {
            return;
        };
        let said = match item {
            Item::KeepAlive => Ok(()),
            Item::Close => return self.component_ends(stream, None),
            Item::Open(_) => Err((StreamCondition::BadFormat, "the stream is open already")),
            Item::Element(element) => self.component_stanza(now, &domain, element),
        };
        if let Err(why) = said {
            self.component_ends(stream, Some(why));
        }
    }

    /// XEP-0114 §3: a stanza says who it is from and for whom it is, as between servers.
    fn component_stanza(&mut self, now: Now, domain: &str, element: Element) -> Result<(), Wrong> {
        let Some(stanza) = Stanza::of(&element) else {
            return Err((StreamCondition::UnsupportedStanzaType, "no stanza"));
        };
        let from = stanza.from().ok().flatten();
        let Some(from) = from.filter(|from| from.domain() == domain) else {
            return Err((StreamCondition::InvalidFrom, "from is of your own domain"));
        };
        let to = match stanza.to() {
            Ok(Some(to)) => to,
            Ok(None) => return Err((StreamCondition::ImproperAddressing, "to whom?")),
            Err(_) => {
                self.refuses_component(domain, &element, StanzaCondition::JidMalformed);
                return Ok(());
            }
        };
        if stanza.fault().is_some() {
            self.refuses_component(domain, &element, StanzaCondition::BadRequest);
            return Ok(());
        }
        let answers = matches!(
            stanza.stanza_type(),
            Some(Type::Iq(IqType::Result | IqType::Error))
        );
        if !answers && self.is_too_much(now, domain) {
            self.refuse_more_of_component(domain, &element);
            return Ok(());
        }
        self.of_component(now, domain, element, &from, &to);
        Ok(())
    }

    fn is_too_much(&mut self, now: Now, domain: &str) -> bool {
        let begins = self.components.begins(now, domain);
        if begins == Err(true) {
            tracing::warn!(%domain, "a component sends more than it may");
        }
        begins.is_err()
    }

    /// Where a component's stanza goes (RFC 6120 §10).
    fn of_component(&mut self, now: Now, domain: &str, element: Element, from: &Jid, to: &Jid) {
        let Some(stanza) = Stanza::of(&element) else {
            return;
        };
        if self.settings.component(to.domain()).is_some() {
            return self.goes(element);
        }
        if !self.settings.is_ours(to.domain()) {
            return self.refuses_component(domain, &element, StanzaCondition::RemoteServerNotFound);
        }
        let Some(user) = self.settings.account(to) else {
            return self.component_asks(domain, &element);
        };
        match stanza.stanza_type() {
            Some(Type::Message(kind)) => {
                self.component_writes(now, domain, element, kind, (from, to), user);
            }
            // RFC 6121 §8.5.2.1.3: we answer for an account, and for nobody whom we do not know.
            Some(Type::Iq(IqType::Get | IqType::Set)) if to.is_bare() => {
                self.refuses_component(domain, &element, StanzaCondition::ServiceUnavailable);
            }
            Some(Type::Iq(_)) if to.is_bare() => {}
            Some(
                Type::Iq(_)
                | Type::Presence(
                    PresenceType::Available | PresenceType::Unavailable | PresenceType::Error,
                ),
            ) => self.post(user, Post::Stanza(Box::new(element))),
            // Whom users know has an account here.
            Some(Type::Presence(PresenceType::Subscribe)) => {
                let no = stanza.reply().with_attr("type", "unsubscribed");
                self.writes_component(domain, &no);
            }
            _ => {}
        }
    }

    /// A component asks us.
    fn component_asks(&mut self, domain: &str, element: &Element) {
        let Some(stanza) = Stanza::of(element).filter(|it| it.kind() == Kind::Iq) else {
            return;
        };
        if matches!(
            stanza.stanza_type(),
            Some(Type::Iq(IqType::Result | IqType::Error))
        ) {
            return self.publication_answered(domain, element);
        }
        let asked = stanza
            .payload()
            .filter(|_| element.attr("type") == Some("get"));
        let answer = match asked {
            Some(asked) if asked.is(ns::PING, "ping") => stanza.reply(),
            Some(asked) if asked.is(ns::DISCO_INFO, "query") && asked.attr("node").is_none() => {
                stanza.reply().with_child(ext::of_server(&self.settings))
            }
            _ => {
                let condition = StanzaCondition::ServiceUnavailable;
                return self.refuses_component(domain, element, condition);
            }
        };
        self.writes_component(domain, &answer);
    }

    /// Somebody of a component's writes to a user of ours.
    fn component_writes(
        &mut self,
        now: Now,
        domain: &str,
        element: Element,
        kind: MessageType,
        (from, to): (&Jid, &Jid),
        user: Address,
    ) {
        if let Some(node) = enabled::revoked(&element).filter(|_| to.is_bare()) {
            let revoked = Revoked {
                service: from.clone(),
                node: node.to_owned(),
            };
            return self.post(user, Post::Revoked(Box::new(revoked)));
        }
        if !self.components.asks(domain) {
            return self.refuse_more_of_component(domain, &element);
        }
        let class = classify::class(kind, &element);
        // RFC 6121 §8.5.2.2.1.
        let is_answered =
            is_kept(class) && !matches!(kind, MessageType::Error | MessageType::Headline);
        let head = is_answered.then(|| Box::new(head(&element)));
        let ticket = self.ticket(Waiting::Component(domain.into(), head));
        let letter = Letter {
            ticket,
            from: from.clone(),
            from_name: String::new(),
            to: to.clone(),
            kind,
            class,
            tracking: self.namer.fresh(now.wall),
            stanza: element,
        };
        self.post(user, Post::Letter(Box::new(letter)));
    }

    /// Somebody says something for a component of ours.
    pub(crate) fn for_component(&mut self, now: Now, domain: &str, post: Post) {
        match post {
            Post::Settled(ticket, result) => self.settled(now, ticket, result),
            Post::Stanza(element) if self.components.stream_of(domain).is_some() => {
                self.writes_component(domain, &element);
            }
            // RFC 6120 §8.3.3.17: there is such a server, and it does not answer now. Nobody waits for a presence.
            Post::Stanza(element) => {
                let condition = StanzaCondition::RemoteServerTimeout;
                let stanza = Stanza::of(&element).filter(|it| it.kind() != Kind::Presence);
                if let Some(answer) = stanza.and_then(|it| it.error(&condition.into())) {
                    self.goes(answer);
                }
            }
            Post::Publish(publish) => self.publishes(now, domain, publish),
            Post::Letter(_) | Post::Sent(_) | Post::Published(_) | Post::Revoked(_) => {}
        }
    }
}
