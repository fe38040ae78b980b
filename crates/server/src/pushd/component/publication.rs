//! What XMPP servers say to an app server (XEP-0357 §7), and what it answers: stanzas in, stanzas out. Of a publication it is read whether it
//! is worth a notice and how many messages wait; who wrote and what is stepped over.

use domain::{Outcome, Purpose};
use pushd::Reply;
use std::time::Duration;
use xmpp::{
    ns,
    stanza::{ErrorType, IqType, Stanza, StanzaCondition, StanzaError, Type},
    xml::Element,
};

/// What is told apart on a device: all that a server has to say is one conversation.
pub(super) const CONVERSATION: &str = "xmpp";
/// Nobody wants a notice later.
const NOTICE: Duration = Duration::from_hours(24);
/// What only wakes the app is worth nothing when it wakes by itself.
const WAKE: Duration = Duration::from_mins(5);

/// What a stanza wants.
#[derive(Debug, PartialEq)]
pub(super) enum Wanted {
    /// Nothing.
    Nothing,
    /// This answer.
    Answer(Element),
    /// A push.
    Push(Publication),
}

/// A push for a node.
#[derive(Debug, PartialEq)]
pub(super) struct Publication {
    pub(super) node: String,
    /// What is shown of its secret.
    pub(super) secret: String,
    /// Messages that wait.
    pub(super) count: u32,
    /// Whether the user is to hear of it. Prosody and ejabberd let it be seen by the text that they put in place of the message's;
    /// without one it is a receipt, a marker and the like, for which the app wakes at most. A call (XEP-0353) is a message at
    /// Prosody, and without a text at ejabberd: neither says that it is one.
    pub(super) is_notice: bool,
}

/// Reads a stanza.
pub(super) fn read(element: &Element) -> Wanted {
    let Some(stanza) = Stanza::of(element) else {
        return Wanted::Nothing;
    };
    let Some(Type::Iq(kind)) = stanza.stanza_type() else {
        return Wanted::Nothing;
    };
    let refused = |condition| {
        let answer = stanza.error(&StanzaError::new(condition));
        answer.map_or(Wanted::Nothing, Wanted::Answer)
    };
    if let Some(fault) = stanza.fault() {
        let answer = stanza.error(&fault);
        return answer.map_or(Wanted::Nothing, Wanted::Answer);
    }
    let asked = stanza.payload().map(|it| (kind, it.namespace(), it));
    match asked {
        Some((IqType::Get, ns::DISCO_INFO, _)) => {
            Wanted::Answer(stanza.reply().with_child(features()))
        }
        Some((IqType::Get, ns::DISCO_ITEMS, _)) => {
            let none = Element::new(ns::DISCO_ITEMS, "query");
            Wanted::Answer(stanza.reply().with_child(none))
        }
        Some((IqType::Get, ns::PING, _)) => Wanted::Answer(stanza.reply()),
        Some((IqType::Set, ns::PUBSUB, pubsub)) => match publication(pubsub) {
            Some(publication) => Wanted::Push(publication),
            None => refused(StanzaCondition::BadRequest),
        },
        Some((IqType::Get | IqType::Set, ..)) => refused(StanzaCondition::ServiceUnavailable),
        _ => Wanted::Nothing,
    }
}

/// What we are (XEP-0357 §4).
fn features() -> Element {
    let identity = Element::new(ns::DISCO_INFO, "identity")
        .with_attr("category", "pubsub")
        .with_attr("type", "push")
        .with_attr("name", "Reveille");
    let all = [ns::DISCO_INFO, ns::PING, ns::PUSH];
    let info = Element::new(ns::DISCO_INFO, "query").with_child(identity);
    all.into_iter().fold(info, |info, feature| {
        info.with_child(Element::new(ns::DISCO_INFO, "feature").with_attr("var", feature))
    })
}

fn publication(pubsub: &Element) -> Option<Publication> {
    let publish = pubsub.child(ns::PUBSUB, "publish")?;
    let options = pubsub.child(ns::PUBSUB, "publish-options");
    let options = options.and_then(|it| it.child(ns::DATA, "x"));
    let notification = publish
        .child(ns::PUBSUB, "item")?
        .child(ns::PUSH, "notification")?;
    let summary = notification.child(ns::DATA, "x");
    let said = |name| summary.and_then(|it| field(it, name));
    let count = said("message-count").and_then(|it| it.parse().ok());
    Some(Publication {
        node: publish.attr("node")?.to_owned(),
        secret: options
            .and_then(|it| field(it, "secret"))
            .unwrap_or_default(),
        count: count.unwrap_or(1),
        is_notice: said("last-message-body").is_some_and(|it| !it.is_empty()),
    })
}

/// The value of a field (XEP-0004).
fn field(form: &Element, name: &str) -> Option<String> {
    let mut fields = form.children().filter(|it| it.is(ns::DATA, "field"));
    let field = fields.find(|it| it.attr("var") == Some(name))?;
    let value = field.child(ns::DATA, "value")?;
    Some(value.text().into_owned())
}

impl Publication {
    /// What the device hears, and for how long it is worth hearing.
    pub(super) fn purpose(&self) -> (Purpose, Duration) {
        if self.is_notice {
            let message = Purpose::Message {
                conversation: CONVERSATION.to_owned(),
                unread: self.count,
            };
            (message, NOTICE)
        } else {
            (Purpose::Refresh, WAKE)
        }
    }
}

/// Whether it was not pushed for now: the server does not try again, so we do.
pub(super) fn is_for_later(reply: &Reply) -> bool {
    matches!(
        reply,
        Reply::Told(
            Outcome::Throttled { .. } | Outcome::Unavailable { .. } | Outcome::Unauthorized { .. }
        )
    )
}

/// What the server hears. An error that is not to be waited out makes ejabberd end a device's pushes, and Prosody after sixteen of them:
/// so there is one for what is over for good, and for nothing else.
pub(super) fn error(reply: Option<&Reply>) -> Option<StanzaError> {
    use StanzaCondition::{
        InternalServerError, ItemNotFound, NotAllowed, ResourceConstraint, ServiceUnavailable,
    };

    let wait = |condition: StanzaCondition, text: &'static str| {
        let error = StanzaError::new(condition).with_type(ErrorType::Wait);
        Some(error.with_text(text))
    };
    let over = |condition: StanzaCondition, text: &'static str| {
        let error = StanzaError::new(condition).with_type(ErrorType::Cancel);
        Some(error.with_text(text))
    };
    match reply {
        None => wait(ServiceUnavailable, "the push service is shutting down"),
        Some(Reply::Queued | Reply::Told(Outcome::Accepted { .. })) => None,
        Some(Reply::Told(Outcome::TokenDead { .. })) => {
            over(ItemNotFound, "this device is not pushed to any more")
        }
        Some(Reply::NotLet) => over(NotAllowed, "nobody may push to this app by this node"),
        Some(Reply::Busy { .. }) => wait(ResourceConstraint, "too many pushes"),
        Some(Reply::Told(Outcome::Refused { .. } | Outcome::TooLarge)) => {
            wait(InternalServerError, "the provider refuses this push")
        }
        Some(Reply::Told(_) | Reply::Ended(_) | Reply::NotSaved) => {
            wait(ServiceUnavailable, "it cannot be pushed now")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmpp::xml::{Limits, document};

    fn element(xml: &str) -> Element {
        document(xml.as_bytes(), &Limits::default()).expect("a good stanza")
    }

    /// As Prosody's `mod_cloud_notify` writes it; without a text, as for a marker.
    fn published(text: &str) -> Element {
        element(&format!(
            "<iq xmlns='jabber:client' type='set' id='1' from='example.org' to='push.example.org'>\
             <pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='n'><item>\
             <notification xmlns='urn:xmpp:push:0'><x xmlns='jabber:x:data' type='form'>\
             <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:push:summary</value></field>\
             <field var='message-count' type='text-single'><value>3</value></field>{text}</x></notification></item></publish>\
             <publish-options><x xmlns='jabber:x:data' type='submit'><field var='secret'><value>s</value></field></x>\
             </publish-options></pubsub></iq>"
        ))
    }

    #[test]
    fn a_publication_is_a_notice_where_the_server_says_so() {
        let body = "<field var='last-message-body'><value>New Message!</value></field>";
        for (text, is_notice) in [(body, true), ("", false)] {
            let Wanted::Push(read) = read(&published(text)) else {
                panic!("no publication");
            };
            assert_eq!((&*read.node, &*read.secret, read.count), ("n", "s", 3));
            assert_eq!(read.is_notice, is_notice);
        }
    }

    #[test]
    fn what_is_asked_of_anybody_is_answered() {
        let ask = |kind: &str, payload: &str| {
            let xml = format!(
                "<iq xmlns='jabber:client' type='{kind}' id='1' from='a@example.org' to='push.example.org'>{payload}</iq>"
            );
            read(&element(&xml))
        };
        let Wanted::Answer(info) = ask(
            "get",
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        ) else {
            panic!("no answer");
        };
        let query = info.child(ns::DISCO_INFO, "query").unwrap();
        let identity = query.child(ns::DISCO_INFO, "identity").unwrap();
        assert_eq!(
            (identity.attr("category"), identity.attr("type")),
            (Some("pubsub"), Some("push"))
        );
        let is_error = |wanted: Wanted, condition| match wanted {
            Wanted::Answer(answer) => StanzaError::read(&answer).unwrap().condition == condition,
            _ => false,
        };
        let empty = "<pubsub xmlns='http://jabber.org/protocol/pubsub'/>";
        assert!(is_error(ask("set", empty), StanzaCondition::BadRequest));
        assert!(is_error(
            ask("get", "<query xmlns='jabber:iq:version'/>"),
            StanzaCondition::ServiceUnavailable
        ));
        assert_eq!(ask("result", ""), Wanted::Nothing);
        let message = "<message xmlns='jabber:client' from='a@b'><body>hi</body></message>";
        assert_eq!(read(&element(message)), Wanted::Nothing);
    }

    #[test]
    fn only_what_is_over_for_good_ends_anybodys_pushes() {
        let reason = String::new;
        let ends =
            |reply: Option<&Reply>| error(reply).map(|error| error.error_type != ErrorType::Wait);
        let told = |outcome| Some(Reply::Told(outcome));
        for (reply, expected) in [
            (
                told(Outcome::Accepted {
                    provider_id: reason(),
                }),
                None,
            ),
            (Some(Reply::Queued), None),
            (
                told(Outcome::TokenDead {
                    since: None,
                    reason: reason(),
                }),
                Some(true),
            ),
            (Some(Reply::NotLet), Some(true)),
            (told(Outcome::Refused { reason: reason() }), Some(false)),
            (told(Outcome::TooLarge), Some(false)),
            (
                told(Outcome::Unauthorized { reason: reason() }),
                Some(false),
            ),
            (
                Some(Reply::Busy {
                    wait: WAKE,
                    of: "pushes",
                }),
                Some(false),
            ),
            (Some(Reply::NotSaved), Some(false)),
            (None, Some(false)),
        ] {
            assert_eq!(ends(reply.as_ref()), expected, "{reply:?}");
        }
    }
}
